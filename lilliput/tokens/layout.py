"""Which tokens make up each window of an epoch: a pure function of (seed, epoch, window).

A window is `context_length` consecutive inputs, given as pieces of the token stream. The target
of each input is the token after it in the stream, so pieces never spoil targets.
"""

from bisect import bisect_right, insort
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

BLOCK_DOCUMENTS = 4096
_CONTINUATION, _WHOLE, _CUT_OFF = 0, 1, 2


class Layout(Protocol):
    """The windows of each epoch."""

    def windows(self, epoch: int) -> int:
        """How many windows an epoch has."""
        ...

    def pieces(self, epoch: int, window: int) -> tuple[Positions, Positions]:
        """Start and length of the pieces of one window, int64; lengths sum to the context."""
        ...


class RandomLayout:
    """Plain windows: a grid over the stream, shifted and permuted anew each epoch.

    The stream is taken as a circle, for its last token and its first are both end-of-text. Fewer
    than a window's tokens, at another place each epoch, are left out.
    """

    def __init__(self, inputs: int, context_length: int, seed: int) -> None:
        self._inputs, self._context_length, self._seed = inputs, context_length, seed
        self._order = lru_cache(maxsize=2)(self._draw)

    def windows(self, epoch: int) -> int:
        """How many windows an epoch has."""
        return self._inputs // self._context_length

    def pieces(self, epoch: int, window: int) -> tuple[Positions, Positions]:
        """Start and length of the pieces of one window: one, or two around the stream's end."""
        offset, order = self._order(epoch)
        start = (offset + int(order[window]) * self._context_length) % self._inputs
        first = min(self._context_length, self._inputs - start)
        starts, lengths = [start, 0], [first, self._context_length - first]
        count = 1 if first == self._context_length else 2
        return np.array(starts[:count]), np.array(lengths[:count])

    def _draw(self, epoch: int) -> tuple[int, Positions]:
        generator = np.random.default_rng([self._seed, epoch])
        return int(generator.integers(self._inputs)), generator.permutation(self.windows(epoch))


class DocumentLayout:
    """Windows of whole documents, packed best-fit; every input once an epoch.

    Documents are shuffled each epoch and taken in blocks of about 4,096. Within a block, a document
    longer than the context is cut into full windows (the first cut at random, if it is longer than
    two); then windows are filled with the longest piece left, the longest that still fits, and so
    on, as in best-fit packing (arXiv 2404.10830). If nothing fits the rest of a window, the longest
    piece left is cut to fill it, so no window has padding. In a window, a piece that continues a
    document comes first, as its text would follow an earlier window; then whole documents in random
    order; then the one cut off. Only the last window of a block is filled up with documents that
    the block has already.
    """

    def __init__(
        self, starts: Positions, lengths: Positions, context_length: int, seed: int
    ) -> None:
        self._starts, self._lengths = starts, lengths
        self._context_length, self._seed = context_length, seed
        self._epoch = lru_cache(maxsize=2)(self._draw)
        self._block = lru_cache(maxsize=4)(self._pack)

    def windows(self, epoch: int) -> int:
        """How many windows an epoch has."""
        return int(self._epoch(epoch).ends[-1])

    def pieces(self, epoch: int, window: int) -> tuple[Positions, Positions]:
        """Start and length of the pieces of one window."""
        ends = self._epoch(epoch).ends
        block = int(np.searchsorted(ends, window, side="right"))
        packed = self._block(epoch, block)
        row = window - (int(ends[block - 1]) if block else 0)
        pieces = slice(packed.bounds[row], packed.bounds[row + 1])
        return packed.starts[pieces], packed.lengths[pieces]

    def _draw(self, epoch: int) -> "_Epoch":
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(len(self._starts))
        blocks = np.array_split(order, max(1, round(len(order) / BLOCK_DOCUMENTS)))
        tokens = np.array([self._lengths[block].sum() for block in blocks])
        return _Epoch(blocks, np.cumsum(-(-tokens // self._context_length)))

    def _pack(self, epoch: int, block: int) -> "_Packed":
        documents = self._epoch(epoch).blocks[block]
        generator = np.random.default_rng([self._seed, epoch, block])
        return _pack_block(
            self._starts[documents], self._lengths[documents], self._context_length, generator
        )


@dataclass(frozen=True)
class _Epoch:
    """Document numbers of each block, and the number of windows up to the end of each block."""

    blocks: list[npt.NDArray[np.int64]]
    ends: Positions


@dataclass(frozen=True)
class _Packed:
    """Pieces of a block's windows; window w holds pieces bounds[w] to bounds[w + 1]."""

    starts: Positions
    lengths: Positions
    bounds: Positions


def _pack_block(
    starts: Positions, lengths: Positions, context_length: int, generator: np.random.Generator
) -> _Packed:
    full, pool = _cut_long(starts, lengths, context_length, generator)
    heads = set(starts.tolist())
    ends = dict(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
    # Rows of (window, kind, start, length), in the order of packing.
    rows: list[tuple[int, int, int, int]] = []
    window = 0
    for start in full:
        rows.append((window, _WHOLE if start in heads else _CONTINUATION, start, context_length))
        window += 1
    while pool:
        gap = context_length
        while gap and pool:
            fitting = bisect_right(pool, gap, key=_length_of) - 1
            length, start = pool.pop(fitting)  # -1 is the longest of all, when none fits
            taken = min(length, gap)
            if taken < length:
                insort(pool, (length - taken, start + taken), key=_length_of)
            kind = _CONTINUATION if start not in heads else _WHOLE
            rows.append((window, _CUT_OFF if taken < length else kind, start, taken))
            gap -= taken
        while gap:
            start = int(generator.choice(starts))
            taken = min(ends[start] - start, gap)
            rows.append((window, _CUT_OFF, start, taken))
            gap -= taken
        window += 1
    return _shuffled(np.array(rows, dtype=np.int64), window, generator)


def _length_of(piece: tuple[int, int]) -> int:
    return piece[0]


def _cut_long(
    starts: Positions, lengths: Positions, context_length: int, generator: np.random.Generator
) -> tuple[list[int], list[tuple[int, int]]]:
    """Starts of the full windows, and the other pieces as (length, start) by growing length."""
    full: list[int] = []
    pool: list[tuple[int, int]] = []
    firsts = generator.integers(1, context_length + 1, size=len(starts))
    for start, length, first in zip(
        starts.tolist(), lengths.tolist(), firsts.tolist(), strict=True
    ):
        end = start + length
        if length > 2 * context_length and first < context_length:
            pool.append((first, start))
            start += first
        while end - start >= context_length:
            full.append(start)
            start += context_length
        if start < end:
            pool.append((end - start, start))
    pool.sort(key=_length_of)
    return full, pool


def _shuffled(rows: npt.NDArray[np.int64], windows: int, generator: np.random.Generator) -> _Packed:
    """Put windows in random order, and pieces of a window by kind, whole documents at random."""
    place = generator.permutation(windows)[rows[:, 0]]
    order = np.lexsort((generator.random(len(rows)), rows[:, 1], place))
    bounds = np.searchsorted(place[order], np.arange(windows + 1))
    packed: tuple[Any, ...] = (rows[order, 2], rows[order, 3], bounds.astype(np.int64))
    return _Packed(*packed)
