"""Vocabulary control: how much of a text is written in the words of a list."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from lilliput.corpus.filters.inflections import base_forms
from lilliput.corpus.filters.validation import check_not_negative, read_lines, wrong
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of, with_column
from lilliput.errors import UserError

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MOST_MISSING = 50
_MOST_CACHED = 1 << 18


@dataclass(frozen=True)
class Vocabulary:
    """Adds `vocabulary_share`, the share of words in a list, and keeps texts above a share.

    words: file of the list, a word per line; capitals do not matter.
    least_share: smallest share of a text's words (runs of letters) that must be in the list.
    inflections: whether an English inflection of a listed word counts as listed ("walked").

    Counted are all words, those outside the list, and of the latter the 50 most frequent of each
    batch. A text without words has share 1.
    """

    words: str
    least_share: float = 0.95
    inflections: bool = True

    def __post_init__(self) -> None:
        check_not_negative(self, "least_share")
        if self.least_share > 1:
            raise wrong(self, "least_share", "is a share: at most 1")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        known = _known_words(self.words, self.inflections)
        dropped: list[Dropped] = []
        shares: list[float] = []
        missing = Counter[str]()
        total = 0
        for row, text in enumerate(texts_of(batch)):
            found = _WORD.findall(text)
            outside = [word.lower() for word in found if not known[word]]
            missing.update(outside)
            total += len(found)
            shares.append(1 - len(outside) / len(found) if found else 1.0)
            if shares[-1] < self.least_share:
                dropped.append(Dropped(row, "least_share", f"{shares[-1]:.1%} of the words"))
        batch = with_column(batch, "vocabulary_share", pa.array(shares, pa.float32()))
        counts = {"words": total, "words outside the list": missing.total()}
        frequent = sorted(missing.items(), key=lambda item: (-item[1], item[0]))[:_MOST_MISSING]
        counts |= {f"outside the list: {word}": count for word, count in frequent}
        return keeping(batch, dropped, counts=counts)


class _KnownWords(dict[str, bool]):
    """Whether words are in the list, remembered as they come; emptied when it is large."""

    def __init__(self, listed: frozenset[str], inflections: bool) -> None:
        super().__init__()
        self._listed = listed
        self._inflections = inflections

    def __missing__(self, word: str) -> bool:
        if len(self) >= _MOST_CACHED:
            self.clear()
        self[word] = known = self._is_known(word.lower().replace("’", "'"))
        return known

    def _is_known(self, word: str) -> bool:
        if word in self._listed:
            return True
        if "-" in word:
            return all(map(self._is_known, word.split("-")))
        return self._inflections and not self._listed.isdisjoint(base_forms(word))


@cache
def _known_words(path: str, inflections: bool) -> _KnownWords:
    listed = frozenset(line.lower().replace("’", "'") for line in read_lines(path))
    if not listed:
        raise UserError(f"the word list {path} holds no words")
    return _KnownWords(listed, inflections)
