"""What a corpus-wide stage decided, on disk piece by piece, and applied to a piece's batches."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

from lilliput.corpus.building.spool import Segment, read_batch
from lilliput.corpus.stages import Decisions, Dropped, Example, Outcome, with_column, with_texts
from lilliput.errors import WorkFailed
from lilliput.files import atomic_path

CUT = "cut"
_SHOWN_BEFORE = 150
_TEXTS_AT_ONCE = 256
_OWN = {"rule": pa.string(), "detail": pa.string(), "cuts": pa.list_(pa.int64())}


def write_decisions(path: Path, decisions: Decisions, documents: Sequence[int]) -> None:
    """Write one batch a piece; `documents` says how many each piece holds.

    Raises WorkFailed if a column has not one value a document.
    """
    total = sum(documents)
    for name, values in decisions.columns.items():
        if len(values) != total:
            raise WorkFailed(f"column {name!r} has {len(values)} values for {total} documents")
    schema = pa.schema(
        [*_OWN.items(), *((f"column.{name}", one.type) for name, one in decisions.columns.items())]
    )
    dropped = np.array(sorted(decisions.dropped), dtype=np.int64)
    cut = np.array(sorted(decisions.cuts), dtype=np.int64)
    with atomic_path(path) as temporary, ipc.new_file(str(temporary), schema) as writer:
        start = 0
        for many in documents:
            rules: list[str | None] = [None] * many
            details: list[str | None] = [None] * many
            cuts: list[list[int] | None] = [None] * many
            for number in _within(dropped, start, many):
                rules[number - start], details[number - start] = decisions.dropped[number]
            for number in _within(cut, start, many):
                cuts[number - start] = [place for span in decisions.cuts[number] for place in span]
            arrays = [pa.array(rules, pa.string()), pa.array(details, pa.string())]
            arrays.append(pa.array(cuts, _OWN["cuts"]))
            arrays += [_whole(one.slice(start, many)) for one in decisions.columns.values()]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            start += many


def _within(
    numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]", start: int, many: int
) -> list[int]:
    first, last = np.searchsorted(numbers, [start, start + many])
    found: list[int] = numbers[first:last].tolist()
    return found


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def read_decisions(path: Path, piece: int) -> pa.RecordBatch:
    """What was decided for a piece's documents, one row each."""
    return ipc.open_file(pa.memory_map(str(path))).get_batch(piece)


def decided(batch: pa.RecordBatch, rows: pa.RecordBatch) -> Outcome:
    """Apply the decisions `rows` (one each) to a batch: columns, then cuts, then what goes."""
    made = batch
    for name, values in zip(rows.schema.names, rows.columns, strict=True):
        if name.startswith("column."):
            made = with_column(made, name.removeprefix("column."), values)
    examples: list[Example] = []
    if rows.column("cuts").null_count < rows.num_rows:
        made = _cut(made, rows.column("cuts").to_pylist(), examples)
    rules = rows.column("rule")
    if rules.null_count == rows.num_rows:
        return Outcome(made, examples=examples)
    details = rows.column("detail").to_pylist()
    dropped = [
        Dropped(row, rule, details[row])
        for row, rule in enumerate(rules.to_pylist())
        if rule is not None
    ]
    return Outcome(made.filter(rules.is_null()), dropped, examples=examples)


def _cut(
    batch: pa.RecordBatch, cuts: Sequence[list[int] | None], examples: list[Example]
) -> pa.RecordBatch:
    texts = batch.column("text").to_pylist()
    for row, places in enumerate(cuts):
        if places:
            before = texts[row]
            bounds = [0, *places, len(before)]
            texts[row] = "".join(
                before[start:stop] for start, stop in zip(bounds[::2], bounds[1::2], strict=True)
            )
            shown = max(0, places[0] - _SHOWN_BEFORE)
            examples.append(Example(row, CUT, before[shown:][:1000], texts[row][shown:][:1000]))
    return with_texts(batch, texts)


class TextsByNumber:
    """Texts of the documents of a pass by their number in corpus order, a batch held at a time."""

    def __init__(self, folder: Path, pieces: Sequence[Sequence[Segment]]) -> None:
        self._folder = folder
        self._batches = [
            (segment, number)
            for segments in pieces
            for segment in segments
            for number in range(len(segment.rows))
        ]
        rows = [rows for segments in pieces for segment in segments for rows in segment.rows]
        self._starts = np.cumsum([0, *rows])
        self._held = -1
        self._texts: pa.Array = pa.array([], pa.string())

    def __call__(self, numbers: Iterable[int]) -> Iterator[str]:
        """The texts of these documents, in the order asked for; ascending numbers are fastest."""
        asked = iter(numbers)
        while some := list(islice(asked, _TEXTS_AT_ONCE)):
            found: dict[int, str] = {}
            for number in sorted(set(some)):
                place = int(np.searchsorted(self._starts, number, side="right")) - 1
                if place != self._held:
                    segment, batch = self._batches[place]
                    self._texts = read_batch(self._folder, segment, batch, "text")
                    self._held = place
                found[number] = self._texts[number - int(self._starts[place])].as_py()
            yield from (found[number] for number in some)
