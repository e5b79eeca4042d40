"""Equal keys among many, and clusters that grow by joining pairs; memory is bounded and stated."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lilliput.corpus.deduplication.words import Hashes, Numbers

KEYS_PER_SORT = 1 << 23


@dataclass(frozen=True)
class Groups:
    """Places with equal keys: group g is `members[starts[g]:starts[g + 1]]`, ascending.

    `starts` ends with the number of members. Every group has at least two.
    """

    members: Numbers
    starts: Numbers

    def sizes(self) -> Numbers:
        """How many members each group has."""
        return np.diff(self.starts)

    def firsts(self) -> Numbers:
        """For every member the first of its group."""
        return np.repeat(self.members[self.starts[:-1]], self.sizes())


def equal_groups(
    keys: Hashes,
    more: Hashes | None = None,
    *,
    absent: int | None = None,
    keys_per_sort: int = KEYS_PER_SORT,
) -> Iterator[Groups]:
    """The groups of places whose keys are equal, in `more` too where it is given.

    Keys equal to `absent` are passed over. Keys are taken by ranges of their values, evenly spread
    as hashes are, so that memory beside `keys` is 2 bytes a key and about 50 bytes for each of the
    `keys_per_sort` that are sorted at once.
    """
    bits = max(0, (len(keys) - 1) // keys_per_sort).bit_length()
    for part in range(1 << bits):
        if bits:
            inside = keys >= np.uint64(part << (64 - bits))
            inside &= keys <= np.uint64(((part + 1) << (64 - bits)) - 1)
            places = np.flatnonzero(inside)
        else:
            places = np.arange(len(keys))
        if not len(places):
            continue
        groups = _equal_groups(keys[places], None if more is None else more[places], absent)
        yield Groups(places[groups.members], groups.starts)


def _equal_groups(keys: Hashes, more: Hashes | None, absent: int | None) -> Groups:
    order = np.argsort(keys)
    ordered = keys[order]
    equal = ordered[1:] == ordered[:-1]
    if absent is not None:
        equal &= ordered[1:] != np.uint64(absent)
    shared = np.append(equal, False) | np.append(False, equal)
    values = ordered[shared]
    number = np.cumsum(np.append(False, values[1:] != values[:-1])[: len(values)])
    # Sorting did not keep the order of equal keys: sort again by group and place in one number.
    bits = len(keys).bit_length()
    rows = np.sort((number << bits) | order[shared])
    number, members = rows >> bits, rows & ((1 << bits) - 1)
    alike = number[1:] == number[:-1]
    if more is not None:
        others = more[members]
        same = others[1:] == others[:-1]
        if (alike & ~same).any():
            again = np.lexsort((members, others, number))
            number, members, others = number[again], members[again], others[again]
            alike, same = number[1:] == number[:-1], others[1:] == others[:-1]
        alike &= same
    return _grouped(members, alike)


def _grouped(members: Numbers, like_the_one_before: npt.NDArray[np.bool_]) -> Groups:
    """Groups of sorted members, without those that are alone."""
    if not len(members):
        return Groups(members, np.zeros(1, np.int64))
    begins = np.append(True, ~like_the_one_before)
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.append(starts, len(members)))
    kept = sizes > 1
    members = members[np.repeat(kept, sizes)]
    return Groups(members, np.concatenate(([0], np.cumsum(sizes[kept]))))


class Clusters:
    """Disjoint sets of the numbers 0 … count − 1, each known by its least member.

    8 bytes a number (4 below 2^31).
    """

    def __init__(self, count: int) -> None:
        kind = np.int32 if count < 1 << 31 else np.int64
        self._parents: npt.NDArray[np.signedinteger] = np.arange(count, dtype=kind)

    def join(self, left: Numbers, right: Numbers) -> None:
        """Put each pair of `left` and `right` into one cluster."""
        while True:
            a, b = self.of(left), self.of(right)
            apart = a != b
            if not apart.any():
                return
            left, right = left[apart], right[apart]
            low, high = np.minimum(a[apart], b[apart]), np.maximum(a[apart], b[apart])
            # Of several pairs that would move one root the last wins; the rest come round again.
            self._parents[high] = low

    def of(self, numbers: Numbers) -> Numbers:
        """The least member of each number's cluster."""
        parents = self._parents
        while True:
            near = parents[numbers]
            far = parents[near]
            if np.array_equal(near, far):
                return near.astype(np.int64)
            parents[numbers] = far

    def all(self) -> Numbers:
        """`of` for every number."""
        return self.of(np.arange(len(self._parents)))
