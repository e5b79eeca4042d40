"""Stages of the tests' own, in a module that worker processes can import."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lilliput.corpus.stages import (
    Decisions,
    Dropped,
    Example,
    Outcome,
    keeping,
    texts_of,
    with_column,
    with_texts,
)


@dataclass(frozen=True)
class Shorter:
    """Drops texts of fewer than `fewest` words."""

    fewest: int = 3
    marks: tuple[str, ...] = ()
    share: float = 0.5
    file: str | None = None

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        counts = [len(text.split()) for text in texts_of(batch)]
        dropped = [
            Dropped(row, "few_words", f"{count} words")
            for row, count in enumerate(counts)
            if count < self.fewest
        ]
        return keeping(batch, dropped, counts={"words": sum(counts)})


@dataclass(frozen=True)
class Shout:
    """Writes the first letters in capitals, and adds the column `shouted`."""

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        texts = texts_of(batch)
        made = [text[:1].upper() + text[1:] for text in texts]
        examples = [
            Example(row, "shouted", text, loud)
            for row, (text, loud) in enumerate(zip(texts, made, strict=True))
            if text != loud
        ]
        return Outcome(with_texts(batch, made), examples=examples)


@dataclass(frozen=True)
class FirstWordOnce:
    """Drops a document whose first word began an earlier one; cuts "SECRET" out of all others."""

    def sketch(self, batch: pa.RecordBatch) -> pa.Array:
        return pa.array([(text.split() or [""])[0] for text in texts_of(batch)])

    def decide(
        self, sketches: Sequence[pa.Array], texts: Callable[[Iterable[int]], Iterable[str]]
    ) -> Decisions:
        words = [word for piece in sketches for word in piece.to_pylist()]
        first: dict[str, int] = {}
        for number, word in enumerate(words):
            first.setdefault(word, number)
        dropped = {
            number: ("began_before", f"like {first[word]}")
            for number, word in enumerate(words)
            if first[word] != number
        }
        cuts = {}
        for number, text in zip(range(len(words)), texts(range(len(words))), strict=True):
            at = text.find("SECRET")
            if at >= 0:
                cuts[number] = [(at, at + len("SECRET"))]
        clusters = pa.array([f"c{first[word]}" for word in words])
        return Decisions(dropped, cuts, {"cluster": clusters}, {"words": len(first)})


@dataclass(frozen=True)
class Slow:
    """Waits, and puts a file into a folder for every batch it sees."""

    log: str
    seconds: float = 0.05

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        Path(self.log, f"{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(self.seconds)
        return Outcome(batch)


def without_vowels(batch: pa.RecordBatch, *, letters: str = "aeiou") -> pa.RecordBatch:
    """A plain function: texts without vowels; documents that begin with one go."""
    texts = texts_of(batch)
    rows = [row for row, text in enumerate(texts) if text[0] not in letters]
    kept = batch.take(pa.array(rows, pa.int64()))
    return with_texts(kept, ["".join(c for c in texts[row] if c not in letters) for row in rows])


def graded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Adds `grade`, a number from the hash of the text."""
    grades = [hashlib.md5(text.encode()).digest()[0] / 8 for text in texts_of(batch)]
    return with_column(batch, "grade", pa.array(grades))


def broken(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Fails at a document that says so."""
    for text in texts_of(batch):
        if "poison" in text:
            raise ZeroDivisionError("a deadly text")
    return batch


def deadly(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Takes its process with it, as a process without memory does."""
    os._exit(9)


def doubling(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns more than came in."""
    return pa.Table.from_batches([batch, batch]).combine_chunks().to_batches()[0]


def forgetful(batch: pa.RecordBatch) -> str:
    """Returns no batch."""
    return "done"


NO_STAGE = 5
