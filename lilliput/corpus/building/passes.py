"""The passes of a build: planned from its stages, run over all pieces, and what they counted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lilliput.corpus.building.assembly import MixingFacts
from lilliput.corpus.building.counting import KEPT, StageCount
from lilliput.corpus.building.decisions import TextsByNumber, write_decisions
from lilliput.corpus.building.executor import Executor
from lilliput.corpus.building.piece_work import (
    DECISIONS_NAME,
    Pass,
    PieceDone,
    Task,
    read_counts,
    run_piece,
)
from lilliput.corpus.building.recipe import BuildRecipe
from lilliput.corpus.building.record import SAMPLE_CHARACTERS, Sample, StageRecord
from lilliput.corpus.building.spool import map_batches
from lilliput.corpus.building.working_folder import (
    WorkingFolder,
    finished,
    forget_documents,
    unfinished,
)
from lilliput.corpus.readers import Piece
from lilliput.corpus.registry import settings_of, stage_name
from lilliput.corpus.stages import CorpusWideStage, Decisions, Stage
from lilliput.errors import UserError, WorkFailed
from lilliput.files import read_json, write_json
from lilliput.progress import progress

_DECIDED_NAME = "decided.json"


def passes_of(recipe: BuildRecipe, working: WorkingFolder, *, sampled: bool = False) -> list[Pass]:
    """One pass more than there are corpus-wide stages; the last gathers what a mixture needs."""
    groups: list[list[tuple[str, Stage]]] = [[]]
    between: list[tuple[str, CorpusWideStage]] = []
    for stage in recipe.stages:
        if isinstance(stage, CorpusWideStage):
            between.append((stage_name(stage), stage))
            groups.append([])
        else:
            groups[-1].append((stage_name(stage), stage))
    if recipe.mixing is not None:
        between.append(("mixing", MixingFacts(recipe.mixing.column)))
    folders = [working.of_pass(number) for number in range(len(groups))]
    return [
        Pass(
            folder=folders[number],
            stages=tuple(stages),
            sources=recipe.sources if number == 0 else (),
            earlier=folders[number - 1] if number else None,
            decided_by=between[number - 1][0] if number else None,
            sketching=between[number] if number < len(between) else None,
            sampled=sampled,
        )
        for number, stages in enumerate(groups)
    ]


def run_passes(
    passes: Sequence[Pass], pieces: Sequence[Piece], executor: Executor
) -> list[PieceDone]:
    """Whatever is not done yet of every pass; returns what the last one left, in order."""
    last = len(passes) - 1
    # A pass that is complete makes the ones before it unnecessary: their documents are gone.
    complete = [one for one, work in enumerate(passes) if not unfinished(work.folder, len(pieces))]
    begin = max(complete, default=0)
    for number in range(begin, last + 1):
        work = passes[number]
        todo = unfinished(work.folder, len(pieces))
        if todo:
            tasks = _tasks(passes[:number], pieces)
            label = f"Pass {number + 1} of {last + 1}" if last else "Reading"
            with progress(label, total=sum(task.bytes for task in tasks), unit="B") as advance:
                advance(sum(task.bytes for task in tasks) - sum(tasks[one].bytes for one in todo))
                for done in executor.run(partial(run_piece, work), [tasks[one] for one in todo]):
                    advance(done)
        if number:
            before = passes[number - 1].folder
            forget_documents(before, finished(before, len(pieces)))
        if number < last:
            _decide(work, len(pieces))
    return finished(passes[last].folder, len(pieces))


def _tasks(before: Sequence[Pass], pieces: Sequence[Piece]) -> list[Task]:
    if not before:
        return [Task(number, piece.bytes, piece=piece) for number, piece in enumerate(pieces)]
    return [
        Task(done.number, done.bytes, segments=done.segments)
        for done in finished(before[-1].folder, len(pieces))
    ]


def _decide(work: Pass, pieces: int) -> None:
    """Have the corpus-wide stage after a pass decide, once all of it is there."""
    mark = work.folder / _DECIDED_NAME
    if mark.is_file():
        return
    assert work.sketching is not None
    name, stage = work.sketching
    began, cpu = time.monotonic(), time.process_time()
    done = finished(work.folder, pieces)
    documents = [piece.documents for piece in done]
    with progress(f"Comparing: {name}", total=None, unit="documents") as advance:
        decisions = decisions_of(name, stage, work.folder, done)
        advance(sum(documents))
    write_decisions(work.folder / DECISIONS_NAME, decisions, documents)
    facts = {
        "counts": dict(decisions.counts),
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
    }
    write_json(mark, facts)


def decisions_of(
    name: str, stage: CorpusWideStage, folder: Path, done: Sequence[PieceDone]
) -> Decisions:
    """What a corpus-wide stage decides about the documents of a pass."""
    sketches = [
        batch.column(0)
        for piece in done
        for segment in piece.sketches
        for batch in map_batches(folder / segment.name)
    ]
    if not sketches:
        return Decisions()
    texts = TextsByNumber(folder, [piece.segments for piece in done])
    try:
        return stage.decide(sketches, texts)
    except (UserError, WorkFailed) as error:
        raise type(error)(f"stage {name}: {error}") from None


def stage_records(
    passes: Sequence[Pass],
    pieces: int,
    recipe: BuildRecipe,
    each: Callable[[int, StageCount], None],
) -> tuple[list[StageRecord], dict[str, float]]:
    """The record of every stage, and the CPU seconds each took.

    `each` is told what was read of each piece. Memory holds one sum of counts a stage.
    """
    totals: list[tuple[str, StageCount]] = []
    for number, work in enumerate(passes):
        sums = [StageCount() for _ in work.counted]
        for piece in range(pieces):
            counts = read_counts(work.folder, piece)
            if number == 0:
                each(piece, counts[0])
            sums = [total + count for total, count in zip(sums, counts, strict=True)]
        if number:
            decided = read_json(passes[number - 1].folder / _DECIDED_NAME)
            sums[0] += StageCount(counts=decided["counts"], cpu_seconds=decided["cpu_seconds"])
        totals += zip(work.counted, sums, strict=True)
    settings = [{}, *(settings_of(stage) for stage in recipe.stages)]
    shown = _shown(recipe)
    records = [
        _record(name, settings[place], count, shown) for place, (name, count) in enumerate(totals)
    ]
    seconds: dict[str, float] = {}
    for name, count in totals:
        seconds[name] = seconds.get(name, 0.0) + count.cpu_seconds
    for work in passes:
        if work.sketching is not None:
            name = work.sketching[0]
            spent = sum(done.sketch_seconds for done in finished(work.folder, pieces))
            seconds[name] = seconds.get(name, 0.0) + spent
    return records, seconds


def _shown(recipe: BuildRecipe) -> Callable[[Sample], Sample]:
    """How samples are shown: where a build looks for personal data, without any.

    Stages before that one have seen the texts as they were.
    """
    from lilliput.corpus.personal import PersonalData, find_personal_data, masked

    if not any(isinstance(stage, PersonalData) for stage in recipe.stages):
        return lambda sample: sample

    def hide(text: str) -> str:
        return masked(text, find_personal_data(text))[:SAMPLE_CHARACTERS]

    return lambda sample: replace(
        sample,
        text=hide(sample.text),
        after=None if sample.after is None else hide(sample.after),
    )


def _record(
    name: str,
    settings: dict[str, object],
    count: StageCount,
    shown: Callable[[Sample], Sample],
) -> StageRecord:
    rules = sorted(rule for rule in count.samples if rule != KEPT)
    return StageRecord(
        name=name,
        settings=settings,
        came=count.came,
        stayed=count.stayed,
        dropped=dict(sorted(count.dropped.items())),
        counts=dict(sorted(count.counts.items())),
        samples=tuple(shown(one.sample) for rule in rules for one in count.samples[rule]),
        kept=tuple(shown(one.sample) for one in count.samples.get(KEPT, ())),
    )
