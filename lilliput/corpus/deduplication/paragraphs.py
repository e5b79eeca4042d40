"""Paragraphs or lines that stand elsewhere in the corpus."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lilliput.corpus.deduplication.clusters import equal_groups
from lilliput.corpus.deduplication.verdicts import Cuts
from lilliput.corpus.deduplication.words import blocks, exact_words, simplified_words
from lilliput.corpus.stages import Decisions, texts_of
from lilliput.errors import UserError

# One paragraph: its hash, where it starts and stops, and where its neighbours stop and start.
_ENTRY = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("before", "<u4"),
        ("start", "<u4"),
        ("stop", "<u4"),
        ("after", "<u4"),
    ]
)
_GAPS = {"paragraphs": re.compile(r"\n[^\S\n]*\n\s*"), "lines": re.compile(r"\n\s*")}
_Entries = npt.NDArray[np.void]


@dataclass(frozen=True)
class ParagraphDuplicates:
    """Cut paragraphs that occur before in the corpus, in the same document or an earlier one.

    `unit`: "paragraphs" (blank lines between them) or "lines", as CCNet has it (arXiv 1911.00359).
    `simplify`: compare without case, punctuation and diacritics and with numbers as 0, as CCNet;
    else words as written. `shortest`: those of fewer characters stay (headings, refrains, list
    items). `copies`: cut only what occurs at least so often. `keep_first`: the first occurrence
    stays; else all go. A document of which nothing is left is dropped, rule "only_duplicates".

    A sketch is 32 bytes a paragraph that is long enough, among them a 128-bit hash. `decide` holds
    19 bytes a paragraph, about 32 for each that goes, and 0.5 GB at most for sorting.
    """

    unit: str = "paragraphs"
    simplify: bool = True
    shortest: int = 50
    copies: int = 2
    keep_first: bool = True

    def __post_init__(self) -> None:
        if self.unit not in _GAPS:
            raise UserError(f"unit: {self.unit!r} is neither paragraphs nor lines")
        if self.copies < 2:
            raise UserError(f"copies: {self.copies} is less than 2")

    def sketch(self, batch: pa.RecordBatch, /) -> pa.Array:
        """Every document's paragraphs: list of fixed-size binary of 32 bytes."""
        counts, entries = [0], [np.zeros(0, _ENTRY)]
        for _, texts in blocks(texts_of(batch)):
            for text in texts:
                entries.append(self._spans(text))
                counts.append(len(entries[-1]))
            self._hash(texts, entries[-len(texts) :])
        values = np.concatenate(entries)
        binary = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(_ENTRY.itemsize), len(values), [None, pa.py_buffer(values.tobytes())]
        )
        return pa.ListArray.from_arrays(pa.array(np.cumsum(counts), pa.int32()), binary)

    def _spans(self, text: str) -> _Entries:
        """The paragraphs of at least `shortest` characters, without hashes yet."""
        gaps = [gap.span() for gap in _GAPS[self.unit].finditer(text)]
        if gaps and gaps[-1][1] == len(text):
            gaps.pop()  # what ends a text belongs to its last paragraph
        entries = np.zeros(len(gaps) + 1, _ENTRY)
        stops, starts = np.array(gaps, np.uint32).reshape(-1, 2).T
        entries["before"][1:], entries["start"][1:] = stops, starts
        entries["stop"], entries["after"] = (
            np.append(one, len(text)).astype(np.uint32) for one in (stops, starts)
        )
        long: npt.NDArray[np.bool_] = entries["stop"] - entries["start"] >= max(self.shortest, 1)
        kept: _Entries = entries[long]
        return kept

    def _hash(self, texts: Sequence[str], entries: Sequence[_Entries]) -> None:
        paragraphs = [
            text[start:stop]
            for text, found in zip(texts, entries, strict=True)
            for start, stop in zip(found["start"].tolist(), found["stop"].tolist(), strict=True)
        ]
        words = simplified_words(paragraphs) if self.simplify else exact_words(paragraphs)
        content, offsets = words.hashes.tobytes(), (words.offsets * 8).tolist()
        digests = np.frombuffer(
            b"".join(
                hashlib.blake2b(content[start:stop], digest_size=16).digest()
                for start, stop in pairwise(offsets)
            ),
            "<u8",
        ).reshape(-1, 2)
        first = 0
        for found in entries:
            found["high"], found["low"] = digests[first : first + len(found)].T
            first += len(found)

    def decide(
        self, sketches: Sequence[pa.Array], texts: Callable[[Iterable[int]], Iterable[str]], /
    ) -> Decisions:
        """Cut what is repeated, with the gap after it; drop documents that are cut whole."""
        pieces = [_entries(piece) for piece in sketches]
        cut = self._repeated([entries for entries, _ in pieces])
        numbers, starts, stops, whole = [], [], [], {}
        first = document = 0
        for entries, sizes in pieces:
            here = np.flatnonzero(cut[first : first + len(entries)])
            owners = np.repeat(np.arange(document, document + len(sizes)), sizes)[here]
            first, document = first + len(entries), document + len(sizes)
            owner, start, stop, all_of_it = _runs(owners, entries[here])
            numbers.append(owner[~all_of_it])
            starts.append(start[~all_of_it])
            stops.append(stop[~all_of_it])
            for number in owner[all_of_it].tolist():
                whole[number] = ("only_duplicates", f"all its {self.unit} are repeated")
        empty = np.zeros(0, np.int64)
        cuts = Cuts(*(np.concatenate([empty, *parts]) for parts in (numbers, starts, stops)))
        counts = {f"repeated {self.unit}": int(cut.sum()), "characters cut": cuts.characters()}
        return Decisions(dropped=whole, cuts=cuts, counts=counts)

    def _repeated(self, pieces: Sequence[_Entries]) -> npt.NDArray[np.bool_]:
        """Which paragraphs go."""
        none = np.zeros(0, np.uint64)
        high, low = (np.concatenate([none, *(one[name] for one in pieces)]) for name in _HALVES)
        cut = np.zeros(len(high), bool)
        for groups in equal_groups(high, low):
            goes = np.repeat(groups.sizes() >= self.copies, groups.sizes())
            if self.keep_first:
                goes &= groups.members != groups.firsts()
            cut[groups.members[goes]] = True
        return cut


_HALVES = ("high", "low")


def _entries(piece: pa.Array) -> tuple[_Entries, npt.NDArray[np.int64]]:
    """The paragraphs of one piece, without a copy, and how many each document has."""
    offsets = piece.offsets.to_numpy().astype(np.int64)
    values = piece.values
    end = int(values.offset + offsets[-1])  # the buffer may be longer
    entries = np.frombuffer(values.buffers()[1], _ENTRY, count=end)
    return entries[values.offset + offsets[0] :], np.diff(offsets)


def _runs(
    owners: npt.NDArray[np.int64], entries: _Entries
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]
]:
    """Neighbours joined: document, start, stop, and whether that is the whole text.

    A run goes with the gap after it; the last of a text, with the gap before it.
    """
    follows = (owners[1:] == owners[:-1]) & (entries["start"][1:] == entries["after"][:-1])
    first = np.flatnonzero(np.append(True, ~follows)[: len(owners)])
    last = np.append(first[1:], len(owners))[: len(first)] - 1
    at_end = entries["stop"][last] == entries["after"][last]
    starts = np.where(at_end, entries["before"][first], entries["start"][first]).astype(np.int64)
    whole = at_end & (entries["start"][first] == 0)
    return owners[first], starts, entries["after"][last].astype(np.int64), whole
