"""Counts of things without end (words, texts) in bounded memory, the same in any grouping.

Documents have levels by the hash of their text: half have level 0, a quarter level 1, and so on.
A table holds all documents of `base` levels and up; where it would hold more than its limit, the
base rises. The base at the end is the least one at which the counts of all documents fit. A part
of the documents never needs a higher base than the whole, so nothing that counts in the end is ever
thrown away early, whatever the parts and their order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

MOST_WORDS = 1 << 19
MOST_TEXTS = 1 << 18
HASH_BITS = 64

Words = dict[str, int]
Key = TypeVar("Key")


def level_of(text_hash: int) -> int:
    """The number of leading zero bits of a 64-bit hash."""
    return HASH_BITS - text_hash.bit_length()


@dataclass
class WordTable:
    """Counts of words by level and theme, of the documents of level `base` and up."""

    base: int = 0
    levels: dict[int, dict[str, Words]] = field(default_factory=dict)
    limit: int = MOST_WORDS

    def add(self, other: "WordTable") -> None:
        """Add the counts of another table, which is left as it is."""
        self.base = max(self.base, other.base)
        for level, themes in other.levels.items():
            if level >= self.base:
                mine = self.levels.setdefault(level, {})
                for theme, words in themes.items():
                    add_counts(mine.setdefault(theme, {}), words)
        self.fit()

    def fit(self) -> None:
        """Raise the base until no more than `limit` words are held (a word once a level)."""
        self._leave_out()
        while self._size() > self.limit:
            self.base += 1
            self._leave_out()

    def themes(self) -> dict[str, Words]:
        """The counts of every theme, of all levels held."""
        merged: dict[str, Words] = {}
        for themes in self.levels.values():
            for theme, words in themes.items():
                add_counts(merged.setdefault(theme, {}), words)
        return merged

    def _leave_out(self) -> None:
        for level in [level for level in self.levels if level < self.base]:
            del self.levels[level]

    def _size(self) -> int:
        # The sum over themes is an upper bound, and costs nothing.
        bound = sum(len(words) for themes in self.levels.values() for words in themes.values())
        if bound <= self.limit:
            return bound
        return sum(len(set().union(*themes.values())) for themes in self.levels.values())


@dataclass
class TextTable:
    """How often each text is there, by its hash; of the texts whose hash has level `base` and up.

    Copies of a text have one hash, so the share of copies in the sample is that of the whole.
    """

    base: int = 0
    times: dict[int, int] = field(default_factory=dict)
    limit: int = MOST_TEXTS

    def add(self, other: "TextTable") -> None:
        """Add the counts of another table, which is left as it is."""
        self.base = max(self.base, other.base)
        add_counts(self.times, other.times)
        self.fit()

    def count(self, hashes: Iterable[int]) -> None:
        """Count texts by their hashes."""
        for text_hash in hashes:
            self.times[text_hash] = self.times.get(text_hash, 0) + 1
        self.fit()

    def fit(self) -> None:
        """Raise the base until no more than `limit` texts are held."""
        self._leave_out()
        while len(self.times) > self.limit:
            self.base += 1
            self._leave_out()

    def _leave_out(self) -> None:
        if self.base:
            bound = 1 << (HASH_BITS - self.base)
            self.times = {key: count for key, count in self.times.items() if key < bound}


def add_counts(counts: dict[Key, int], more: Mapping[Key, int]) -> None:
    """Add `more` to `counts`."""
    if not counts:
        counts.update(more)
        return
    get = counts.get
    for key, count in more.items():
        counts[key] = get(key, 0) + count
