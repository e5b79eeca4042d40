"""The profile of a written corpus: runs of row groups counted in workers, added up in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lilliput.corpus.building.executor import Executor
from lilliput.corpus.folder import open_part
from lilliput.corpus.profile import (
    Profile,
    ProfileSettings,
    merge_all,
    profile,
    profile_facts,
    settings_for,
)
from lilliput.progress import progress

_ROW_GROUPS_AT_ONCE = 8
_COLUMNS = ("text", "origin", "source", "topic", "language", "license")


@dataclass(frozen=True)
class _Run:
    """Row groups `start` to `stop` of a part."""

    number: int
    part: Path
    start: int
    stop: int


def profile_parts(parts: Sequence[Path], text_bytes: int, executor: Executor) -> Mapping[str, Any]:
    """The facts of the profile of some parts (`profile_facts`), showing progress."""
    runs: list[_Run] = []
    for part in parts:
        with open_part(part) as file:
            groups = file.num_row_groups
        for start in range(0, groups, _ROW_GROUPS_AT_ONCE):
            runs.append(_Run(len(runs), part, start, min(groups, start + _ROW_GROUPS_AT_ONCE)))
    work = partial(_profile_run, settings=settings_for(text_bytes))
    with progress("Profiling", total=text_bytes, unit="B") as advance:

        def counted() -> Iterator[tuple[int, Profile]]:
            for number, made in executor.run(work, runs):
                advance(made.totals.get("bytes", 0))
                yield number, made

        return profile_facts(merge_all(_in_order(counted())))


def _profile_run(run: _Run, settings: ProfileSettings) -> tuple[int, Profile]:
    made = []
    with open_part(run.part) as file:
        columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
        for group in range(run.start, run.stop):
            table = file.read_row_group(group, columns).combine_chunks()
            made += [profile(batch, settings) for batch in table.to_batches()]
    return run.number, merge_all(made)


def _in_order(numbered: Iterator[tuple[int, Profile]]) -> Iterator[Profile]:
    """Results by number, from 0, each as soon as those before it are there."""
    held: dict[int, Profile] = {}
    following = 0
    for number, made in numbered:
        held[number] = made
        while following in held:
            yield held.pop(following)
            following += 1
