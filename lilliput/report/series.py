"""The data of a line: points, and two ways to keep many of them few."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# Beyond these a chart has nothing to show, and the ratio of a range's ends may overflow.
_LARGEST, _SMALLEST = 1e100, 1e-100


@dataclass(frozen=True)
class Series:
    """A line of a chart. `low` and `high`, where given, draw a band around it.

    A point that is not finite leaves a gap.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    markers: bool = False

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"series {self.name!r}: {len(self.x)} x for {len(self.y)} y")
        if len(self.low) != len(self.high) or len(self.low) not in (0, len(self.x)):
            raise ValueError(f"series {self.name!r}: low and high must be as long as x, or empty")


def drawable(value: float, log: bool = False) -> bool:
    """Whether an axis (logarithmic or not) has a place for `value`."""
    return math.isfinite(value) and abs(value) < _LARGEST and (not log or value > _SMALLEST)


def thin(x: Sequence[float], y: Sequence[float], columns: int) -> list[tuple[float, float]]:
    """At most 4 points for each of `columns` equal stretches of x: first, lowest, highest, last.

    What is drawn looks as with all points: every peak and every end is kept. `x` must not
    decrease; its values and those of `y` must be finite.
    """
    if len(x) <= 4 * columns:
        return list(zip(x, y, strict=True))
    width = (x[-1] - x[0]) / columns
    kept: list[tuple[float, float]] = []
    start = 0
    for column in range(columns):
        stop = start
        limit = x[0] + (column + 1) * width
        while stop < len(x) and (x[stop] < limit or column == columns - 1):
            stop += 1
        if stop > start:
            inside = range(start, stop)
            lowest = min(inside, key=y.__getitem__)
            highest = max(inside, key=y.__getitem__)
            kept.extend((x[i], y[i]) for i in sorted({start, lowest, highest, stop - 1}))
        start = stop
    return kept


@dataclass(slots=True)
class _Block:
    count: int
    x: float
    y: float
    low: float
    high: float


@dataclass
class Blocks:
    """A stream of points in bounded memory: equal blocks of means with their lowest and highest.

    While no more than `limit` points have been added each is its own block, hence exact; then
    neighbours are merged, again and again. The first and the last point stay exact. Points that
    are not finite are dropped.
    """

    limit: int = 240
    _blocks: list[_Block] = field(default_factory=list)
    _size: int = 1
    _ends: list[_Block] = field(default_factory=list)

    def add(self, x: float, y: float) -> None:
        """Add a point; x should not decrease."""
        if not (drawable(x) and drawable(y)):
            return
        self._ends = [*self._ends[:1], _Block(1, x, y, y, y)]
        if self._blocks and self._blocks[-1].count < self._size:
            _merge(self._blocks[-1], _Block(1, x, y, y, y))
            return
        self._blocks.append(_Block(1, x, y, y, y))
        if len(self._blocks) > self.limit:
            self._size *= 2
            self._blocks = list(_pairs(self._blocks))

    def mean(self) -> float:
        """The mean y of all points added; NaN if there are none."""
        count = sum(block.count for block in self._blocks)
        return sum(block.y * block.count for block in self._blocks) / count if count else math.nan

    def __len__(self) -> int:
        return len(self._blocks)

    def series(self, name: str, *, markers: bool = False, band: bool = True) -> Series:
        """The line of block means, with the band from lowest to highest once blocks merged."""
        blocks = self._blocks
        wide = band and self._size > 1
        if self._size > 1:
            blocks = [self._ends[0], *blocks, self._ends[-1]]
        return Series(
            name,
            [block.x for block in blocks],
            [block.y for block in blocks],
            [block.low for block in blocks] if wide else (),
            [block.high for block in blocks] if wide else (),
            markers=markers,
        )


def _merge(block: _Block, other: _Block) -> None:
    total = block.count + other.count
    block.x += (other.x - block.x) * other.count / total
    block.y += (other.y - block.y) * other.count / total
    block.low = min(block.low, other.low)
    block.high = max(block.high, other.high)
    block.count = total


def _pairs(blocks: list[_Block]) -> Iterator[_Block]:
    for index in range(0, len(blocks), 2):
        block = blocks[index]
        if index + 1 < len(blocks):
            _merge(block, blocks[index + 1])
        yield block
