"""C4's rules (arXiv 1910.10683, section 2.2, and its code): lines and pages that are no prose."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from lilliput.corpus.filters.validation import check_not_negative, read_lines
from lilliput.corpus.stages import Dropped, Example, Outcome, keeping, texts_of, with_texts

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_ENDS = (".", "?", "!", '"', "'")
_POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
# One of these is in each of them.
_SIGNS_OF_POLICIES = ("terms of use", "privacy policy", "cookie")
# A mark that ends sentences, with what closes after it, before white space or the line's end.
_SENTENCE_END = re.compile(r"""[.!?…。！？]+["'”’»)\]]*(?=\s|$)""")
_MOST_EXAMPLES = 20


@dataclass(frozen=True)
class C4:
    """Takes lines out that are no prose, and drops documents that break a rule about the whole.

    Lines are stripped; the rules are tried on each in this order.

    longest_word: a line with a longer word (in characters) goes.
    citations: Wikipedia's marks such as "[1]" and "[edit]" are taken out.
    terminal_punctuation: a line goes that does not end with . ? ! " or ', or that ends with
        "...". FineWeb turns it off: alone it removes about 30 % of a crawl.
    fewest_words_in_line: a line with fewer words goes.
    lorem_ipsum: the document goes if such a line is in it.
    javascript: a line that names it goes.
    curly_brackets: the document goes if "{" is in a line; turn it off for code and mathematics.
    policies: a line about terms of use, privacy policies or cookies goes.
    fewest_sentences: a document with fewer in its remaining lines goes.
    fewest_paragraphs, shortest_paragraph: mC4's rule (arXiv 2010.11934): so many of the remaining
        lines must have so many characters; 0 turns it off.
    bad_words: file with a word or phrase per line; a document with any of them goes. They are
        found in lower case, between characters that are no letter, digit or underscore.
    """

    longest_word: float = 1000
    citations: bool = True
    terminal_punctuation: bool = True
    fewest_words_in_line: int = 3
    lorem_ipsum: bool = True
    javascript: bool = True
    curly_brackets: bool = True
    policies: bool = True
    fewest_sentences: int = 5
    fewest_paragraphs: int = 0
    shortest_paragraph: int = 200
    bad_words: str | None = None

    def __post_init__(self) -> None:
        check_not_negative(
            self,
            "longest_word",
            "fewest_words_in_line",
            "fewest_sentences",
            "fewest_paragraphs",
            "shortest_paragraph",
        )

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        texts = texts_of(batch)
        dropped: list[Dropped] = []
        counts = Counter[str]()
        examples: list[Example] = []
        for row, text in enumerate(texts):
            removed: list[tuple[str, str]] = []
            try:
                texts[row] = self._clean(text, removed, counts)
            except _Broken as broken:
                dropped.append(Dropped(row, broken.rule, broken.detail))
                continue
            counts.update(f"lines removed: {rule}" for rule, _ in removed)
            wanted = removed[: _MOST_EXAMPLES - len(examples)]
            examples += (Example(row, rule, line, "") for rule, line in wanted)
        return keeping(with_texts(batch, texts), dropped, counts=counts, examples=examples)

    def _clean(self, text: str, removed: list[tuple[str, str]], counts: Counter[str]) -> str:
        """The text of the lines that stay; those removed are added to the list by rule."""
        cites = self.citations and "[" in text
        suspicious = self._is_suspicious(_CITATION.sub("", text) if cites else text)
        fewest_words = self.fewest_words_in_line
        kept: list[str] = []
        sentences, citations = 0, 0
        for raw in text.splitlines():
            line = raw.strip()
            few_words = fewest_words > 0 and len(line.split(None, fewest_words - 1)) < fewest_words
            if len(line) > self.longest_word and self._has_long_word(line):
                removed.append(("longest_word", raw))
                continue
            if cites and "[" in line:
                line, found = _CITATION.subn("", line)
                citations += found
            if self.terminal_punctuation and (not line.endswith(_ENDS) or line.endswith("...")):
                removed.append(("terminal_punctuation", raw))
                continue
            if few_words:
                removed.append(("fewest_words_in_line", raw))
                continue
            if suspicious and (rule := self._broken_by_phrase(line)):
                removed.append((rule, raw))
                continue
            if sentences < self.fewest_sentences:
                sentences += count_sentences(line, self.fewest_sentences - sentences)
            kept.append(line)
        if sentences < self.fewest_sentences:
            raise _Broken("fewest_sentences", f"{sentences} sentences")
        text = "\n".join(kept).strip()
        self._check_paragraphs(kept)
        if self.bad_words is not None and (match := _pattern(self.bad_words).search(text.lower())):
            raise _Broken("bad_words", match[1])
        if citations:
            counts["citations removed"] += citations
        return text

    def _is_suspicious(self, text: str) -> bool:
        """Whether any line can break a rule about phrases."""
        if self.curly_brackets and "{" in text:
            return True
        lowered = text.lower()
        return (
            (self.lorem_ipsum and "lorem ipsum" in lowered)
            or (self.javascript and "javascript" in lowered)
            or (self.policies and any(sign in lowered for sign in _SIGNS_OF_POLICIES))
        )

    def _has_long_word(self, line: str) -> bool:
        # From space to space as far as words may reach; only where there is none, word by word.
        begin, longest = 0, int(self.longest_word)
        while len(line) - begin > longest:
            space = line.rfind(" ", begin, begin + longest + 1)
            if space < 0:
                return any(len(word) > longest for word in line[begin:].split())
            begin = space + 1
        return False

    def _broken_by_phrase(self, line: str) -> str | None:
        """The rule for which the line goes; `_Broken` is raised where the document goes."""
        lowered = line.lower()
        if self.lorem_ipsum and "lorem ipsum" in lowered:
            raise _Broken("lorem_ipsum", line[:80])
        if self.javascript and "javascript" in lowered:
            return "javascript"
        if self.curly_brackets and "{" in line:
            raise _Broken("curly_brackets", line[:80])
        if self.policies and any(policy in lowered for policy in _POLICIES):
            return "policies"
        return None

    def _check_paragraphs(self, lines: list[str]) -> None:
        if not self.fewest_paragraphs:
            return
        long = sum(len(line) >= self.shortest_paragraph for line in lines)
        if long < self.fewest_paragraphs:
            raise _Broken("fewest_paragraphs", f"{long} of {self.shortest_paragraph} characters")


class _Broken(Exception):
    """A rule drops the whole document."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule, self.detail = rule, detail


def count_sentences(line: str, enough: int) -> int:
    """Sentences in a line, but at least 1 and at most `enough`.

    A sentence ends at marks such as . ! ? with what closes after them, before white space; what
    follows the last such mark is one more.
    """
    count, end = 0, 0
    for match in _SENTENCE_END.finditer(line):
        count, end = count + 1, match.end()
        if count == enough:
            return count
    return max(1, count + bool(line[end:].strip()))


@cache
def _pattern(path: str) -> re.Pattern[str]:
    phrases = sorted({line.lower() for line in read_lines(path)})
    alternatives = "|".join(map(re.escape, phrases)) or "(?!)"
    return re.compile(rf"(?:\W|^)({alternatives})(?:\W|$)")
