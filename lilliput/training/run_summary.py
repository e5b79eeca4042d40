"""What a run's `metrics.jsonl` says, read in bounded memory."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from lilliput.report import Blocks

Record = Mapping[str, Any]
Item = TypeVar("Item")

_MOST_SAMPLES, _MOST_VALIDATIONS, _MOST_EVENTS = 40, 200, 200
_SAMPLE_CHARACTERS = 4000
_LONGEST_LINE = 1 << 20
_STEP_CURVES = (
    "bits_per_byte",
    "loss",
    "gradient_norm",
    "tokens_per_second",
    "flops_per_second",
    "peak_share",
    "memory_bytes",
    "joules",
)


@dataclass
class Spread(Generic[Item]):
    """At most about `limit` of a stream's items, evenly spread, with the first and the last."""

    limit: int
    seen: int = 0
    _kept: list[tuple[int, Item]] = field(default_factory=list)
    _last: tuple[int, Item] | None = None
    _every: int = 1

    def add(self, item: Item) -> None:
        """Take in the next item."""
        self._last = (self.seen, item)
        if self.seen % self._every == 0:
            self._kept.append(self._last)
        if len(self._kept) > self.limit:
            self._kept = self._kept[::2]
            self._every *= 2
        self.seen += 1

    def items(self) -> list[Item]:
        """What was kept, in order."""
        ends = [self._last] if self._last and self._last[0] != self._kept[-1][0] else []
        return [item for _, item in self._kept + ends]


@dataclass
class RunSummary:
    """The curves, measures, samples and events of a run. Curves are over steps, by field name.

    `stepping_seconds` are those spent on steps, without starting, validating and sampling.
    """

    last_step: dict[str, Any] = field(default_factory=dict)
    last_validation: dict[str, Any] = field(default_factory=dict)
    best_validation: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Blocks] = field(default_factory=dict)
    train_over_time: Blocks = field(default_factory=Blocks)
    validation_over_time: Blocks = field(default_factory=Blocks)
    validation_over_steps: Blocks = field(default_factory=Blocks)
    validations: Spread[Record] = field(default_factory=lambda: Spread(_MOST_VALIDATIONS))
    samples: Spread[Record] = field(default_factory=lambda: Spread(_MOST_SAMPLES))
    events: Spread[Record] = field(default_factory=lambda: Spread(_MOST_EVENTS))
    floating_point_operations: float = 0.0
    stepping_seconds: float = 0.0
    most_memory: float = 0.0
    unreadable_lines: int = 0
    device: str | None = None

    def add(self, record: Record) -> None:
        """Take in one record."""
        kind = record.get("kind")
        if kind == "step":
            self._add_step(record)
        elif kind == "validation":
            self._add_validation(record)
        elif kind == "sample":
            text = str(record.get("text", ""))[:_SAMPLE_CHARACTERS]
            self.samples.add({**record, "text": text})
        elif kind == "event":
            self.events.add(record)
            if isinstance(record.get("device"), str):
                self.device = str(record["device"])

    def _add_step(self, record: Record) -> None:
        step, seconds = quantity(record, "step"), quantity(record, "seconds")
        tokens = quantity(record, "tokens") - (
            quantity(self.last_step, "tokens") if self.last_step else 0.0
        )
        token_rate = quantity(record, "tokens_per_second")
        flops_rate = quantity(record, "flops_per_second")
        if tokens > 0 and token_rate > 0:
            self.stepping_seconds += tokens / token_rate
            if flops_rate > 0:
                self.floating_point_operations += tokens / token_rate * flops_rate
        memory = quantity(record, "memory_bytes")
        if memory > self.most_memory:
            self.most_memory = memory
        for name in _STEP_CURVES:
            self._curve(name).add(step, quantity(record, name))
        rates = record.get("learning_rate")
        rates = rates if isinstance(rates, Mapping) else {}
        for name in rates:
            self._curve(f"learning_rate.{name}").add(step, quantity(rates, name))
        self.train_over_time.add(seconds, quantity(record, "bits_per_byte"))
        self.last_step = dict(record)

    def _add_validation(self, record: Record) -> None:
        bits = quantity(record, "bits_per_byte")
        self.validation_over_steps.add(quantity(record, "step"), bits)
        self.validation_over_time.add(quantity(record, "seconds"), bits)
        self.validations.add(record)
        self.last_validation = dict(record)
        best = quantity(self.best_validation, "bits_per_byte")
        if math.isfinite(bits) and not bits >= best:
            self.best_validation = dict(record)

    def _curve(self, name: str) -> Blocks:
        return self.curves.setdefault(name, Blocks())


def quantity(record: Record, name: str) -> float:
    """A field of a record as a number; NaN where it is missing or is none."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def read_summary(metrics: Path) -> RunSummary:
    """Read a `metrics.jsonl`; a missing file is an empty run, a line cut off at the end is left."""
    summary = RunSummary()
    if not metrics.exists():
        return summary
    for line in _lines(metrics):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            summary.add(record)
        elif line.endswith(b"\n"):
            summary.unreadable_lines += 1
    return summary


def _lines(path: Path) -> Iterator[bytes]:
    """The lines that are not blank; one of absurd length comes in pieces, to bound memory."""
    with path.open("rb") as handle:
        while line := handle.readline(_LONGEST_LINE):
            if line.strip():
                yield line
