"""Softmax regression on sparse counts by AdaGrad (Duchi et al., 2011), in NumPy.

fastText's classifier (arXiv 1607.01759) averages one vector per word and n-gram and puts a softmax
on the mean. Without its hidden width that is a linear model on the counts, which for few classes
is no weaker and needs no width to choose. The step shrinks to zero over the rounds, as theirs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_ROWS_PER_BATCH = 32
_FIRST_SQUARE = 1e-8


@dataclass(frozen=True)
class SparseRows:
    """Rows of feature numbers, a feature as often as it was counted.

    Row i holds `columns[edges[i] : edges[i + 1]]`, int64 below `features`; each of its entries
    counts 1/√(their number), so that long rows do not outweigh short ones.
    """

    columns: Places
    edges: Places
    features: int


@dataclass(frozen=True)
class Fitted:
    """Weights float32 [features, classes] and biases float32 [classes]."""

    weights: Floats
    biases: Floats


def fit(
    rows: SparseRows,
    classes: Places,
    importance: npt.NDArray[np.float64],
    *,
    count: int,
    rounds: int,
    step: float,
    seed: int,
    advance: Callable[[float], None] = lambda rows: None,
) -> Fitted:
    """Learn to tell `count` classes from rows; `importance` [rows] weighs the loss of each.

    Rows without entries teach nothing. The same arguments give the same weights.
    """
    weights = np.zeros((rows.features, count), np.float32)
    biases = np.zeros(count, np.float32)
    squares = np.full_like(weights, _FIRST_SQUARE)
    bias_squares = np.full_like(biases, _FIRST_SQUARE)
    random = np.random.Generator(np.random.PCG64(seed))
    batches = list(_batches(rows, random))
    total, done = rounds * len(batches), 0
    for _ in range(rounds):
        for number in random.permutation(len(batches)):
            batch = batches[number]
            rate = np.float32(step * (1 - done / total))
            chances = softmax(batch.sums(weights) + biases)
            chances[np.arange(len(batch.rows)), classes[batch.rows]] -= 1
            chances *= (importance[batch.rows] / len(batch.rows)).astype(np.float32)[:, None]
            slopes = np.add.reduceat((chances * batch.scales)[batch.row_of], batch.firsts, axis=0)
            mine = squares[batch.features] + slopes * slopes
            squares[batch.features] = mine
            weights[batch.features] -= rate * slopes / np.sqrt(mine)
            bias_slopes = chances.sum(axis=0)
            bias_squares += bias_slopes * bias_slopes
            biases -= rate * bias_slopes / np.sqrt(bias_squares)
            done += 1
            advance(len(batch.rows))
    return Fitted(weights, biases)


def softmax(scores: Floats) -> Floats:
    """Probabilities of scores [rows, classes]."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True)
class _Batch:
    """Some rows, their entries by row and by feature.

    `columns` are the entries by row, of which row i's begin at `starts[i]`. By feature, entry k is
    of row `row_of[k]`, and those of `features[j]` begin at `firsts[j]`.
    """

    rows: Places
    scales: Floats
    columns: npt.NDArray[np.int32]
    starts: Places
    row_of: npt.NDArray[np.int32]
    features: Places
    firsts: Places

    def sums(self, weights: Floats) -> Floats:
        """Each row's sum of its entries' weights, scaled."""
        sums: Floats = np.add.reduceat(weights[self.columns], self.starts, axis=0)
        return sums * self.scales


def _batches(rows: SparseRows, random: np.random.Generator) -> Iterator[_Batch]:
    """The rows that have entries, shuffled."""
    lengths = np.diff(rows.edges)
    order = random.permutation(np.flatnonzero(lengths))
    for first in range(0, len(order), _ROWS_PER_BATCH):
        chosen = order[first : first + _ROWS_PER_BATCH]
        sizes = lengths[chosen]
        starts = np.cumsum(sizes) - sizes
        places = np.repeat(rows.edges[chosen] - starts, sizes) + np.arange(sizes.sum())
        columns = rows.columns[places]
        by_feature = np.argsort(columns, kind="stable")
        ordered = columns[by_feature]
        firsts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        yield _Batch(
            rows=chosen,
            scales=(1 / np.sqrt(sizes)).astype(np.float32)[:, None],
            columns=columns.astype(np.int32),
            starts=starts,
            row_of=np.repeat(np.arange(len(chosen), dtype=np.int32), sizes)[by_feature],
            features=ordered[firsts],
            firsts=firsts,
        )
