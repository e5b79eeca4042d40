"""The documents of a piece between two passes: Arrow IPC files, one per run of equal schemas."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.ipc as ipc

from lilliput.files import atomic_path


@dataclass(frozen=True)
class Segment:
    """One file: its name and the rows of each of its batches."""

    name: str
    rows: tuple[int, ...]


class SpoolWriter:
    """Writes batches as segments `STEM-00.arrow`…, whole or absent; a new schema begins another.

    Used as a context manager; `segments` is complete when the block ends.
    """

    def __init__(self, folder: Path, stem: str, *, compressed: bool = True) -> None:
        self._folder, self._stem = folder, stem
        self._options = ipc.IpcWriteOptions(compression="lz4" if compressed else None)
        self._files = ExitStack()
        self._writer: ipc.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None
        self._names: list[str] = []
        self._rows: list[list[int]] = []

    def __enter__(self) -> Self:
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; one without rows is left out."""
        if batch.num_rows == 0:
            return
        if self._writer is None or batch.schema != self._schema:
            self._begin(batch.schema)
        assert self._writer is not None
        self._writer.write_batch(batch)
        self._rows[-1].append(batch.num_rows)

    def _begin(self, schema: pa.Schema) -> None:
        self._end()
        name = f"{self._stem}-{len(self._names):02d}.arrow"
        path = self._files.enter_context(atomic_path(self._folder / name))
        self._writer = ipc.new_file(str(path), schema, options=self._options)
        self._schema = schema
        self._names.append(name)
        self._rows.append([])

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._files.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
        self._files.__exit__(kind, error, trace)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What was written."""
        return tuple(
            Segment(name, tuple(rows)) for name, rows in zip(self._names, self._rows, strict=True)
        )


def read_segments(
    folder: Path, segments: Sequence[Segment], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The batches of segments, in order; of `columns` alone, only those are decompressed."""
    for segment in segments:
        with pa.OSFile(str(folder / segment.name)) as file:
            reader = _open(file, columns)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


def read_batch(folder: Path, segment: Segment, number: int, column: str) -> pa.Array:
    """One column of one batch of a segment."""
    with pa.OSFile(str(folder / segment.name)) as file:
        return _open(file, [column]).get_batch(number).column(0)


def _open(file: pa.NativeFile, columns: Sequence[str] | None) -> ipc.RecordBatchFileReader:
    if columns is None:
        return ipc.open_file(file)
    places = [ipc.open_file(file).schema.get_field_index(name) for name in columns]
    return ipc.open_file(file, options=ipc.IpcReadOptions(included_fields=places))


def map_batches(path: Path) -> list[pa.RecordBatch]:
    """The batches of an uncompressed file, memory-mapped: they cost memory when they are read."""
    reader = ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]
