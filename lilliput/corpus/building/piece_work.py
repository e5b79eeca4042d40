"""One piece of one pass, worked on in any process: documents in, files of the pass's folder out."""

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from lilliput.corpus.building.counting import (
    Keys,
    StageCount,
    account,
    keys_of,
    read_count,
    sizes_of,
)
from lilliput.corpus.building.decisions import decided, read_decisions
from lilliput.corpus.building.spool import Segment, SpoolWriter, read_segments
from lilliput.corpus.stages import CorpusWideStage, Outcome, Stage
from lilliput.errors import UserError, WorkFailed
from lilliput.files import read_json, write_json

if TYPE_CHECKING:
    from lilliput.corpus.readers import Piece, Source

BATCH_BYTES = 4 << 20
"""Text in a batch, about. It is no setting, so that no stage sees other batches elsewhere."""
DECISIONS_NAME = "decisions.arrow"


@dataclass(frozen=True)
class Pass:
    """What one pass does to every piece.

    The first pass reads `sources`; a later one takes the files of the pass before in `earlier` and
    first applies what the corpus-wide stage `decided_by` decided. Then come `stages` by name, and
    at the end the sketches of `sketching`, if another corpus-wide stage follows.
    """

    folder: Path
    stages: tuple[tuple[str, Stage], ...]
    sources: tuple["Source", ...] = ()
    earlier: Path | None = None
    decided_by: str | None = None
    sketching: tuple[str, CorpusWideStage] | None = None
    sampled: bool = False
    """Only some batches of a piece go through the stages (a dry run); the others are read."""

    @property
    def counted(self) -> tuple[str, ...]:
        """The stages that a piece's counts are of, in order."""
        return (self.decided_by or "reading", *(name for name, _ in self.stages))


@dataclass(frozen=True)
class Task:
    """One piece: of the inputs (`piece`), or of the pass before (`segments`)."""

    number: int
    bytes: int
    piece: "Piece | None" = None
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class PieceDone:
    """What `NUMBER.json` says of a finished piece: what stayed, in which files."""

    number: int
    documents: int
    bytes: int
    segments: tuple[Segment, ...]
    sketches: tuple[Segment, ...]
    sketch_seconds: float
    skipped_bytes: int = 0
    """Text that was read but left out of a sample."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        segments = {
            name: tuple(Segment(one["name"], tuple(one["rows"])) for one in values[name])
            for name in ("segments", "sketches")
        }
        return cls(**{**values, **segments})


def done_path(folder: Path, number: int) -> Path:
    """The file that says that a piece is done."""
    return folder / f"{number:06d}.json"


def counts_path(folder: Path, number: int) -> Path:
    """The file of a piece's counts, one of each of the pass's stages."""
    return folder / f"{number:06d}.counts.json"


def read_done(folder: Path, number: int) -> PieceDone:
    """What a finished piece left."""
    return PieceDone.from_dict(read_json(done_path(folder, number)))


def read_counts(folder: Path, number: int) -> list[StageCount]:
    """A finished piece's counts, in order of the pass's stages."""
    return [StageCount.from_dict(values) for values in read_json(counts_path(folder, number))]


def run_piece(work: Pass, task: Task) -> int:
    """Work on one piece; returns its input bytes. Its files are whole or absent, the mark last.

    Raises UserError or WorkFailed naming the input and the stage.
    """
    counter = _Counter(_where(work, task), len(work.counted))
    documents = 0
    stem = f"{task.number:06d}"
    with (
        SpoolWriter(work.folder, stem) as spool,
        SpoolWriter(work.folder, f"{stem}.sketch", compressed=False) as sketches,
    ):
        for batch, keys in counter.first(work, task):
            batch = counter.rest(work, batch, keys)
            if batch.num_rows:
                spool.write(batch)
                documents += batch.num_rows
                if work.sketching is not None:
                    sketches.write(counter.sketch(*work.sketching, batch))
    counts = counter.counts
    write_json(counts_path(work.folder, task.number), [one.to_dict() for one in counts])
    done = PieceDone(
        number=task.number,
        documents=documents,
        bytes=counts[-1].stayed.bytes,
        segments=spool.segments,
        sketches=sketches.segments,
        sketch_seconds=counter.sketch_seconds,
        skipped_bytes=counter.skipped_bytes,
    )
    write_json(done_path(work.folder, task.number), asdict(done))
    return task.bytes


class _Counter:
    """Runs the stages of a pass over the batches of one piece and counts what they do."""

    def __init__(self, where: str, stages: int) -> None:
        self._where = where
        self.counts = [StageCount() for _ in range(stages)]
        self.sketch_seconds = 0.0
        self.skipped_bytes = 0

    def first(self, work: Pass, task: Task) -> Iterator[tuple[pa.RecordBatch, Keys]]:
        """Batches as they were read, or as the stage before decided about them."""
        outcomes = _read(work, task) if work.earlier is None else _decided(work, task)
        began = time.thread_time()
        for number, (batch, outcome) in enumerate(outcomes):
            if work.sampled and batch is None and not _is_sampled(number):
                self.skipped_bytes += int(sizes_of(outcome.batch).sum())
                continue
            if batch is None:
                made, left, count = read_count(outcome)
            else:
                name = str(work.decided_by)
                with _named_errors(f"{self._where}: stage {name}"):
                    made, left, count = account(name, batch, keys_of(batch), outcome)
            self._add(0, count, began)
            yield made, left
            began = time.thread_time()
        self._add(0, StageCount(), began)

    def rest(self, work: Pass, batch: pa.RecordBatch, keys: Keys) -> pa.RecordBatch:
        """A batch after all stages of the pass."""
        for place, (name, stage) in enumerate(work.stages, 1):
            if not batch.num_rows:
                break
            began = time.thread_time()
            with _named_errors(f"{self._where}: stage {name}"):
                outcome = stage(batch)
                batch, keys, count = account(name, batch, keys, outcome)
            self._add(place, count, began)
        return batch

    def sketch(self, name: str, stage: CorpusWideStage, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The sketches of a batch's documents as a batch of one column."""
        began = time.thread_time()
        with _named_errors(f"{self._where}: stage {name}"):
            values = stage.sketch(batch)
            if len(values) != batch.num_rows:
                raise WorkFailed(f"{len(values)} sketches of {batch.num_rows} documents")
        self.sketch_seconds += time.thread_time() - began
        return pa.record_batch([values], names=["sketch"])

    def _add(self, place: int, count: StageCount, began: float) -> None:
        spent = replace(count, cpu_seconds=time.thread_time() - began)
        self.counts[place] = self.counts[place] + spent


def _read(work: Pass, task: Task) -> Iterator[tuple[None, Outcome]]:
    from lilliput.corpus.readers import read_piece

    assert task.piece is not None
    for outcome in read_piece(task.piece, work.sources, batch_bytes=BATCH_BYTES):
        yield None, outcome


def _decided(work: Pass, task: Task) -> Iterator[tuple[pa.RecordBatch, Outcome]]:
    assert work.earlier is not None
    rows = read_decisions(work.earlier / DECISIONS_NAME, task.number)
    start = 0
    for batch in read_segments(work.earlier, task.segments):
        yield batch, decided(batch, rows.slice(start, batch.num_rows))
        start += batch.num_rows


def _is_sampled(number: int) -> bool:
    """Batches 0, 1, 2, 4, 8…: over the whole of a piece, however long it is."""
    return number & (number - 1) == 0


def _where(work: Pass, task: Task) -> str:
    if task.piece is None:
        return f"piece {task.number}"
    names = [span.location for span in task.piece.spans]
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


@contextmanager
def _named_errors(where: str) -> Iterator[None]:
    """Errors of a stage with the input and its name; of an unexpected one, where it was raised."""
    try:
        yield
    except (UserError, WorkFailed) as error:
        raise type(error)(f"{where}: {error}") from None
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}, line {last.lineno}"
        raise WorkFailed(f"{where}: {type(error).__name__}: {error} ({place})") from error
