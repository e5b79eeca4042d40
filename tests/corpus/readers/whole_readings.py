"""All that the pieces of some sources hold, whatever the cut, in a form that compares."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.corpus.readers import Source, common_schema, conform, cut, read_piece


@dataclass(frozen=True)
class Reading:
    """Rows in order, what was left out in order, what was counted."""

    rows: list[dict[str, Any]]
    dropped: list[tuple[str, str]]
    counts: dict[str, int]

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.rows]


def reading_of(
    *sources: Source | str | Path, piece_bytes: int = 1 << 30, batch_bytes: int = 1 << 22
) -> Reading:
    """Read the sources in pieces; columns must keep their types within each piece."""
    described = [s if isinstance(s, Source) else Source(str(s)) for s in sources]
    outcomes = []
    for piece in cut(described, piece_bytes=piece_bytes):
        of_piece = list(read_piece(piece, described, batch_bytes=batch_bytes))
        assert len({tuple(one.batch.schema) for one in of_piece}) <= 1
        outcomes += of_piece
    schema = common_schema(one.batch.schema for one in outcomes)
    counts: Counter[str] = Counter()
    for one in outcomes:
        counts.update(one.counts)
    return Reading(
        [row for one in outcomes for row in conform(one.batch, schema).to_pylist()],
        [(drop.rule, drop.detail) for one in outcomes for drop in one.dropped],
        dict(counts),
    )


def piece_count(source: Source | str | Path, piece_bytes: int) -> int:
    described = source if isinstance(source, Source) else Source(str(source))
    pieces: Sequence[Any] = cut([described], piece_bytes=piece_bytes)
    return len(pieces)
