"""Build a corpus folder from sources: in passes, in workers, going on after any kill."""

import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.corpus.building.assembly import Order, Written, order_of, write_parts
from lilliput.corpus.building.counting import StageCount
from lilliput.corpus.building.executor import Executor, InProcess, WorkerProcesses
from lilliput.corpus.building.memory import Allowance, allowance
from lilliput.corpus.building.passes import passes_of, run_passes, stage_records
from lilliput.corpus.building.piece_work import PieceDone
from lilliput.corpus.building.profiling import profile_parts
from lilliput.corpus.building.recipe import AnyStage, BuildRecipe
from lilliput.corpus.building.record import (
    BuildRecord,
    SourceRecord,
    StageRecord,
    Tally,
    read_record,
    write_record,
)
from lilliput.corpus.building.working_folder import WorkingFolder, fingerprint
from lilliput.corpus.folder import (
    MANIFEST_NAME,
    CorpusManifest,
    check_target,
    move_in,
    open_corpus,
)
from lilliput.corpus.mixing import LicensedSource, attribution
from lilliput.corpus.readers import Piece, cut
from lilliput.errors import UserError
from lilliput.files import read_json, write_json, write_text
from lilliput.progress import progress, write_line

TIMINGS_NAME = "timings.json"
ATTRIBUTION_NAME = "attribution.md"
REPORT_NAME = "report.html"


@dataclass(frozen=True)
class Built:
    """A finished build: the corpus folder, its manifest and what happened."""

    folder: Path
    manifest: CorpusManifest
    record: BuildRecord

    @property
    def report(self) -> Path | None:
        """The report page, where one was written."""
        page = self.folder / REPORT_NAME
        return page if page.is_file() else None


def build(
    recipe: BuildRecipe,
    folder: Path | str,
    *,
    workers: int | None = None,
    offline: bool = False,
    overwrite: bool = False,
    report: bool = True,
    executor: Executor | None = None,
) -> Built:
    """Build the corpus folder `folder`.

    Neither `workers` (default: every core; one for small inputs) nor `recipe.memory` nor
    `executor` (in place of processes of this machine) changes a byte of it, but for
    `timings.json`. A build that was stopped, by whatever, goes on where it was when it is called
    again with the same inputs and settings; what is done lies in `.NAME.building` beside `folder`
    until then. A finished corpus of the same inputs and settings is left as it is. Without
    `report` neither a profile nor `report.html` is made.

    Raises UserError for what cannot be read and for a `folder` with other files, or with a corpus
    made with other settings (unless `overwrite`); WorkFailed if a stage fails.
    """
    folder = Path(folder)
    settings = recipe.settings()
    if not recipe.sources:
        raise UserError("no source; say what to read")
    check_target(folder, settings, overwrite)
    pieces = cut(recipe.sources, offline=offline)
    _check_inputs(pieces, folder)
    facts = {"settings": settings, "pieces": [piece.fingerprint for piece in pieces]}
    made_by = fingerprint({**facts, "report": report}, recipe.stages)
    if offline:
        recipe = dataclasses.replace(recipe, stages=tuple(map(_offline, recipe.stages)))
    if not _is_finished(folder, made_by):
        began = time.monotonic()
        allowed = allowance(recipe.memory, workers, sum(piece.bytes for piece in pieces))
        working = WorkingFolder(folder)
        working.begin(made_by)
        with _going_on(working, folder):
            job = _Job(recipe, folder, working, pieces, allowed, executor)
            job.run(settings, made_by, began, report)
            working.remove()
    if report:
        _write_report(folder)
    return Built(folder, open_corpus(folder).manifest, read_record(folder))


def build_corpus(
    sources: Sequence[str | Path],
    folder: Path | str,
    *,
    text_field: str = "text",
    offline: bool = False,
    overwrite: bool = False,
) -> CorpusManifest:
    """Read `sources` (see `Source`) into the corpus folder `folder`, without any stage."""
    from lilliput.corpus.readers import Source

    listed = tuple(Source(str(source), text_field=text_field) for source in sources)
    return build(BuildRecipe(listed), folder, offline=offline, overwrite=overwrite).manifest


def _offline(stage: AnyStage) -> AnyStage:
    """The stage forbidden to use the network, where it can."""
    if not hasattr(stage, "offline"):
        return stage
    forbidden: AnyStage = dataclasses.replace(stage, offline=True)  # type: ignore[type-var]
    return forbidden


def _check_inputs(pieces: Sequence[Piece], folder: Path) -> None:
    """Raise UserError if a build would read what it is to write."""
    if not folder.exists():
        return
    own = folder.resolve()
    one_of = {Path(span.location).parent: span for piece in pieces for span in piece.spans}
    for parent, span in one_of.items():
        if parent.resolve() == own:
            raise UserError(
                f"{span.location}: is read and lies in the folder to be written; "
                "choose another folder for the corpus"
            )


def _is_finished(folder: Path, made_by: str) -> bool:
    timings = folder / TIMINGS_NAME
    if not ((folder / MANIFEST_NAME).is_file() and timings.is_file()):
        return False
    return bool(read_json(timings).get("fingerprint") == made_by)


@contextmanager
def _going_on(working: WorkingFolder, folder: Path) -> Iterator[None]:
    """Say how a stopped build goes on; leave nothing behind of one that did nothing."""
    try:
        yield
    except BaseException:
        if any(working.path.glob("pass-*/*.json")):
            write_line(f"{folder}: unfinished; the same command goes on where it was")
        else:
            working.remove()
        raise


@dataclass(frozen=True)
class _Job:
    """One run of a build."""

    recipe: BuildRecipe
    folder: Path
    working: WorkingFolder
    pieces: Sequence[Piece]
    allowed: Allowance
    executor: Executor | None

    def run(self, settings: dict[str, Any], made_by: str, began: float, report: bool) -> None:
        """All passes, then the parts and what stands beside them, then into place."""
        passes = passes_of(self.recipe, self.working)
        with self._executing() as executor:
            done = run_passes(passes, self.pieces, executor)
        passed = time.monotonic()
        output = self.working.output
        sums, written = self._write_parts(passes[-1].folder, done, output)
        wrote = time.monotonic()
        profile: Mapping[str, Any] = {}
        if report:
            parts = [output / name for name in sums.parts]
            with self._executing() as executor:
                profile = profile_parts(parts, sums.bytes, executor)
        read_of: dict[str, Tally] = {}
        stages, cpu_seconds = stage_records(
            passes, len(self.pieces), self.recipe, lambda *read: self._count_read(read_of, *read)
        )
        sources = self._source_records(read_of, written)
        mixing = self.recipe.mixing
        record = BuildRecord(
            tuple(sources), tuple(stages), None if mixing is None else settings["mixing"], profile
        )
        write_record(record, output)
        write_text(output / ATTRIBUTION_NAME, self._attribution(sources, written))
        ended = time.monotonic()
        timings = {
            "fingerprint": made_by,
            "workers": self.allowed.workers,
            "seconds": ended - began,
            "passes_seconds": passed - began,
            "writing_seconds": wrote - passed,
            "profile_seconds": ended - wrote,
            "stages_cpu_seconds": cpu_seconds,
        }
        write_json(output / TIMINGS_NAME, timings)
        manifest = dataclasses.replace(sums, settings=settings, dropped=_dropped(stages))
        move_in(output, self.folder, manifest)

    @contextmanager
    def _executing(self) -> Iterator[Executor]:
        if self.executor is not None:
            yield self.executor
        elif self.allowed.workers == 1:
            yield InProcess()
        else:
            with WorkerProcesses(self.allowed.workers) as executor:
                yield executor

    def _write_parts(
        self, spooled: Path, done: Sequence[PieceDone], output: Path
    ) -> tuple[CorpusManifest, Written]:
        order: Order | None = None
        if self.recipe.mixing is not None:
            names = list(dict.fromkeys(source.origin for source in self.recipe.sources))
            order = order_of(spooled, done, self.recipe.mixing, names)
        total = (
            sum(piece.bytes for piece in done)
            if order is None
            else int(order.sizes[order.taken].sum())
        )
        with progress("Writing", total=total, unit="B") as advance:
            writer, written = write_parts(
                spooled,
                done,
                output,
                order=order,
                bucket_bytes=self.allowed.bucket_bytes,
                advance=advance,
            )
        shutil.rmtree(output.with_name("buckets"), ignore_errors=True)
        sums = CorpusManifest(
            writer.documents, writer.bytes, writer.hash, {}, {}, tuple(writer.parts)
        )
        return sums, written

    def _count_read(self, read_of: dict[str, Tally], piece: int, count: StageCount) -> None:
        origin = self.recipe.sources[self.pieces[piece].source].origin
        read_of[origin] = read_of.get(origin, Tally()) + count.stayed

    def _source_records(self, read_of: dict[str, Tally], written: Written) -> list[SourceRecord]:
        files: dict[str, set[str]] = {}
        for piece in self.pieces:
            origin = self.recipe.sources[piece.source].origin
            files.setdefault(origin, set()).update(span.location for span in piece.spans)
        by_origin: dict[str, Tally] = {}
        for (origin, _), tally in written.tallies.items():
            by_origin[origin] = by_origin.get(origin, Tally()) + tally
        first = {source.origin: source for source in reversed(self.recipe.sources)}
        return [
            SourceRecord(
                name=origin,
                location=source.location,
                license=source.license,
                attribution=source.attribution,
                read=read_of.get(origin, Tally()),
                written=by_origin.get(origin, Tally()),
                files=len(files.get(origin, ())),
            )
            for origin, source in reversed(first.items())
        ]

    def _attribution(self, sources: Sequence[SourceRecord], written: Written) -> str:
        named = [
            LicensedSource(one.name, one.location, one.license, one.attribution) for one in sources
        ]
        counts = {found: (tally.documents, tally.bytes) for found, tally in written.tallies.items()}
        return attribution(named, counts)


def _dropped(stages: Sequence[StageRecord]) -> dict[str, int]:
    """Documents left out by reason: rules of reading by name, others as stage.rule."""
    dropped = {"empty": 0}
    for place, stage in enumerate(stages):
        for rule, tally in stage.dropped.items():
            name = rule if place == 0 else f"{stage.name}.{rule}"
            dropped[name] = dropped.get(name, 0) + tally.documents
    return dropped


def _write_report(folder: Path) -> None:
    if not (folder / REPORT_NAME).is_file():
        from lilliput.corpus.corpus_report import write_corpus_report

        write_corpus_report(folder)
