"""MinHash signatures and their bands.

The share of equal minima of two documents estimates the Jaccard similarity of their n-gram sets
(Broder 1997); documents all of whose minima in some band are equal become candidates, which happens
with probability 1 − (1 − s^rows)^bands at similarity s.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lilliput.corpus.deduplication.words import (
    Hashes,
    Numbers,
    blocks,
    characters,
    ngrams,
    simplified_words,
)
from lilliput.machine.compiler import compiled_library

_SOURCE = Path(__file__).with_name("minhash.c")
_TOGETHER = 16  # as in minhash.c


@dataclass(frozen=True, slots=True)
class MinHash:
    """n-grams of what (`unit`: "words" or "characters"), how long, and bands × rows of minima."""

    unit: str
    ngram: int
    bands: int
    rows: int

    def probability(self, similarity: float) -> float:
        """How probably two documents of that Jaccard similarity become candidates."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


PRESETS = {
    "fineweb": MinHash("words", 5, bands=14, rows=8),  # arXiv 2406.17557
    "refinedweb": MinHash("words", 5, bands=450, rows=20),  # arXiv 2306.01116
    "text-dedup": MinHash("words", 5, bands=24, rows=10),  # 240 permutations, threshold 0.7
    "nemo": MinHash("characters", 24, bands=20, rows=13),  # NeMo Curator's defaults
}


def shingles(texts: Sequence[str], settings: MinHash) -> tuple[Hashes, Numbers]:
    """The hashed n-grams of every document, with repeats, and their offsets by document."""
    if settings.unit == "words":
        words = simplified_words(texts)
    else:
        words = characters(texts)
    return ngrams(words.hashes, words.offsets, settings.ngram)


def band_hashes(texts: Sequence[str], settings: MinHash, seed: int) -> Hashes:
    """One hash per document and band, shape (documents, bands); zeros where there are no words."""
    bands = np.zeros((len(texts), settings.bands), np.uint64)
    for start, block in blocks(texts):
        hashes, offsets = shingles(block, settings)
        signed = minima(hashes, offsets, settings.bands * settings.rows, seed)
        folded = _folded(signed.reshape(len(block), settings.bands, settings.rows))
        folded[np.diff(offsets) == 0] = 0
        bands[start : start + len(block)] = folded
    return bands


def minima(hashes: Hashes, offsets: Numbers, permutations: int, seed: int) -> Hashes:
    """The least value of each permutation over each document, shape (documents, permutations).

    A permutation is a·x + b modulo 2^64 with a odd. The hashes are 64 well-mixed bits already, so
    no prime is needed (datatrove's product wraps at 2^64 before it takes the rest by 2^61 − 1).
    Documents without hashes get the largest value. Compiled C where there is a compiler, else
    NumPy: the same values.
    """
    library = _library()
    if library is None:
        return minima_in_numpy(hashes, offsets, permutations, seed)
    padded = -(-permutations // _TOGETHER) * _TOGETHER
    factors, terms = _permutations(padded, seed)
    hashes, offsets = np.ascontiguousarray(hashes), np.ascontiguousarray(offsets, np.int64)
    documents = len(offsets) - 1
    least = np.empty((documents, padded), np.uint64)
    library.minhash_minima(
        *(one.ctypes.data_as(ctypes.c_void_p) for one in (hashes, offsets)),
        ctypes.c_int64(documents),
        *(one.ctypes.data_as(ctypes.c_void_p) for one in (factors, terms)),
        ctypes.c_int64(padded),
        least.ctypes.data_as(ctypes.c_void_p),
    )
    return least[:, :permutations]


def minima_in_numpy(hashes: Hashes, offsets: Numbers, permutations: int, seed: int) -> Hashes:
    """`minima` without a compiler."""
    factors, terms = _permutations(permutations, seed)
    least = np.full((permutations, len(offsets) - 1), np.iinfo(np.uint64).max, np.uint64)
    full = np.flatnonzero(np.diff(offsets))
    begins = offsets[full]
    if len(full):
        values = np.empty_like(hashes)
        for number, (factor, term) in enumerate(zip(factors, terms, strict=True)):
            np.multiply(hashes, factor, out=values)
            values += term
            least[number, full] = np.minimum.reduceat(values, begins)
    return np.ascontiguousarray(least.T)


@cache
def _library() -> ctypes.CDLL | None:
    return compiled_library(_SOURCE, ("-O3",))


@cache
def _permutations(count: int, seed: int) -> tuple[Hashes, Hashes]:
    """Factors (odd) and terms; those of a smaller count are the first of a larger."""
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(
        0, 1 << 64, (count, 2), np.uint64, endpoint=False
    )
    return np.ascontiguousarray(drawn[:, 0]) | np.uint64(1), np.ascontiguousarray(drawn[:, 1])


def _folded(rows: Hashes) -> Hashes:
    """One hash for the last axis; never 0, which stands for a document without words."""
    folded = np.zeros(rows.shape[:-1], np.uint64)
    for row in range(rows.shape[-1]):
        folded ^= rows[..., row]
        folded *= np.uint64(0xFF51AFD7ED558CCD)
        folded ^= folded >> np.uint64(32)
    return np.maximum(folded, np.uint64(1))
