"""Bounds of a document's length."""

from dataclasses import dataclass
from math import inf

import pyarrow as pa

from lilliput.corpus.filters.validation import check_in_order, check_not_negative
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of

_UNITS = ("characters", "words", "lines")


@dataclass(frozen=True)
class Length:
    """Drops documents that are too short or too long; bounds are inclusive.

    Words are what stands between white space; lines are those that hold more than white space.
    """

    fewest_characters: float = 1
    most_characters: float = inf
    fewest_words: float = 0
    most_words: float = inf
    fewest_lines: float = 0
    most_lines: float = inf

    def __post_init__(self) -> None:
        check_not_negative(self, *self.__dataclass_fields__)
        for unit in _UNITS:
            check_in_order(self, f"fewest_{unit}", f"most_{unit}")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        dropped = [
            Dropped(row, *broken)
            for row, text in enumerate(texts_of(batch))
            if (broken := self._broken(text))
        ]
        return keeping(batch, dropped)

    def _broken(self, text: str) -> tuple[str, str] | None:
        for unit in _UNITS:
            fewest, most = getattr(self, f"fewest_{unit}"), getattr(self, f"most_{unit}")
            if fewest == 0 and most == inf:
                continue
            size = _size(text, unit)
            if size < fewest:
                return f"fewest_{unit}", f"{size} {unit}"
            if size > most:
                return f"most_{unit}", f"{size} {unit}"
        return None


def _size(text: str, unit: str) -> int:
    if unit == "characters":
        return len(text)
    if unit == "words":
        return len(text.split())
    return sum(1 for line in text.splitlines() if line and not line.isspace())
