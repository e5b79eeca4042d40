"""Mixtures: shares as promised, caps never passed, nothing lost, repeats even, order by rule."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lilliput.corpus.mixing import Mixing, mixed_sources, mixture
from lilliput.corpus.mixing.settings import Order
from lilliput.errors import UserError

NAMES = ("wiki", "web", "books", "mail")


@st.composite
def corpora(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Sources and sizes of a few dozen documents."""
    documents = draw(st.integers(0, 60))
    codes = draw(st.lists(st.integers(0, 3), min_size=documents, max_size=documents))
    sizes = draw(st.lists(st.integers(0, 50), min_size=documents, max_size=documents))
    return np.array(codes, dtype=np.int32), np.array(sizes, dtype=np.int64)


numbers = st.integers(1, 40) | st.decimals("0.1", 40, places=1).map(float)
tables = {
    "weights": st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9) | numbers),
    "epochs": numbers | st.dictionaries(st.sampled_from(NAMES), numbers),
    "most_documents": st.dictionaries(st.sampled_from(NAMES), st.integers(0, 80)),
    "most_bytes": st.dictionaries(st.sampled_from(NAMES), st.integers(0, 900)),
}


@st.composite
def settings(draw: st.DrawFn, /, **fixed: Any) -> Mixing:
    """Any mixture of NAMES."""
    total = draw(st.none() | st.integers(1, 2000))
    chosen: dict[str, Any] = {
        "unit": draw(st.sampled_from(("bytes", "documents"))),
        "total": total,
        "epochs": draw(tables["epochs"]),
        "most_documents": draw(tables["most_documents"]),
        "most_bytes": draw(tables["most_bytes"]),
        "when_short": draw(st.sampled_from(("smaller", "others"))) if total else "smaller",
        "seed": draw(st.integers(-3, 2**70)),
    }
    way = draw(st.sampled_from(("natural", "weights", "temperature")))
    if way == "weights":
        weights = {name: draw(st.integers(0, 9) | numbers) for name in NAMES}
        assume(any(weights.values()))
        chosen["weights"] = weights
    elif way == "temperature":
        chosen["temperature"] = draw(st.sampled_from((0.5, 2.0, 1 / 0.3, float("inf"))))
    return Mixing(**(chosen | fixed))


def unit_sizes(sizes: np.ndarray, mixing: Mixing) -> np.ndarray:
    return sizes if mixing.unit == "bytes" else np.ones_like(sizes)


def exact(value: float) -> Fraction:
    return Fraction(str(value))


@given(corpora(), settings())
def test_caps_epochs_and_total_are_never_passed_and_repeats_are_even(
    corpus: tuple[np.ndarray, np.ndarray], mixing: Mixing
) -> None:
    codes, sizes = corpus
    taken = mixture(codes, sizes, mixing, names=NAMES)
    times = np.bincount(taken, minlength=len(codes))
    if mixing.total is not None:
        assert unit_sizes(sizes, mixing)[taken].sum() <= mixing.total
    for code, name in enumerate(NAMES):
        own = times[codes == code]
        if not len(own):
            continue
        assert own.max() - own.min() <= 1
        assert own.sum() <= exact(mixing.epochs_of(name)) * len(own)
        assert own.sum() <= mixing.most_documents.get(name, own.sum())
        size = int((own * sizes[codes == code]).sum())
        assert size <= mixing.most_bytes.get(name, size)


@given(corpora(), st.sampled_from(("bytes", "documents")), st.integers(0, 9), st.integers(1, 4))
def test_nothing_is_lost_where_nothing_limits(
    corpus: tuple[np.ndarray, np.ndarray], unit: Any, seed: int, epochs: int
) -> None:
    codes, sizes = corpus
    for order in get_args(Order):
        mixing = Mixing(unit=unit, seed=seed, epochs=epochs, order=order)
        taken = mixture(codes, sizes, mixing, names=NAMES)
        assert Counter(taken.tolist()) == dict.fromkeys(range(len(codes)), epochs)
    as_read = mixture(codes, sizes, Mixing(unit=unit, epochs=epochs), names=NAMES)
    assert as_read.tolist() == list(range(len(codes))) * epochs


@given(corpora(), settings(when_short="smaller", most_documents={}, most_bytes={}))
def test_shares_are_the_promised_ones_to_less_than_a_document(
    corpus: tuple[np.ndarray, np.ndarray], mixing: Mixing
) -> None:
    codes, sizes = corpus
    assume(mixing.weights)
    measured = unit_sizes(sizes, mixing)
    have = [int(measured[codes == code].sum()) for code in range(4)]
    documents = [int((codes == code).sum()) for code in range(4)]
    assume(all(have))
    taken = mixture(codes, sizes, mixing, names=NAMES)
    weights = [exact(mixing.weights[name]) for name in NAMES]
    # The largest whole that no source's epochs limit, worked out anew: a source's limit is what
    # its permitted number of documents weighs, which only whole epochs say without the order.
    epochs = [exact(mixing.epochs_of(name)) for name in NAMES]
    assume(mixing.unit == "documents" or all(epoch.denominator == 1 for epoch in epochs))
    limits = [
        size * epoch if mixing.unit == "bytes" else Fraction(int(count * epoch))
        for size, count, epoch in zip(have, documents, epochs, strict=True)
    ]
    weights = [
        weight if limit else Fraction(0) for weight, limit in zip(weights, limits, strict=True)
    ]
    assume(any(weights))
    whole = min(
        limit / weight * sum(weights)
        for limit, weight in zip(limits, weights, strict=True)
        if weight
    )
    whole = min(whole, Fraction(mixing.total)) if mixing.total else whole
    for code, weight in enumerate(weights):
        promised = whole * weight / sum(weights)
        got = int(measured[taken[codes[taken] == code]].sum())
        largest = int(measured[codes == code].max())
        assert promised - largest < got
        assert got <= promised if mixing.unit == "bytes" else got < promised + 1
    if mixing.unit == "documents":
        assert len(taken) == int(whole)


@given(corpora(), settings())
def test_order_changes_neither_which_nor_how_often(
    corpus: tuple[np.ndarray, np.ndarray], mixing: Mixing
) -> None:
    codes, sizes = corpus
    plain = Counter(mixture(codes, sizes, mixing, names=NAMES).tolist())
    for changes in (
        {"order": "shuffled"},
        {"order": "interleaved"},
        {"order": "ascending", "blocks": 3},
        {"order": "descending", "by": "grade"},
    ):
        other = replace(mixing, **changes)
        values = np.where(sizes % 3, -sizes, np.nan) if other.column else None
        taken = mixture(codes, sizes, other, names=NAMES, values=values)
        assert Counter(taken.tolist()) == plain
        again = mixture(codes.astype(np.int8), sizes, other, names=NAMES, values=values)
        assert taken.tolist() == again.tolist()


@given(corpora(), st.integers(1, 7), st.integers(0, 5))
def test_blocks_are_the_sorted_order_shuffled_inside(
    corpus: tuple[np.ndarray, np.ndarray], blocks: int, seed: int
) -> None:
    codes, sizes = corpus
    sorted_ = mixture(codes, sizes, Mixing(order="ascending"), names=NAMES)
    assert sorted_.tolist() == sorted(range(len(sizes)), key=lambda number: sizes[number])
    mixed = mixture(codes, sizes, Mixing(order="ascending", blocks=blocks, seed=seed), names=NAMES)
    edges = [block * len(sizes) // blocks for block in range(blocks + 1)]
    for start, stop in pairwise(edges):
        assert sorted(mixed[start:stop].tolist()) == sorted(sorted_[start:stop].tolist())


def test_interleaving_keeps_the_shares_in_every_stretch() -> None:
    generator = np.random.default_rng(1)
    codes = np.repeat([0, 1, 2], [100, 300, 600])
    sizes = generator.integers(1, 100, 1000)
    taken = mixture(codes, sizes, Mixing(order="interleaved"), names=NAMES[:3])
    for code in range(3):
        own = taken[codes[taken] == code]
        assert own.tolist() == sorted(own.tolist())
    so_far = np.zeros(3)
    wholes = np.array([sizes[codes == code].sum() for code in range(3)])
    for number in taken:
        so_far[codes[number]] += sizes[number]
        depth = so_far / wholes
        assert np.ptp(depth * wholes.min()) <= 2 * 100


def test_a_missing_value_comes_last_in_both_directions() -> None:
    codes, sizes = np.zeros(4, dtype=int), np.ones(4, dtype=int)
    values = np.array([2.0, np.nan, 1.0, 2.0])
    up = Mixing(order="ascending", by="grade")
    down = Mixing(order="descending", by="grade")
    assert mixture(codes, sizes, up, names=["all"], values=values).tolist() == [2, 0, 3, 1]
    assert mixture(codes, sizes, down, names=["all"], values=values).tolist() == [0, 3, 2, 1]


def test_temperature_gives_the_shares_of_mt5() -> None:
    codes = np.repeat([0, 1], [9000, 10])
    sizes = np.full(9010, 10)
    mixing = Mixing(temperature=1 / 0.3, epochs=100, unit="documents", total=1000)
    taken = mixture(codes, sizes, mixing, names=["large", "small"])
    small = 10**0.3 / (9000**0.3 + 10**0.3)
    assert len(taken) == 1000
    assert abs((codes[taken] == 1).sum() - 1000 * small) < 1


def test_a_short_source_makes_the_whole_smaller_or_is_made_up_by_others() -> None:
    codes = np.repeat([0, 1, 2], [10, 100, 100])
    sizes = np.ones(210, dtype=int)
    fixed: dict[str, Any] = {"weights": {"a": 2, "b": 1, "c": 1}, "total": 80}
    smaller = mixture(codes, sizes, Mixing(**fixed), names="abc")
    assert np.bincount(codes[smaller]).tolist() == [10, 5, 5]
    others = mixture(codes, sizes, Mixing(**fixed, when_short="others"), names="abc")
    assert np.bincount(codes[others]).tolist() == [10, 35, 35]


def test_the_selection_has_no_regard_to_length_or_place() -> None:
    """Of 20,000 documents half are taken: their mean number and size are those of all, ± 4 σ."""
    sizes = np.arange(1, 20_001)
    taken = mixture(
        np.zeros(20_000, dtype=int), sizes, Mixing(unit="documents", total=10_000), names=["all"]
    )
    sigma = np.sqrt(20_000**2 / 12 / 10_000 / 2)
    assert abs(taken.mean() - 9_999.5) < 4 * sigma
    assert len(np.unique(taken)) == 10_000
    shuffled = mixture(np.zeros(20_000, dtype=int), sizes, Mixing(order="shuffled"), names=["all"])
    correlation = np.corrcoef(shuffled, np.arange(20_000))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(20_000)


def test_the_order_stays_the_same_from_release_to_release() -> None:
    """Written down once: a corpus built again must not change."""
    mixing = Mixing(order="shuffled", epochs=1.5, seed=7)
    taken = mixture(np.array([0, 0, 1, 1]), np.array([3, 1, 2, 2]), mixing, names=["a", "b"])
    assert taken.tolist() == [3, 1, 0, 1, 3, 2]


def test_what_was_taken_is_told_for_each_source() -> None:
    codes, sizes = np.array([0, 1, 1, 0]), np.array([5, 1, 2, 5])
    mixing = Mixing(epochs={"a": 2.0})
    taken = mixture(codes, sizes, mixing, names=["a", "b", "none"])
    a, b, none = mixed_sources(taken, codes, sizes, mixing, names=["a", "b", "none"])
    assert (a.documents, a.bytes, a.used_documents, a.used_bytes) == (2, 10, 4, 20)
    assert (b.distinct_documents, a.distinct_documents) == (2, 2)
    assert (a.share, b.share) == (20 / 23, 3 / 23)
    assert (none.documents, none.used_documents, none.share) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"weights": {"a": -1}}, "mixing.weights.a"),
        ({"weights": {"a": 0}}, "mixing.weights"),
        ({"weights": {"a": 1}, "temperature": 2}, "temperature"),
        ({"temperature": 0}, "mixing.temperature"),
        ({"temperature": float("nan")}, "mixing.temperature"),
        ({"epochs": {"a": 0}}, "mixing.epochs.a"),
        ({"epochs": True}, "mixing.epochs"),
        ({"total": 1.5}, "mixing.total"),
        ({"most_bytes": {"a": "5"}}, "mixing.most_bytes.a"),
        ({"order": "random"}, "mixing.order"),
        ({"blocks": 3}, "mixing.blocks"),
        ({"when_short": "others"}, "mixing.total"),
        ({"seed": 0.5}, "mixing.seed"),
    ],
)
def test_settings_that_make_no_sense_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        Mixing(**wrong)


def test_a_source_that_is_unknown_or_forgotten_is_named() -> None:
    codes, sizes = np.array([0]), np.array([1])
    with pytest.raises(UserError, match="no source is called 'wikki'"):
        mixture(codes, sizes, Mixing(most_bytes={"wikki": 1}), names=["wiki"])
    with pytest.raises(UserError, match="say a weight for 'web'"):
        mixture(codes, sizes, Mixing(weights={"wiki": 1}), names=["wiki", "web"])
