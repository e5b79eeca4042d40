"""Readability: the Flesch-Kincaid grade (Kincaid et al. 1975), for English."""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import isinf

import pyarrow as pa

from lilliput.corpus.filters.validation import check_not_negative
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of, with_column

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# A word at a sentence's end, with what closes after the mark; neither "..." alone nor "1.".
_LAST_WORD = re.compile(r"""(?!\d{1,2}\.$)(?=.*\w).*[.!?…]["'”’»)\]]*""")
_EMPTY_LINE = re.compile(r"\n\s*\n")
# What a piece between white space adds: words, syllables and sentences, side by side in one number.
_SYLLABLES, _SENTENCES = 1 << 40, 1 << 80
_VOWELS = re.compile(r"[aeiouyàáâäæèéêëìíîïòóôöøœùúûüý]+")
# Two vowels side by side that are spoken apart, and endings with a vowel nobody writes.
_APART = re.compile(
    r"(?<![cgqst])ia|(?<=[st])ia(?!l|n)|(?<![cgstxln])io|iu|eo(?!u|n\b|p)|(?<![gq])ua(?!r[dn])"
    r"|(?<=[aeouy])ing|[^aeiou]iet|[ao]y[aei]|eyo|idea|area|ism\b|scie|quie|crea(?=t)|thms?\b"
)
# One written e that is not spoken: at the end, before an ending, or inside a compound.
_SILENT = re.compile(
    r"(?:[^aeiouyl]|[aeiouyr]l)e$|[^aeiouscxzgylh]es$|[aeiouyr]les$|[tp]hes$|[^aeiouytdl]ed$"
    r"|[aeiouyrl]led$|[^aeiouyl]e(?:ful|ly|less|ments?)$|^(?:some|every|there|fore)[a-z]"
)
_MOST_CACHED = 1 << 18


@dataclass(frozen=True)
class Readability:
    """Adds `grade`, the Flesch-Kincaid grade (school years), and keeps texts up to a grade.

    most_grade: the highest grade allowed; infinity: every document stays.

    A text without words has no grade (null), and goes unless every document stays.
    """

    most_grade: float = 8.0

    def __post_init__(self) -> None:
        check_not_negative(self, "most_grade")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        grades = [flesch_kincaid_grade(text) for text in texts_of(batch)]
        dropped = [
            Dropped(row, *broken)
            for row, grade in enumerate(grades)
            if (broken := self._broken(grade))
        ]
        return keeping(with_column(batch, "grade", pa.array(grades, pa.float32())), dropped)

    def _broken(self, grade: float | None) -> tuple[str, str] | None:
        if isinf(self.most_grade):
            return None
        if grade is None:
            return "no_words", ""
        return ("most_grade", f"grade {grade:.1f}") if grade > self.most_grade else None


def flesch_kincaid_grade(text: str) -> float | None:
    """0.39 words per sentence + 11.8 syllables per word - 15.59; None for a text without words.

    A word is a run of letters. A sentence ends at . ! ? … before white space, and at an empty
    line.
    """
    total = 0
    for paragraph in _EMPTY_LINE.split(text):
        pieces = paragraph.split()
        if pieces:
            total += sum(map(_measures.__getitem__, pieces))
            if _measures[pieces[-1]] < _SENTENCES:
                total += _SENTENCES
    words = total % _SYLLABLES
    syllables = total % _SENTENCES // _SYLLABLES
    sentences = total // _SENTENCES
    if not words:
        return None
    return 0.39 * words / sentences + 11.8 * syllables / words - 15.59


def count_syllables(word: str) -> int:
    """Syllables of an English word by its vowel groups; at least 1."""
    word = word.lower().partition("'")[0].partition("’")[0]
    count = len(_VOWELS.findall(word)) + len(_APART.findall(word))
    if count > 1 and _SILENT.search(word):
        count -= 1
    return max(count, 1)


class _Measures(dict[str, int]):
    """What the pieces met so far add, emptied when it is large."""

    def __missing__(self, piece: str) -> int:
        if len(self) >= _MOST_CACHED:
            self.clear()
        words = _WORD.findall(piece.lower())
        measure = len(words) + sum(map(_syllables_of, words)) * _SYLLABLES
        if _LAST_WORD.fullmatch(piece):
            measure += _SENTENCES
        self[piece] = measure
        return measure


_measures = _Measures()
_syllables_of = lru_cache(_MOST_CACHED)(count_syllables)
