"""Documents that hold text of evaluation sets."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lilliput.corpus.deduplication.evaluation import NgramIndex, ngram_index
from lilliput.corpus.deduplication.words import (
    Numbers,
    Words,
    blocks,
    simplified_words,
    span_hashes,
)
from lilliput.corpus.stages import Dropped, Example, Outcome, keeping, texts_of, with_texts
from lilliput.errors import UserError

_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Hit:
    """An n-gram of an evaluation text in a document: characters start … stop of the document."""

    start: int
    stop: int
    label: str
    ngram: str


@dataclass(frozen=True)
class Decontaminate:
    """Drop documents that share a run of `words` words with an evaluation set, or cut it out.

    GPT-3's definition (arXiv 2005.14165, appendix C): 13 words, without case and punctuation. Here
    diacritics do not count either, and digits do (datatrove takes 12 words and makes numbers 0).

    `evaluation`: files or folders of JSON lines, JSON, Parquet or text (paragraphs). `fields`: only
    strings under keys of these names, at any depth; all strings if empty. `fewest_words`: a shorter
    evaluation text of at least so many words is looked for whole; still shorter ones are not.
    `most_texts`: an n-gram in more different evaluation texts than that is a phrase of their form,
    and ignored (0: none is).

    `action`: "drop" the document, rule "evaluation_overlap", the first hit as detail; or "cut" the
    hits with `margin` characters on either side, as GPT-3 did. Pieces of fewer than
    `shortest_piece` characters between cuts go too; the rest is joined by a line break, and a
    document with more than `most_cuts` cuts, or without a piece left, is dropped.

    A hash that agrees is compared word by word before it counts. The index is made once a process:
    about 32 bytes an n-gram, and the evaluation texts.
    """

    evaluation: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    words: int = 13
    fewest_words: int = 8
    most_texts: int = 10
    action: str = "drop"
    margin: int = 200
    shortest_piece: int = 200
    most_cuts: int = 10

    def __post_init__(self) -> None:
        if not self.evaluation:
            raise UserError("evaluation: name at least one file or folder of evaluation texts")
        if self.action not in ("drop", "cut"):
            raise UserError(f"action: {self.action!r} is neither drop nor cut")
        if not 1 <= self.fewest_words <= self.words:
            raise UserError(f"fewest_words: {self.fewest_words} is not 1 to words ({self.words})")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        """The documents without hits, or without their hits.

        Counts documents with hits per evaluation item: "hits: arc.jsonl:17".
        """
        texts = texts_of(batch)
        dropped: list[Dropped] = []
        examples: list[Example] = []
        counts: Counter[str] = Counter()
        for first, block in blocks(texts):
            for row, hits in self._hits(block):
                row += first
                counts.update({f"hits: {label}" for label in {hit.label for hit in hits}})
                detail = f"{hits[0].label}: {hits[0].ngram}"
                left = self._without(texts[row], hits) if self.action == "cut" else None
                if left is None:
                    dropped.append(Dropped(row, "evaluation_overlap", detail))
                else:
                    examples.append(_example(row, texts[row], hits[0], detail))
                    texts[row] = left
        if examples:
            batch = with_texts(batch, texts)
        return keeping(batch, dropped, counts=dict(sorted(counts.items())), examples=examples)

    def _hits(self, texts: Sequence[str]) -> Iterator[tuple[int, list[Hit]]]:
        """Rows with hits, ascending, and their hits by place."""
        index = ngram_index(
            self.evaluation, self.fields, self.words, self.fewest_words, self.most_texts
        )
        words = simplified_words(texts, numbers=False)
        found: dict[int, list[Hit]] = {}
        for length in index.runs:
            for row, hit in _matches(words, index, length, every=self.action == "cut"):
                found.setdefault(row, []).append(hit)
        for row in sorted(found):
            yield row, sorted(found[row], key=lambda hit: (hit.start, hit.stop))

    def _without(self, text: str, hits: list[Hit]) -> str | None:
        """The text without the hits and what surrounds them; None if it is to be dropped."""
        pieces, reached, cuts = [], 0, 0
        for hit in hits:
            start = max(hit.start - self.margin, 0)
            if start > reached or not cuts:
                pieces.append(text[reached : max(start, reached)])
                cuts += 1
            reached = max(reached, hit.stop + self.margin)
        pieces.append(text[reached:])
        kept = [piece.strip() for piece in pieces if len(piece.strip()) >= self.shortest_piece]
        if cuts > self.most_cuts or not any(kept):
            return None
        return "\n".join(kept)


def _matches(
    words: Words, index: NgramIndex, length: int, *, every: bool
) -> Iterator[tuple[int, Hit]]:
    """The places where n-grams of the index stand, compared word by word.

    All of them with `every`, else the first for each document and evaluation text.
    """
    known: set[tuple[int, int]] = set()
    ends = np.repeat(words.offsets[1:], np.diff(words.offsets))
    starts: Numbers = np.flatnonzero(np.arange(len(words.hashes)) + length <= ends)
    here, there = index.runs[length].find(span_hashes(words.hashes, starts, starts + length))
    for start, place in zip(starts[here].tolist(), there.tolist(), strict=True):
        row = int(np.searchsorted(words.offsets, start, side="right")) - 1
        owner = index.owner(length, place)
        if not every and (row, owner) in known:
            continue
        ngram = words.spelled(start, start + length)
        if ngram == index.spelled(length, place):
            known.add((row, owner))
            stop = int(words.stops[start + length - 1])
            yield row, Hit(int(words.starts[start]), stop, index.labels[owner], ngram)


def _example(row: int, text: str, hit: Hit, detail: str) -> Example:
    around = max(0, (_SHOWN_CHARACTERS - (hit.stop - hit.start)) // 2)
    before = text[max(0, hit.start - around) : hit.stop + around]
    return Example(row, "evaluation_overlap", before, f"cut: {detail}")
