"""Hashes of the n-grams of rows of tokens."""

import numpy as np
import numpy.typing as npt

MISSING = -1
"""Stands in a row where there is no token."""


def ngram_hashes(
    rows: npt.NDArray[np.int64], length: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Hashes [N, T - length + 1] of the n-grams of rows [N, T], and which have all their tokens.

    A hash is a polynomial in the ids modulo 2^64, mixed as in SplitMix64: the same everywhere.
    """
    count = max(0, rows.shape[1] - length + 1)
    hashes = np.full((len(rows), count), length, dtype=np.uint64)
    whole = np.ones((len(rows), count), dtype=np.bool_)
    for place in range(length):
        tokens = rows[:, place : place + count]
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + tokens.astype(np.uint64) + np.uint64(1)
        whole &= tokens != MISSING
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(31)), whole
