"""Equal keys and growing clusters, against dictionaries and SciPy."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lilliput.corpus.deduplication.clusters import Clusters, equal_groups
from lilliput.corpus.deduplication.verdicts import Copies, Cuts

KEY = st.sampled_from([0, 1, 2, 3 << 62, 1 << 63, (1 << 63) + 1, (1 << 64) - 1])


@given(
    st.lists(st.tuples(KEY, st.integers(0, 2)), max_size=40),
    st.booleans(),
    st.sampled_from([None, 0]),
    st.integers(1, 50),
)
def test_groups_are_the_equal_keys(
    pairs: list[tuple[int, int]], both: bool, absent: int | None, keys_per_sort: int
) -> None:
    places = defaultdict(list)
    for place, (key, other) in enumerate(pairs):
        if key != absent:
            places[key, other if both else 0].append(place)
    keys, others = np.array(pairs, np.uint64).reshape(-1, 2).T
    found = [
        groups.members[start:stop].tolist()
        for groups in equal_groups(
            keys, others if both else None, absent=absent, keys_per_sort=keys_per_sort
        )
        for start, stop in zip(groups.starts[:-1], groups.starts[1:], strict=True)
    ]
    assert sorted(found) == sorted(group for group in places.values() if len(group) > 1)


EDGES = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40)


@given(st.lists(EDGES, max_size=4))
def test_clusters_are_connected_components(rounds: list[list[tuple[int, int]]]) -> None:
    clusters = Clusters(30)
    edges = np.zeros((0, 2), np.int64)
    for pairs in rounds:
        new = np.array(pairs, np.int64).reshape(-1, 2)
        clusters.join(new[:, 0], new[:, 1])
        edges = np.concatenate((edges, new))
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(30, 30))
    _, labels = connected_components(graph, directed=False)
    least = [int(np.flatnonzero(labels == label)[0]) for label in labels]
    assert clusters.all().tolist() == least


@pytest.mark.parametrize("order", [1, -1])
def test_a_long_chain_is_one_cluster(order: int) -> None:
    numbers = np.arange(50_000)
    clusters = Clusters(len(numbers))
    clusters.join(numbers[:-1][::order], numbers[1:][::order])
    assert not clusters.all().any()


def test_copies_say_what_they_copy() -> None:
    copies = Copies("exact_copy", np.array([2, 7]), np.array([0, 3]))
    assert dict(copies) == {
        2: ("exact_copy", "a copy of document 0"),
        7: ("exact_copy", "a copy of document 3"),
    }
    assert 3 not in copies and 8 not in copies


SPAN = st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(1, 9))


@given(st.lists(SPAN, max_size=20))
def test_cuts_join_overlapping_spans(spans: list[tuple[int, int, int]]) -> None:
    covered = defaultdict(set)
    for number, start, length in spans:
        covered[number] |= set(range(start, start + length))
    rows = np.array(spans, np.int64).reshape(-1, 3)
    cuts = Cuts(rows[:, 0], rows[:, 1], rows[:, 1] + rows[:, 2])
    assert list(cuts) == sorted(covered)
    for number, places in covered.items():
        found = cuts[number]
        assert {place for start, stop in found for place in range(start, stop)} == places
        assert all(stop < start for (_, stop), (start, _) in pairwise(found))
    assert cuts.characters() == sum(map(len, covered.values()))
