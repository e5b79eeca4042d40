"""How well probabilities fit what was true: accuracy, area under the curve, calibration.

Every class weighs the same in all of them, however many examples it has.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

_BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Of the examples given a probability from `low` to `high`: the mean, and the share true."""

    low: float
    high: float
    examples: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Measures:
    """What a classifier makes of examples it has not seen.

    `accuracy` is the mean over the classes of the share recognised; `auc` the mean over the classes
    of the probability that one of the class scores above one that is not; `log_loss` in nats;
    `calibration_error` the mean distance between predicted and observed; `confusion` counts
    examples, a row per true class, a column per predicted one.
    """

    examples: int
    accuracy: float
    auc: float
    log_loss: float
    calibration_error: float
    calibration: tuple[CalibrationBin, ...]
    confusion: tuple[tuple[int, ...], ...]


def measure(probabilities: npt.NDArray[np.floating], classes: Places) -> Measures:
    """Measure probabilities [examples, classes] against true classes, each of which occurs."""
    chances = probabilities.astype(np.float64)
    count = chances.shape[1]
    weights = equal_importance(classes, count)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (classes, chances.argmax(axis=1)), 1)
    is_class = classes[:, None] == np.arange(count)
    # Of two classes the second's probability says all.
    looked_at = [1] if count == 2 else list(range(count))
    bins = _calibration(
        np.concatenate([chances[:, one] for one in looked_at]),
        np.concatenate([is_class[:, one] for one in looked_at]),
        np.concatenate([weights] * len(looked_at)),
    )
    own = np.maximum(chances[np.arange(len(classes)), classes], 1e-12)
    return Measures(
        examples=len(classes),
        accuracy=float((np.diag(confusion) / confusion.sum(axis=1)).mean()),
        auc=float(np.mean([area_under_curve(chances[:, k], is_class[:, k]) for k in looked_at])),
        log_loss=-float(weights @ np.log(own) / weights.sum()),
        calibration_error=sum(share * abs(one.predicted - one.observed) for one, share in bins),
        calibration=tuple(one for one, _ in bins),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def equal_importance(classes: Places, count: int) -> Floats:
    """A weight for each example, of mean 1, so that the classes weigh the same."""
    sizes = np.bincount(classes, minlength=count)
    weights: Floats = len(classes) / count / np.maximum(sizes, 1)[classes]
    return weights


def area_under_curve(scores: npt.NDArray[np.floating], is_good: npt.NDArray[np.bool_]) -> float:
    """The probability that a good example scores above a bad one; equal scores count half."""
    _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    good = int(is_good.sum())
    bad = len(is_good) - good
    if not good or not bad:
        return float("nan")
    return float((ranks[is_good].sum() - good * (good + 1) / 2) / (good * bad))


def _calibration(
    chances: Floats, happened: npt.NDArray[np.bool_], weights: Floats
) -> list[tuple[CalibrationBin, float]]:
    """Bins of equal width, and the share of the weight in each; empty ones are left out."""
    which = np.minimum((chances * _BINS).astype(np.int64), _BINS - 1)
    bins = []
    for number in range(_BINS):
        here = which == number
        weight = float(weights[here].sum())
        if weight > 0:
            predicted = float(weights[here] @ chances[here]) / weight
            observed = float(weights[here] @ happened[here]) / weight
            low, high = number / _BINS, (number + 1) / _BINS
            one = CalibrationBin(low, high, int(here.sum()), predicted, observed)
            bins.append((one, weight / float(weights.sum())))
    return bins
