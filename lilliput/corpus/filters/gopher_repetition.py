"""Gopher's repetition rules (arXiv 2112.11446, Table A1): how much of a text says itself again."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lilliput.corpus.filters.text_statistics import WordBlock, word_blocks
from lilliput.corpus.filters.validation import check_not_negative
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of

_TOP = (2, 3, 4)
_DUPLICATED = (5, 6, 7, 8, 9, 10)
# Slots of the tables that stand for sets of n-grams, per n-gram.
_SLOTS_PER_NGRAM = 8
_MIX, _SALT = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)

_Exact: TypeAlias = Callable[[Sequence[str], int, Sequence[int]], int]
_Numbers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GopherRepetition:
    """Drops documents in which too much is repeated; each setting is the largest share allowed.

    The rules are tried in the order of the fields, and the first that is broken is named. A share
    of infinity turns a rule off. Every occurrence after the first counts as duplicated; shares of
    characters are of all characters of the text, white space too. Paragraphs are divided by empty
    lines, lines by line breaks.

    top_Ngram_characters: characters of the most frequent N-gram (its first form if several are)
        times how often it occurs, by all characters.
    duplicated_Ngram_characters: characters of N-grams seen before, read from left to right, where
        a repeated N-gram is passed over whole, by all characters.
    """

    duplicated_paragraphs: float = 0.30
    duplicated_paragraph_characters: float = 0.20
    duplicated_lines: float = 0.30
    duplicated_line_characters: float = 0.20
    top_2gram_characters: float = 0.20
    top_3gram_characters: float = 0.18
    top_4gram_characters: float = 0.16
    duplicated_5gram_characters: float = 0.15
    duplicated_6gram_characters: float = 0.14
    duplicated_7gram_characters: float = 0.13
    duplicated_8gram_characters: float = 0.12
    duplicated_9gram_characters: float = 0.11
    duplicated_10gram_characters: float = 0.10

    def __post_init__(self) -> None:
        check_not_negative(self, *self.__dataclass_fields__)

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        texts = texts_of(batch)
        broken: dict[int, tuple[str, str]] = {}
        for row, text in enumerate(texts):
            if found := self._repeated_lines(text):
                broken[row] = found
        rows = [row for row in range(len(texts)) if row not in broken]
        for number, found in self._repeated_ngrams([texts[row] for row in rows]):
            broken[rows[number]] = found
        return keeping(batch, [Dropped(row, *broken[row]) for row in sorted(broken)])

    def _repeated_lines(self, text: str) -> tuple[str, str] | None:
        """The rule about paragraphs or lines that the text breaks, with the measure."""
        if not text:
            return "empty", ""
        for kind, parts in (("paragraph", _paragraphs(text)), ("line", _lines(text))):
            distinct = set(parts)
            count = len(parts) - len(distinct)
            if not count:
                continue
            characters = sum(map(len, parts)) - sum(map(len, distinct))
            for rule, share, what in (
                (f"duplicated_{kind}s", count / len(parts), f"{kind}s"),
                (f"duplicated_{kind}_characters", characters / len(text), "characters"),
            ):
                if share > getattr(self, rule):
                    return rule, f"{share:.1%} of the {what}"
        return None

    def _repeated_ngrams(self, texts: Sequence[str]) -> Iterator[tuple[int, tuple[str, str]]]:
        """Each text's number that breaks a rule about n-grams, with the rule and the measure.

        Hashes give an upper bound for each text and rule; where it is crossed, the strings decide.
        """
        rules: list[tuple[int, str, _Exact]] = [
            *((size, f"top_{size}gram_characters", _top_characters) for size in _TOP),
            *(
                (size, f"duplicated_{size}gram_characters", _duplicated_characters)
                for size in _DUPLICATED
            ),
        ]
        for block in word_blocks(texts):
            sizes = np.array([len(texts[number]) for number in block.texts.tolist()])
            bounds = _Bounds(block)
            suspects: dict[int, list[tuple[str, int, _Exact, list[int]]]] = {}
            for size, rule, exact in rules:
                bound_of = bounds.top if exact is _top_characters else bounds.duplicated
                bound, places = bound_of(size)
                for text in np.flatnonzero(bound / sizes > getattr(self, rule)).tolist():
                    begin, end = block.first[text : text + 2]
                    own = places[slice(*np.searchsorted(places, (begin, end)))] - begin
                    suspects.setdefault(text, []).append((rule, size, exact, own.tolist()))
            for text, suspected in suspects.items():
                number = int(block.texts[text])
                words = texts[number].split()
                for rule, size, exact, own in suspected:
                    share = exact(words, size, own) / len(texts[number])
                    if share > getattr(self, rule):
                        yield number, (rule, f"{share:.1%} of the characters")
                        break


def _paragraphs(text: str) -> list[str]:
    """What is left between runs of two and more line breaks, in the text without its edges."""
    text = text.strip()
    if "\n\n" not in text:
        return [text]
    parts = text.split("\n\n")
    # A run of three and more leaves its rest at the head of the next part.
    return [part for part in (part.lstrip("\n") for part in parts) if part] or [""]


def _lines(text: str) -> list[str]:
    """What is left between runs of line breaks; an empty part where the text begins or ends so."""
    lines = [line for line in text.split("\n") if line]
    if text[0] == "\n":
        lines.insert(0, "")
    if text[-1] == "\n":
        lines.append("")
    return lines


def _top_characters(words: Sequence[str], size: int, places: Sequence[int]) -> int:
    """Characters of the most frequent n-gram, spaces included, times its count.

    All n-grams that occur twice begin at `places` (ascending), and perhaps others.
    """
    if len(words) < size:
        return 0
    last = len(words) - size
    ngrams = Counter(" ".join(words[place : place + size]) for place in places if place <= last)
    top = max(ngrams, key=ngrams.__getitem__, default="")
    if ngrams[top] < 2:  # the first is the most frequent
        return len(" ".join(words[:size]))
    return len(top) * ngrams[top]


def _duplicated_characters(words: Sequence[str], size: int, places: Sequence[int]) -> int:
    """Characters of n-grams seen before, spaces left out.

    All n-grams that occur twice begin at `places` (ascending), and perhaps others. As in FineWeb's
    code, an n-gram is known by its words written together.
    """
    seen = set[str]()
    characters, start = 0, 0
    for place in places:
        if place < start or place > len(words) - size:
            continue
        ngram = "".join(words[place : place + size])
        if ngram in seen:
            characters += len(ngram)
            start = place + size
        else:
            seen.add(ngram)
    return characters


class _Bounds:
    """Upper bounds of what the exact functions find in each text of a block, int64[texts], and the
    words of the block at which n-grams begin that may occur twice in their text, ascending.

    n-grams are told apart by hashes alone, and those at a text's end run on into the next text.
    Both make the bounds larger, never smaller.
    """

    def __init__(self, block: WordBlock) -> None:
        self._letters = block.letters
        self._first = block.first
        self._sums, self._inverses = block.prefix_hashes()
        self._text_of_word = np.repeat(np.arange(len(block.texts)), np.diff(block.first))
        self._salts = self._text_of_word.astype(np.uint64) * _SALT
        self._shift = np.uint64(64 - max(8, (_SLOTS_PER_NGRAM * len(self._salts)).bit_length()))
        self._table = np.empty(1 << (64 - int(self._shift)), np.int32)

    def top(self, size: int) -> tuple[_Numbers, _Numbers]:
        """Of `_top_characters`: the largest product of a length and a count."""
        bounds = np.zeros(len(self._first) - 1, np.int64)
        windows = len(self._letters) - size
        if windows < 1:
            return bounds, bounds[:0]
        slots = self._slots(self._hashes(size))
        counts = np.bincount(slots)[slots]
        products = np.zeros(len(self._letters) - 1, np.int64)
        products[:windows] = self._letters[size:] - self._letters[:windows] + (size - 1)
        products[:windows] *= counts
        filled = np.flatnonzero(np.diff(self._first))
        bounds[filled] = np.maximum.reduceat(products, self._first[filled])
        return bounds, np.flatnonzero(counts > 1)

    def duplicated(self, size: int) -> tuple[_Numbers, _Numbers]:
        """Of `_duplicated_characters`: what all repeated n-grams cover together."""
        texts = len(self._first) - 1
        if len(self._letters) - size < 1:
            return np.zeros(texts, np.int64), np.zeros(0, np.int64)
        begins, places = self._repeated(self._hashes(size))
        text = self._text_of_word[begins]
        ends = np.minimum(begins + size, self._first[text + 1])
        begins[1:] = np.maximum(begins[1:], ends[:-1])
        covered = self._letters[ends] - self._letters[begins]
        return np.bincount(text, covered, texts).astype(np.int64), places

    def _hashes(self, size: int) -> npt.NDArray[np.uint64]:
        hashes = self._sums[size:] - self._sums[:-size]
        hashes *= self._inverses[:-size]
        hashes += self._salts[: len(hashes)]
        return hashes

    def _slots(self, hashes: npt.NDArray[np.uint64]) -> _Numbers:
        slots: _Numbers = ((hashes * _MIX) >> self._shift).view(np.int64)
        return slots

    def _repeated(self, hashes: npt.NDArray[np.uint64]) -> tuple[_Numbers, _Numbers]:
        """The positions whose hash, it seems, stood at an earlier one; and those with the earlier
        ones; both ascending.

        A table holds the first position of each slot. Who finds another than himself there is a
        repetition or shares the slot by chance; a second round with other slots, among those
        alone, leaves few of the latter.
        """
        places = np.arange(len(hashes), dtype=np.int32)
        others = self._first_in_slot(places, self._slots(hashes))
        later = others != places
        either = np.zeros(len(hashes), np.bool_)
        either[later] = True
        either[others[later]] = True
        places = places[either]
        others = self._first_in_slot(places, self._slots(hashes[places] * _SALT))
        later = others != places
        either[:] = False
        either[places[later]] = True
        either[others[later]] = True
        return places[later].astype(np.int64), np.flatnonzero(either)

    def _first_in_slot(
        self, places: npt.NDArray[np.int32], slots: _Numbers
    ) -> npt.NDArray[np.int32]:
        # Of several values for one place NumPy assigns the last: backwards, the first.
        self._table[slots[::-1]] = places[::-1]
        return self._table[slots]
