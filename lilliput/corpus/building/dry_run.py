"""What a build would give and cost, from a sample of its pieces put through all its stages."""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lilliput.corpus.building.assembly import write_parts
from lilliput.corpus.building.executor import InProcess
from lilliput.corpus.building.memory import allowance
from lilliput.corpus.building.passes import passes_of, run_passes, stage_records
from lilliput.corpus.building.piece_work import BATCH_BYTES, PieceDone, read_counts
from lilliput.corpus.building.profiling import profile_parts
from lilliput.corpus.building.recipe import BuildRecipe
from lilliput.corpus.building.record import StageRecord
from lilliput.corpus.building.spool import read_segments
from lilliput.corpus.building.working_folder import WorkingFolder, finished
from lilliput.corpus.readers import Piece, cut
from lilliput.corpus.registry import stage_name
from lilliput.corpus.stages import CorpusWideStage
from lilliput.errors import UserError

SAMPLED_PIECES = 8
_UNKNOWN_SPREAD = 0.3
"""Relative spread taken where a single observation cannot tell."""
_TOKEN_SPREAD = 0.05
_TIME_SPREAD = 0.25
_START_SECONDS = 3.0
"""Starting worker processes, twice (passes, profile)."""


@dataclass(frozen=True)
class Range:
    """A prediction and what it will likely lie between (about 95 %)."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True)
class Prediction:
    """What a build would be. Bytes are UTF-8 of text; `corpus_bytes` the parts on disk.

    `working_bytes` is the most that lies in the working folder meanwhile. `stages` is what the
    stages did to the sample; `whole` says that the sample is everything. `notes` say what the
    numbers leave out.
    """

    pieces: int
    sampled_pieces: int
    input_bytes: int
    sampled_bytes: int
    workers: int
    documents: Range
    bytes: Range
    tokens: Range | None
    bytes_per_token: float | None
    minutes: Range
    corpus_bytes: float
    working_bytes: float
    stages: tuple[StageRecord, ...]
    whole: bool
    notes: tuple[str, ...]


def predict(
    recipe: BuildRecipe,
    *,
    workers: int | None = None,
    offline: bool = False,
    bytes_per_token: Callable[[Iterator[str], float], float] | None = None,
) -> Prediction:
    """Put a sample through `recipe` and predict the whole; nothing is left on disk.

    The sample is up to 8 pieces, spread over the inputs, at least one of each source; all of each
    is read, and batches 0, 1, 2, 4, 8… of it go through the stages, here, in one process.
    `bytes_per_token` measures that of the texts it is given, knowing the bytes predicted.
    """
    if not recipe.sources:
        raise UserError("no source; say what to read")
    pieces = cut(recipe.sources, offline=offline)
    chosen = _sample(pieces)
    allowed = allowance(recipe.memory, workers, sum(piece.bytes for piece in pieces))
    with tempfile.TemporaryDirectory(prefix="lilliput-") as folder:
        working = WorkingFolder(Path(folder) / "corpus")
        working.begin("")
        sample = _try(recipe, working, [pieces[number] for number in chosen])
        weights = _weights(pieces, chosen)
        documents, text = (
            sum(weight * scale * amount for weight, scale, amount in zip(*of_pieces, strict=True))
            for of_pieces in (
                (weights, sample.scales, [piece.documents for piece in sample.done]),
                (weights, sample.scales, [piece.bytes for piece in sample.done]),
            )
        )
        per_token = None
        if bytes_per_token is not None and sample.written:
            per_token = bytes_per_token(_texts(sample), text)
    growth = text / max(1, sample.written)
    seconds = sample.reading_seconds * _mean(weights) / allowed.workers
    seconds += sample.other_seconds * growth / allowed.workers
    seconds += sample.writing_seconds * growth
    seconds += _START_SECONDS if allowed.workers > 1 else 0
    spread = _spread(pieces, chosen, sample)
    return Prediction(
        pieces=len(pieces),
        sampled_pieces=len(chosen),
        input_bytes=sum(piece.bytes for piece in pieces),
        sampled_bytes=sample.stages[0].stayed.bytes,
        workers=allowed.workers,
        documents=_range(documents, spread),
        bytes=_range(text, spread),
        tokens=None if per_token is None else _range(text / per_token, spread + _TOKEN_SPREAD),
        bytes_per_token=per_token,
        minutes=_range(seconds / 60, spread + _TIME_SPREAD),
        corpus_bytes=sample.parts_bytes * growth,
        working_bytes=sample.working_bytes * growth,
        stages=tuple(sample.stages),
        whole=len(chosen) == len(pieces) and max(sample.scales, default=1.0) == 1,
        notes=tuple(_notes(recipe)),
    )


@dataclass(frozen=True)
class _Sample:
    """What became of the sampled pieces: by piece, then sums; seconds are CPU time.

    `scales` say how much more text a piece has than went through its stages.
    """

    folder: Path
    done: Sequence[PieceDone]
    scales: Sequence[float]
    stages: Sequence[StageRecord]
    reading_seconds: float
    other_seconds: float
    writing_seconds: float
    written: int
    parts_bytes: int
    working_bytes: int


def _try(recipe: BuildRecipe, working: WorkingFolder, pieces: Sequence[Piece]) -> _Sample:
    passes = passes_of(replace(recipe, mixing=None), working, sampled=True)
    began = time.process_time()
    done = run_passes(passes, pieces, InProcess())
    passed = time.process_time()
    working_bytes = sum(path.stat().st_size for path in working.path.rglob("*.arrow"))
    output = working.output
    writer, _ = write_parts(
        passes[-1].folder, done, output, order=None, bucket_bytes=1, advance=lambda _: None
    )
    wrote = time.process_time()
    parts = [output / name for name in writer.parts]
    profile_parts(parts, writer.bytes, InProcess())
    profiled = time.process_time()
    stages, seconds = stage_records(passes, len(pieces), recipe, lambda *_: None)
    first = passes[0].folder
    scales = []
    for piece in finished(first, len(pieces)):
        staged = read_counts(first, piece.number)[0].stayed.bytes
        scales.append((staged + piece.skipped_bytes) / staged if staged else 1.0)
    return _Sample(
        folder=passes[-1].folder,
        done=done,
        scales=scales,
        stages=stages,
        reading_seconds=seconds["reading"],
        other_seconds=passed - began - seconds["reading"] + profiled - wrote,
        writing_seconds=wrote - passed,
        written=writer.bytes,
        parts_bytes=sum(part.stat().st_size for part in parts),
        working_bytes=working_bytes,
    )


def _sample(pieces: Sequence[Piece]) -> list[int]:
    """Numbers of pieces spread over the inputs, at least one of each source, ascending."""
    many = min(SAMPLED_PIECES, len(pieces))
    chosen = {(2 * place + 1) * len(pieces) // (2 * many) for place in range(many)}
    by_source = _by_source(pieces, range(len(pieces)))
    for source, numbers in by_source.items():
        if source not in _by_source(pieces, chosen):
            chosen.add(numbers[len(numbers) // 2])
    return sorted(chosen)


def _by_source(pieces: Sequence[Piece], numbers: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number in numbers:
        found.setdefault(pieces[number].source, []).append(number)
    return found


def _weights(pieces: Sequence[Piece], chosen: Sequence[int]) -> list[float]:
    """How many times its input each sampled piece stands for."""
    whole = _by_source(pieces, range(len(pieces)))
    sampled = _by_source(pieces, chosen)
    weights = {}
    for source, numbers in sampled.items():
        size = sum(pieces[number].bytes for number in numbers)
        total = sum(pieces[number].bytes for number in whole[source])
        weights[source] = total / size if size else len(whole[source]) / len(numbers)
    return [weights[pieces[number].source] for number in chosen]


def _spread(pieces: Sequence[Piece], chosen: Sequence[int], sample: _Sample) -> float:
    """Two relative standard errors: of the pieces sampled, and of the batches within them."""
    between = 0.0
    if len(chosen) < len(pieces):
        yields = [
            scale * piece.bytes / max(1, pieces[number].bytes)
            for number, scale, piece in zip(chosen, sample.scales, sample.done, strict=True)
        ]
        apart = _UNKNOWN_SPREAD
        if len(yields) > 1 and _mean(yields):
            apart = statistics.stdev(yields) / _mean(yields)
        between = apart * math.sqrt((1 - len(chosen) / len(pieces)) / len(chosen))
    within = 0.0
    if max(sample.scales, default=1.0) > 1:
        batches = max(1.0, sample.stages[0].stayed.bytes / BATCH_BYTES)
        within = _UNKNOWN_SPREAD / math.sqrt(batches)
    return 2 * math.hypot(between, within)


def _range(value: float, spread: float) -> Range:
    return Range(value * max(0.0, 1 - spread), value, value * (1 + spread))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _texts(sample: _Sample) -> Iterator[str]:
    for piece in sample.done:
        for batch in read_segments(sample.folder, piece.segments, ["text"]):
            yield from batch.column(0).to_pylist()


def _notes(recipe: BuildRecipe) -> Iterator[str]:
    wide = [stage_name(one) for one in recipe.stages if isinstance(one, CorpusWideStage)]
    if wide:
        yield (
            f"{', '.join(wide)}: copies were looked for within the sample; over all the text more "
            "will be found, so documents, bytes and tokens are upper bounds"
        )
    if recipe.mixing is not None:
        yield "mixing: not in the numbers, which are of all documents once"
