"""What a stage is: a pure function from a batch of documents to those it keeps.

A batch is a `pyarrow.RecordBatch` with the string columns `id`, `text`, `source` and any metadata
columns. Every stage of ours is a frozen dataclass whose fields are its settings and whose call is
the function, so that it can be written into a TOML file and sent to another process.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document left out: its row in the batch that came in, the rule, and what broke it.

    `rule` is a short fixed name ("fewest_words"), counted in the report; `detail` is for people
    ("23 words"). `sample` is what reports show in place of the document's own text, for a stage
    that drops what nobody may read.
    """

    row: int
    rule: str
    detail: str = ""
    sample: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """An edit worth showing: the row in the batch that came in, the rule, before and after."""

    row: int
    rule: str
    before: str
    after: str


@dataclass(frozen=True)
class Outcome:
    """What a stage made of a batch.

    `batch` holds the documents kept, in their order, with texts perhaps edited and columns perhaps
    added; `dropped` those left out; `counts` whatever else was counted ("e-mail addresses": 3).
    """

    batch: pa.RecordBatch
    dropped: Sequence[Dropped] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Sequence[Example] = ()


class Stage(Protocol):
    """A stage that looks at one batch at a time."""

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome: ...


@dataclass(frozen=True)
class Decisions:
    """What a corpus-wide stage decided; documents are numbered in corpus order from 0.

    `dropped` maps a document's number to (rule, detail); `cuts` a document's number to the
    half-open character spans of its text that go, ascending and apart; `columns` holds columns to
    add (one value per document, for example `cluster`), `counts` whatever else was counted.
    """

    dropped: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    cuts: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    columns: Mapping[str, pa.Array] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class CorpusWideStage(Protocol):
    """A stage that compares documents with each other.

    `sketch` is pure and runs in the workers: one value per document (any Arrow type: uint64, a
    list, a fixed-size list). `decide` runs once over the sketches of all documents in corpus order,
    given piece by piece (memory-mapped from disk), and reads texts by number where it must.
    """

    def sketch(self, batch: pa.RecordBatch, /) -> pa.Array: ...

    def decide(
        self, sketches: Sequence[pa.Array], texts: Callable[[Iterable[int]], Iterable[str]], /
    ) -> Decisions: ...


def texts_of(batch: pa.RecordBatch) -> list[str]:
    """The texts of a batch, in order."""
    texts: list[str] = batch.column("text").to_pylist()
    return texts


def keeping(
    batch: pa.RecordBatch,
    dropped: Sequence[Dropped],
    *,
    counts: Mapping[str, int] | None = None,
    examples: Sequence[Example] = (),
) -> Outcome:
    """The outcome that leaves out the rows of `dropped` (at most one entry a row)."""
    if dropped:
        gone = {one.row for one in dropped}
        rows = [row for row in range(batch.num_rows) if row not in gone]
        kept = batch.take(pa.array(rows, pa.int64()))
    else:
        kept = batch
    return Outcome(kept, tuple(dropped), dict(counts or {}), tuple(examples))


def with_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """The batch with a column set or added; a field of that name keeps its place."""
    place = batch.schema.get_field_index(name)
    if place >= 0:
        return batch.set_column(place, name, values)
    return batch.append_column(name, values)


def with_texts(batch: pa.RecordBatch, texts: Sequence[str]) -> pa.RecordBatch:
    """The batch with other texts, one per row."""
    return with_column(batch, "text", pa.array(texts, pa.string()))
