"""A finding of personal data, and the two ways of looking: near digits, and near a word."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# Five digits, at most three other characters apart: nearly everything with a number in it that
# says who somebody is. Prose has one such place in about 20,000 characters.
_DIGITS_TOGETHER = re.compile(r"[0-9](?:[^0-9\n]{0,3}[0-9]){4,}")
_MARGIN = 48

# What may not stand directly before or after a number, lest it be a part of a longer one.
LEFT = r"(?<![\w/#])(?<![0-9][.,/:+\-])(?<![A-Za-z]-)"
RIGHT = r"(?!\w)(?![.,/:\-][0-9])"

Windows = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in a text: half-open character span, kind, and the kind's finer name or ""."""

    start: int
    end: int
    kind: str
    label: str = ""


Finder = Callable[[str, Windows], Iterator[Finding]]


def digit_windows(text: str) -> list[tuple[int, int]]:
    """The stretches of the text worth reading for numbers: ascending, apart, with some context."""
    windows: list[tuple[int, int]] = []
    for match in _DIGITS_TOGETHER.finditer(text):
        start, end = max(0, match.start() - _MARGIN), min(len(text), match.end() + _MARGIN)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows


def matches(pattern: re.Pattern[str], text: str, windows: Windows) -> Iterator[re.Match[str]]:
    """The pattern's matches inside the windows, but for those that a window's end may have cut."""
    for start, end in windows:
        for match in pattern.finditer(text, start, end):
            if match.end() < end or end == len(text):
                yield match


def word_pattern(words: Sequence[str]) -> re.Pattern[str]:
    """A pattern for any of the words as whole words, in any case; words may be patterns."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def has_context(
    words: re.Pattern[str], text: str, start: int, end: int, *, before: int = 60, after: int = 24
) -> bool:
    """Whether one of the words stands within so many characters of the span."""
    # What stands in another paragraph speaks of something else.
    ahead = text[max(0, start - before) : start].rpartition("\n\n")[2]
    behind = text[end : end + after].partition("\n\n")[0]
    return bool(words.search(ahead) or words.search(behind))
