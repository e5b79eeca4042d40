"""Plots by theme; importing this package registers them.

A plot is a function that casts its roles and returns a `Plan` with a script (see `script`).
"""

from lilliput.corpus.stories.plots import (
    animals,
    care,
    fables,
    friends,
    home,
    journeys,
    kindness,
    lessons,
    magic,
    night,
    outdoors,
    school,
)

__all__ = [
    "animals",
    "care",
    "fables",
    "friends",
    "home",
    "journeys",
    "kindness",
    "lessons",
    "magic",
    "night",
    "outdoors",
    "school",
]
