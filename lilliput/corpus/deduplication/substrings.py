"""Passages that stand elsewhere in the corpus, word for word, wherever they begin."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lilliput.corpus.deduplication.clusters import equal_groups
from lilliput.corpus.deduplication.verdicts import Cuts, joined
from lilliput.corpus.deduplication.words import (
    Hashes,
    Numbers,
    Words,
    blocks,
    characters,
    exact_words,
    span_hashes,
)
from lilliput.corpus.stages import Decisions, texts_of
from lilliput.errors import UserError

WINDOWS_AT_ONCE = 1 << 23
_TEXTS_AT_ONCE = 64
_Texts = Callable[[Iterable[int]], Iterable[str]]


@dataclass(frozen=True)
class SubstringDuplicates:
    """Cut every passage of at least `length` units that occurs before in the corpus.

    The idea of Lee et al. (arXiv 2107.06499), without a suffix array. `unit`: "words" (as
    `str.split` cuts them, whatever the spaces between) or "characters". Precisely: a window is
    `length` consecutive units of one document; it is a copy if the same units stand in an earlier
    document or, not overlapping it, earlier in its own; the union of all copies is cut.
    `keep_first=False` cuts the first occurrence too, as the paper does. A document of which nothing
    is left is dropped, rule "only_duplicates".

    Each window has an anchor: the run of `length / 2` units in it with the least hash. Equal
    windows have equal anchors, so only windows with an anchor that occurs again are looked at, and
    nothing is cut that was not compared with its first occurrence, text with text. A sketch is 8
    bytes an anchor, about 8 bytes for `length / 4` units. `decide` holds all anchors, and windows
    and sorting of 1.2 GB at most; texts with repeated anchors are read again, several times where
    there are more such windows than that.
    """

    length: int = 50
    unit: str = "words"
    keep_first: bool = True

    def __post_init__(self) -> None:
        if self.length < 4:
            raise UserError(f"length: {self.length} is less than 4")
        if self.unit not in ("words", "characters"):
            raise UserError(f"unit: {self.unit!r} is neither words nor characters")

    def sketch(self, batch: pa.RecordBatch, /) -> pa.Array:
        """Every document's anchors: list of uint64."""
        counts, anchors = [np.zeros(1, np.int64)], [np.zeros(0, np.uint64)]
        for _, texts in blocks(texts_of(batch)):
            units = self._units(texts)
            runs = _runs(units, self.length // 2)
            places, windows = self._anchors(units, runs)
            new = np.append(True, places[1:] != places[:-1])[: len(places)]
            anchors.append(runs[places[new]])
            counts.append(np.diff(np.searchsorted(windows[new], units.offsets)))
        offsets = np.cumsum(np.concatenate(counts))
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), pa.array(np.concatenate(anchors))
        )

    def _units(self, texts: Sequence[str]) -> Words:
        return exact_words(texts) if self.unit == "words" else characters(texts)

    def _anchors(self, units: Words, runs: Hashes) -> tuple[Numbers, Numbers]:
        """For every window where its anchor starts, and where the window itself starts."""
        inside = np.repeat(units.offsets[1:], np.diff(units.offsets)) - self.length
        windows = np.flatnonzero(np.arange(len(units.hashes)) <= inside)
        return _least(runs, self.length - self.length // 2 + 1)[windows], windows

    def decide(self, sketches: Sequence[pa.Array], texts: _Texts, /) -> Decisions:
        """Find the repeated windows, compare them with their first occurrences, cut."""
        spans = [np.zeros((0, 5), np.int64)]
        collisions = 0
        for anchors, documents in self._parts(sketches):
            found = _Windows(*self._windows(anchors, documents, texts))
            for chunk in self._copies(found):
                agreed, refused = self._compared(chunk, texts)
                spans.append(agreed)
                collisions += refused
        rows = np.concatenate(spans)
        first, stops = joined(*rows.T[:3])
        numbers, starts, _, befores, lengths = rows[first].T
        at_end = stops == lengths
        starts = np.where(at_end, befores, starts)
        whole = at_end & (starts == 0)
        cuts = Cuts(numbers[~whole], starts[~whole], stops[~whole])
        counts = {"characters cut": cuts.characters()}
        if collisions:
            counts["different texts with equal hashes"] = collisions
        return Decisions(
            dropped=dict.fromkeys(
                numbers[whole].tolist(), ("only_duplicates", "all of it is repeated")
            ),
            cuts=cuts,
            counts=counts,
        )

    def _parts(self, sketches: Sequence[pa.Array]) -> Iterator[tuple[Hashes, Numbers]]:
        """Repeated anchors, ascending, so many at a time as memory allows, and their documents."""
        pieces = [_anchors_of(piece) for piece in sketches]
        keys = np.concatenate([np.zeros(0, np.uint64), *(anchors for anchors, _ in pieces)])
        counts = np.concatenate([np.zeros(0, np.int64), *(counts for _, counts in pieces)])
        owners = np.cumsum(counts)  # document d has the anchors before owners[d]
        for groups in equal_groups(keys):
            windows = np.cumsum(groups.sizes() * (self.length // 2 + 1))
            parts = windows // WINDOWS_AT_ONCE
            for part in np.unique(parts):
                chosen = parts == part
                members = groups.members[np.repeat(chosen, groups.sizes())]
                anchors = np.sort(keys[groups.members[groups.starts[:-1][chosen]]])
                yield anchors, np.unique(np.searchsorted(owners, members, side="right"))

    def _windows(
        self, anchors: Hashes, documents: Numbers, texts: _Texts
    ) -> tuple[Hashes, Numbers, Numbers]:
        """Hash, document and first unit of every window with one of the anchors, in order."""
        none = np.zeros(0, np.int64)
        hashes, owners, starts = [np.zeros(0, np.uint64)], [none], [none]
        for numbers, block in _read(documents, texts):
            units = self._units(block)
            runs = _runs(units, self.length // 2)
            places, windows = self._anchors(units, runs)
            values = runs[places]
            near = np.minimum(np.searchsorted(anchors, values), len(anchors) - 1)
            windows = windows[anchors[near] == values]
            hashes.append(span_hashes(units.hashes, windows, windows + self.length))
            owner = np.searchsorted(units.offsets, windows, side="right") - 1
            owners.append(numbers[owner])
            starts.append(windows - units.offsets[owner])
        return np.concatenate(hashes), np.concatenate(owners), np.concatenate(starts)

    def _copies(self, found: "_Windows") -> Iterator[npt.NDArray[np.int64]]:
        """Runs of copies: rows (document, start, original's document and start, units)."""
        for groups in equal_groups(found.hashes):
            members, firsts = groups.members, groups.firsts()
            later = (found.documents[members] != found.documents[firsts]) | (
                found.starts[members] >= found.starts[firsts] + self.length
            )
            if self.keep_first:
                members, firsts = members[later], firsts[later]
            else:
                # The last of a group is a copy if any is: it stands for what is no copy itself.
                last = groups.starts[1:] - 1
                goes = np.repeat(later[last], groups.sizes())
                others = np.where(later, firsts, np.repeat(members[last], groups.sizes()))
                members, firsts = members[goes], others[goes]
            yield self._joined(found, members, firsts)

    def _joined(
        self, found: "_Windows", members: Numbers, firsts: Numbers
    ) -> npt.NDArray[np.int64]:
        """Copies that go on in step with their originals, as one row."""
        order = np.argsort(members)
        members, firsts = members[order], firsts[order]
        rows = np.column_stack(
            [
                column[places]
                for places in (members, firsts)
                for column in (found.documents, found.starts)
            ]
        )
        step = rows[1:] - rows[:-1]
        new = np.append(True, (step != np.array([0, 1, 0, 1])).any(axis=1))[: len(rows)]
        first = np.flatnonzero(new)
        counts = np.diff(np.append(first, len(rows)))
        return np.column_stack((rows[first], counts + self.length - 1))

    def _compared(
        self, rows: npt.NDArray[np.int64], texts: _Texts
    ) -> tuple[npt.NDArray[np.int64], int]:
        """The runs that are equal to their originals, and how many were not.

        Rows of the document and, in characters, where the run starts, where the unit after it
        starts, where the unit before it stops, and the text's length.
        """
        spans, refused = [np.zeros((0, 5), np.int64)], 0
        for first in range(0, len(rows), _TEXTS_AT_ONCE):
            chunk = rows[first : first + _TEXTS_AT_ONCE]
            numbers = np.unique(chunk[:, [0, 2]])
            named = dict(zip(numbers.tolist(), texts(numbers.tolist()), strict=True))
            cut = {number: self._cut(text) for number, text in named.items()}
            bounds = self._bounds(named)
            for document, start, other, from_start, count in chunk.tolist():
                left = cut[document][start : start + count]
                if left != cut[other][from_start : from_start + count]:
                    refused += 1
                    continue
                starts, stops = bounds[document]
                after = start + count
                end = len(named[document])
                span = (
                    int(starts[start]),
                    int(starts[after]) if after < len(starts) else end,
                    int(stops[start - 1]) if start else 0,
                )
                spans.append(np.array([[document, *span, end]]))
        return np.concatenate(spans), refused

    def _cut(self, text: str) -> Sequence[str]:
        return text.split() if self.unit == "words" else text

    def _bounds(self, named: Mapping[int, str]) -> dict[int, tuple[Numbers, Numbers]]:
        """Where the units of each text start and stop."""
        if self.unit == "characters":
            every = np.arange(max(map(len, named.values())) + 1)
            return {
                number: (every[: len(text)], every[1 : len(text) + 1])
                for number, text in named.items()
            }
        bounds: dict[int, tuple[Numbers, Numbers]] = {}
        numbers = list(named)
        for first, block in blocks(list(named.values())):
            units = exact_words(block)
            for number, (start, stop) in enumerate(pairwise(units.offsets.tolist()), first):
                bounds[numbers[number]] = units.starts[start:stop], units.stops[start:stop]
        return bounds


@dataclass(frozen=True)
class _Windows:
    """Windows in corpus order."""

    hashes: Hashes
    documents: Numbers
    starts: Numbers


def _runs(units: Words, length: int) -> Hashes:
    """The hash of the `length` units from each unit on (of fewer at the end)."""
    starts = np.arange(len(units.hashes))
    return span_hashes(units.hashes, starts, np.minimum(starts + length, len(starts)))


def _least(values: Hashes, width: int) -> Numbers:
    """Where the least of `values[i:i + width]` stands, the first of equals, for every i."""
    best = np.arange(len(values))
    reach = 1
    while reach < width:
        step = min(reach, width - reach)
        left, right = best[:-step], best[step:]
        best[:-step] = np.where(values[right] < values[left], right, left)
        reach += step
    return best


def _anchors_of(piece: pa.Array) -> tuple[Hashes, Numbers]:
    """The anchors of one piece, without a copy, and how many each document has."""
    offsets = piece.offsets.to_numpy().astype(np.int64)
    return piece.values.to_numpy()[offsets[0] : offsets[-1]], np.diff(offsets)


def _read(documents: Numbers, texts: _Texts) -> Iterator[tuple[Numbers, list[str]]]:
    """Texts by number, some at a time."""
    for first in range(0, len(documents), _TEXTS_AT_ONCE):
        numbers = documents[first : first + _TEXTS_AT_ONCE]
        yield numbers, list(texts(numbers.tolist()))
