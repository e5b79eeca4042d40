"""Which documents a corpus takes from its sources, how often, and in which order.

All of it is decided by the settings and the documents' numbers, sizes and sources: exact rational
shares, and a hash of seed and number where chance is wanted. NumPy's generators are not used, for
their streams may change between releases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lilliput.corpus.mixing.settings import Mixing

Integers = NDArray[np.integer]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_SELECTION, _ORDER = 1, 2


@dataclass(frozen=True)
class MixedSource:
    """What became of one source: what it had, and what the mixture took.

    `distinct_documents` of its documents were used at least once, `used_documents` counts repeats;
    `share` is its part of the output in the unit of the settings.
    """

    name: str
    documents: int
    bytes: int
    used_documents: int
    used_bytes: int
    distinct_documents: int
    share: float


def mixture(
    codes: Integers,
    sizes: Integers,
    settings: Mixing,
    *,
    names: Sequence[str],
    values: NDArray[np.generic] | None = None,
) -> NDArray[np.int64]:
    """Document numbers in output order, repeats among them.

    `codes` [documents] says each document's source as an index into `names`; `sizes` [documents]
    its UTF-8 bytes; `values` [documents] the column `settings.column` where there is one (NaN:
    no value).

    Shares: with s a source's share and N the size of the output in the settings' unit, the source
    gets at most s·N, and less than one document less. Counted in documents, the parts are rounded
    by largest remainders, so their sum is N rounded down. Caps and epochs are never passed. Where
    nothing limits, every document is there exactly once.

    Memory beside the arguments, the result among it: about 8 bytes a document where whole sources
    stay as read, 30 where they are cut, repeated, shuffled or sorted, 50 where interleaved (100
    million documents: 0.8, 3 and 5 GB).

    Raises UserError if the settings name an unknown source (see `Mixing.check_sources`),
    ValueError if the arrays do not match.
    """
    _check_arrays(codes, sizes, settings, names, values)
    settings.check_sources(names)
    pools = [
        _Pool(np.flatnonzero(codes == code), sizes, settings, name)
        for code, name in enumerate(names)
    ]
    counts = _counts(pools, settings)
    if all(count == pool.documents for pool, count in zip(pools, counts, strict=True)):
        taken = np.arange(len(codes), dtype=np.int64)
    else:
        times = np.zeros(len(codes), dtype=np.uint32)
        for pool, count in zip(pools, counts, strict=True):
            pool.add_times(times, count)
        del pools
        taken = _epoch_by_epoch(times)
    return _ordered(taken, codes, sizes, settings, values)


def mixed_sources(
    taken: NDArray[np.int64],
    codes: Integers,
    sizes: Integers,
    settings: Mixing,
    *,
    names: Sequence[str],
) -> list[MixedSource]:
    """What `mixture` took (`taken`) of each source, in the order of `names`."""
    used_codes = codes[taken]
    many = len(names)
    documents = np.bincount(codes, minlength=many)
    used = np.bincount(used_codes, minlength=many)
    distinct = np.bincount(codes[np.unique(taken)], minlength=many)
    all_bytes = [int(sizes[codes == code].sum(dtype=np.int64)) for code in range(many)]
    used_bytes = [int(sizes[taken[used_codes == code]].sum(dtype=np.int64)) for code in range(many)]
    counted = used_bytes if settings.unit == "bytes" else used.tolist()
    whole = sum(counted)
    return [
        MixedSource(
            name=name,
            documents=int(documents[code]),
            bytes=all_bytes[code],
            used_documents=int(used[code]),
            used_bytes=used_bytes[code],
            distinct_documents=int(distinct[code]),
            share=counted[code] / whole if whole else 0.0,
        )
        for code, name in enumerate(names)
    ]


class _Pool:
    """The documents of one source, in the endless order in which they are taken.

    That order is a shuffle by seed, again and again: a count of documents says which they are, so
    that repeats are even and a smaller count is the beginning of a larger one.
    """

    def __init__(
        self, members: NDArray[np.int64], sizes: Integers, settings: Mixing, name: str
    ) -> None:
        self._members = members
        self._sizes = sizes
        self._seed = settings.seed
        self._in_bytes = settings.unit == "bytes"
        self._shuffled: NDArray[np.int64] | None = None
        self._cumulative: NDArray[np.int64] | None = None
        self.name = name
        self.documents = len(members)
        self.bytes = int(sizes[members].sum(dtype=np.int64)) if self.documents else 0
        most = int(_exact(settings.epochs_of(name)) * self.documents)
        if name in settings.most_documents:
            most = min(most, settings.most_documents[name])
        if name in settings.most_bytes:
            most = min(most, self._count_within(Fraction(settings.most_bytes[name]), most))
        self.most = most
        """The documents that epochs and caps allow."""

    def size(self, count: int) -> int:
        """The first `count` documents in the settings' unit."""
        if not self._in_bytes or not count:
            return count
        epochs, rest = divmod(count, self.documents)
        return epochs * self.bytes + (int(self._sums()[rest - 1]) if rest else 0)

    def count_of(self, size: Fraction) -> int:
        """The most documents, within `most`, that are no larger than `size` in the unit."""
        if self._in_bytes:
            return self._count_within(size, self.most)
        return min(int(size), self.most)

    def add_times(self, times: NDArray[np.uint32], count: int) -> None:
        """Count each of the first `count` documents in `times` [all documents]."""
        if not count:
            return
        epochs, rest = divmod(count, self.documents)
        times[self._members] += np.uint32(epochs)
        if rest:
            times[self._order()[:rest]] += np.uint32(1)

    def _count_within(self, limit: Fraction, most: int) -> int:
        if not self.bytes:
            return most
        epochs, rest = divmod(limit, self.bytes)
        count = epochs * self.documents
        if rest and count < most:
            count += int(np.searchsorted(self._sums(), int(rest), side="right"))
        return min(count, most)

    def _order(self) -> NDArray[np.int64]:
        if self._shuffled is None:
            keys = _hashes(self._members, self._seed, _SELECTION)
            self._shuffled = self._members[np.argsort(keys)]
        return self._shuffled

    def _sums(self) -> NDArray[np.int64]:
        if self._cumulative is None:
            self._cumulative = np.cumsum(self._sizes[self._order()], dtype=np.int64)
        return self._cumulative


def _counts(pools: Sequence[_Pool], settings: Mixing) -> list[int]:
    """How many documents are taken from each pool, repeats counted."""
    limits = [Fraction(pool.size(pool.most)) for pool in pools]
    if settings.weights:
        wanted = [
            _exact(settings.weights[pool.name]) if limit else Fraction(0)
            for pool, limit in zip(pools, limits, strict=True)
        ]
    elif settings.temperature != 1:
        wanted = _tempered([pool.size(min(pool.most, pool.documents)) for pool in pools], settings)
    else:
        wanted = limits
    parts = _parts(wanted, limits, settings)
    if settings.unit == "documents":
        return _largest_remainders(parts)
    return [pool.count_of(part) for pool, part in zip(pools, parts, strict=True)]


def _tempered(sizes: Sequence[int], settings: Mixing) -> list[Fraction]:
    largest = max(sizes, default=0)
    # To 12 digits, for the last ones of a power differ between mathematics libraries.
    return [
        _exact(round((size / largest) ** (1 / settings.temperature), 12)) if size else Fraction(0)
        for size in sizes
    ]


def _parts(
    wanted: Sequence[Fraction], limits: Sequence[Fraction], settings: Mixing
) -> list[Fraction]:
    """The size of each source's part: in the wanted shares, none above its limit."""
    open_sources = {index for index, share in enumerate(wanted) if share}
    if not open_sources:
        return [Fraction(0) for _ in wanted]
    scale = min(limits[index] / wanted[index] for index in open_sources)
    if settings.total is not None:
        wished = Fraction(settings.total) / sum(wanted)
        if settings.when_short == "others" and wished > scale:
            return _filled(wanted, limits, Fraction(settings.total))
        scale = min(scale, wished)
    return [share * scale for share in wanted]


def _filled(
    wanted: Sequence[Fraction], limits: Sequence[Fraction], total: Fraction
) -> list[Fraction]:
    """`total` in the wanted shares; what a source lacks is taken from the others."""
    parts = [Fraction(0) for _ in wanted]
    open_sources = [index for index, share in enumerate(wanted) if share]
    while open_sources:
        scale = total / sum(wanted[index] for index in open_sources)
        full = [index for index in open_sources if limits[index] <= scale * wanted[index]]
        for index in full or open_sources:
            parts[index] = min(limits[index], scale * wanted[index])
            total -= parts[index]
        open_sources = [index for index in open_sources if index not in full] if full else []
    return parts


def _largest_remainders(parts: Sequence[Fraction]) -> list[int]:
    counts = [int(part) for part in parts]
    missing = int(sum(parts)) - sum(counts)
    by_remainder = sorted(range(len(parts)), key=lambda index: counts[index] - parts[index])
    for index in by_remainder[:missing]:
        counts[index] += 1
    return counts


def _epoch_by_epoch(times: NDArray[np.uint32]) -> NDArray[np.int64]:
    most = int(times.max(initial=0))
    epochs = [np.flatnonzero(times > epoch) for epoch in range(most)]
    return np.concatenate(epochs) if epochs else np.empty(0, dtype=np.int64)


def _ordered(
    taken: NDArray[np.int64],
    codes: Integers,
    sizes: Integers,
    settings: Mixing,
    values: NDArray[np.generic] | None,
) -> NDArray[np.int64]:
    if settings.order == "as_read":
        return taken
    if settings.order == "shuffled":
        return taken[_shuffle(0, len(taken), settings.seed)]
    if settings.order == "interleaved":
        return taken[np.argsort(_depths(taken, codes, sizes, settings), kind="stable")]
    of_documents = sizes if values is None else values
    keys = of_documents[taken].astype(np.float64)
    if settings.order == "descending":
        np.negative(keys, out=keys)
    taken = taken[np.argsort(keys, kind="stable")]
    del keys
    if settings.blocks is not None:
        edges = [block * len(taken) // settings.blocks for block in range(settings.blocks + 1)]
        for start, stop in pairwise(edges):
            taken[start:stop] = taken[_shuffle(start, stop, settings.seed)]
    return taken


def _depths(
    taken: NDArray[np.int64], codes: Integers, sizes: Integers, settings: Mixing
) -> NDArray[np.float64]:
    """How deep in its source's part the middle of each document lies, from 0 to 1."""
    depths = np.empty(len(taken), dtype=np.float64)
    taken_codes = codes[taken]
    for code in np.unique(taken_codes):
        places = np.flatnonzero(taken_codes == code)
        if settings.unit == "bytes":
            own = sizes[taken[places]].astype(np.int64)
        else:
            own = np.ones(len(places), dtype=np.int64)
        ends = np.cumsum(own)
        depths[places] = (ends - own / 2) / max(1, int(ends[-1]))
    return depths


def _shuffle(start: int, stop: int, seed: int) -> NDArray[np.int64]:
    """The places from `start` to `stop` in an order decided by `seed`."""
    places = np.arange(start, stop, dtype=np.int64)
    return start + np.argsort(_hashes(places, seed, _ORDER))


def _hashes(numbers: NDArray[np.int64], seed: int, purpose: int) -> NDArray[np.uint64]:
    """A hash of each number, other for another seed or purpose.

    SplitMix64's finaliser (Steele and others, 2014) is a bijection, so different numbers never
    share a hash: every sorting algorithm gives the same order.
    """
    start = _mixed_integer(_mixed_integer(seed & _MASK) ^ purpose)
    hashes = numbers.astype(np.uint64)
    hashes *= np.uint64(_GOLDEN)
    hashes += np.uint64(start)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        hashes ^= hashes >> np.uint64(shift)
        hashes *= np.uint64(factor)
    hashes ^= hashes >> np.uint64(31)
    return hashes


def _mixed_integer(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = ((value ^ (value >> shift)) * factor) & _MASK
    return value ^ (value >> 31)


def _exact(value: float) -> Fraction:
    """The decimal number as it was written: 0.3 is three tenths."""
    return Fraction(str(value))


def _check_arrays(
    codes: Integers,
    sizes: Integers,
    settings: Mixing,
    names: Sequence[str],
    values: NDArray[np.generic] | None,
) -> None:
    if len(codes) != len(sizes) or (values is not None and len(values) != len(codes)):
        raise ValueError("codes, sizes and values must have one entry a document")
    if settings.column is not None and values is None:
        raise ValueError(f"the order needs the values of column {settings.column!r}")
    if len(codes) and (int(codes.min()) < 0 or int(codes.max()) >= len(names)):
        raise ValueError(f"codes must be from 0 to {len(names) - 1}")
