"""Slices of a corpus by words: those about a topic, or those without a word."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from lilliput.corpus.filters.validation import check_not_negative, check_words, read_lines, wrong
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of, with_column
from lilliput.errors import UserError


@dataclass(frozen=True)
class Keywords:
    """Keeps, or drops, documents that hold keywords; with topics, says which topic it is.

    Keywords are literal ("c++" is no pattern) and bounded: "art" is not found in "party". White
    space in a phrase stands for any white space.

    keywords: words and phrases; `file` adds those of a list, one per line.
    topics: a JSON file {"topic": ["word", …], …}. Adds the column `topic`: the topic with the most
        finds (the first of equals), null without any.
    action: "keep" the documents that have enough finds, "drop" them, or "mark": topics only.
    fewest: how many finds are enough, keywords and topics together.
    case: whether capitals matter.
    """

    keywords: tuple[str, ...] = ()
    file: str | None = None
    topics: str | None = None
    action: str = "keep"
    fewest: int = 1
    case: bool = False

    def __post_init__(self) -> None:
        check_words(self, "keywords")
        check_not_negative(self, "fewest")
        if self.action not in ("keep", "drop", "mark"):
            raise wrong(self, "action", f'is {self.action!r}: it must be "keep", "drop" or "mark"')
        if not (self.keywords or self.file or self.topics):
            raise wrong(self, "keywords", "are none: give keywords, file or topics")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        general = (*self.keywords, *(_list(self.file) if self.file else ()))
        pattern = _pattern(general, self.case) if general else None
        topics = _topics(self.topics) if self.topics else {}
        patterns = {name: _pattern(words, self.case) for name, words in topics.items()}
        dropped: list[Dropped] = []
        chosen: list[str | None] = []
        counts = Counter[str]()
        for row, text in enumerate(texts_of(batch)):
            found = {name: _finds(one, text) for name, one in patterns.items()}
            total = sum(found.values()) + (_finds(pattern, text) if pattern else 0)
            best = max(found, key=found.__getitem__, default=None)
            chosen.append(best if best is not None and found[best] else None)
            if chosen[-1] is not None:
                counts[f"topic {chosen[-1]}"] += 1
            enough = total >= self.fewest
            if self.action != "mark" and enough == (self.action == "drop"):
                dropped.append(Dropped(row, "keywords", f"{total} found"))
        if patterns:
            batch = with_column(batch, "topic", pa.array(chosen, pa.string()))
        return keeping(batch, dropped, counts=counts)


def _finds(pattern: re.Pattern[str], text: str) -> int:
    return sum(1 for _ in pattern.finditer(text))


@cache
def _pattern(words: Sequence[str], case: bool) -> re.Pattern[str]:
    # The longest first, so that "ice cream" is one find and not "ice".
    ordered = sorted(dict.fromkeys(words), key=lambda word: (-len(word), word))
    return re.compile("|".join(map(_bounded, ordered)), re.NOFLAG if case else re.IGNORECASE)


def _bounded(phrase: str) -> str:
    """The pattern of a literal phrase that does not go on in a word's character at either end."""
    literal = r"\s+".join(map(re.escape, phrase.split()))
    before = r"(?<!\w)" if re.match(r"\w", phrase.strip()) else ""
    after = r"(?!\w)" if re.search(r"\w$", phrase.strip()) else ""
    return before + literal + after


@cache
def _list(path: str) -> tuple[str, ...]:
    words = tuple(read_lines(path))
    if not words:
        raise UserError(f"the list {path} holds no words")
    return words


@cache
def _topics(path: str) -> Mapping[str, tuple[str, ...]]:
    try:
        topics = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"cannot read the topics {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"the topics {path} are not JSON: {error}") from error
    if not isinstance(topics, dict) or not topics or not all(map(_is_list, topics.values())):
        raise UserError(f'the topics {path} must look like {{"sport": ["goal", "match"], …}}')
    return {name: tuple(words) for name, words in topics.items()}


def _is_list(words: object) -> bool:
    return (
        isinstance(words, list)
        and bool(words)
        and all(isinstance(word, str) and word.strip() for word in words)
    )
