"""Counting what a stage did to batches, and samples of it, so that any grouping adds up equally."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lilliput.corpus.building.record import SAMPLE_CHARACTERS, SAMPLES_A_RULE, Sample, Tally
from lilliput.corpus.folder import OWN_COLUMNS
from lilliput.corpus.stages import Outcome, with_column
from lilliput.errors import WorkFailed

Keys = npt.NDArray[np.uint64]
"""One hash of the id per document of a batch; which documents become samples goes by it."""
KEPT = "kept"
EMPTY = "empty"
NOTHING = Tally()


@dataclass(frozen=True, slots=True)
class RankedSample:
    """A sample and its rank: those of the smallest rank stay when counts are added."""

    rank: int
    sample: Sample

    @property
    def order(self) -> tuple[Any, ...]:
        """The rank, then the content, so that ties do not go by who came first."""
        shown = self.sample
        return self.rank, shown.id, shown.source, shown.text, shown.detail, shown.after or ""


@dataclass(frozen=True)
class StageCount:
    """What one stage did to some documents. `+` adds the counts of others to it."""

    came: Tally = NOTHING
    stayed: Tally = NOTHING
    dropped: Mapping[str, Tally] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, tuple[RankedSample, ...]] = field(default_factory=dict)
    cpu_seconds: float = 0.0

    def __add__(self, other: "StageCount") -> "StageCount":
        dropped = dict(self.dropped)
        for rule, tally in other.dropped.items():
            dropped[rule] = dropped.get(rule, Tally()) + tally
        counts = dict(self.counts)
        for name, count in other.counts.items():
            counts[name] = counts.get(name, 0) + count
        samples = dict(self.samples)
        for rule, ranked in other.samples.items():
            samples[rule] = _fewest(samples.get(rule, ()) + ranked)
        return StageCount(
            self.came + other.came,
            self.stayed + other.stayed,
            dropped,
            counts,
            samples,
            self.cpu_seconds + other.cpu_seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            Tally(**values["came"]),
            Tally(**values["stayed"]),
            {rule: Tally(**tally) for rule, tally in values["dropped"].items()},
            values["counts"],
            {
                rule: tuple(
                    RankedSample(one["rank"], Sample.from_dict(one["sample"])) for one in ranked
                )
                for rule, ranked in values["samples"].items()
            },
            values["cpu_seconds"],
        )


def _fewest(ranked: tuple[RankedSample, ...]) -> tuple[RankedSample, ...]:
    """Those of the smallest rank, each document once."""
    best: dict[tuple[str, str], RankedSample] = {}
    for one in sorted(ranked, key=lambda one: one.order):
        best.setdefault((one.sample.id, one.sample.source), one)
    return tuple(best.values())[:SAMPLES_A_RULE]


def keys_of(batch: pa.RecordBatch) -> Keys:
    """The keys of a batch's documents: 64 bits of the BLAKE2b hash of each id."""
    digests = [
        hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest()
        for name in batch.column("id").to_pylist()
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def sizes_of(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each text."""
    lengths = pc.binary_length(batch.column("text")).cast(pa.int64())
    return np.asarray(lengths.fill_null(0).to_numpy(zero_copy_only=False))


def account(
    name: str, batch: pa.RecordBatch, keys: Keys, outcome: Outcome
) -> tuple[pa.RecordBatch, Keys, StageCount]:
    """What a stage did to `batch`: the documents that stay, their keys, and the count.

    A document whose text a stage left empty is dropped by the rule "empty". Raises WorkFailed if
    the outcome does not add up or lacks a column.
    """
    made = outcome.batch
    for column in OWN_COLUMNS:
        place = made.schema.get_field_index(column)
        if place < 0:
            raise WorkFailed(f"returned documents without the column {column!r}")
        if made.schema.field(place).type != pa.string():
            made = with_column(made, column, made.column(place).cast(pa.string()))
    gone = [one.row for one in outcome.dropped]
    if len(set(gone)) != len(gone) or made.num_rows != batch.num_rows - len(gone):
        raise WorkFailed(
            f"{batch.num_rows} documents came in, {made.num_rows} stayed and "
            f"{len(gone)} were named as dropped; every one that goes must be named once"
        )
    sizes = sizes_of(batch)
    left = keys if not gone else np.delete(keys, gone)
    sizes_left = sizes_of(made)
    dropped = _tallies(outcome, sizes)
    samples = _samples(name, batch, keys, outcome)
    empty = np.flatnonzero(sizes_left == 0)
    if len(empty):
        dropped[EMPTY] = dropped.get(EMPTY, Tally()) + Tally(len(empty), 0)
        full = np.flatnonzero(sizes_left)
        made, left, sizes_left = made.take(pa.array(full)), left[full], sizes_left[full]
    samples |= _kept_samples(name, made, left)
    count = StageCount(
        came=Tally(batch.num_rows, int(sizes.sum())),
        stayed=Tally(made.num_rows, int(sizes_left.sum())),
        dropped=dropped,
        counts=dict(outcome.counts),
        samples=samples,
    )
    return made, left, count


def read_count(outcome: Outcome) -> tuple[pa.RecordBatch, Keys, StageCount]:
    """What reading gave. Records it left out (row -1) count as come and dropped."""
    made, left, count = account(
        "reading", outcome.batch, keys_of(outcome.batch), replace(outcome, dropped=())
    )
    dropped = dict(count.dropped)
    for one in outcome.dropped:
        dropped[one.rule] = dropped.get(one.rule, Tally()) + Tally(1, 0)
    came = Tally(count.came.documents + len(outcome.dropped), count.came.bytes)
    return made, left, replace(count, came=came, dropped=dropped)


def _tallies(outcome: Outcome, sizes: npt.NDArray[np.int64]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for one in outcome.dropped:
        tallies[one.rule] = tallies.get(one.rule, Tally()) + Tally(1, int(sizes[one.row]))
    return tallies


def _samples(
    stage: str, batch: pa.RecordBatch, keys: Keys, outcome: Outcome
) -> dict[str, tuple[RankedSample, ...]]:
    """Of each rule, the dropped or edited documents of the smallest rank."""
    by_rule: dict[str, list[tuple[int, str, str | None, str | None]]] = {}
    for one in outcome.dropped:
        by_rule.setdefault(one.rule, []).append((one.row, one.detail, one.sample, None))
    for edit in outcome.examples:
        by_rule.setdefault(edit.rule, []).append((edit.row, "", edit.before, edit.after))
    found: dict[str, tuple[RankedSample, ...]] = {}
    for rule, entries in by_rule.items():
        rows = np.array([entry[0] for entry in entries], dtype=np.int64)
        ranks = _ranks(keys[rows], f"{stage}.{rule}")
        found[rule] = tuple(
            RankedSample(int(ranks[place]), _sample(rule, batch, *entries[place]))
            for place in _smallest(ranks)
        )
    return {rule: _fewest(ranked) for rule, ranked in found.items()}


def _kept_samples(
    stage: str, batch: pa.RecordBatch, keys: Keys
) -> dict[str, tuple[RankedSample, ...]]:
    if not len(keys):
        return {}
    ranks = _ranks(keys, f"{stage}.{KEPT}")
    ranked = tuple(
        RankedSample(int(ranks[row]), _sample(KEPT, batch, int(row), "", None, None))
        for row in _smallest(ranks)
    )
    return {KEPT: _fewest(ranked)}


def _smallest(ranks: Keys) -> npt.NDArray[np.int64]:
    """Places of the smallest ranks; twice as many as are kept, as ids may repeat."""
    many = 2 * SAMPLES_A_RULE
    if len(ranks) <= many:
        return np.arange(len(ranks))
    return np.argpartition(ranks, many)[:many]


def _sample(
    rule: str, batch: pa.RecordBatch, row: int, detail: str, shown: str | None, after: str | None
) -> Sample:
    """A document as a sample, or what is `shown` in its place."""
    text = batch.column("text")[row].as_py() if shown is None else shown
    return Sample(
        rule=rule,
        id=batch.column("id")[row].as_py(),
        source=batch.column("source")[row].as_py(),
        detail=detail,
        text=text[:SAMPLE_CHARACTERS],
        after=None if after is None else after[:SAMPLE_CHARACTERS],
    )


def _ranks(keys: Keys, rule: str) -> Keys:
    """Keys mixed with the rule (SplitMix64's finaliser), so that each rule shows others."""
    mixed = keys ^ np.uint64(_rule_key(rule))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


@cache
def _rule_key(rule: str) -> int:
    return int.from_bytes(hashlib.blake2b(rule.encode("utf-8"), digest_size=8).digest(), "little")


def sum_counts(counts: Sequence[StageCount]) -> StageCount:
    """All counts added, in order."""
    total = StageCount()
    for count in counts:
        total = total + count
    return total
