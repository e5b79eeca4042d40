"""The memorisation audit: how much of given texts stands in the training text, and where.

For each text: the longest run of tokens that it shares with the training text, the share of its
n-grams found there, and the training chunks nearest to it. Runs and n-grams are exact, over the
whole split. Texts that no one trained on, such as a validation split's, give the rate to compare
with: phrases that everybody uses are found for them too (arXiv 2202.07646, 2107.06499).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError
from lilliput.progress import progress
from lilliput.tokens.folder import TokenSplit
from lilliput.tokens.neighbours import NeighbourIndex
from lilliput.tokens.ngrams import MISSING, ngram_hashes

Ids = npt.NDArray[np.int64]

_TOKENS_AT_ONCE = 1 << 20
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class NearChunk:
    """A training chunk near to a text: its document, where in it, and the cosine of their keys."""

    document: int
    start: int
    similarity: float


@dataclass(frozen=True)
class CopiedRun:
    """A run of tokens that a text shares with a training document, and where it is in both."""

    length: int
    start: int
    document: int
    document_start: int


@dataclass(frozen=True)
class TextAudit:
    """What of one text stands in the training text.

    `longest` is None where no run has at least the n-gram's length.
    """

    tokens: int
    ngrams: int
    ngrams_found: int
    longest: CopiedRun | None
    nearest: tuple[NearChunk, ...]


@dataclass(frozen=True)
class MemorisationAudit:
    """The audits of some texts, by n-grams of `ngram` tokens."""

    ngram: int
    texts: tuple[TextAudit, ...]

    @property
    def share_found(self) -> float:
        """The share of all n-grams of all texts that stand in the training text; 0 for none."""
        total = sum(text.ngrams for text in self.texts)
        return sum(text.ngrams_found for text in self.texts) / total if total else 0.0

    @property
    def longest_run(self) -> int:
        """Tokens of the longest run of any text; 0 if none has the n-gram's length."""
        return max((text.longest.length for text in self.texts if text.longest), default=0)

    def share_with_run(self, length: int) -> float:
        """The share of the texts with a run of at least so many tokens."""
        longest = [text.longest.length for text in self.texts if text.longest]
        return sum(run >= length for run in longest) / max(1, len(self.texts))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        sums = {"share_found": self.share_found, "longest_run": self.longest_run}
        return {**asdict(self), **sums}


def audit_memorisation(
    texts: Sequence[Sequence[int]],
    split: TokenSplit,
    *,
    ngram: int = 8,
    index: NeighbourIndex | None = None,
    nearest: int = 3,
) -> MemorisationAudit:
    """Audit texts, given as ids of the split's tokenizer and without its end-of-text.

    A run shorter than `ngram` tokens counts as none: everybody's phrases are that long. With an
    index of the split, the `nearest` chunks are found too. Raises UserError if there is no text or
    `ngram` is below 1.
    """
    if not texts:
        raise UserError("there is no text to audit")
    if ngram < 1:
        raise UserError(f"n-grams of {ngram} tokens: n must be at least 1")
    audits: list[TextAudit] = []
    with progress("Auditing", total=len(texts), unit="texts") as advance:
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            group = [
                np.array(text, dtype=np.int64) for text in texts[first : first + _TEXTS_AT_ONCE]
            ]
            audits += _audit_group(group, split, ngram, index, nearest)
            advance(len(group))
    return MemorisationAudit(ngram, tuple(audits))


def _audit_group(
    texts: Sequence[Ids], split: TokenSplit, ngram: int, index: NeighbourIndex | None, nearest: int
) -> Iterator[TextAudit]:
    grams = _grams_of(texts, ngram)
    found = np.zeros(len(grams.hashes), dtype=np.bool_)
    longest: dict[int, tuple[int, int, int]] = {}
    for begin, ids in _stretches(split, max(map(len, texts))):
        places, matched = _matches(ids, grams, texts, ngram)
        found[matched] = True
        runs = _longest_runs(grams.texts[matched], grams.starts[matched], places, ngram)
        for number, (length, start, place) in runs.items():
            if length > longest.get(number, (0, 0, 0))[0]:
                longest[number] = length, start, begin + place
    for number, text in enumerate(texts):
        own = grams.texts == number
        run = longest.get(number)
        yield TextAudit(
            tokens=len(text),
            ngrams=int(own.sum()),
            ngrams_found=int(found[own].sum()),
            longest=None if run is None else CopiedRun(run[0], run[1], *_located(split, run[2])),
            nearest=() if index is None else _nearest(index, text, nearest),
        )


class _Grams(NamedTuple):
    """The n-grams of some texts, ordered by hash: in which text each is, and where."""

    hashes: npt.NDArray[np.uint64]
    texts: Ids
    starts: Ids


def _grams_of(texts: Sequence[Ids], ngram: int) -> _Grams:
    hashes = [ngram_hashes(text[None], ngram)[0][0] for text in texts]
    counts = [len(one) for one in hashes]
    together = np.concatenate(hashes)
    order = np.argsort(together, kind="stable")
    numbers = np.repeat(np.arange(len(texts)), counts)
    starts = np.concatenate([np.arange(count) for count in counts])
    return _Grams(together[order], numbers[order], starts[order])


def _stretches(split: TokenSplit, overlap: int) -> Iterator[tuple[int, Ids]]:
    """The stream, some at a time; each stretch repeats so much that no run of a text is cut."""
    for start in range(0, split.tokens, _TOKENS_AT_ONCE):
        stop = min(split.tokens, start + _TOKENS_AT_ONCE + overlap)
        yield start, split.read(start, stop).astype(np.int64)


def _matches(ids: Ids, grams: _Grams, texts: Sequence[Ids], ngram: int) -> tuple[Ids, Ids]:
    """Every n-gram that the stretch ids [S] and a text share: place in ids, number in `grams`."""
    hashes = ngram_hashes(ids[None], ngram)[0][0]
    first = np.searchsorted(grams.hashes, hashes, side="left")
    # Most of the stretch is in no text: the second search is for the others alone.
    hit = (
        np.flatnonzero(grams.hashes[np.minimum(first, len(grams.hashes) - 1)] == hashes)
        if len(grams.hashes)
        else np.empty(0, dtype=np.int64)
    )
    counts = np.searchsorted(grams.hashes, hashes[hit], side="right") - first[hit]
    places = np.repeat(hit, counts)
    within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    matched = np.repeat(first[hit], counts) + within
    return _equal_only(ids, places, matched, grams, texts, ngram)


def _equal_only(
    ids: Ids, places: Ids, matched: Ids, grams: _Grams, texts: Sequence[Ids], ngram: int
) -> tuple[Ids, Ids]:
    """Without those whose hash alone is equal."""
    bounds = np.cumsum([0, *map(len, texts)])
    stream = np.concatenate(texts)
    at = bounds[grams.texts[matched]] + grams.starts[matched]
    equal = np.ones(len(places), dtype=np.bool_)
    for offset in range(ngram):
        equal &= ids[places + offset] == stream[at + offset]
    return places[equal], matched[equal]


def _longest_runs(
    texts: Ids, starts: Ids, places: Ids, ngram: int
) -> dict[int, tuple[int, int, int]]:
    """For each text the longest run that matching n-grams make: length, beginnings in both.

    n-grams that follow each other in text and stretch alike are one run. Of equally long runs it is
    the first in the stretch.
    """
    if not len(places):
        return {}
    order = np.lexsort((places, places - starts, texts))
    texts, starts, places = texts[order], starts[order], places[order]
    begins = np.ones(len(places), dtype=np.bool_)
    begins[1:] = (
        (texts[1:] != texts[:-1])
        | (starts[1:] != starts[:-1] + 1)
        | (places[1:] != places[:-1] + 1)
    )
    first = np.flatnonzero(begins)
    lengths = np.diff(first, append=len(places)) + ngram - 1
    best: dict[int, tuple[int, int, int]] = {}
    for run in np.lexsort((places[first], -lengths)).tolist():
        at = first[run]
        best.setdefault(int(texts[at]), (int(lengths[run]), int(starts[at]), int(places[at])))
    return best


def _located(split: TokenSplit, place: int) -> tuple[int, int]:
    """The document of a place in the stream, and the place in it, its end-of-text not counted."""
    document = int(np.searchsorted(split.document_starts, place, side="right")) - 1
    return document, place - int(split.document_starts[document]) - 1


def _nearest(index: NeighbourIndex, text: Ids, count: int) -> tuple[NearChunk, ...]:
    """The chunks nearest to any stretch of a text, if they share anything; stretches overlap."""
    length = index.chunk_length
    begins = range(0, max(1, len(text) - length // 2), max(1, length // 2))
    chunks = np.full((len(begins), length), MISSING, dtype=np.int64)
    for row, begin in enumerate(begins):
        part = text[begin : begin + length]
        chunks[row, : len(part)] = part
    found = index.nearest(chunks, count)
    similarity: dict[int, float] = {}
    for number, near in zip(found.numbers.flat, found.similarities.flat, strict=True):
        if number != MISSING and near > 0:
            similarity[int(number)] = max(float(near), similarity.get(int(number), -1.0))
    ranked = sorted(similarity.items(), key=lambda pair: (-pair[1], pair[0]))[:count]
    return tuple(
        NearChunk(*_located_chunk(index, number), round(near, 4)) for number, near in ranked
    )


def _located_chunk(index: NeighbourIndex, number: int) -> tuple[int, int]:
    start, _, document = index.places[number].tolist()
    return document, start - int(index.split.document_starts[document])
