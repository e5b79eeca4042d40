"""Looking into a corpus folder: its facts, some of its documents, and a search through all."""

import random
import re
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import regex

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import Corpus, open_part
from lilliput.errors import UserError

Way = Literal["literal", "word"]

_OWN_COLUMNS = ("id", "text", "source")
_LENGTHS_FROM = 20_000
_AROUND = 90


@dataclass(frozen=True)
class Hit:
    """A document that a search found: its number in the corpus, and the text around the find.

    `before` and `after` are the text on both sides of `found`; `count` is how often it is there.
    """

    number: int
    id: str
    before: str
    found: str
    after: str
    count: int


@dataclass(frozen=True)
class Hits:
    """The answer to a search through documents `first` to `searched_to` (not included).

    `matching` counts those that match, `hits` are the first of them. `next` is the document to go
    on from, for more; None when there are none.
    """

    hits: tuple[Hit, ...]
    matching: int
    searched_to: int
    next: int | None
    seconds: float


class CorpusView:
    """A corpus, read in row groups so that memory holds a few megabytes of it at a time."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    @cached_property
    def _groups(self) -> list[tuple[int, int, int]]:
        """Part, row group, rows: every row group in order."""
        groups = []
        for part, path in enumerate(self.corpus.parts):
            with open_part(path) as file:
                groups += [
                    (part, group, file.metadata.row_group(group).num_rows)
                    for group in range(file.metadata.num_row_groups)
                ]
        return groups

    @cached_property
    def _starts(self) -> list[int]:
        """The number of the first document of every row group, and the count of all."""
        return list(accumulate((rows for _, _, rows in self._groups), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def document(self, number: int) -> Document:
        """One document by its place in the corpus. Raises UserError if there is none."""
        if not 0 <= number < len(self):
            raise UserError(f"document {number}: the corpus has {len(self):,}, counted from 0")
        index = bisect_right(self._starts, number) - 1
        table = self._table(index, None).slice(number - self._starts[index], 1)
        row: dict[str, Any] = table.to_pylist()[0]
        own = {name: row.pop(name) for name in _OWN_COLUMNS}
        return Document(**own, metadata={k: v for k, v in row.items() if v is not None})

    def sample(self, count: int, seed: int) -> list[tuple[int, Document]]:
        """Documents drawn without replacement, in the order of the corpus."""
        size = len(self)
        numbers = random.Random(seed).sample(range(size), min(count, size))
        return [(number, self.document(number)) for number in sorted(numbers)]

    def lengths(self) -> list[int]:
        """UTF-8 bytes of the texts of up to 20,000 documents, of row groups evenly spread."""
        mean = max(1, len(self) // max(1, len(self._groups)))
        every = max(1, len(self._groups) * mean // _LENGTHS_FROM)
        found: list[int] = []
        for index in range(0, len(self._groups), every):
            text = self._table(index, ["text"]).column("text")
            found += pc.binary_length(text).to_pylist()
        return found

    def sources(self, most: int = 12) -> list[tuple[str, int]]:
        """The commonest sources and how many documents each has."""
        counted: dict[str, int] = {}
        for index in range(len(self._groups)):
            column = self._table(index, ["source"]).column("source")
            for entry in pc.value_counts(column).to_pylist():
                counted[entry["values"]] = counted.get(entry["values"], 0) + entry["counts"]
        ranked = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
        return [(str(name), count) for name, count in ranked[:most]]

    def search(
        self,
        wanted: str,
        *,
        way: Way = "literal",
        case: bool = False,
        first: int = 0,
        most: int = 20,
        seconds: float = 3.0,
    ) -> Hits:
        """Documents from number `first` on whose text holds `wanted`, as a whole word if asked.

        Goes on counting after `most` hits; after `seconds` it ends where it is, but not before one
        row group is read. Raises UserError if `wanted` is empty.
        """
        if not wanted.strip():
            raise UserError("the search is empty: give a word or a part of a text")
        find, started = _finder(wanted, way, case), time.perf_counter()
        hits: list[Hit] = []
        matching, number = 0, max(0, first)
        while number < len(self):
            index = bisect_right(self._starts, number) - 1
            texts = self._table(index, ["id", "text"]).slice(number - self._starts[index])
            keep = _matches(texts.column("text"), wanted, way, case)
            places = pc.indices_nonzero(keep).to_pylist()
            shown = places[: most - len(hits)]
            for place, row in zip(
                shown, texts.take(pa.array(shown, pa.int64())).to_pylist(), strict=True
            ):
                hits.append(_hit(number + place, row, find))
            matching += len(places)
            number = self._starts[index + 1]
            if time.perf_counter() - started > seconds:
                break
        going_on = number if number < len(self) else None
        if matching > len(hits):
            going_on = hits[-1].number + 1
        return Hits(tuple(hits), matching, number, going_on, time.perf_counter() - started)

    def _table(self, index: int, columns: list[str] | None) -> pa.Table:
        part, group, _ = self._groups[index]
        with open_part(self.corpus.parts[part]) as file:
            return file.read_row_group(group, columns=columns)


_LETTER = r"[\p{L}\p{N}_]"


def _matches(texts: pa.ChunkedArray, wanted: str, way: Way, case: bool) -> pa.ChunkedArray:
    """Which texts hold `wanted`, in Arrow."""
    if way == "literal":
        return pc.match_substring(texts, wanted, ignore_case=not case)
    other = r"[^\p{L}\p{N}_]"
    pattern = f"(?:^|{other}){re.escape(wanted)}(?:$|{other})"
    return pc.match_substring_regex(texts, pattern, ignore_case=not case)


def _finder(wanted: str, way: Way, case: bool) -> "regex.Pattern[str]":
    """The same question for one text, to say where."""
    quoted = regex.escape(wanted)
    if way == "word":
        quoted = f"(?<!{_LETTER}){quoted}(?!{_LETTER})"
    return regex.compile(quoted, 0 if case else regex.IGNORECASE)


def _hit(number: int, row: Mapping[str, Any], find: "regex.Pattern[str]") -> Hit:
    text = row["text"]
    places = [match.span() for match in find.finditer(text)]
    # Arrow and Python fold the case of a few letters differently; then the beginning is shown.
    start, stop = places[0] if places else (0, 0)
    return Hit(
        number,
        row["id"],
        before=text[max(0, start - _AROUND) : start],
        found=text[start:stop],
        after=text[stop : stop + _AROUND],
        count=max(1, len(places)),
    )
