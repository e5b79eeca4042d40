"""Readers of pairs: an input and the answer to it, from JSON lines, CSV and Parquet."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lilliput.errors import UserError

LONGEST_FIELD = 1 << 24
"""Characters of one field of a CSV file: one that is longer has lost its closing quote."""


class TextPair(NamedTuple):
    """What a model is given, and what it should answer."""

    input: str
    answer: str


@dataclass(frozen=True)
class _Row:
    where: str
    values: Mapping[str, Any]


def read_pairs(
    path: str | Path, *, input_field: str = "input", answer_field: str = "answer"
) -> Iterator[TextPair]:
    """Yield the pairs of a .jsonl, .ndjson, .csv, .tsv or .parquet file, in order.

    A CSV file names its fields in its first line, and its dialect is RFC 4180's; a .tsv has tabs
    in place of commas. Other fields are passed over.
    Raises UserError, naming file, line and field, for whatever cannot be read: a field that is
    missing or not text, an input that is empty. An answer may be empty.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file of pairs")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: of no known kind; pairs are read from {', '.join(_READERS)}")
    for row in reader(path, (input_field, answer_field)):
        text = _text(row, input_field)
        if not text.strip():
            raise UserError(f"{row.where}, field {input_field!r}: there is nothing in it")
        yield TextPair(text, _text(row, answer_field))


def split_pairs(
    pairs: Sequence[TextPair], held_out_share: float
) -> tuple[list[TextPair], list[TextPair]]:
    """Those to train on and those held out, about `held_out_share` of them, each in order.

    Which are held out depends on the input's text alone: the same input is never on both sides,
    and a pair keeps its side when the file grows. With two inputs or more neither side is empty.
    """
    inputs = sorted({pair.input for pair in pairs}, key=_rank)
    if len(inputs) < 2:
        return list(pairs), []
    bound = int(held_out_share * (1 << 64))
    chosen = {text for text in inputs if _rank(text) < bound}
    chosen = (chosen | {inputs[0]}) - {inputs[-1]}
    kept = [pair for pair in pairs if pair.input not in chosen]
    return kept, [pair for pair in pairs if pair.input in chosen]


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")


def _json_rows(path: Path, fields: tuple[str, str]) -> Iterator[_Row]:
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            where = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                values = json.loads(text)
            except UnicodeDecodeError as error:
                raise UserError(f"{where}: not UTF-8 (byte {error.start} of the line)") from None
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where}: not valid JSON: {error}") from None
            if not isinstance(values, dict):
                raise UserError(f"{where}: expected a JSON object with {' and '.join(fields)}")
            yield _Row(where, values)


def _separated(delimiter: str) -> Callable[[Path, tuple[str, str]], Iterator[_Row]]:
    def rows(path: Path, fields: tuple[str, str]) -> Iterator[_Row]:
        limit = csv.field_size_limit(LONGEST_FIELD)
        try:
            with path.open(encoding="utf-8-sig", newline="") as handle:
                yield from _csv_rows(path, csv.DictReader(handle, delimiter=delimiter, strict=True))
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 ({error.reason})") from None
        finally:
            csv.field_size_limit(limit)

    return rows


def _csv_rows(path: Path, reader: "csv.DictReader[str]") -> Iterator[_Row]:
    while True:
        before = reader.line_num
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise UserError(f"{path}, line {before + 1}: not valid CSV: {error}") from None
        if values is None:
            return
        where = f"{path}, line {reader.line_num}"
        if None in values:
            raise UserError(f"{where}: more fields than the first line names")
        yield _Row(where, values)


def _parquet_rows(path: Path, fields: tuple[str, str]) -> Iterator[_Row]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for field in fields:
                if field not in names:
                    raise UserError(_no_field(str(path), field, names))
            number = 0
            for batch in file.iter_batches(batch_size=1024, columns=list(set(fields))):
                for values in batch.to_pylist():
                    number += 1
                    yield _Row(f"{path}, row {number}", values)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file: {error}") from None


_READERS = {
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".parquet": _parquet_rows,
}


def _text(row: _Row, field: str) -> str:
    if field not in row.values:
        raise UserError(_no_field(row.where, field, row.values))
    value = row.values[field]
    if not isinstance(value, str):
        raise UserError(f"{row.where}, field {field!r}: expected text, found {value!r:.40}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            f"{row.where}, field {field!r}: half a surrogate pair, which is no Unicode text"
        ) from None
    return value


def _no_field(where: str, field: str, names: Iterable[str]) -> str:
    there = ", ".join(list(names)[:12]) or "none"
    return (
        f"{where}: no field {field!r} (fields: {there}); name yours with data.input_field and "
        "data.answer_field"
    )
