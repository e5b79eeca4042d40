"""Keys and values of the tokens a decoder has already seen, in memory reserved up front."""

from typing import Protocol

from torch import Tensor


class Cache(Protocol):
    """What attention needs of a key-value cache."""

    length: int

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store T new keys and values [B, K, T, E]; return all so far, [B, K, S, E]."""

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored, once every layer has them."""


class KeyValueCache:
    """Keys and values of every layer for a batch of rows that grow in step.

    A layer's memory is taken once, when it first stores something, for `capacity` tokens a row, so
    that a new token costs one small copy. Rows can be moved and dropped, and the oldest columns cut
    off, without new memory. Latent attention stores its latents as keys and its rotary keys as
    values; a layer that reuses another's keys stores nothing.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        self.rows, self.capacity, self.length = rows, capacity, 0
        self._stored: dict[int, tuple[Tensor, Tensor]] = {}

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [B, K, T, E] of a layer; return all so far, [B, K, S, E]."""
        if layer not in self._stored:
            self._stored[layer] = self._room_for(keys), self._room_for(values)
        stop = self.length + keys.shape[2]
        for room, new in zip(self._stored[layer], (keys, values), strict=True):
            room[: self.rows, :, self.length : stop] = new
        all_keys, all_values = (room[: self.rows, :, :stop] for room in self._stored[layer])
        return all_keys, all_values

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored, once every layer has them."""
        self.length += count

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for room in self._rooms():
                room[row, :, : self.length] = room[last, :, : self.length]
        self.rows = last

    def drop_first(self, count: int) -> None:
        """Forget the first `count` tokens of every row."""
        for room in self._rooms():
            kept = room[: self.rows, :, count : self.length].clone()
            room[: self.rows, :, : self.length - count] = kept
        self.length -= count

    def fill_from(self, source: "KeyValueCache", rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        self.length = source.length
        for layer, stored in source._stored.items():
            copies = tuple(room[rows, :, : self.length] for room in stored)
            self._stored[layer] = self._room_for(copies[0]), self._room_for(copies[1])
            for room, copy in zip(self._stored[layer], copies, strict=True):
                room[:, :, : self.length] = copy

    def _room_for(self, stored: Tensor) -> Tensor:
        _, heads, _, width = stored.shape
        return stored.new_empty(self.rows, heads, self.capacity, width)

    def _rooms(self) -> list[Tensor]:
        return [room for pair in self._stored.values() for room in pair]
