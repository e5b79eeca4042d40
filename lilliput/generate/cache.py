"""Keys and values of the tokens a decoder has already seen, in memory reserved up front."""

import torch
from torch import Tensor

from lilliput.model.config import ModelConfig


class KeyValueCache:
    """Keys and values of every layer for a batch of rows that grow in step.

    Memory is taken once, for `capacity` tokens a row, so that a new token costs one small copy.
    Rows can be moved and dropped, and the oldest columns cut off, without new memory.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        capacity: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.rows, self.capacity, self.length = batch, capacity, 0
        shape = (config.n_layers, batch, config.n_kv_heads, capacity, config.head_dim)
        self._keys = torch.empty(shape, device=device, dtype=dtype)
        self._values = torch.empty(shape, device=device, dtype=dtype)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [B, K, T, E] of a layer; return all so far, [B, K, S, E]."""
        stop = self.length + keys.shape[2]
        self._keys[layer, : self.rows, :, self.length : stop] = keys
        self._values[layer, : self.rows, :, self.length : stop] = values
        return (
            self._keys[layer, : self.rows, :, :stop],
            self._values[layer, : self.rows, :, :stop],
        )

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored, once every layer has them."""
        self.length += count

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for stored in (self._keys, self._values):
                stored[:, row, :, : self.length] = stored[:, last, :, : self.length]
        self.rows = last

    def drop_first(self, count: int) -> None:
        """Forget the first `count` tokens of every row."""
        for stored in (self._keys, self._values):
            kept = stored[:, : self.rows, :, count : self.length].clone()
            stored[:, : self.rows, :, : self.length - count] = kept
        self.length -= count

    def fill_from(self, source: "KeyValueCache", rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        self.length = source.length
        for target, origin in ((self._keys, source._keys), (self._values, source._values)):
            for layer in range(len(target)):
                target[layer, :, :, : self.length] = origin[layer, rows, :, : self.length]
