"""Axes: from values to places, round ticks and their labels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """Places values from `low` to `high` on the stretch from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies; values on a logarithmic scale must be above zero."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """About `count` round values within the range, with their labels."""
        # Over a short stretch the round values of a linear scale tell more than powers of ten.
        if self.log and self.high / self.low >= 6:
            return [(value, _short(value)) for value in _log_ticks(self.low, self.high, count)]
        step = _round_step((self.high - self.low) / max(1, count))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [index * step for index in range(first, last + 1)]
        return list(zip(values, _labels(values, step), strict=True))

    def to_near_ticks(self, count: int) -> "Scale":
        """This linear scale begun at zero, and ended at a round value, where they are near."""
        if self.log:
            return self
        low = 0.0 if 0 < self.low <= 0.1 * self.high else self.low
        step = _round_step((self.high - low) / max(1, count))
        end = math.ceil(self.high / step - 1e-9) * step
        high = end if end - self.high <= 0.03 * (self.high - low) else self.high
        return replace(self, low=low, high=high)


def scale_of(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    log: bool = False,
    rounded: int = 0,
    include_zero: bool = False,
) -> Scale:
    """A scale that holds all `values` (finite; above zero where `log`).

    With `rounded` (a tick count) the ends are moved out to round values.
    """
    values = list(values)
    low, high = (min(values), max(values)) if values else ((1.0, 10.0) if log else (0.0, 1.0))
    if log:
        margin = (high / low) ** 0.04 if high / low > 1 + 1e-6 else 1.1
        return Scale(low / margin, high * margin, start, end, log=True)
    if include_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)) or high - low < 1e-100:
        margin = max(abs(high) * 0.05, 1e-6) if high else 0.5
        low, high = low - margin, high + margin
    if rounded:
        step = _round_step((high - low) / rounded)
        # min and max, for a value next to nothing beside the step rounds to zero.
        low = min(low, math.floor(low / step) * step)
        high = max(high, math.ceil(high / step) * step)
    return Scale(low, high, start, end)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in _STEPS if factor * power >= step * (1 - 1e-9))


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        values = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(values) <= count + 1:
            return values
    every = math.ceil(len(values) / count)
    return values[::every]


def _labels(values: list[float], step: float) -> list[str]:
    largest = max((abs(value) for value in values), default=0.0)
    if largest >= 10_000 or (0 < largest < 1e-3):
        return [_short(value, largest, step) for value in values]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != step and abs(round(step, decimals) - step) > 1e-9 * step:
        decimals += 1
    return [f"{value + 0.0:,.{decimals}f}" for value in values]


def _short(value: float, largest: float | None = None, step: float | None = None) -> str:
    """A label with the letter k, M, G or T, or an exponent for the very large and small."""
    if value == 0:
        return "0"
    size = abs(value) if largest is None else largest
    if size >= 1e15 or size < 1e-3:
        digits = 3
        if step:
            digits = min(12, max(1, math.floor(math.log10(size) - math.log10(step)) + 2))
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    if size < 10_000:
        return f"{value:,.6g}"
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:,.9g}{letter}"
    raise AssertionError
