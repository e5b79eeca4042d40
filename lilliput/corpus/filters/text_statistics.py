"""What several filters ask of a text, worked out once: its words, as numbers.

Texts are looked at in blocks of some 100 kB, whole blocks at a time with NumPy, so that neither a
string per word is made nor a short text pays for array calls of its own. Counts are kept for the
latest texts, keyed by the text: the next filter of a chain finds them.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from lilliput.corpus.filters.characters import (
    LETTER,
    NOT_PUNCTUATION,
    SPACE,
    kinds_of_characters,
)

BLOCK_CHARACTERS = 1 << 17
_REMEMBERED_CHARACTERS = 1 << 23

# Any odd number has an inverse modulo 2**64; this one spreads bits well.
_BASE = 0x9E3779B97F4A7C15
_MODULUS = 1 << 64
_INVERSE = pow(_BASE, -1, _MODULUS)
# Powers kept in a table; a longer text takes them from two.
_POWERS = 1 << 18


@dataclass(frozen=True, slots=True)
class WordCounts:
    """Counts of one text's whitespace-delimited words.

    `proper` words hold at least one character that is neither punctuation nor a control character;
    `characters` is how many characters the proper words have together.
    """

    words: int
    proper: int
    characters: int
    with_letter: int


@dataclass(frozen=True)
class WordBlock:
    """The words of a run of texts, one after the other.

    texts: the texts' numbers in the sequence asked about, int64[texts]
    first: each text's first word, and at the end the number of words, int64[texts + 1]
    lengths: characters of each word, int64[words]
    letters: characters of all words before each, int64[words + 1]
    codes: the block's characters, uint8 or uint32[characters]
    inside: which characters are no white space, bool[characters]
    starts: each word's first character in `codes`, int64[words]
    """

    texts: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]
    codes: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
    inside: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]

    def prefix_hashes(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Polynomial hashes modulo 2**64 of the words written together, white space left out.

        Returns (sums, inverses), uint64[words + 1] each: `(sums[j] - sums[i]) * inverses[i]` is a
        hash of the characters of words i to j - 1 and of nothing else.
        """
        terms = self.codes.astype(np.uint64)
        terms *= self.inside  # white space adds nothing
        powers = _first_powers(_BASE)
        for begin in range(0, len(terms), _POWERS):
            part = terms[begin : begin + _POWERS]
            part *= powers[: len(part)]
            part *= np.uint64(pow(_BASE, begin, _MODULUS))
        # A word's sum is what the running sum gains from the last word's end to its own.
        np.cumsum(terms, out=terms)
        words = np.diff(terms[self.starts + self.lengths - 1], prepend=np.uint64(0))
        words *= _powers(_INVERSE, self.starts - self.letters[:-1])
        sums = np.zeros(len(words) + 1, np.uint64)
        np.cumsum(words, out=sums[1:])
        return sums, _powers(_INVERSE, self.letters)


def word_blocks(texts: Sequence[str]) -> Iterator[WordBlock]:
    """The words of `texts`, block by block; the counts of each are remembered."""
    for numbers in _blocks(texts):
        yield _analyse([texts[number] for number in numbers], numbers)


def word_counts(texts: Sequence[str]) -> list[WordCounts]:
    """The counts of each text, from memory where they are known."""
    found = [_memory.get(text) for text in texts]
    missing = [number for number, counts in enumerate(found) if counts is None]
    unknown = [texts[number] for number in missing]
    for numbers in _blocks(unknown):
        block = [unknown[number] for number in numbers]
        _analyse(block, numbers)
        for number, text in zip(numbers, block, strict=True):
            found[missing[number]] = _memory.get(text)
    return [counts for counts in found if counts is not None]


class _Memory(threading.local):
    """The counts of the latest texts, at most twice _REMEMBERED_CHARACTERS of them."""

    def __init__(self) -> None:
        self._latest: dict[str, WordCounts] = {}
        self._before: dict[str, WordCounts] = {}
        self._characters = 0

    def get(self, text: str) -> WordCounts | None:
        counts = self._latest.get(text)
        return self._before.get(text) if counts is None else counts

    def put(self, text: str, counts: WordCounts) -> None:
        if self._characters > _REMEMBERED_CHARACTERS:
            self._before, self._latest, self._characters = self._latest, {}, 0
        self._latest[text] = counts
        self._characters += len(text)


_memory = _Memory()


def _blocks(texts: Sequence[str]) -> Iterator[range]:
    """Runs of texts of about BLOCK_CHARACTERS each; a longer text is a block of its own."""
    begin, characters = 0, 0
    for number, text in enumerate(texts):
        if number > begin and characters + len(text) > BLOCK_CHARACTERS:
            yield range(begin, number)
            begin, characters = number, 0
        characters += len(text)
    if begin < len(texts):
        yield range(begin, len(texts))


def _analyse(texts: Sequence[str], numbers: range) -> WordBlock:
    joined = "\n".join(("", *texts, ""))
    codes: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
    if joined.isascii():
        codes = np.frombuffer(joined.encode("ascii"), np.uint8)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = np.take(kinds_of_characters(), codes, mode="clip")  # "clip" is the fastest
    inside = (kinds & SPACE) == 0
    # The block begins and ends with white space, so each word has both edges.
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    lengths = ends - starts
    letters = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=letters[1:])

    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    first = np.searchsorted(starts, np.concatenate(([0], np.cumsum(sizes + 1))))
    _remember(texts, _kinds_of_words(kinds, starts, ends), lengths, first)
    return WordBlock(
        np.arange(numbers.start, numbers.stop), first, lengths, letters, codes, inside, starts
    )


def _kinds_of_words(
    kinds: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """The kinds of all characters of each word together."""
    words: npt.NDArray[np.uint8] = kinds[starts]
    # Most words begin with a letter, which says it all; the others are looked at whole.
    others = np.flatnonzero(words != (LETTER | NOT_PUNCTUATION))
    if len(others):
        edges = np.stack((starts[others], ends[others]), axis=1).ravel()
        words[others] = np.bitwise_or.reduceat(kinds, edges)[::2]
    return words


def _remember(
    texts: Sequence[str],
    kinds: npt.NDArray[np.uint8],
    lengths: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
) -> None:
    def per_text(values: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> list[int]:
        sums = np.zeros(len(values) + 1, np.int64)
        np.cumsum(values, out=sums[1:])
        counted: list[int] = (sums[first[1:]] - sums[first[:-1]]).tolist()
        return counted

    proper = (kinds & NOT_PUNCTUATION) != 0
    rows = zip(
        texts,
        np.diff(first).tolist(),
        per_text(proper),
        per_text(lengths * proper),
        per_text((kinds & LETTER) != 0),
        strict=True,
    )
    for text, *counts in rows:
        _memory.put(text, WordCounts(*counts))


def _powers(base: int, exponents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """base ** exponent modulo 2**64, uint64 of the same shape; exponents ascend."""
    powers: npt.NDArray[np.uint64] = _first_powers(base)[exponents % _POWERS]
    if len(exponents) and exponents[-1] >= _POWERS:
        steps = range(int(exponents[-1]) // _POWERS + 1)
        of_steps = [pow(base, step * _POWERS, _MODULUS) for step in steps]
        powers *= np.array(of_steps, np.uint64)[exponents // _POWERS]
    return powers


@cache
def _first_powers(base: int) -> npt.NDArray[np.uint64]:
    """base ** i modulo 2**64 for i < _POWERS."""
    powers = np.ones(_POWERS, np.uint64)
    done = 1
    while done < _POWERS:
        powers[done : 2 * done] = powers[:done] * np.uint64(pow(base, done, _MODULUS))
        done *= 2
    return powers
