"""The corpus-wide stage that keeps the best share of a corpus by any number its documents carry."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lilliput.corpus.stages import Decisions
from lilliput.errors import UserError


@dataclass(frozen=True)
class BestShare:
    """Keep the best `share` of the documents by the numeric column `column`.

    The best are the highest, or the lowest where `lowest` is set (bits per byte). Documents with
    the number on the border all stay; those without a number go.
    """

    share: float
    column: str = "quality"
    lowest: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UserError(f"best_share: share = {self.share}: give a number above 0, at most 1")

    def sketch(self, batch: pa.RecordBatch) -> pa.Array:
        """The column's numbers, float64."""
        if self.column not in batch.schema.names:
            raise UserError(
                f"best_share: there is no column {self.column!r} "
                f"(columns: {', '.join(batch.schema.names)}); put the stage that adds it before"
            )
        try:
            return batch.column(self.column).cast(pa.float64())
        except pa.ArrowException:
            raise UserError(f"best_share: column {self.column!r} holds no numbers") from None

    def decide(
        self, sketches: Sequence[pa.Array], texts: Callable[[Iterable[int]], Iterable[str]]
    ) -> Decisions:
        """Drop what lies beyond the border."""
        parts = [sketch.to_numpy(zero_copy_only=False) for sketch in sketches]
        numbers = np.concatenate([np.zeros(0), *parts])
        known = np.sort(numbers[~np.isnan(numbers)])
        if not len(known):
            return Decisions(dropped=dict.fromkeys(range(len(numbers)), ("no_number", "")))
        kept = max(1, round(self.share * len(known)))
        border = known[kept - 1] if self.lowest else known[-kept]
        stays = numbers <= border if self.lowest else numbers >= border
        dropped = {
            row: ("no_number", "")
            if np.isnan(numbers[row])
            else ("best_share", f"{self.column} {numbers[row]:.4g}, border {border:.4g}")
            for row in np.flatnonzero(~stays).tolist()
        }
        return Decisions(dropped=dropped)
