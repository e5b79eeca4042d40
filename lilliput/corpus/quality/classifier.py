"""A text classifier, and the stages that score documents with it.

The classifier is a linear model on hashed words and word n-grams, fastText's idea (arXiv
1607.01759) as the DCLM corpus uses it (arXiv 2406.11794). It is kept as safetensors and JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lilliput.corpus.quality.linear import softmax
from lilliput.corpus.quality.ngrams import chunks, grams_of, words_of
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of, with_column
from lilliput.errors import UserError
from lilliput.files import atomic_path, read_json, write_json

FACTS_NAME = "classifier.json"
WEIGHTS_NAME = "classifier.safetensors"
FORMAT = "lilliput-classifier-1"


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    `weights` float32 [2^bits, classes] and `biases` float32 [classes] give each class its score: a
    text's n-grams of up to `longest` words are summed and divided by the root of their number.
    `facts` is what `classifier.json` says of the training.
    """

    classes: tuple[str, ...]
    longest: int
    bits: int
    weights: npt.NDArray[np.float32]
    biases: npt.NDArray[np.float32]
    facts: Mapping[str, Any]

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Each text's probability of each class, float32 [texts, classes].

        They hold for a world where all classes are equally frequent.
        """
        # The difference is all that counts of two classes, and half the work.
        weights = self.weights if len(self.classes) > 2 else self._difference
        sums = np.zeros((len(texts), weights.shape[1]))
        counts = np.zeros(len(texts))
        for first, portion in chunks(texts):
            here = slice(first, first + len(portion))
            for grams in grams_of(words_of(portion), self.longest, self.bits):
                if len(grams.documents):
                    counts[here] += np.bincount(grams.documents, minlength=len(portion))
                    firsts = np.flatnonzero(np.append(True, np.diff(grams.documents)))
                    worth = np.add.reduceat(weights[grams.buckets], firsts, axis=0)
                    sums[first + grams.documents[firsts]] += worth
        scores = sums / np.sqrt(np.maximum(counts, 1))[:, None]
        if len(self.classes) == 2:
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        return softmax((scores + self.biases).astype(np.float32))

    @cached_property
    def _difference(self) -> npt.NDArray[np.float32]:
        return self.weights[:, 1:] - self.weights[:, :1]

    def save(self, folder: Path | str) -> None:
        """Write `classifier.safetensors` (the buckets in use and their weights) and its JSON."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        used = np.flatnonzero(np.any(self.weights != 0, axis=1))
        tensors = {
            "buckets": used.astype(np.uint32),
            "weights": np.ascontiguousarray(self.weights[used]),
            "biases": self.biases,
        }
        with atomic_path(folder / WEIGHTS_NAME) as temporary:
            save_file(tensors, temporary, metadata={"format": FORMAT})
        own = {
            "format": FORMAT,
            "classes": list(self.classes),
            "longest_ngram": self.longest,
            "bucket_bits": self.bits,
        }
        write_json(folder / FACTS_NAME, {**own, **self.facts})


def load_classifier(folder: Path | str) -> Classifier:
    """A classifier's folder, read once for each time it was written.

    Raises UserError if there is none, or its files do not belong together.
    """
    weights = Path(folder) / WEIGHTS_NAME
    if not weights.is_file() or not (Path(folder) / FACTS_NAME).is_file():
        raise UserError(
            f"{folder}: no classifier (it holds no {WEIGHTS_NAME}); train one with "
            f"`lilliput corpus classifier train --good … --bad … -o {folder}`"
        )
    return _load(str(folder), weights.stat().st_mtime_ns)


@cache
def _load(folder: str, written: int) -> Classifier:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    facts = dict(read_json(Path(folder) / FACTS_NAME))
    try:
        if facts.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        classes, longest = tuple(facts.pop("classes")), int(facts.pop("longest_ngram"))
        bits = int(facts.pop("bucket_bits"))
        tensors = load_file(Path(folder) / WEIGHTS_NAME)
        weights = np.zeros((1 << bits, len(classes)), np.float32)
        weights[tensors["buckets"]] = tensors["weights"]
        biases = tensors["biases"]
        if len(biases) != len(classes):
            raise ValueError("its two files do not belong together")
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{folder}: not a whole classifier: {error}; train it again") from None
    return Classifier(classes, longest, bits, weights, biases, facts)


@dataclass(frozen=True)
class Quality:
    """Score documents with a classifier: adds float32 column `column`, the probability of `good`.

    `model` is the classifier's folder. Documents below `keep_above` are dropped (DCLM kept the best
    tenth; the stage `best_share` keeps a share). The probability supposes that all classes are
    equally frequent.
    """

    model: str
    keep_above: float | None = None
    good: str = "good"
    column: str = "quality"

    def __post_init__(self) -> None:
        if self.keep_above is not None and not 0 <= self.keep_above <= 1:
            raise UserError(f"quality: keep_above = {self.keep_above}: give a number from 0 to 1")

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        classifier = load_classifier(self.model)
        if self.good not in classifier.classes:
            raise UserError(
                f"quality: {self.model} knows no class {self.good!r} "
                f"(it knows {', '.join(classifier.classes)})"
            )
        chances = classifier.probabilities(texts_of(batch))
        scores = chances[:, classifier.classes.index(self.good)]
        scored = with_column(batch, self.column, pa.array(scores, pa.float32()))
        if self.keep_above is None:
            return keeping(scored, ())
        below = np.flatnonzero(scores < self.keep_above).tolist()
        return keeping(
            scored, [Dropped(row, "quality", f"{self.column} {scores[row]:.3f}") for row in below]
        )


@dataclass(frozen=True)
class Label:
    """Name each document's most probable class (a topic, a kind) by a classifier of any classes.

    Adds string column `column` and float32 column `column`_probability. Where `keep` names classes,
    documents of others are dropped.
    """

    model: str
    keep: tuple[str, ...] = ()
    column: str = "label"

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        classifier = load_classifier(self.model)
        unknown = [name for name in self.keep if name not in classifier.classes]
        if unknown:
            raise UserError(
                f"label: {self.model} knows no class {unknown[0]!r} "
                f"(it knows {', '.join(classifier.classes)})"
            )
        chances = classifier.probabilities(texts_of(batch))
        best = chances.argmax(axis=1) if len(chances) else np.zeros(0, np.int64)
        names = [classifier.classes[number] for number in best]
        labelled = with_column(batch, self.column, pa.array(names, pa.string()))
        certain = chances[np.arange(len(best)), best]
        labelled = with_column(
            labelled, f"{self.column}_probability", pa.array(certain, pa.float32())
        )
        if not self.keep:
            return keeping(labelled, ())
        other = [row for row, name in enumerate(names) if name not in self.keep]
        return keeping(labelled, [Dropped(row, "label", names[row]) for row in other])
