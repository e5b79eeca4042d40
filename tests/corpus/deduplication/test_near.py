"""Near-copies: planted ones are found, and clusters are those of the definition."""

import random
from itertools import combinations

import numpy as np
import pytest
from corpora_with_copies import batch, decided, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus.deduplication.minhash import MinHash, band_hashes
from lilliput.corpus.deduplication.near import NearDuplicates
from lilliput.errors import UserError


def jaccard(left: str, right: str, length: int) -> float:
    """Of the sets of runs of words; a text that is shorter is one run."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        count = max(len(words) - length + 1, min(len(words), 1))
        return {tuple(words[start : start + length]) for start in range(count)}

    one, other = runs(left), runs(right)
    return len(one & other) / max(len(one | other), 1)


def components(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Every number's least fellow, by repeated relabelling."""
    labels = list(range(count))
    for _ in range(count):
        for one, other in pairs:
            labels[one] = labels[other] = min(labels[one], labels[other])
    return labels


TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=7).map(" ".join), max_size=9)


@given(TEXTS, st.sampled_from([0.0, 0.4, 0.8]), st.integers(1, 3))
@settings(max_examples=150)
def test_clusters_are_the_components_of_the_candidates(
    texts: list[str], verify: float, pieces: int
) -> None:
    stage = NearDuplicates(ngram=2, bands=3, rows=2, verify=verify)
    bands = band_hashes(texts, MinHash("words", 2, 3, 2), stage.seed)
    pairs = [
        (one, other)
        for one, other in combinations(range(len(texts)), 2)
        if texts[one].split()
        and texts[other].split()
        and (bands[one] == bands[other]).any()
        and (not verify or jaccard(texts[one], texts[other], 2) >= verify)
    ]
    labels = components(len(texts), pairs)
    found = decided(stage, texts, pieces)
    assert found.columns["cluster"].to_pylist() == labels
    assert sorted(found.dropped) == [one for one, label in enumerate(labels) if label != one]
    assert all(
        found.dropped[one] == ("near_copy", f"a copy of document {labels[one]}")
        for one in found.dropped
    )


def changed(dice: random.Random, words: list[str], similarity: float) -> list[str]:
    """A copy with words replaced, each far from the last, so that Jaccard is about as asked."""
    runs = len(words) - 4
    count = round(runs * (1 - similarity) / (1 + similarity) / 5)
    copy = list(words)
    for number in range(count):
        copy[5 + number * (len(words) // count)] = "changed" + "".join(
            dice.choices("abcdefgh", k=8)
        )
    return copy


def test_fineweb_finds_99_of_100_copies_at_similarity_nine_tenths() -> None:
    dice = random.Random(1)
    texts = []
    for _ in range(1000):
        words = prose(dice, 500)
        texts += [" ".join(words), " ".join(changed(dice, words, 0.9))]
    similar = [jaccard(texts[one], texts[one + 1], 5) for one in range(0, 2000, 2)]
    assert max(similar) < 0.905
    clusters = np.array(decided(NearDuplicates(), texts).columns["cluster"])
    assert (clusters[1::2] == clusters[::2]).mean() >= 0.99
    assert (clusters[::2] == np.arange(0, 2000, 2)).all()  # nothing else was joined


def test_verification_refuses_what_is_not_similar_enough() -> None:
    dice = random.Random(2)
    words = prose(dice, 300)
    texts = [" ".join(words), " ".join(changed(dice, words, 0.75)), " ".join(words[:-1])]
    wide = {"bands": 60, "rows": 2}
    assert decided(NearDuplicates(**wide), texts).columns["cluster"].to_pylist() == [0, 0, 0]
    found = decided(NearDuplicates(**wide, verify=0.9), texts)
    assert found.columns["cluster"].to_pylist() == [0, 1, 0]
    assert found.counts["candidates refused"] == 2


def test_many_equal_documents_need_one_comparison_each() -> None:
    asked = []
    texts = ["the same five words again"] * 500

    def read(numbers: list[int]) -> list[str]:
        asked.extend(numbers)
        return [texts[number] for number in numbers]

    stage = NearDuplicates(verify=0.8)

    found = stage.decide([stage.sketch(batch(texts))], read)
    assert len(found.dropped) == 499
    assert len(asked) < 600


def test_the_longest_stays_on_request() -> None:
    words = prose(random.Random(3), 200)
    texts = [" ".join(words[:-2]), " ".join(words), " ".join(words) + "!", "something else"]
    found = decided(NearDuplicates(keep="longest"), texts, pieces=2)
    assert found.columns["cluster"].to_pylist() == [0, 0, 0, 3]
    assert dict(found.dropped) == {
        0: ("near_copy", "a copy of document 2"),
        1: ("near_copy", "a copy of document 2"),
    }


def test_copies_can_stay_and_be_marked() -> None:
    found = decided(NearDuplicates(drop=False), ["one and the same", "One, and the same!", "other"])
    assert not found.dropped
    assert found.columns["cluster"].to_pylist() == [0, 0, 2]
    assert found.counts == {"clusters of near-copies": 1, "near-copies": 1, "clusters of 2": 1}


def test_documents_without_words_are_no_copies() -> None:
    found = decided(NearDuplicates(), ["", "…", "  ", "."])
    assert found.columns["cluster"].to_pylist() == [0, 1, 2, 3]


def test_an_empty_corpus_is_decided() -> None:
    assert NearDuplicates().decide([], lambda _: []).columns["cluster"].to_pylist() == []


@pytest.mark.parametrize("preset", ["fineweb", "refinedweb", "text-dedup", "nemo"])
def test_presets_find_equal_documents(preset: str) -> None:
    texts = ["a b c d e f g h i j k l m n o p", "something very different from it, a sentence"]
    found = decided(NearDuplicates(preset=preset), [*texts, *texts])
    assert found.columns["cluster"].to_pylist() == [0, 1, 0, 1]


def test_a_sketch_takes_8_bytes_a_band() -> None:

    assert NearDuplicates().sketch(batch(["a b c"] * 10)).nbytes == 10 * 14 * 8


@pytest.mark.parametrize(
    "wrong",
    [{"preset": "finweb"}, {"unit": "lines"}, {"keep": "last"}, {"verify": 80.0}, {"bands": 0}],
)
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        NearDuplicates(**wrong)  # type: ignore[arg-type]


def test_clusters_are_counted_by_size() -> None:
    """Sizes 1, 2, 2, 3, 5, 20 and 101, each text many times over."""
    sizes = (1, 2, 2, 3, 5, 20, 101)
    texts = [f"{'abcdefg'[n]} " * 9 for n, size in enumerate(sizes) for _ in range(size)]
    found = decided(NearDuplicates(), texts)
    assert found.counts == {
        "near-copies": sum(sizes) - len(sizes),
        "clusters of near-copies": 6,
        "clusters of 2": 2,
        "clusters of 3 to 5": 2,
        "clusters of 6 to 20": 1,
        "clusters of 101 or more": 1,
    }
