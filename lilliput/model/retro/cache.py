"""What a decoder that retrieves keeps of a text besides keys and values of its tokens."""

from torch import Tensor

from lilliput.model.cache import KeyValueCache


class RetroCache(KeyValueCache):
    """A key-value cache, and for each row its last chunk's neighbours as every layer sees them.

    States and ids of tokens, from which the next chunk's neighbours are found and read, are stored
    as the keys and values of one layer more than there are.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__(rows, capacity)
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

    def fill_from(self, source: KeyValueCache, rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        assert isinstance(source, RetroCache)
        super().fill_from(source, rows)
        if source._visible is not None:
            self._visible = source._visible[rows]
            for layer, (keys, values) in source._neighbours.items():
                self._neighbours[layer] = keys[rows], values[rows]
