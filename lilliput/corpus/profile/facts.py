"""What a profile says, as plain JSON values: shares, quantiles, coverage, topics."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.corpus.profile.profile import BINS_PER_DOUBLING, OTHERS, Profile
from lilliput.corpus.profile.tables import TextTable

_COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_TOP_WORDS = 60
_TOPIC_WORDS = 12
_CURVE_POINTS = 60
_RANK_POINTS = 40
_CLUSTER_SIZES = (2, 3, 4, 6, 11, 101, 1001)
# A word that is this much likelier in a theme by chance would be one in some thousands.
_LEAST_Z = 3.0
# The weight of the prior: so many words, spread as in the whole corpus.
_PRIOR_WORDS = 500.0


def profile_facts(made: Profile) -> dict[str, Any]:
    """A profile as JSON: what the report shows.

    - documents, bytes, characters, words, lines; `characters_by_kind`: shares of characters.
    - `lengths`: `bins` of (least characters, documents), and `quantiles`, right to within 5 %.
    - `sources`, `languages`, `licenses`, `topics`: by name, documents, bytes, words; topics with
      their most characteristic words: log-odds against all other topics with the corpus as prior,
      by z-score (Monroe, Colaresi and Quinn 2008, "Fightin' Words"). The commonest words, which
      make up half of all running text, are left out; of a single topic the next commonest are told.
    - `grades`: documents by Flesch-Kincaid grade, of the share `reading_one_in`.
    - `phrases`: by source, occurrences of each machine phrase in a million words, same share.
    - `vocabulary`: distinct words, how many of them cover 90, 95, 99 % of running words, the share
      of them seen once, the commonest; counted in one document of `one_in`.
    - `copies`: documents whose very text is there before; from a sample of one text in `one_in`.
    """
    totals = made.totals
    characters = totals.get("characters", 0)
    return {
        "documents": totals.get("documents", 0),
        "bytes": totals.get("bytes", 0),
        "characters": characters,
        "words": totals.get("words", 0),
        "lines": totals.get("lines", 0),
        "characters_by_kind": {
            kind: totals.get(kind, 0) / characters if characters else 0.0
            for kind in (
                "letters",
                "white space",
                "punctuation",
                "digits",
                "beyond ASCII",
                "control",
            )
        },
        "lengths": _lengths(made.lengths),
        "sources": _names(made, "source"),
        "languages": _names(made, "language"),
        "licenses": _names(made, "license"),
        "topics": _topics(made),
        "grades": {str(grade): made.grades[grade] for grade in sorted(made.grades)},
        "reading_one_in": made.settings.reading_one_in,
        "phrases": _phrases(made),
        "vocabulary": _vocabulary(made),
        "copies": _copies(made.texts),
    }


def _lengths(counts: Mapping[int, int]) -> dict[str, Any]:
    documents = sum(counts.values())
    ordered = sorted(counts.items())
    quantiles = {}
    for share in _QUANTILES:
        left = share * documents
        for place, count in ordered:
            left -= count
            if left <= 0:
                quantiles[f"{share:g}"] = round(2 ** ((place + 0.5) / BINS_PER_DOUBLING))
                break
    bins = [[round(2 ** (place / BINS_PER_DOUBLING), 2), count] for place, count in ordered]
    return {"bins": bins, "quantiles": quantiles}


def _names(made: Profile, kind: str) -> dict[str, Any]:
    """Names with what was measured, the largest first, the others last."""
    names = made.named.get(kind, {})
    ordered = sorted(names, key=lambda name: (name == OTHERS, -names[name]["bytes"], name))
    return {
        name: {measure: names[name][measure] for measure in ("documents", "bytes", "words")}
        for name in ordered
    }


def _phrases(made: Profile) -> dict[str, Any]:
    """By source: words read, and occurrences of each phrase in a million of them."""
    shown = {}
    for name in _names(made, "source"):
        measures = made.named["source"][name]
        words = measures.get("read words", 0)
        rates = {
            measure.removeprefix("phrase "): count / words * 1e6
            for measure, count in sorted(measures.items())
            if measure.startswith("phrase ") and words
        }
        if words:
            shown[name] = {"words": words, "per_million": rates}
    return shown


def _vocabulary(made: Profile) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for words in made.words.themes().values():
        for word, count in words.items():
            counts[word] = counts.get(word, 0) + count
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ranks = np.array([count for _, count in ordered], dtype=np.int64)
    running = int(ranks.sum())
    covered = np.cumsum(ranks) / max(1, running)
    return {
        "one_in": 1 << made.words.base,
        "words": running,
        "distinct": len(ordered),
        "covering": {
            f"{share:g}": int(np.searchsorted(covered, share - 1e-12)) + 1 if running else 0
            for share in _COVERAGES
        },
        "seen_once": float(np.mean(ranks == 1)) if len(ranks) else 0.0,
        "coverage": [
            [rank, round(float(covered[rank - 1]), 6)]
            for rank in _spread(len(ranks), _CURVE_POINTS)
        ],
        "frequencies": [[rank, int(ranks[rank - 1])] for rank in _spread(len(ranks), _RANK_POINTS)],
        "commonest": [[word, count] for word, count in ordered[:_TOP_WORDS]],
    }


def _spread(count: int, points: int) -> list[int]:
    """Ranks from 1 to `count` in about equal ratios, both ends among them."""
    if not count:
        return []
    ratio = math.log(count) / max(1, points - 1)
    return sorted({min(count, round(math.exp(ratio * step))) for step in range(points)} | {count})


def _topics(made: Profile) -> dict[str, Any]:
    topics = _names(made, "theme")
    characteristic = characteristic_words(made.words.themes())
    return {
        name: {**measures, "characteristic": characteristic.get(name, [])}
        for name, measures in topics.items()
    }


def characteristic_words(
    themes: Mapping[str, Mapping[str, int]], most: int = _TOPIC_WORDS
) -> dict[str, list[list[Any]]]:
    """For each theme up to `most` [word, z-score], the most characteristic first.

    The z-score of the log-odds ratio of the word in the theme against all other themes, with an
    informative Dirichlet prior from all of them (Monroe and others 2008, equations 16 and 22).
    The commonest words, half of the running text together, are function words mostly and left
    out. A single theme has nothing to differ from: its next commonest words have z-score None.
    """
    vocabulary = sorted({word for words in themes.values() for word in words})
    if len(vocabulary) < 2:
        return {name: [] for name in themes}
    places = {word: place for place, word in enumerate(vocabulary)}
    counts = {name: _vector(words, places) for name, words in themes.items()}
    whole = np.sum(list(counts.values()), axis=0)
    common = _commonest_half(whole)
    if len(counts) == 1:
        told = np.argsort(np.where(common, 0, -whole), kind="stable")[:most]
        words = [[vocabulary[place], None] for place in told.tolist() if not common[place]]
        return dict.fromkeys(themes, words)
    prior = whole * (_PRIOR_WORDS / float(whole.sum()))
    found = {}
    for name, own in counts.items():
        scores = np.where(common, 0.0, _z_scores(own, whole - own, prior))
        best = np.argsort(-scores, kind="stable")[:most]
        found[name] = [
            [vocabulary[place], round(float(scores[place]), 2)]
            for place in best.tolist()
            if scores[place] > _LEAST_Z
        ]
    return found


def _commonest_half(counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which words are the commonest: as many as cover half of all running words."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    common = np.zeros(len(counts), dtype=np.bool_)
    common[order] = before < counts.sum() / 2
    return common


def _vector(words: Mapping[str, int], places: Mapping[str, int]) -> NDArray[np.float64]:
    vector = np.zeros(len(places))
    vector[[places[word] for word in words]] = list(words.values())
    return vector


def _z_scores(
    own: NDArray[np.float64], others: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    own, others = own + prior, others + prior
    difference = np.log(own / (own.sum() - own)) - np.log(others / (others.sum() - others))
    scores: NDArray[np.float64] = difference / np.sqrt(1 / own + 1 / others)
    return scores


def _copies(texts: TextTable) -> dict[str, Any]:
    times: Sequence[int] = sorted(texts.times.values(), reverse=True)
    documents = sum(times)
    clusters = [count for count in times if count > 1]
    sizes = []
    for least, above in zip(_CLUSTER_SIZES, (*_CLUSTER_SIZES[1:], None), strict=True):
        inside = sum(count >= least and (above is None or count < above) for count in clusters)
        name = (
            f"{least}" if above == least + 1 else f"{least}–{above - 1}" if above else f"{least}+"
        )
        if inside:
            sizes.append([name, inside])
    return {
        "one_in": 1 << texts.base,
        "documents": documents,
        "repeats": documents - len(times),
        "share": (documents - len(times)) / documents if documents else 0.0,
        "cluster_sizes": sizes,
        "largest_cluster": max(clusters, default=1 if documents else 0),
    }
