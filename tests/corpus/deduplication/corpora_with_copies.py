"""Corpora made for these tests, and how the stages are run on them."""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from string import ascii_lowercase

import pyarrow as pa

from lilliput.corpus.stages import CorpusWideStage, Decisions


def batch(texts: Sequence[str]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "id": [str(number) for number in range(len(texts))],
            "text": pa.array(texts, pa.string()),
            "source": ["made"] * len(texts),
        }
    )


def reader(texts: Sequence[str]) -> Callable[[Iterable[int]], Iterable[str]]:
    return lambda numbers: (texts[number] for number in numbers)


def decided(stage: CorpusWideStage, texts: Sequence[str], pieces: int = 1) -> Decisions:
    """What the stage decides; the corpus comes in so many batches, and the sketches as slices."""
    edges = [len(texts) * number // pieces for number in range(pieces + 1)]
    sketches = []
    for start, stop in pairwise(edges):
        # A slice of a longer array, as a piece of a memory-mapped file is.
        longer = stage.sketch(batch(["one before it", *texts[start:stop], "one after it"]))
        sketches.append(longer.slice(1, stop - start))
    return stage.decide(sketches, reader(texts))


def cut(texts: Sequence[str], decisions: Decisions) -> list[str]:
    """The texts that are left, without their cuts."""
    left = []
    for number, text in enumerate(texts):
        if number not in decisions.dropped:
            for start, stop in reversed(decisions.cuts.get(number, ())):
                text = text[:start] + text[stop:]
            left.append(text)
    return left


def prose(dice: random.Random, words: int) -> list[str]:
    """Words of three drawn letters, so that no two texts share a run of them by chance."""
    return ["".join(dice.choices(ascii_lowercase, k=3)) for _ in range(words)]
