"""Batches into the parts of a corpus folder, without a Python object per document."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lilliput.corpus.folder import PART_BYTES, ROW_GROUP_BYTES, CorpusHash, part_name
from lilliput.corpus.readers import conform

ROWS_PER_PART = 1_000_000


class CorpusWriter:
    """Writes batches as `part-00000.parquet`… into a folder; a context manager.

    Row groups hold about 4 MiB of text, parts about 128 MiB or a million documents, cut by the
    documents alone and not by batches, so the same documents give the same bytes. Memory holds a
    row group. Afterwards `documents`, `bytes` (UTF-8 of the texts), `hash` and `parts` are whole.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._hash = CorpusHash()
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._part_bytes = self._part_rows = 0
        self._file: pq.ParquetWriter | None = None
        self.documents = self.bytes = 0
        self.parts: list[str] = []

    @property
    def hash(self) -> str:
        """SHA-256 of all documents in order, whatever the cut into parts."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Append documents, whose columns fit the schema (see `common_schema`)."""
        if not batch.num_rows:
            return
        batch = conform(batch, self._schema)
        self._hash.add_batch(batch)
        lengths = pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths, dtype=np.int64)
        self.documents += batch.num_rows
        self.bytes += int(ends[-1])
        start = 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            room = min(ROW_GROUP_BYTES - self._held_bytes, PART_BYTES - self._part_bytes)
            stop = int(np.searchsorted(ends, before + room, side="left")) + 1
            stop = min(stop, batch.num_rows, start + ROWS_PER_PART - self._part_rows)
            size = int(ends[stop - 1]) - before
            self._held.append(batch.slice(start, stop - start))
            self._held_bytes += size
            self._part_bytes += size
            self._part_rows += stop - start
            if self._part_bytes >= PART_BYTES or self._part_rows >= ROWS_PER_PART:
                self._end_part()
            elif self._held_bytes >= ROW_GROUP_BYTES:
                self._write_row_group()
            start = stop

    def _write_row_group(self) -> None:
        # One chunk, so that pages do not depend on how the documents came in batches.
        table = pa.Table.from_batches(self._held, self._schema).combine_chunks()
        self._open_part().write_table(table, row_group_size=max(1, table.num_rows))
        self._held, self._held_bytes = [], 0

    def _open_part(self) -> pq.ParquetWriter:
        if self._file is None:
            name = part_name(len(self.parts))
            repeating = [name for name in self._schema.names if name not in ("id", "text")]
            self._file = pq.ParquetWriter(
                self._folder / name,
                self._schema,
                compression="zstd",
                use_dictionary=repeating,
                write_statistics=repeating,
            )
            self.parts.append(name)
        return self._file

    def _end_part(self) -> None:
        if self._held or not self.parts:
            self._write_row_group()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._part_bytes = self._part_rows = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._end_part()
        elif self._file is not None:
            self._file.close()
