"""The last step: documents of all pieces, mixed and ordered, into the parts of a corpus folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

from lilliput.corpus.building.counting import sizes_of
from lilliput.corpus.building.piece_work import PieceDone
from lilliput.corpus.building.record import Tally
from lilliput.corpus.building.spool import map_batches, read_segments
from lilliput.corpus.mixing import Mixing, mixture
from lilliput.corpus.readers import common_schema, conform
from lilliput.corpus.stages import Decisions
from lilliput.corpus.writer import CorpusWriter
from lilliput.errors import UserError

Numbers = npt.NDArray[np.int64]
_SLICE_BYTES = 4 << 20


@dataclass(frozen=True)
class MixingFacts:
    """What the mixture needs to know of each document, gathered as sketches of the last pass."""

    column: str | None

    def sketch(self, batch: pa.RecordBatch) -> pa.Array:
        """A struct a document: bytes, origin and the value that the order goes by (or null)."""
        fields = {"bytes": pa.array(sizes_of(batch)), "origin": batch.column("origin")}
        if self.column is not None:
            fields["value"] = self._values(batch)
        return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))

    def _values(self, batch: pa.RecordBatch) -> pa.Array:
        place = batch.schema.get_field_index(self.column)
        if place < 0:
            return pa.nulls(batch.num_rows, pa.float64())
        values = batch.column(place)
        if pa.types.is_null(values.type):
            return values.cast(pa.float64())
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise UserError(f"mixing.by: column {self.column!r} holds {values.type}, not numbers")
        return values.cast(pa.float64())

    def decide(self, sketches: Sequence[pa.Array], texts: Callable[..., Any]) -> Decisions:
        """Nothing: the order is `order_of`'s affair."""
        return Decisions()


@dataclass(frozen=True)
class Order:
    """Document numbers in output order, and the bytes of each document by number."""

    taken: Numbers
    sizes: Numbers


def order_of(
    folder: Path, pieces: Sequence[PieceDone], mixing: Mixing, names: Sequence[str]
) -> Order:
    """The mixture of the documents of a pass whose sketches are `MixingFacts`."""
    codes: list[npt.NDArray[np.int32]] = []
    sizes: list[Numbers] = []
    values: list[npt.NDArray[np.float64]] = []
    known = pa.array(list(names), pa.string())
    for piece in pieces:
        for segment in piece.sketches:
            for batch in map_batches(folder / segment.name):
                facts = batch.column(0)
                codes.append(pc.index_in(facts.field("origin"), known).to_numpy().astype(np.int32))
                sizes.append(facts.field("bytes").to_numpy())
                if mixing.column is not None:
                    values.append(facts.field("value").to_numpy(zero_copy_only=False))
    all_sizes = np.concatenate([np.empty(0, np.int64), *sizes])
    taken = mixture(
        np.concatenate([np.empty(0, np.int32), *codes]),
        all_sizes,
        mixing,
        names=names,
        values=None
        if mixing.column is None
        else np.concatenate([np.empty(0, np.float64), *values]),
    )
    return Order(taken, all_sizes)


@dataclass
class Written:
    """What the corpus holds, by origin and licence."""

    tallies: dict[tuple[str, str | None], Tally]

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch's documents."""
        place = batch.schema.get_field_index("license")
        licenses = batch.column(place) if place >= 0 else pa.nulls(batch.num_rows, pa.string())
        table = pa.table(
            {"origin": batch.column("origin"), "license": licenses, "size": sizes_of(batch)}
        )
        grouped = table.group_by(["origin", "license"], use_threads=False)
        for row in grouped.aggregate([("size", "sum"), ("size", "count")]).to_pylist():
            found = row["origin"], row["license"]
            tally = Tally(row["size_count"], row["size_sum"])
            self.tallies[found] = self.tallies.get(found, Tally()) + tally


def write_parts(
    folder: Path,
    pieces: Sequence[PieceDone],
    output: Path,
    *,
    order: Order | None,
    bucket_bytes: int,
    advance: Callable[[float], None],
) -> tuple[CorpusWriter, Written]:
    """Write the parts of the corpus folder into `output`, in natural order or in `order`.

    An order that is not natural goes through files of buckets of about `bucket_bytes` of text, so
    that memory holds three of them. `advance` is told the bytes of text written.
    """
    segments = [segment for piece in pieces for segment in piece.segments]
    schemas = [ipc.open_file(str(folder / segment.name)).schema for segment in segments]
    schema = common_schema(schemas)
    batches = read_segments(folder, segments)
    if order is not None and not _is_natural(order):
        buckets = output.with_name("buckets")
        batches = _reordered(batches, order, schema, buckets, bucket_bytes)
    written = Written({})
    with CorpusWriter(output, schema) as writer:
        for batch in batches:
            written.add(batch)
            before = writer.bytes
            writer.write(batch)
            advance(writer.bytes - before)
    return writer, written


def _is_natural(order: Order) -> bool:
    many = len(order.sizes)
    return len(order.taken) == many and bool((order.taken == np.arange(many)).all())


def _reordered(
    batches: Iterator[pa.RecordBatch],
    order: Order,
    schema: pa.Schema,
    folder: Path,
    bucket_bytes: int,
) -> Iterator[pa.RecordBatch]:
    """Documents in `order`: thrown into buckets by place in the output, each then sorted."""
    from_document = np.argsort(order.taken, kind="stable")
    documents = order.taken[from_document]
    bucket_of = np.cumsum(order.sizes[order.taken]) // bucket_bytes
    folder.mkdir(exist_ok=True)
    spill = _Spill(folder, schema.append(pa.field("place", pa.int64())), bucket_bytes)
    start = 0
    for batch in batches:
        first, last = np.searchsorted(documents, [start, start + batch.num_rows])
        places = from_document[first:last]
        rows = documents[first:last] - start
        start += batch.num_rows
        if len(rows):
            taken = conform(batch, schema).take(pa.array(rows))
            spill.add(taken.append_column("place", pa.array(places)), bucket_of[places])
    spill.flush()
    for bucket in np.unique(bucket_of).tolist():
        yield from spill.sorted_bucket(bucket)


class _Spill:
    """Rows by bucket: held until there are `limit` bytes of them, then appended to their files."""

    def __init__(self, folder: Path, schema: pa.Schema, limit: int) -> None:
        self._folder, self._schema, self._limit = folder, schema, limit
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._held_bytes = 0
        for old in folder.iterdir():
            old.unlink()

    def add(self, rows: pa.RecordBatch, buckets: Numbers) -> None:
        """Hold rows, one bucket each."""
        by_bucket = np.argsort(buckets, kind="stable")
        rows, buckets = rows.take(pa.array(by_bucket)), buckets[by_bucket]
        names, starts = np.unique(buckets, return_index=True)
        for name, start, stop in zip(
            names.tolist(), starts, [*starts[1:], len(buckets)], strict=True
        ):
            self._held.setdefault(name, []).append(rows.slice(start, stop - start))
        self._held_bytes += rows.nbytes
        if self._held_bytes >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Append what is held to the files."""
        for bucket, held in self._held.items():
            table = pa.Table.from_batches(held, self._schema)
            options = ipc.IpcWriteOptions(compression="lz4")
            with (
                self._path(bucket).open("ab") as file,
                ipc.new_stream(file, self._schema, options=options) as stream,
            ):
                stream.write_table(table)
        self._held, self._held_bytes = {}, 0

    def sorted_bucket(self, bucket: int) -> Iterator[pa.RecordBatch]:
        """The rows of a bucket by place, in batches of a few megabytes; its file goes."""
        held = []
        with pa.OSFile(str(self._path(bucket))) as file:
            while file.tell() < file.size():
                held += list(ipc.open_stream(file))
        table = pa.Table.from_batches(held, self._schema)
        del held
        # By position: documents may have a column of any name.
        *columns, place = range(table.num_columns)
        table = table.take(pc.sort_indices(table.column(place))).select(columns)
        sizes = pc.binary_length(table.column("text")).to_numpy()
        slices = np.cumsum(sizes, dtype=np.int64) // _SLICE_BYTES
        starts = np.flatnonzero(np.diff(slices, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], table.num_rows], strict=True):
            yield from table.slice(start, stop - start).combine_chunks().to_batches()
        self._path(bucket).unlink()

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:06d}"
