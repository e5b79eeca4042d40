"""Self-consistency: the answer that most of many texts come to (arXiv 2203.11171)."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lilliput.errors import UserError


@dataclass(frozen=True, slots=True)
class Vote:
    """What several texts answer."""

    answer: str | None
    """The most frequent answer, of equals the one given first; None if no text has one."""
    counts: dict[str, int]
    """How many texts give each answer, most frequent first."""
    texts: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of all texts that give the answer."""
        return self.counts[self.answer] / len(self.texts) if self.answer is not None else 0.0


def vote(texts: Sequence[str], answer_of: Callable[[str], str | None]) -> Vote:
    """Count the answers of texts; `answer_of` gives None for a text without one."""
    answers = [answer for text in texts if (answer := answer_of(text)) is not None]
    counts = dict(Counter(answers).most_common())
    return Vote(next(iter(counts), None), counts, tuple(texts))


def answer_by(pattern: str) -> Callable[[str], str | None]:
    """Reads the answer from a text by a regular expression: its last match's group 1, or all of it.

    Raises UserError if the expression is none.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{pattern!r} is no regular expression: {error}") from None

    def answer_of(text: str) -> str | None:
        found = list(expression.finditer(text))
        if not found:
            return None
        last = found[-1]
        answer = last.group(1) if expression.groups else last.group()
        return answer.strip() if answer is not None else None

    return answer_of
