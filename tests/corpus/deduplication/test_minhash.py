"""MinHash's promises: an unbiased estimate, the S-curve, the same values from C and NumPy."""

import numpy as np
import pytest

from lilliput.corpus.deduplication import minhash
from lilliput.corpus.deduplication.minhash import MinHash, band_hashes, minima, minima_in_numpy


def in_letters(number: int) -> str:
    """The number as a word: digits would all count as 0."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def pairs_of_sets(
    dice: np.random.Generator, pairs: int, size: int, similarity: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Pairs of sets of hashes, each pair of the same Jaccard similarity, and that similarity."""
    shared = round(2 * size * similarity / (1 + similarity))
    common = dice.integers(0, 1 << 64, (pairs, 1, shared), np.uint64)
    own = dice.integers(0, 1 << 64, (pairs, 2, size - shared), np.uint64)
    sets = np.concatenate((np.broadcast_to(common, (pairs, 2, shared)), own), axis=2)
    offsets = np.arange(2 * pairs + 1) * size
    return sets.ravel(), offsets, shared / (2 * size - shared)


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("size", [20, 300])
def test_the_estimate_is_unbiased_and_varies_as_a_binomial(size: int, similarity: float) -> None:
    pairs, permutations = 2000, 112
    hashes, offsets, truth = pairs_of_sets(np.random.default_rng(1), pairs, size, similarity)
    least = minima(hashes, offsets, permutations, seed=1).reshape(pairs, 2, permutations)
    estimates = (least[:, 0] == least[:, 1]).mean(axis=1)
    spread = np.sqrt(truth * (1 - truth) / permutations)
    assert abs(estimates.mean() - truth) < 4 * spread / np.sqrt(pairs)
    # The variance of 2,000 estimates is within 10 % (three standard errors) of the binomial's.
    assert abs(estimates.var() / spread**2 - 1) < 0.1


def test_similar_ngrams_do_not_bias_the_estimate() -> None:
    """Hashes of real n-grams of counted words, not drawn ones."""
    texts = []
    for pair in range(600):
        words = [in_letters(pair * 100 + number) for number in range(100)]
        texts += [" ".join(words), " ".join([*words[:80], "another", *words[81:]])]
    hashes, offsets = minhash.shingles(texts, minhash.PRESETS["fineweb"])
    least = minima(hashes, offsets, 112, seed=1).reshape(-1, 2, 112)
    estimates = (least[:, 0] == least[:, 1]).mean(axis=1)
    truth = 91 / 101
    assert abs(estimates.mean() - truth) < 4 * np.sqrt(truth * (1 - truth) / 112 / 600)


@pytest.mark.parametrize("similarity", [0.6, 0.7, 0.75, 0.8, 0.85])
def test_candidates_follow_the_s_curve(similarity: float) -> None:
    pairs, settings = 2000, minhash.PRESETS["fineweb"]
    hashes, offsets, truth = pairs_of_sets(np.random.default_rng(2), pairs, 200, similarity)
    least = minima(hashes, offsets, 112, seed=1).reshape(pairs, 2, 14, 8)
    found = (least[:, 0] == least[:, 1]).all(axis=2).any(axis=1).mean()
    expected = settings.probability(truth)
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / pairs)


def test_fineweb_says_the_same_probabilities() -> None:
    """Its paper's appendix: 56, 77, 92 and 98.8 % at 0.7, 0.75, 0.8 and 0.85."""
    found = [minhash.PRESETS["fineweb"].probability(one) for one in (0.7, 0.75, 0.8, 0.85)]
    assert found == pytest.approx([0.56, 0.77, 0.92, 0.988], abs=0.005)


@pytest.mark.parametrize("permutations", [1, 16, 112, 260])
def test_c_and_numpy_agree(permutations: int) -> None:
    dice = np.random.default_rng(3)
    offsets = np.concatenate(([0], np.cumsum(dice.integers(0, 4, 50)), [200, 200]))
    hashes = dice.integers(0, 1 << 64, 200, np.uint64)
    expected = minima_in_numpy(hashes, offsets, permutations, seed=5)
    assert (minima(hashes, offsets, permutations, seed=5) == expected).all()
    # Against arithmetic without limits.
    factors, terms = minhash._permutations(permutations, 5)
    for document in range(len(offsets) - 1):
        own = hashes[offsets[document] : offsets[document + 1]].tolist()
        least = min(((int(factors[0]) * x + int(terms[0])) % 2**64 for x in own), default=2**64 - 1)
        assert expected[document, 0] == least


def test_bands_do_not_depend_on_neighbours_in_the_batch() -> None:
    texts = ["", "one two three", "one two three four five six", "…", "x " * 300_000, "seven eight"]
    settings = MinHash("words", 5, bands=4, rows=3)
    together = band_hashes(texts, settings, seed=1)
    assert (together == np.concatenate([band_hashes([one], settings, 1) for one in texts])).all()
    assert not together[[0, 3]].any() and together[[1, 2, 4, 5]].all()


def test_without_a_compiler_the_bands_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the quick brown fox jumps over the lazy dog", "a b c d e f g h"]
    compiled = band_hashes(texts, minhash.PRESETS["nemo"], 1)
    monkeypatch.setattr(minhash, "_library", lambda: None)
    assert (band_hashes(texts, minhash.PRESETS["nemo"], 1) == compiled).all()
