"""Numbers that say what a document is like: what the filters judge by, and some more.

Words are whitespace-delimited, as the papers have them. Each metric is one number per document; a
share is from 0 to 1; what cannot be said of a document (words per sentence of no words) is 0.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lilliput.corpus.filters.machine_phrases import machine_phrases
from lilliput.corpus.filters.readability import flesch_kincaid_grade
from lilliput.corpus.quality.ngrams import grams_of, words_of

_STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_FUNCTION_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "had", "has", "have",
    "he", "her", "his", "i", "in", "is", "it", "its", "not", "of", "on", "or", "she", "that",
    "the", "their", "they", "this", "to", "was", "we", "were", "which", "who", "with", "you",
))  # fmt: skip
_ENDS = (".", "!", "?", '"', "”", "’", "'", "…", "。", "！", "？")
_POLICIES = ("javascript", "terms of use", "privacy policy", "cookie policy", "cookies")
_SENTENCE_END = re.compile(r"[.!?…。！？]+(?=[\s\"'”’)\]]|$)")
_LETTER = re.compile(r"[^\W\d_]")
_ADDRESS = re.compile(r"https?://|www\.")
_SHORT_LINE = 30
_GRAM_BITS = 40
_SOME_WORDS = 500  # the share of different words falls with length: it is taken of the first ones


class DocumentFacts:
    """A text, and what several metrics ask of it, each worked out once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.characters = max(1, len(text))

    @cached_property
    def words(self) -> list[str]:
        return self.text.split()

    @cached_property
    def word_count(self) -> int:
        return max(1, len(self.words))

    @cached_property
    def word_lengths(self) -> list[int]:
        return list(map(len, self.words))

    @cached_property
    def kinds(self) -> Counter[str]:
        return Counter(self.text)

    @cached_property
    def lines(self) -> list[str]:
        return [line for line in map(str.strip, self.text.split("\n")) if line]

    @cached_property
    def line_count(self) -> int:
        return max(1, len(self.lines))

    @cached_property
    def paragraphs(self) -> list[str]:
        return [part for part in re.split(r"\n{2,}", self.text.strip()) if part]

    @cached_property
    def lowered(self) -> str:
        return self.text.lower()

    @cached_property
    def sentences(self) -> int:
        return max(1, len(_SENTENCE_END.findall(self.text)))

    @cached_property
    def letters(self) -> int:
        return sum(count for character, count in self.kinds.items() if character.isalpha())

    @cached_property
    def capitals(self) -> int:
        return sum(count for character, count in self.kinds.items() if character.isupper())

    def share(self, is_of_kind: Callable[[str], bool]) -> float:
        """The share of characters of a kind."""
        wanted = sum(count for character, count in self.kinds.items() if is_of_kind(character))
        return wanted / self.characters

    def line_share(self, is_of_kind: Callable[[str], bool]) -> float:
        """The share of lines of a kind."""
        return sum(map(is_of_kind, self.lines)) / self.line_count


@dataclass(frozen=True)
class Metric:
    """A number of a document; `setting` names the stage and the field that judge by it, if any."""

    name: str
    description: str
    of: Callable[[DocumentFacts], float]
    setting: str = ""


def _repeated(parts: Sequence[str]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def _repeated_characters(parts: Sequence[str], characters: int) -> float:
    counts = Counter(parts)
    return sum(len(part) * (count - 1) for part, count in counts.items()) / characters


def _entropy(facts: DocumentFacts) -> float:
    counts = np.fromiter(facts.kinds.values(), np.float64)
    shares = counts / max(1.0, counts.sum())
    return float(-(shares * np.log2(shares)).sum()) if len(shares) else 0.0


def _in_thousand(part: Callable[[DocumentFacts], int]) -> Callable[[DocumentFacts], float]:
    return lambda facts: 1000 * part(facts) / facts.word_count


_GOPHER, _REPETITION, _FINEWEB = "gopher_quality", "gopher_repetition", "fineweb"

METRICS = (
    Metric("characters", "Length in characters", lambda f: len(f.text), "length.fewest_characters"),
    Metric("words", "Length in words", lambda f: len(f.words), f"{_GOPHER}.fewest_words"),
    Metric("lines", "Lines that are not empty", lambda f: len(f.lines), "length.fewest_lines"),
    Metric("sentences", "Sentence ends", lambda f: f.sentences, "c4.fewest_sentences"),
    Metric("mean word length", "Characters per word",
           lambda f: sum(f.word_lengths) / f.word_count, f"{_GOPHER}.longest_mean_word"),
    Metric("longest word", "Characters of the longest word",
           lambda f: max(f.word_lengths, default=0), "c4.longest_word"),
    Metric("number signs", "# per word",
           lambda f: f.kinds["#"] / f.word_count, f"{_GOPHER}.most_hashes"),
    Metric("ellipses", "… and ... per word",
           lambda f: (f.text.count("...") + f.kinds["…"]) / f.word_count,
           f"{_GOPHER}.most_ellipses"),
    Metric("bullet lines", "Share of lines that begin with a bullet",
           lambda f: f.line_share(lambda line: line[0] in "•-*"), f"{_GOPHER}.most_bullet_lines"),
    Metric("ellipsis lines", "Share of lines that end with … or ...",
           lambda f: f.line_share(lambda line: line.endswith(("...", "…"))),
           f"{_GOPHER}.most_ellipsis_lines"),
    Metric("words with letters", "Share of words with at least one letter",
           lambda f: sum(map(bool, map(_LETTER.search, f.words))) / f.word_count,
           f"{_GOPHER}.fewest_words_with_letters"),
    Metric("stop words", "Different ones of Gopher's eight stop words",
           lambda f: len(_STOP_WORDS.intersection(f.words)), f"{_GOPHER}.fewest_stop_words"),
    Metric("function words", "Share of words that only hold a sentence together",
           lambda f: sum(map(_FUNCTION_WORDS.__contains__, f.lowered.split())) / f.word_count),
    Metric("repeated lines", "Share of lines that stood before",
           lambda f: _repeated(f.lines), f"{_REPETITION}.duplicated_lines"),
    Metric("repeated line characters", "Share of characters in lines that stood before",
           lambda f: _repeated_characters(f.lines, f.characters),
           f"{_FINEWEB}.duplicated_lines"),
    Metric("repeated paragraphs", "Share of paragraphs that stood before",
           lambda f: _repeated(f.paragraphs), f"{_REPETITION}.duplicated_paragraphs"),
    Metric("repeated paragraph characters", "Share of characters in paragraphs that stood before",
           lambda f: _repeated_characters(f.paragraphs, f.characters),
           f"{_REPETITION}.duplicated_paragraph_characters"),
    Metric("ended lines", "Share of lines that end with a mark that ends sentences",
           lambda f: f.line_share(lambda line: line.endswith(_ENDS)),
           f"{_FINEWEB}.fewest_ended_lines"),
    Metric("short lines", "Share of lines of at most 30 characters",
           lambda f: f.line_share(lambda line: len(line) <= _SHORT_LINE),
           f"{_FINEWEB}.most_short_lines"),
    Metric("line breaks", "Line breaks per word",
           lambda f: f.kinds["\n"] / f.word_count, f"{_FINEWEB}.most_line_breaks"),
    Metric("lines of few words", "Share of lines of fewer than three words",
           lambda f: f.line_share(lambda line: len(line.split(None, 2)) < 3),
           "c4.fewest_words_in_line"),
    Metric("longest line", "Characters of the longest line",
           lambda f: max(map(len, f.lines), default=0)),
    Metric("mean line length", "Characters per line", lambda f: len(f.text) / f.line_count),
    Metric("lines per paragraph", "Lines in a paragraph, on average",
           lambda f: len(f.lines) / max(1, len(f.paragraphs))),
    Metric("curly brackets", "{ per thousand characters",
           lambda f: 1000 * f.kinds["{"] / f.characters, "c4.curly_brackets"),
    Metric("policy words", "javascript, cookies and policies, per thousand words",
           _in_thousand(lambda f: sum(map(f.lowered.count, _POLICIES))), "c4.policies"),
    Metric("words per sentence", "Words for each sentence end",
           lambda f: len(f.words) / f.sentences),
    Metric("grade", "Flesch-Kincaid school grade",
           lambda f: flesch_kincaid_grade(f.text) or 0.0, "readability.most_grade"),
    Metric("different words", "Share of different words among the first 500",
           lambda f: len(set(f.words[:_SOME_WORDS])) / max(1, len(f.words[:_SOME_WORDS]))),
    Metric("one-letter words", "Share of words of one character",
           lambda f: f.word_lengths.count(1) / f.word_count),
    Metric("words in capitals", "Share of words all in capitals",
           lambda f: sum(map(str.isupper, f.words)) / f.word_count),
    Metric("capitals", "Share of letters that are capitals",
           lambda f: f.capitals / max(1, f.letters)),
    Metric("letters", "Share of characters that are letters", lambda f: f.letters / f.characters),
    Metric("digits", "Share of characters that are digits", lambda f: f.share(str.isdigit)),
    Metric("white space", "Share of characters that are white space",
           lambda f: f.share(str.isspace)),
    Metric("beyond ASCII", "Share of characters beyond ASCII",
           lambda f: f.share(lambda character: not character.isascii())),
    Metric("punctuation", "Share of characters that are neither letter, digit nor white space",
           lambda f: f.share(lambda c: not c.isalnum() and not c.isspace())),
    Metric("question marks", "? per sentence", lambda f: f.kinds["?"] / f.sentences),
    Metric("exclamation marks", "! per sentence", lambda f: f.kinds["!"] / f.sentences),
    Metric("commas", "Commas per sentence", lambda f: f.kinds[","] / f.sentences),
    Metric("quotation marks", "Quotation marks per thousand words",
           _in_thousand(lambda f: f.kinds['"'] + f.kinds["“"] + f.kinds["”"])),
    Metric("addresses", "Web addresses per thousand words",
           _in_thousand(lambda f: len(_ADDRESS.findall(f.lowered)))),
    Metric("character entropy", "Bits per character, each taken alone", _entropy),
    Metric("compressed size", "Bytes after zlib, by bytes before",
           lambda f: len(zlib.compress(data := f.text.encode("utf-8"), 1)) / max(1, len(data))),
    Metric("machine phrases", "Phrases that language models like, per thousand words",
           _in_thousand(lambda f: sum(machine_phrases(f.text).values()))),
)  # fmt: skip

GRAM_METRICS = (
    ("most frequent 2-gram", "Share of 2-grams that are the most frequent one",
     f"{_REPETITION}.top_2gram_characters"),
    ("repeated 2-grams", "Share of 2-grams of words that stood before", ""),
    ("repeated 5-grams", "Share of 5-grams of words that stood before",
     f"{_REPETITION}.duplicated_5gram_characters"),
)  # fmt: skip


def metrics_of(texts: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Every metric of every text: name → float64 [texts]."""
    facts = [DocumentFacts(text) for text in texts]
    found = {
        metric.name: np.fromiter((metric.of(one) for one in facts), np.float64, len(facts))
        for metric in METRICS
    }
    return {**found, **_of_grams(texts)}


def _of_grams(texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
    """Repetition of n-grams, told by their hashes; words are those of the classifier."""
    grams = grams_of(words_of(texts), 5, _GRAM_BITS)
    top = np.zeros(len(texts))
    repeated: dict[int, npt.NDArray[np.float64]] = {}
    for one in (grams[1], grams[4]):
        totals = np.bincount(one.documents, minlength=len(texts))
        keys = np.sort((one.documents << _GRAM_BITS) | one.buckets)
        documents = keys >> _GRAM_BITS
        is_new = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
        different = np.bincount(documents[is_new], minlength=len(texts))
        repeated[one.length] = 1 - different / np.maximum(totals, 1)
        repeated[one.length][totals == 0] = 0.0
        if one.length == 2 and len(keys):
            starts = np.flatnonzero(is_new)
            np.maximum.at(top, documents[starts], np.diff(np.append(starts, len(keys))))
            top /= np.maximum(totals, 1)
    names = [name for name, _, _ in GRAM_METRICS]
    return dict(zip(names, (top, repeated[2], repeated[5]), strict=True))
