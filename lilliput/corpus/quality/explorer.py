"""The threshold explorer: which metric tells good documents from bad, and where to cut.

So FineWeb chose its rules (arXiv 2406.17557, section 3.5): metrics of a good and of a bad set,
ranked by the Wasserstein distance between the two, and thresholds read off the histograms.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from lilliput.corpus.documents import Document
from lilliput.corpus.quality.metrics import GRAM_METRICS, METRICS, metrics_of
from lilliput.errors import UserError
from lilliput.progress import progress

Floats = npt.NDArray[np.float64]

_DOCUMENTS_AT_ONCE = 256
_GRID = 200
_BINS = 40
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_WORTH_A_RULE = 0.02


@dataclass(frozen=True)
class Measured:
    """A set of documents in numbers: `metrics` name → float64 [documents], `bytes` of each."""

    metrics: Mapping[str, Floats]
    bytes: Floats


@dataclass(frozen=True)
class Suggestion:
    """A rule: drop documents below (or above) `threshold`; shares of documents and of bytes."""

    drop: str
    threshold: float
    bad_dropped: float
    good_lost: float
    bad_bytes_dropped: float
    good_bytes_lost: float


@dataclass(frozen=True)
class Grid:
    """For each threshold, ascending, the shares of either set strictly below and above it."""

    thresholds: tuple[float, ...]
    good_below: tuple[float, ...]
    bad_below: tuple[float, ...]
    good_above: tuple[float, ...]
    bad_above: tuple[float, ...]


@dataclass(frozen=True)
class MetricComparison:
    """A metric on both sets.

    `wasserstein` is the distance in the metric's own unit. `distance`, from 0 to 1, makes metrics
    comparable: it is that of values cut off at the 1st and 99th percentile of both sets together,
    by the width between these. `edges` and the shares in the bins between them are the histogram;
    values beyond fall in the end bins.
    """

    name: str
    description: str
    setting: str
    wasserstein: float
    distance: float
    good_percentiles: Mapping[str, float]
    bad_percentiles: Mapping[str, float]
    suggestion: Suggestion | None
    grid: Grid
    edges: tuple[float, ...]
    good_histogram: tuple[float, ...]
    bad_histogram: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Two sets compared, the metric that tells them apart best first."""

    good_documents: int
    bad_documents: int
    good_bytes: int
    bad_bytes: int
    most_good_lost: float
    metrics: tuple[MetricComparison, ...]


def explore(
    good: Iterable[Document], bad: Iterable[Document], *, most_good_lost: float = 0.05
) -> Comparison:
    """Compare two sets of documents by every metric, and by the numeric columns both have.

    Each suggestion drops as much of the bad set as it can while it drops at most the share
    `most_good_lost` of the good documents. Raises UserError if a set is empty.
    """
    if not 0 <= most_good_lost < 1:
        raise UserError(f"most_good_lost = {most_good_lost}: give a share from 0 to below 1")
    sets = {"good": measure_documents(good, "good"), "bad": measure_documents(bad, "bad")}
    for name, one in sets.items():
        if not len(one.bytes):
            raise UserError(f"the {name} set holds no document")
    about = {metric.name: (metric.description, metric.setting) for metric in METRICS}
    about |= {name: (description, setting) for name, description, setting in GRAM_METRICS}
    compared = [
        _compare(name, about.get(name, ("Column of the corpora", "")), sets, most_good_lost)
        for name in sets["good"].metrics
        if name in sets["bad"].metrics
    ]
    return Comparison(
        good_documents=len(sets["good"].bytes),
        bad_documents=len(sets["bad"].bytes),
        good_bytes=int(sets["good"].bytes.sum()),
        bad_bytes=int(sets["bad"].bytes.sum()),
        most_good_lost=most_good_lost,
        metrics=tuple(sorted(compared, key=lambda one: -one.distance)),
    )


def measure_documents(documents: Iterable[Document], name: str = "documents") -> Measured:
    """All metrics of all documents; numeric columns that every document has join them."""
    parts: list[Mapping[str, Floats]] = []
    sizes: list[int] = []
    with progress(f"Measuring {name}", total=None, unit="documents") as advance:
        for some in _groups(documents):
            texts = [document.text for document in some]
            sizes += [len(text.encode("utf-8")) for text in texts]
            parts.append({**_numeric_columns(some), **metrics_of(texts)})
            advance(len(some))
    names = [one for one in parts[0] if all(one in part for part in parts)] if parts else []
    joined = {one: np.concatenate([part[one] for part in parts]) for one in names}
    return Measured(joined, np.array(sizes, np.float64))


def wasserstein_distance(first: Floats, second: Floats) -> float:
    """The first Wasserstein distance of two samples: the area between their step functions."""
    both = np.sort(np.concatenate([first, second]))
    lower = both[:-1]
    shares = [
        np.searchsorted(np.sort(sample), lower, side="right") / len(sample)
        for sample in (first, second)
    ]
    return float(np.sum(np.abs(shares[0] - shares[1]) * np.diff(both)))


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    waiting = iter(documents)
    while some := list(islice(waiting, _DOCUMENTS_AT_ONCE)):
        yield some


def _numeric_columns(documents: list[Document]) -> Mapping[str, Floats]:
    columns = {}
    for name in documents[0].metadata:
        values = [document.metadata.get(name) for document in documents]
        if all(isinstance(value, int | float) for value in values):
            numbers = np.array(values, np.float64)
            if np.isfinite(numbers).all():
                columns[name] = numbers
    return columns


def _compare(
    name: str, about: tuple[str, str], sets: Mapping[str, Measured], most_good_lost: float
) -> MetricComparison:
    good, bad = sets["good"].metrics[name], sets["bad"].metrics[name]
    both = np.sort(np.concatenate([good, bad]))
    low, high = np.percentile(both, [1, 99])
    if low == high:
        low, high = both[0], both[-1]
    within = wasserstein_distance(np.clip(good, low, high), np.clip(bad, low, high))
    thresholds = _thresholds(both)
    shares = {
        key: _shares(sets[key].metrics[name], np.ones(len(sets[key].bytes)), thresholds)
        for key in ("good", "bad")
    }
    edges = _edges(both)
    return MetricComparison(
        name=name,
        description=about[0],
        setting=about[1],
        wasserstein=wasserstein_distance(good, bad),
        distance=float(within / (high - low)) if high > low else 0.0,
        good_percentiles=_percentiles(good),
        bad_percentiles=_percentiles(bad),
        suggestion=_suggest(name, sets, thresholds, shares, most_good_lost),
        grid=Grid(
            tuple(thresholds.tolist()),
            *(
                tuple(np.round(shares[key][side], 4).tolist())
                for side in (0, 1)
                for key in ("good", "bad")
            ),
        ),
        edges=tuple(edges.tolist()),
        good_histogram=_histogram(good, edges),
        bad_histogram=_histogram(bad, edges),
    )


def _thresholds(ordered: Floats) -> Floats:
    """Values that divide both sets together into about equal parts; each once."""
    places = np.linspace(0, len(ordered) - 1, _GRID + 1).round().astype(np.int64)
    return np.unique(ordered[places])


def _shares(values: Floats, weights: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
    """The shares of the weight strictly below and strictly above each threshold."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    sums = np.append(0.0, np.cumsum(weights[order])) / max(1e-12, float(weights.sum()))
    below = sums[np.searchsorted(ordered, thresholds, side="left")]
    above = sums[-1] - sums[np.searchsorted(ordered, thresholds, side="right")]
    return below, above


def _suggest(
    name: str,
    sets: Mapping[str, Measured],
    thresholds: Floats,
    shares: Mapping[str, tuple[Floats, Floats]],
    most_good_lost: float,
) -> Suggestion | None:
    best: tuple[float, int, int] | None = None
    for side in (0, 1):
        good, bad = shares["good"][side], shares["bad"][side]
        gains = np.where(good <= most_good_lost, bad - good, -1.0)
        place = int(gains.argmax())
        if best is None or gains[place] > best[0]:
            best = (float(gains[place]), side, place)
    if best is None or best[0] < _WORTH_A_RULE:
        return None
    _, side, place = best
    threshold = thresholds[place : place + 1]
    in_bytes = {
        key: float(_shares(one.metrics[name], one.bytes, threshold)[side][0])
        for key, one in sets.items()
    }
    return Suggestion(
        drop=("below", "above")[side],
        threshold=float(threshold[0]),
        bad_dropped=float(shares["bad"][side][place]),
        good_lost=float(shares["good"][side][place]),
        bad_bytes_dropped=in_bytes["bad"],
        good_bytes_lost=in_bytes["good"],
    )


def _edges(ordered: Floats) -> Floats:
    low, high = np.percentile(ordered, [0.5, 99.5])
    if low == high:
        low, high = ordered[0], ordered[-1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def _histogram(values: Floats, edges: Floats) -> tuple[float, ...]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return tuple(np.round(counts / len(values), 5).tolist())


def _percentiles(values: Floats) -> Mapping[str, float]:
    found = np.percentile(values, _PERCENTILES).tolist()
    return {str(percent): value for percent, value in zip(_PERCENTILES, found, strict=True)}
