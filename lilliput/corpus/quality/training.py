"""Train a classifier from examples of each class, and measure it on some held out.

The recipe is DCLM's (arXiv 2406.11794) and FineWeb-Edu's (arXiv 2406.17557): examples that are
good against examples that are not, a cheap classifier, a threshold.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.corpus.quality.classifier import Classifier
from lilliput.corpus.quality.linear import SparseRows, fit
from lilliput.corpus.quality.measures import equal_importance, measure
from lilliput.corpus.quality.ngrams import Places, chunks, grams_of, words_of
from lilliput.errors import UserError
from lilliput.progress import progress

_FEWEST_DOCUMENTS = 20  # below this a class is divided by piece, not by document
_TELLING = 20
_TELLING_SHARE = 0.01  # of a class's examples that must have an n-gram to show it
_LOOKED_AT = 2_000_000
_SIGHTINGS = 25
_ALIKE = str.maketrans("123456789", "000000000")  # to the classifier all digits are alike


@dataclass(frozen=True)
class TrainingSettings:
    """How a classifier is trained.

    N-grams of up to `longest_ngram` words fall into 2^`bucket_bits` buckets. A longer document is
    cut into examples of `piece_characters`. Of each class at most `most_bytes` are used, chosen by
    the hash of the text. The share `held_out` of the documents is kept for measuring.
    """

    longest_ngram: int = 2
    bucket_bits: int = 20
    rounds: int = 5
    step: float = 0.3
    piece_characters: int = 5000
    most_bytes: int = 50_000_000
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "longest_ngram": 1 <= self.longest_ngram <= 5,
            "bucket_bits": 8 <= self.bucket_bits <= 24,
            "rounds": self.rounds >= 1,
            "step": self.step > 0,
            "piece_characters": self.piece_characters >= 100,
            "most_bytes": self.most_bytes >= 1,
            "held_out": 0 < self.held_out < 1,
        }
        for name, sound in checks.items():
            if not sound:
                raise UserError(f"{name} = {getattr(self, name)} makes no classifier")


def train_classifier(
    examples: Mapping[str, Iterable[str]], settings: TrainingSettings | None = None
) -> Classifier:
    """Train a classifier to tell the classes, given as name → texts, apart.

    `facts` of the classifier holds the settings, what was read, the held-out measures and the most
    telling n-grams of each class. Raises UserError for fewer than two classes or examples.
    """
    settings = settings or TrainingSettings()
    if len(examples) < 2:
        raise UserError("a classifier needs examples of at least two classes")
    # Good comes last, so that of two classes it is the one whose probability is measured.
    names = sorted(examples, key=lambda name: (name == "good", name))
    sets = [_divide(name, examples[name], settings) for name in names]
    train = [piece for one in sets for piece in one.train]
    held = [piece for one in sets for piece in one.held]
    classes = np.repeat(np.arange(len(names)), [len(one.train) for one in sets])
    held_classes = np.repeat(np.arange(len(names)), [len(one.held) for one in sets])

    rows, used = _rows(train, settings)
    with progress("Training", total=settings.rounds * len(train), unit="examples") as advance:
        fitted = fit(
            rows,
            classes,
            equal_importance(classes, len(names)),
            count=len(names),
            rounds=settings.rounds,
            step=settings.step,
            seed=settings.seed,
            advance=advance,
        )
    weights = np.zeros((1 << settings.bucket_bits, len(names)), np.float32)
    weights[used] = fitted.weights
    bare = Classifier(
        tuple(names), settings.longest_ngram, settings.bucket_bits, weights, fitted.biases, {}
    )
    measures = measure(bare.probabilities(held), held_classes)
    good_kept = _kept_shares(bare, held, held_classes) if len(names) == 2 else None
    facts: dict[str, Any] = {
        "settings": asdict(settings),
        "examples": {name: one.facts for name, one in zip(names, sets, strict=True)},
        "held_out": asdict(measures),
        "telling": _telling(bare, rows, used, classes, train),
    }
    if good_kept:
        facts["thresholds"] = good_kept
    return Classifier(bare.classes, bare.longest, bare.bits, bare.weights, bare.biases, facts)


@dataclass(frozen=True)
class _Divided:
    """A class's examples for training and for measuring."""

    train: list[str]
    held: list[str]
    facts: Mapping[str, Any]


def _divide(name: str, texts: Iterable[str], settings: TrainingSettings) -> _Divided:
    documents = _chosen(name, texts, settings.most_bytes)
    cut = [_pieces(text, settings.piece_characters) for text in documents]
    by_document = len(documents) >= _FEWEST_DOCUMENTS
    units = cut if by_document else [[piece] for pieces in cut for piece in pieces]
    if len(units) < 2:
        raise UserError(
            f"class {name!r}: {len(units)} examples; two are the least, some hundreds are better"
        )
    border = max(1, round(settings.held_out * len(units)))
    # The order is that of the hashes, so the first ones are as good as drawn by lot.
    held = [piece for unit in units[:border] for piece in unit]
    train = [piece for unit in units[border:] for piece in unit]
    facts = {
        "documents": len(documents),
        "bytes": sum(len(text.encode("utf-8")) for text in documents),
        "training_examples": len(train),
        "held_out_examples": len(held),
        "held_out_by": "document" if by_document else "piece",
    }
    return _Divided(train, held, facts)


def _chosen(name: str, texts: Iterable[str], most_bytes: int) -> list[str]:
    """The different texts of smallest hash, as many as fit, in the order of their hashes.

    Which they are does not depend on the order they come in: whatever follows one that did not fit
    is left out too.
    """
    heap: list[tuple[int, str, int]] = []
    known: set[int] = set()
    held, border = 0, 1 << 64
    with progress(f"Reading {name}", total=None, unit="documents") as advance:
        for text in texts:
            advance(1)
            encoded = text.encode("utf-8")
            key = int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big")
            if key >= border or key in known or not text.strip():
                continue
            known.add(key)
            heapq.heappush(heap, (-key, text, len(encoded)))
            held += len(encoded)
            while held > most_bytes and len(heap) > 1:
                gone = heapq.heappop(heap)
                held -= gone[2]
                border = -gone[0]
                known.discard(border)
    return [text for _, text, _ in sorted(heap, reverse=True)]


def _pieces(text: str, characters: int) -> list[str]:
    return [text[place : place + characters] for place in range(0, len(text), characters)]


def _rows(texts: Sequence[str], settings: TrainingSettings) -> tuple[SparseRows, Places]:
    """The texts' n-grams, numbered among the buckets in use, and these."""
    sizes = np.zeros(len(texts), np.int64)
    parts: list[npt.NDArray[np.int32]] = []
    for first, portion in chunks(texts):
        grams = grams_of(words_of(portion), settings.longest_ngram, settings.bucket_bits)
        documents = np.concatenate([one.documents for one in grams])
        order = np.argsort(documents, kind="stable")
        parts.append(np.concatenate([one.buckets for one in grams])[order].astype(np.int32))
        sizes[first : first + len(portion)] = np.bincount(documents, minlength=len(portion))
    buckets = np.concatenate(parts)
    is_used = np.zeros(1 << settings.bucket_bits, np.bool_)
    is_used[buckets] = True
    number = np.cumsum(is_used) - 1
    edges = np.append(0, np.cumsum(sizes))
    return SparseRows(number[buckets], edges, int(is_used.sum())), np.flatnonzero(is_used)


def _kept_shares(
    classifier: Classifier, texts: Sequence[str], classes: Places
) -> list[dict[str, float]]:
    """What each threshold would keep of the held-out examples of either class."""
    scores = classifier.probabilities(texts)[:, 1]
    other, own = classifier.classes
    return [
        {
            "keep_above": threshold,
            f"{own}_kept": float((scores[classes == 1] >= threshold).mean()),
            f"{other}_kept": float((scores[classes == 0] >= threshold).mean()),
        }
        for threshold in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
    ]


def _telling(
    classifier: Classifier, rows: SparseRows, used: Places, classes: Places, texts: Sequence[str]
) -> dict[str, list[str]]:
    """Of each class the n-grams of most weight, times the root of how many examples have them."""
    of_row = np.repeat(np.arange(len(rows.edges) - 1), np.diff(rows.edges))
    weights = classifier.weights[used]
    weights = weights - weights.mean(axis=1, keepdims=True)
    best: dict[str, Places] = {}
    for number, name in enumerate(classifier.classes):
        own = np.flatnonzero(classes[of_row] == number)[:_LOOKED_AT]
        pairs = np.unique(of_row[own] * rows.features + rows.columns[own])
        occurs = np.bincount(pairs % rows.features, minlength=rows.features)
        fewest = max(2, _TELLING_SHARE * np.count_nonzero(classes == number))
        worth = np.where(occurs >= fewest, weights[:, number] * np.sqrt(occurs), 0.0)
        order = np.argsort(-worth, kind="stable")[:_TELLING]
        best[name] = used[order[worth[order] > 0]]
    spelled = _spell(classifier, np.concatenate(list(best.values())), texts)
    return {
        name: [spelled[bucket] for bucket in buckets.tolist()] for name, buckets in best.items()
    }


def _spell(classifier: Classifier, wanted: Places, texts: Sequence[str]) -> dict[int, str]:
    """The n-gram most seen in each wanted bucket."""
    is_wanted = np.zeros(1 << classifier.bits, np.bool_)
    is_wanted[wanted] = True
    seen: dict[int, Counter[str]] = {bucket: Counter() for bucket in wanted.tolist()}
    for _, portion in chunks(texts):
        words = words_of(portion)
        for grams in grams_of(words, classifier.longest, classifier.bits):
            for place in np.flatnonzero(is_wanted[grams.buckets]).tolist():
                bucket = int(grams.buckets[place])
                first = grams.first_words[place]
                stretch = slice(words.starts[first], words.stops[first + grams.length - 1])
                spelling = words.text[stretch].tobytes().decode("utf-8")
                seen[bucket][" ".join(spelling.split()).translate(_ALIKE)] += 1
                if seen[bucket].total() >= _SIGHTINGS:
                    is_wanted[bucket] = False
    return {bucket: counts.most_common(1)[0][0] for bucket, counts in seen.items()}
