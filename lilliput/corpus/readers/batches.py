"""Documents to batches whose columns keep their types within a piece."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa

from lilliput.corpus.documents import Document
from lilliput.corpus.readers.columns import Types, column, column_type, common_type
from lilliput.corpus.readers.records import Counts, Malformed, Record, Records
from lilliput.corpus.readers.source import Source
from lilliput.corpus.stages import Dropped, Outcome

# Documents held back until the types of their columns are known.
WINDOW_BYTES = 64 << 20
MOST_RECORDS = 16_384
_NOT_METADATA = ("id", "text", "source", "origin")


def batches(
    read: Callable[[Counts], Records],
    source: Source,
    *,
    batch_bytes: int,
    known: Types | None,
) -> Iterator[Outcome]:
    """The records of a piece in batches of about `batch_bytes` of text.

    `read` yields the piece's records. `known` are the types of their metadata columns. Where it
    is None they are found out from all the piece's records, so that a stream longer than the window
    is read twice.
    """
    counts = Counts()
    records = read(counts)
    types = dict(known or {})
    window: list[Record] = []
    if known is None:
        window = list(_until(records, WINDOW_BYTES))
        _widen(types, window)
        following = list(_until(records, 0))
        if following:
            window += following
            everything = read(Counts())
            while some := list(_until(everything, batch_bytes)):
                _widen(types, some)
    if source.license is not None:
        types["license"] = pa.string()
    records = chain(_emptying(window), records)
    while some := list(_until(records, batch_bytes)):
        yield _outcome(some, source, types, dict(counts))
        counts.clear()
    if counts:
        yield _outcome([], source, types, dict(counts))


def _emptying(window: list[Record]) -> Records:
    """The records of `window`, each let go once it has been given out."""
    window.reverse()
    while window:
        yield window.pop()


def _until(records: Records, limit: int) -> Records:
    """The next records, up to the one with which they come to `limit` bytes or more."""
    size = 0
    for number, record in enumerate(records, start=1):
        yield record
        size += _size(record)
        if size >= limit or number >= MOST_RECORDS:
            return


def _size(record: Record) -> int:
    if isinstance(record, Malformed):
        return 0
    values = record.metadata.values()
    return len(record.text) + sum(len(value) for value in values if isinstance(value, str))


def _widen(types: Types, records: Iterable[Record]) -> None:
    """Make `types` hold the metadata of `records` too."""
    values: dict[str, list[Any]] = {}
    for record in records:
        if isinstance(record, Document):
            for name, value in record.metadata.items():
                values.setdefault(name, []).append(value)
    for name, found in values.items():
        types[name] = common_type(types.get(name, pa.null()), column_type(found))


def _outcome(
    records: list[Record], source: Source, types: Types, counts: dict[str, int]
) -> Outcome:
    documents: list[Document] = []
    dropped: list[Dropped] = []
    for record in records:
        if isinstance(record, Malformed):
            dropped.append(Dropped(-1, record.rule, str(record)))
        elif not record.text or record.text.isspace():
            dropped.append(Dropped(-1, "empty", record.source))
        else:
            documents.append(record)
    arrays: dict[str, pa.Array] = {
        "id": pa.array([document.id for document in documents], pa.string()),
        "text": pa.array([document.text for document in documents], pa.string()),
        "source": pa.array([document.source for document in documents], pa.string()),
        "origin": pa.array([source.origin] * len(documents), pa.string()),
    }
    for name, kind in types.items():
        values = [document.metadata.get(name) for document in documents]
        if name == "license" and source.license is not None:
            values = [source.license if value is None else value for value in values]
        if name not in _NOT_METADATA:
            arrays[clean(name)] = column(values, kind)
    return Outcome(pa.RecordBatch.from_pydict(arrays), tuple(dropped), counts)


def clean(name: str) -> str:
    """A column's name without halves of surrogate pairs."""
    return name.encode("utf-8", "replace").decode()
