"""What a T5 decoder keeps of a text: its own keys and values, and the encoder's memory."""

from dataclasses import dataclass, replace

from torch import Tensor

from lilliput.model.cache import KeyValueCache


@dataclass(frozen=True)
class EncoderMemory:
    """The encoded prompts, as each decoder layer's cross-attention sees them.

    `keys` and `values` hold one tensor [B, H, S, E] a layer. `present`, boolean [B, S], is false at
    padding; None where there is none.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    present: Tensor | None = None

    def rows(self, which: slice | Tensor) -> "EncoderMemory":
        """The memory of some rows: a view for a slice, a copy for indices, which may repeat."""
        return replace(
            self,
            keys=tuple(keys[which] for keys in self.keys),
            values=tuple(values[which] for values in self.values),
            present=None if self.present is None else self.present[which],
        )

    def move_row(self, source: int, target: int) -> None:
        """Overwrite one row with another, in place."""
        present = () if self.present is None else (self.present,)
        for part in (*self.keys, *self.values, *present):
            part[target] = part[source]


class T5Cache(KeyValueCache):
    """The decoder's keys and values, and beside them the encoded prompts.

    `length` counts decoder tokens alone, the start token among them. So a `capacity` for prompt and
    answer together is never used up, and `drop_first`, which engines call to cut padding off when
    it is, never called.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__(rows, capacity)
        self._memory: EncoderMemory | None = None

    @property
    def memory(self) -> EncoderMemory | None:
        """What the encoder read for the rows that are left; None before the prompt."""
        return self._memory.rows(slice(self.rows)) if self._memory else None

    def remember(self, memory: EncoderMemory) -> None:
        """Keep the encoded prompts of all rows."""
        self._memory = memory

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        if self._memory and row != self.rows - 1:
            self._memory.move_row(self.rows - 1, row)
        super().drop_row(row)

    def fill_from(self, source: KeyValueCache, rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        assert isinstance(source, T5Cache)
        super().fill_from(source, rows)
        self._memory = source._memory.rows(rows) if source._memory else None
