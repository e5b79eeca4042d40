"""What a T5 decoder keeps of a text: its own keys and values, and the encoder's memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.model.cache import KeyValueCache, Piece


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

    def with_row(self, other: "EncoderMemory", row: int) -> "EncoderMemory":
        """This memory and, as its last, a row of another; what is shorter is padded on its left."""
        length = max(self.keys[0].shape[2], other.keys[0].shape[2])
        added = other.rows(slice(row, row + 1))
        ours, theirs = self._padded(length), added._padded(length)
        present = torch.cat((ours._presence(), theirs._presence()))
        return EncoderMemory(
            tuple(torch.cat(pair) for pair in zip(ours.keys, theirs.keys, strict=True)),
            tuple(torch.cat(pair) for pair in zip(ours.values, theirs.values, strict=True)),
            None if bool(present.all()) else present,
        )

    def _padded(self, length: int) -> "EncoderMemory":
        missing = length - self.keys[0].shape[2]
        if not missing:
            return self
        return EncoderMemory(
            tuple(F.pad(keys, (0, 0, missing, 0)) for keys in self.keys),
            tuple(F.pad(values, (0, 0, missing, 0)) for values in self.values),
            F.pad(self._presence(), (missing, 0)),
        )

    def _presence(self) -> Tensor:
        keys = self.keys[0]
        if self.present is not None:
            return self.present
        return torch.ones(keys.shape[0], keys.shape[2], dtype=torch.bool, device=keys.device)

    def copy(self) -> "EncoderMemory":
        """The same in memory of its own."""
        return EncoderMemory(
            tuple(keys.clone() for keys in self.keys),
            tuple(values.clone() for values in self.values),
            None if self.present is None else self.present.clone(),
        )

    def move_row(self, source: int, target: int) -> None:
        """Overwrite one row with another, in place."""
        present = () if self.present is None else (self.present,)
        for part in (*self.keys, *self.values, *present):
            part[target] = part[source]


class T5Cache(KeyValueCache):
    """The decoder's keys and values, and beside them the encoded prompts.

    `length` counts decoder tokens alone, the start token among them.
    """

    takes_back = False
    divisible = False
    """A prompt is read whole."""

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__(rows, capacity)
        self._memory: EncoderMemory | None = None

    @property
    def memory_bytes(self) -> int:
        """Bytes reserved, those of the encoded prompts among them."""
        parts = (*self._memory.keys, *self._memory.values) if self._memory else ()
        return super().memory_bytes + sum(part.nbytes for part in parts)

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

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row rows[i] was; indices [B] may repeat."""
        super().reorder(rows)
        self._memory = self._memory.rows(rows) if self._memory else None

    def adopt(self, pieces: Sequence[Piece]) -> None:
        """Add a row that holds the only piece, a whole row of another cache."""
        [piece], memory = pieces, self.memory if self.rows else None
        super().adopt(pieces)
        theirs = piece.cache._memory
        assert theirs is not None
        one = slice(piece.row, piece.row + 1)
        self._memory = memory.with_row(theirs, piece.row) if memory else theirs.rows(one).copy()

    def fill_from(self, source: KeyValueCache, rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        assert isinstance(source, T5Cache)
        super().fill_from(source, rows)
        self._memory = source._memory.rows(rows) if source._memory else None
