"""Exact Jaccard similarity of candidate pairs, from their texts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from lilliput.corpus.deduplication.clusters import Clusters, Groups
from lilliput.corpus.deduplication.minhash import MinHash, shingles
from lilliput.corpus.deduplication.words import Hashes, Numbers, blocks

_PAIRS_AT_ONCE = 1024


def jaccard(left: Hashes, right: Hashes) -> float:
    """The Jaccard similarity of two sets, each sorted and without repeats; 0 for two empty ones."""
    if not len(right):
        return 0.0
    places = np.minimum(np.searchsorted(right, left), len(right) - 1)
    shared = int((right[places] == left).sum())
    return shared / (len(left) + len(right) - shared)


def join_similar(
    clusters: Clusters,
    groups: Groups,
    texts: Callable[[Iterable[int]], Iterable[str]],
    settings: MinHash,
    threshold: float,
    refused: set[tuple[int, int]],
) -> None:
    """Join every pair of a group whose Jaccard similarity is at least `threshold`.

    Pairs already joined through others are not compared, so that a group of equal documents costs
    one comparison each. Pairs found too different are added to `refused`, and those in it passed
    over. At most 2048 texts are held at once.
    """
    waiting = [
        groups.members[start:stop]
        for start, stop in zip(groups.starts[:-1], groups.starts[1:], strict=True)
    ]
    while waiting:
        left, right = _pairs(waiting, clusters, refused)
        for first in range(0, len(left), _PAIRS_AT_ONCE):
            chunk = slice(first, first + _PAIRS_AT_ONCE)
            similar = _similar(left[chunk], right[chunk], texts, settings, threshold, refused)
            clusters.join(left[chunk][similar], right[chunk][similar])
        waiting = [
            members[1:]
            for members in waiting
            if len(members) > 2 and len(np.unique(clusters.of(members[1:]))) > 1
        ]


def _pairs(
    waiting: list[Numbers], clusters: Clusters, refused: set[tuple[int, int]]
) -> tuple[Numbers, Numbers]:
    """The first member of each group with each other that is not in its cluster yet."""
    left = np.concatenate([np.full(len(members) - 1, members[0]) for members in waiting])
    right = np.concatenate([members[1:] for members in waiting])
    apart = clusters.of(left) != clusters.of(right)
    left, right = left[apart], right[apart]
    known = [pair in refused for pair in zip(left.tolist(), right.tolist(), strict=True)]
    new = ~np.array(known, bool)
    return left[new], right[new]


def _similar(
    left: Numbers,
    right: Numbers,
    texts: Callable[[Iterable[int]], Iterable[str]],
    settings: MinHash,
    threshold: float,
    refused: set[tuple[int, int]],
) -> list[bool]:
    numbers = np.unique(np.concatenate((left, right))).tolist()
    sets = dict(zip(numbers, _sets(list(texts(numbers)), settings), strict=True))
    similar = []
    for pair in zip(left.tolist(), right.tolist(), strict=True):
        similar.append(jaccard(sets[pair[0]], sets[pair[1]]) >= threshold)
        if not similar[-1]:
            refused.add(pair)
    return similar


def _sets(texts: Sequence[str], settings: MinHash) -> Iterator[Hashes]:
    for _, block in blocks(texts):
        hashes, offsets = shingles(block, settings)
        for start, stop in pairwise(offsets.tolist()):
            yield np.unique(hashes[start:stop])
