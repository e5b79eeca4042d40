"""What is seen by reading a text whole: how hard it is, and phrases that machines like."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lilliput.corpus.filters.machine_phrases import machine_phrases
from lilliput.corpus.filters.readability import flesch_kincaid_grade

EASIEST, HARDEST = -2, 30
"""Grades beyond these are counted as these: lists and tables, not harder prose."""


@dataclass(frozen=True)
class Reading:
    """The Flesch-Kincaid grade, rounded down (None for a text without words), words, phrases."""

    grade: int | None
    words: int
    phrases: Mapping[str, int]


def read(text: str) -> Reading:
    """Read one text."""
    grade = flesch_kincaid_grade(text)
    whole = None if grade is None else min(HARDEST, max(EASIEST, math.floor(grade)))
    return Reading(whole, len(text.split()), machine_phrases(text))
