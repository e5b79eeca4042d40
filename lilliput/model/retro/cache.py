"""What a decoder that retrieves keeps of a text besides keys and values of its tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lilliput.model.cache import KeyValueCache, Piece


class RetroCache(KeyValueCache):
    """A key-value cache, and for each row its last chunk's neighbours as every layer sees them.

    States and ids of tokens, from which the next chunk's neighbours are found and read, are stored
    as the keys and values of one layer more than there are.
    """

    takes_back = False
    divisible = False
    """What was retrieved last belongs to a row's end."""

    def __init__(self, rows: int, capacity: int, windows: Sequence[int] = ()) -> None:
        super().__init__(rows, capacity, windows)
        self._visible: Tensor | None = None
        self._neighbours: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def visible(self) -> Tensor | None:
        """[B, S] boolean: which tokens of the neighbours there are; None before the first chunk."""
        return None if self._visible is None else self._visible[: self.rows]

    def carry_visible(self, visible: Tensor) -> None:
        """Remember which of the neighbours' tokens there are, [B, S]."""
        self._visible = visible

    def carry(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Remember keys and values [B, H, S, E] of a layer."""
        self._neighbours[layer] = keys, values

    def carried(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, S, E] last remembered."""
        keys, values = self._neighbours[layer]
        return keys[: self.rows], values[: self.rows]

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        if self._visible is not None and row != self.rows - 1:
            for part in (self._visible, *sum(self._neighbours.values(), ())):
                part[row] = part[self.rows - 1]
        super().drop_row(row)

    def can_cut(self, length: int) -> bool:
        """Whether what came after the first `length` tokens can be forgotten: only nothing can."""
        return length == self.length

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row rows[i] was; indices [B] may repeat."""
        super().reorder(rows)
        if self._visible is not None:
            self._visible = self._visible[rows]
            for layer, (keys, values) in self._neighbours.items():
                self._neighbours[layer] = keys[rows], values[rows]

    def adopt(self, pieces: Sequence[Piece]) -> None:
        """Add a row that holds the only piece, a whole row of another cache."""
        [piece], row = pieces, self.rows
        super().adopt(pieces)
        theirs = piece.cache
        if not row:
            self._visible = None
            self._neighbours.clear()
        if self._visible is None and theirs._visible is None:
            return
        like = self if theirs._visible is None else theirs
        self._visible = _with_row(self._visible, theirs._visible, row, piece.row)
        self._neighbours = {
            layer: (
                _with_row(self._carried(layer, 0), theirs._carried(layer, 0), row, piece.row),
                _with_row(self._carried(layer, 1), theirs._carried(layer, 1), row, piece.row),
            )
            for layer in like._neighbours
        }

    def _carried(self, layer: int, part: int) -> Tensor | None:
        return self._neighbours[layer][part] if layer in self._neighbours else None

    def fill_from(self, source: KeyValueCache, rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        assert isinstance(source, RetroCache)
        super().fill_from(source, rows)
        if source._visible is not None:
            self._visible = source._visible[rows]
            for layer, (keys, values) in source._neighbours.items():
                self._neighbours[layer] = keys[rows], values[rows]


def _with_row(ours: Tensor | None, theirs: Tensor | None, rows: int, which: int) -> Tensor:
    """The first `rows` of ours and one of theirs, [rows + 1, …]; zero where there is none."""
    like = theirs if ours is None else ours
    assert like is not None
    before = like.new_zeros(rows, *like.shape[1:]) if ours is None else ours[:rows]
    after = like.new_zeros(like.shape[1:]) if theirs is None else theirs[which]
    return torch.cat((before, after[None]))
