"""What a state-space trunk remembers of the tokens it has seen: always the same few numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lilliput.model.cache import Piece
from lilliput.model.mamba.config import MambaConfig


class RecurrentState:
    """The state and the last inputs of every layer for a batch of rows that grow in step.

    Behind the methods of `lilliput.model.cache.KeyValueCache`; `capacity` and `length` only
    count tokens. States are float32 whatever the inputs' dtype, as they are computed.
    """

    def __init__(
        self,
        config: MambaConfig,
        rows: int,
        capacity: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.rows, self.capacity, self.length = rows, capacity, 0
        layers, inner = config.n_layers, config.d_inner
        self._inputs = torch.zeros(
            layers, rows, config.d_conv - 1, inner, device=device, dtype=dtype
        )
        self._states = torch.zeros(layers, rows, config.d_state, inner, device=device)

    takes_back = False
    divisible = False
    """What a state has taken in cannot be taken apart again."""

    @property
    def memory_bytes(self) -> int:
        """Bytes held, the same for every capacity and length."""
        return self._inputs.nbytes + self._states.nbytes

    def inputs(self, layer: int) -> Tensor:
        """The last inputs of a layer's convolution [B, taps - 1, I], to be written in place."""
        return self._inputs[layer, : self.rows]

    def states(self, layer: int) -> Tensor:
        """A layer's state [B, N, I], to be written in place."""
        return self._states[layer, : self.rows]

    def advance(self, count: int) -> None:
        """Count `count` tokens as taken in, once every layer has them."""
        self.length += count

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for stored in (self._inputs, self._states):
                stored[:, row] = stored[:, last]
        self.rows = last

    def drop_first(self, count: int) -> None:
        """Count from `count` tokens later on; what they left in the state remains."""
        self.length -= count

    def can_cut(self, length: int) -> bool:
        """Whether what came after the first `length` tokens can be forgotten: only nothing can."""
        return length == self.length

    def cut(self, length: int) -> None:
        """Forget nothing: see `can_cut`."""

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row rows[i] was; indices [B] may repeat."""
        self._inputs, self._states = self._inputs[:, rows], self._states[:, rows]
        self.rows = len(rows)

    def adopt(self, pieces: Sequence[Piece]) -> None:
        """Add a row: the one that the only piece, a whole row of another state, names."""
        [piece] = pieces
        row, source = self.rows, piece.cache
        self.length = max(self.length if row else 0, piece.stop - piece.start)
        if row == self._inputs.shape[1]:
            more = max(1, row // 2)
            self._inputs = _with_rows(self._inputs, more)
            self._states = _with_rows(self._states, more)
        self._inputs[:, row] = source._inputs[:, piece.row]
        self._states[:, row] = source._states[:, piece.row]
        self.rows += 1

    def fill_from(self, source: "RecurrentState", rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        self.length = source.length
        self._inputs.copy_(source._inputs[:, rows])
        self._states.copy_(source._states[:, rows])


def _with_rows(stored: Tensor, count: int) -> Tensor:
    """[L, B, …] with so many rows more, of zeros."""
    return torch.cat((stored, stored.new_zeros(len(stored), count, *stored.shape[2:])), dim=1)
