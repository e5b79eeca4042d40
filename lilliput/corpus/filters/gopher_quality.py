"""Gopher's quality rules (arXiv 2112.11446, appendix A): is it running text."""

from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from lilliput.corpus.filters.text_statistics import WordCounts, word_counts
from lilliput.corpus.filters.validation import (
    check_in_order,
    check_not_negative,
    check_words,
    wrong,
)
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of

_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_BULLETS = ("•", "-")
_ELLIPSES = ("...", "…")


@dataclass(frozen=True)
class GopherQuality:
    """Drops documents that break one of Gopher's rules; the first in this order is named.

    Words of punctuation or control characters alone count only where it says "all words".

    fewest_words, most_words: bounds of the number of words.
    shortest_mean_word, longest_mean_word: bounds of the words' mean length in characters.
    most_hashes: number signs, by all words.
    most_ellipses: "..." and "…", by all words.
    most_bullet_lines: share of lines that begin with "•" or "-".
    most_ellipsis_lines: share of lines that end with "..." or "…".
    fewest_words_with_letters: smallest share of all words with at least one letter.
    fewest_stop_words: how many different ones of `stop_words` must stand in the text, as they are.

    An upper bound of infinity, or a lower one of 0, turns its rule off.
    """

    fewest_words: int = 50
    most_words: float = 100_000
    shortest_mean_word: float = 3.0
    longest_mean_word: float = 10.0
    most_hashes: float = 0.1
    most_ellipses: float = 0.1
    most_bullet_lines: float = 0.9
    most_ellipsis_lines: float = 0.3
    fewest_words_with_letters: float = 0.8
    fewest_stop_words: int = 2
    stop_words: tuple[str, ...] = _STOP_WORDS

    def __post_init__(self) -> None:
        check_not_negative(self, *(set(self.__dataclass_fields__) - {"stop_words"}))
        check_in_order(self, "fewest_words", "most_words")
        check_in_order(self, "shortest_mean_word", "longest_mean_word")
        check_words(self, "stop_words")
        if any(len(word.split()) > 1 for word in self.stop_words):
            raise wrong(self, "stop_words", "must be single words")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        texts = texts_of(batch)
        dropped = [
            Dropped(row, *broken)
            for row, (text, counts) in enumerate(zip(texts, word_counts(texts), strict=True))
            if (broken := self._broken(text, counts))
        ]
        return keeping(batch, dropped)

    def _broken(self, text: str, counts: WordCounts) -> tuple[str, str] | None:
        if counts.proper < self.fewest_words:
            return "fewest_words", f"{counts.proper} words"
        if counts.proper > self.most_words:
            return "most_words", f"{counts.proper} words"
        if counts.proper:
            mean = counts.characters / counts.proper
            if mean < self.shortest_mean_word:
                return "shortest_mean_word", f"{mean:.2f} characters"
            if mean > self.longest_mean_word:
                return "longest_mean_word", f"{mean:.2f} characters"
        if not counts.words:
            return self._broken_stop_words(text)

        hashes = text.count("#")
        if hashes / counts.words > self.most_hashes:
            return "most_hashes", f"{hashes} in {counts.words} words"
        ellipses = sum(map(text.count, _ELLIPSES))
        if ellipses / counts.words > self.most_ellipses:
            return "most_ellipses", f"{ellipses} in {counts.words} words"
        if broken := self._broken_lines(text, ellipses):
            return broken
        share = counts.with_letter / counts.words
        if share < self.fewest_words_with_letters:
            return "fewest_words_with_letters", f"{share:.1%} of the words"
        return self._broken_stop_words(text)

    def _broken_lines(self, text: str, ellipses: int) -> tuple[str, str] | None:
        # Each bullet or ellipsis stands in one line at most, and each line break ends a line.
        fewest_lines = max(1, text.count("\n"))
        marks = sum(map(text.count, _BULLETS))
        if marks > self.most_bullet_lines * fewest_lines:
            lines = text.splitlines()
            share = sum(line.lstrip().startswith(_BULLETS) for line in lines) / len(lines)
            if share > self.most_bullet_lines:
                return "most_bullet_lines", f"{share:.1%} of the lines"
        if ellipses > self.most_ellipsis_lines * fewest_lines:
            lines = text.splitlines()
            share = sum(line.rstrip().endswith(_ELLIPSES) for line in lines) / len(lines)
            if share > self.most_ellipsis_lines:
                return "most_ellipsis_lines", f"{share:.1%} of the lines"
        return None

    def _broken_stop_words(self, text: str) -> tuple[str, str] | None:
        fewest, stop_words = self.fewest_stop_words, dict.fromkeys(self.stop_words)
        between_spaces = (word for word in stop_words if f" {word} " in text)
        if len(list(islice(between_spaces, fewest))) == fewest:
            return None
        found = len(stop_words.keys() & text.split())
        if found >= fewest:
            return None
        return "fewest_stop_words", f"{found} of {len(stop_words)}"
