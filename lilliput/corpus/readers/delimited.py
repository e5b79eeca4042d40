"""Tables as text: CSV and TSV, quoted as RFC 4180 has it, also across lines."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import IO, Any

import numpy as np
import pyarrow as pa

from lilliput.corpus.readers.columns import Types
from lilliput.corpus.readers.cuts import Cuts, File, between, divisible, whole_file
from lilliput.corpus.readers.encodings import decode
from lilliput.corpus.readers.records import Counts, Malformed, Records
from lilliput.corpus.readers.rows import RowError, document_of_row, metadata_types, no_field
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import (
    Opened,
    compression_of,
    is_remote,
    open_file,
    open_span,
    reading,
)

_DELIMITERS = ",;\t|"
_LONGEST_FIELD = 2**31 - 1
_SCAN_BYTES = 16 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_AFTER_LONE_RETURN = re.compile("(?<=\r)(?!\n)")

Style = dict[str, Any]


def read_table(span: Span, source: Source, counts: Counts) -> Records:
    """The records of a CSV or TSV file between `start` and `stop`, which are ends of records.

    The first record of the file names the fields, unless the source does. Every other one must
    have as many fields.
    """
    names, style = head_of(span, source)
    if source.template is None and source.text_field not in names:
        yield Malformed("no_text_field", span.location, no_field(source.text_field, names))
        return
    lines_before: int | None = None
    with open_span(span, counts, source.encoding) as opened:
        reader = _reader(_lines(opened, counts), style)
        if opened.first and source.fields is None:
            next(_records(reader), None)
        for record in _records(reader):
            if isinstance(record, csv.Error):
                rule, place = "not_csv", ""
                problem = f'not valid CSV: {record}; if quotes mean nothing here, set quote = ""'
            elif len(record) != len(names):
                rule, place = "number_of_fields", ""
                problem = f"expected {len(names)} fields, found {len(record)}"
            else:
                row = dict(zip(names, record, strict=True))
                try:
                    yield document_of_row(row, span.name, source, counts)
                    continue
                except RowError as error:
                    rule, place, problem = error.rule, error.place, error.problem
            if lines_before is None:
                lines_before = _lines_before(span, source)
            where = f"{span.location}, line {lines_before + reader.line_num}"
            yield Malformed(rule, where + place, problem)


def head_of(span: Span, source: Source) -> tuple[Sequence[str], Style]:
    """The names of a table's fields, and how it is written (settings of `csv.reader`)."""
    whole = replace(span, start=0, stop=sys.maxsize)
    with open_span(whole, Counts(), source.encoding) as opened:
        lines = _lines(opened, Counts())
        first = next(lines, "")
        style = _style(first, span.format, source)
        if source.fields is not None:
            return source.fields, style
        for record in _records(_reader(chain([first], lines), style)):
            if isinstance(record, list):
                return _apart(record), style
            break
    return (), style


def known_types(span: Span, source: Source) -> Types | None:
    """The metadata columns: all are text."""
    names, _ = head_of(span, source)
    return metadata_types(dict.fromkeys(names, pa.string()), source)


def record_ranges(file: File, source: Source, piece_bytes: int) -> Cuts:
    """Ranges of bytes that end where records do, for local files that are not compressed."""
    apart = is_remote(file.location) or compression_of(file.location) is not None
    if apart or not divisible(file, source, piece_bytes):
        return whole_file(file, source, piece_bytes)
    whole = Span(file.location, file.name, file.format, 0, sys.maxsize, file.size, "")
    _, style = head_of(whole, source)
    return between(record_ends(file.location, file.size, piece_bytes, style), file)


def record_ends(location: str, size: int, piece_bytes: int, style: Style) -> list[int]:
    """Offsets in a plain file that divide it between records, about `piece_bytes` apart.

    None are found where a quote stands within a field that is not itself quoted: what ends a record
    is then known only to who reads from the start.
    """
    count = -(-size // piece_bytes)
    targets = [size * number // count for number in range(1, count)]
    with reading(location), open_file(location) as file:
        found = _quoted_record_ends(file, targets, style)
    return sorted(end for end in set(found) if end < size)


def _quoted_record_ends(file: IO[bytes], targets: list[int], style: Style) -> list[int]:
    quote = style.get("quotechar")
    around = [ord(style["delimiter"]), ord("\n"), ord("\r"), ord(quote or "\n")]
    targets = targets[::-1]
    ends: list[int] = []
    seen = 0
    before = b"\n"
    if file.read(3) != _BYTE_ORDER_MARK:
        file.seek(0)
    position = file.tell()
    chunk = file.read(_SCAN_BYTES)
    while chunk:
        following = file.read(_SCAN_BYTES)
        data = np.frombuffer(before + chunk + (following[:1] or b"\n"), np.uint8)
        inner = data[1:-1]
        quotes = np.flatnonzero(inner == ord(quote)) if quote else np.empty(0, np.int64)
        opening = (seen + np.arange(len(quotes))) % 2 == 0
        neighbour = np.where(opening, data[quotes], data[quotes + 2])
        if not np.isin(neighbour, around).all():
            return []
        while targets and targets[-1] < position + len(chunk):
            end = _newline_outside(chunk, max(0, targets[-1] - position), quotes, seen)
            if end is None:
                break
            ends.append(position + end + 1)
            targets.pop()
        seen += len(quotes)
        position += len(chunk)
        before, chunk = chunk[-1:], following
    return ends if seen % 2 == 0 else []


def _newline_outside(chunk: bytes, start: int, quotes: np.ndarray, seen: int) -> int | None:
    """The first line end at or after `start` that no quotes enclose."""
    while (end := chunk.find(b"\n", start)) >= 0:
        passed = int(np.searchsorted(quotes, end))
        if (seen + passed) % 2 == 0:
            return end
        if passed == len(quotes):
            return None
        start = int(quotes[passed]) + 1
    return None


def _lines(opened: Opened, counts: Counts) -> Iterator[str]:
    """The lines of a span, with their ends, which may be returns alone."""
    position = 0
    if opened.first and opened.stream.peek(3).startswith(_BYTE_ORDER_MARK):
        position = len(opened.stream.read(3))
    for line in opened.stream:
        if not opened.owns(position + 1):
            return
        position += len(line)
        text = decode(line, counts)
        if "\r" in text[:-2]:
            yield from filter(None, _AFTER_LONE_RETURN.split(text))
        else:
            yield text


def _lines_before(span: Span, source: Source) -> int:
    if not span.start:
        return 0
    with open_span(replace(span, start=0, stop=span.start), Counts(), source.encoding) as opened:
        return sum(1 for _ in _lines(opened, Counts()))


def _reader(lines: Iterator[str], style: Style) -> Any:
    # Python's limit of 128 KB a field is for the whole process, and too small for texts.
    csv.field_size_limit(_LONGEST_FIELD)
    return csv.reader(lines, **style)


def _records(reader: Any) -> Iterator[list[str] | csv.Error]:
    """The records that are not empty, and what is wrong with those that are none."""
    while True:
        try:
            record: list[str] = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error
        else:
            if record:
                yield record


def _style(first_line: str, form: str, source: Source) -> Style:
    delimiter = source.delimiter
    if delimiter is None and form == "tsv":
        delimiter = "\t"
    if delimiter is None:
        bare = re.sub('"[^"]*"', "", first_line)
        delimiter = max(_DELIMITERS, key=bare.count)
    if not source.quote:
        return {"delimiter": delimiter, "quoting": csv.QUOTE_NONE, "strict": True}
    return {"delimiter": delimiter, "quotechar": source.quote, "strict": True}


def _apart(names: Sequence[str]) -> list[str]:
    """Field names with those that occur again numbered: name, name_2."""
    apart: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique in apart:
            number += 1
            unique = f"{name}_{number}"
        apart.append(unique)
    return apart
