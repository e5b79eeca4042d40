"""What `Decisions` asks for, held in arrays: a corpus may have a hundred million copies."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lilliput.corpus.deduplication.words import Numbers


class Copies(Mapping[int, tuple[str, str]]):
    """Which documents go, ascending, and which they copy, as `Decisions.dropped`: 16 bytes each."""

    def __init__(self, rule: str, numbers: Numbers, originals: Numbers) -> None:
        self._rule, self._numbers, self._originals = rule, numbers, originals

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers.tolist())

    def __getitem__(self, number: int) -> tuple[str, str]:
        place = _place(self._numbers, number)
        return self._rule, f"a copy of document {self._originals[place]}"


class Cuts(Mapping[int, Sequence[tuple[int, int]]]):
    """Spans to cut, as `Decisions.cuts`: at most 32 bytes a span.

    `numbers` (ascending, with repeats), `starts` and `stops` say one span each; those of a document
    may overlap and are joined.
    """

    def __init__(self, numbers: Numbers, starts: Numbers, stops: Numbers) -> None:
        first, self._stops = joined(numbers, starts, stops)
        self._starts = starts[first]
        self._numbers, self._offsets = np.unique(numbers[first], return_index=True)
        self._offsets = np.append(self._offsets, len(first))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers.tolist())

    def __getitem__(self, number: int) -> list[tuple[int, int]]:
        place = _place(self._numbers, number)
        spans = slice(self._offsets[place], self._offsets[place + 1])
        return list(zip(self._starts[spans].tolist(), self._stops[spans].tolist(), strict=True))

    def characters(self) -> int:
        """How many characters go in all."""
        return int((self._stops - self._starts).sum())


def joined(numbers: Numbers, starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Spans of documents with overlapping and touching ones joined, in order.

    Gives for each where the row stands that it begins with, and where it stops.
    """
    order = np.lexsort((starts, numbers))
    numbers, starts, stops = numbers[order], starts[order], stops[order]
    # Documents laid end to end keep apart, so that one running maximum serves them all.
    lift = np.cumsum(np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)])
    lift *= int(stops.max(initial=0)) + 1
    reached = np.maximum.accumulate(stops + lift)
    begins = np.append(True, starts[1:] + lift[1:] > reached[:-1])[: len(numbers)]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(numbers))[: len(first)] - 1
    return order[first], (reached - lift)[last]


def _place(numbers: Numbers, number: int) -> int:
    place = int(np.searchsorted(numbers, number))
    if place == len(numbers) or numbers[place] != number:
        raise KeyError(number)
    return place
