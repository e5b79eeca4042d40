"""A run's `metrics.jsonl`, read as it grows, in bounded memory."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lilliput.training.run_summary import Spread, quantity

_MOST_POINTS = 1200
_MOST_SAMPLES, _MOST_EVENTS = 60, 100
_SAMPLE_CHARACTERS = 4000
_FIELDS = (
    "step", "seconds", "tokens", "flops", "loss", "bits_per_byte", "gradient_norm",
    "tokens_per_second", "peak_share", "memory_bytes", "joules", "dollars",
)  # fmt: skip
"""Of a point of a curve; `flops` are those spent since the beginning."""

Point = dict[str, float]


@dataclass
class Curve:
    """Points in order: means of equal stretches once there are too many, ends exact."""

    points: list[Point] = field(default_factory=list)
    _stretch: int = 1
    _waiting: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> None:
        """Take in the next point."""
        self._waiting.append(point)
        if len(self._waiting) < self._stretch:
            return
        self.points.append(_mean(self._waiting))
        self._waiting = []
        if len(self.points) > _MOST_POINTS:
            pairs = [self.points[place : place + 2] for place in range(0, len(self.points), 2)]
            self.points = [_mean(pair) for pair in pairs]
            self._stretch *= 2

    def columns(self) -> dict[str, list[float | None]]:
        """The points, with those that wait for their stretch, one list a field; null: not known."""
        points = [*self.points, *self._waiting[-1:]]
        columns = {name: [_known(point.get(name)) for point in points] for name in _FIELDS}
        return {
            name: values for name, values in columns.items() if any(v is not None for v in values)
        }


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _mean(points: list[Point]) -> Point:
    """Places are those of the last point, the rest means."""
    last = points[-1]
    mean = {}
    for name in last:
        values = [v for point in points if math.isfinite(v := point.get(name, math.nan))]
        mean[name] = sum(values) / len(values) if values else math.nan
    return mean | {name: last[name] for name in ("step", "seconds", "tokens", "flops")}


@dataclass
class RunReading:
    """What has been read of a run so far; `refresh` reads on.

    A file that was cut back, as happens when a run resumes, is read again from its beginning.
    """

    path: Path
    read: int = 0
    training: Curve = field(default_factory=Curve)
    validation: Curve = field(default_factory=Curve)
    last_step: Mapping[str, Any] = field(default_factory=dict)
    last_validation: Mapping[str, Any] = field(default_factory=dict)
    samples: Spread[dict[str, Any]] = field(default_factory=lambda: Spread(_MOST_SAMPLES))
    events: Spread[dict[str, Any]] = field(default_factory=lambda: Spread(_MOST_EVENTS))
    device: str | None = None
    _flops: float = 0.0
    _beginning: bytes = b""

    def refresh(self) -> "RunReading":
        """This reading with what was written since, or a new one if the file is another."""
        with self.path.open("rb") as handle:
            beginning = handle.read(64)
            handle.seek(0, 2)
            if handle.tell() < self.read or not beginning.startswith(self._beginning):
                return RunReading(self.path).refresh()
            self._beginning = self._beginning or beginning
            handle.seek(self.read)
            for line in handle:
                if not line.endswith(b"\n"):  # still being written
                    break
                self.read += len(line)
                self._add(line)
        return self

    def _add(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(record, dict):
            return
        kind = record.get("kind")
        if kind == "step":
            tokens = quantity(record, "tokens") - (
                quantity(self.last_step, "tokens") if self.last_step else 0
            )
            rate, flops = (
                quantity(record, "tokens_per_second"),
                quantity(record, "flops_per_second"),
            )
            if tokens > 0 and rate > 0 and flops > 0:
                self._flops += tokens / rate * flops
            self.last_step = record
            self.training.add(self._point(record))
        elif kind == "validation":
            self.last_validation = record
            self.validation.add(self._point(record))
        elif kind == "sample":
            text, prompt = str(record.get("text", "")), str(record.get("prompt", ""))
            self.samples.add(
                {"step": record.get("step"), "prompt": prompt, "text": text[:_SAMPLE_CHARACTERS]}
            )
        elif kind == "event":
            self.events.add({"step": record.get("step"), "message": str(record.get("message", ""))})
            if isinstance(record.get("device"), str):
                self.device = record["device"]

    def _point(self, record: Mapping[str, Any]) -> Point:
        return {name: quantity(record, name) for name in _FIELDS} | {"flops": self._flops}
