"""Parquet files, and corpus folders, whose parts are such."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lilliput.corpus.documents import Document
from lilliput.corpus.readers.columns import Types, plain_type
from lilliput.corpus.readers.cuts import Cuts, File
from lilliput.corpus.readers.encodings import decode
from lilliput.corpus.readers.records import Counts, Damaged, Malformed, Records
from lilliput.corpus.readers.rows import RowError, document_of_row, metadata_types, no_field
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import is_remote, open_file
from lilliput.corpus.readers.templates import LINES, template_fields

ROWS = 256


def read_parquet(span: Span, source: Source, counts: Counts) -> Records:
    """The rows of the row groups from `start` to `stop`, with the columns that are needed."""
    with open_parquet(span.location) as file:
        names = file.schema_arrow.names
        if source.template is None and _column_of(source.text_field, names) is None:
            yield Malformed("no_text_field", span.location, no_field(source.text_field, names))
            return
        groups = range(span.start, min(span.stop, file.num_row_groups))
        row_number = sum(file.metadata.row_group(group).num_rows for group in range(span.start))
        columns = _wanted(file.schema_arrow, source)
        for batch in file.iter_batches(ROWS, row_groups=list(groups), columns=columns):
            for row in _rows(batch, counts):
                row_number += 1
                try:
                    yield document_of_row(row, span.name, source, counts)
                except RowError as error:
                    where = f"{span.location}, row {row_number}{error.place}"
                    yield Malformed(error.rule, where, error.problem)


def known_types(span: Span, source: Source) -> Types | None:
    """The metadata columns, where all come from top-level fields."""
    with open_parquet(span.location) as file:
        schema = file.schema_arrow
        wanted = _wanted(schema, source)
    return metadata_types({name: plain_type(schema.field(name).type) for name in wanted}, source)


def read_corpus_part(span: Span, source: Source, counts: Counts) -> Records:
    """The documents of a part of a corpus folder; columns without a value are left away."""
    for record in read_parquet(span, Source(source.location, metadata=source.metadata), counts):
        if isinstance(record, Document):
            known = {name: value for name, value in record.metadata.items() if value is not None}
            record = replace(record, metadata=known)
        yield record


def row_group_ranges(file: File, source: Source, piece_bytes: int) -> Cuts:
    """Ranges of row groups of about `piece_bytes` as they lie in the file."""
    with open_parquet(file.location) as opened:
        groups = range(opened.num_row_groups)
        # Of each column there would be the size in the file; Arrow aborts on some damaged ones.
        unpacked = [max(1, opened.metadata.row_group(group).total_byte_size) for group in groups]
    sizes = [max(1, size * file.size // sum(unpacked)) for size in unpacked]
    start = held = 0
    for group, size in enumerate(sizes):
        held += size
        if held >= piece_bytes or group == len(sizes) - 1:
            yield start, group + 1, held
            start, held = group + 1, 0


@contextmanager
def open_parquet(location: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises Damaged if it is none or is damaged, also while it is read."""
    try:
        # Arrow opens a local file faster than it reads one that Python has opened.
        with ExitStack() as stack:
            place = stack.enter_context(open_file(location)) if is_remote(location) else location
            yield stack.enter_context(pq.ParquetFile(place))
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise Damaged(f"{location}: not a readable Parquet file: {error}") from None


def _rows(batch: pa.RecordBatch, counts: Counts) -> list[dict[str, Any]]:
    """The rows of a batch; writers that check nothing leave texts that are not UTF-8."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        columns = [
            column.cast(pa.binary()) if column.type == pa.string() else column for column in batch
        ]
        rows = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
        for row in rows:
            for name, value in row.items():
                if isinstance(value, bytes):
                    row[name] = decode(value, counts)
    return rows


def _wanted(schema: pa.Schema, source: Source) -> list[str]:
    """The columns to read. Those of bytes are no metadata."""
    names = schema.names
    text = source.text_field if source.template is None else ""
    if source.metadata is None:
        text_column = _column_of(text, names)
        return [n for n in names if n == text_column or not _is_binary(schema.field(n).type)]
    if source.template == LINES:
        return list(names)
    fields = [text] if source.template is None else template_fields(source.template)
    paths = [*fields, "id", "source", *source.metadata, *source.columns.values()]
    columns = (_column_of(path, names) for path in paths)
    return [name for name in dict.fromkeys(columns) if name is not None]


def _column_of(path: str, names: Sequence[str]) -> str | None:
    """The column in which a field, or a nested one, stands."""
    return next((name for name in (path, path.partition(".")[0]) if name in names), None)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
