"""Pairs as batches: of an encoder-decoder, or of any model that continues texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lilliput.tokens import Position

_IGNORED = -100
_BEGINNING = Position()


@dataclass(frozen=True, slots=True)
class Pair:
    """What is read, ids as a prompt has them, and what is to be written, without an end token."""

    read: Sequence[int]
    written: Sequence[int]


Collate = Callable[[Sequence[Pair]], tuple[Tensor, ...]]
"""Pairs → the batch of them that an objective takes, int64."""


class PairBatches:
    """An endless stream of batches of pairs, in a fresh random order each epoch.

    The last batch of an epoch goes on into the next. Raises ValueError if there is no pair.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        collate: Collate,
        *,
        batch_size: int,
        seed: int,
        position: Position = _BEGINNING,
        device: torch.device | str | None = None,
    ) -> None:
        if not pairs:
            raise ValueError("there is no pair")
        self.position = position
        self._pairs, self._collate, self._batch_size = pairs, collate, batch_size
        self._seed, self._device = seed, device
        self._order = lru_cache(maxsize=2)(self._draw)

    def next(self) -> tuple[Tensor, ...]:
        """The next batch, as `collate` makes it."""
        epoch, place = self.position.epoch, self.position.window
        chosen = []
        for _ in range(self._batch_size):
            if place == len(self._pairs):
                epoch, place = epoch + 1, 0
            chosen.append(self._pairs[self._order(epoch)[place]])
            place += 1
        self.position = Position(epoch, place)
        return tuple(part.to(self._device) for part in self._collate(chosen))

    def close(self) -> None:
        """Nothing to do."""

    def _draw(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._pairs))


def encoded_pairs(
    pairs: Sequence[Pair], *, start: int, end: int, padding: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A batch for `text_to_text`: encoder ids [B, S], decoder ids and targets [B, T], padding.

    What is read is padded on the left, as prompts are, and the last part [B, 1] says how much; what
    is written begins with `start`, ends with `end` and is padded on the right.
    """
    read = max(len(pair.read) for pair in pairs)
    written = max(len(pair.written) for pair in pairs) + 1
    encoder_ids = torch.full((len(pairs), read), padding)
    decoder_ids = torch.full((len(pairs), written), padding)
    targets = torch.full((len(pairs), written), _IGNORED)
    starts = torch.empty(len(pairs), 1, dtype=torch.long)
    for row, pair in enumerate(pairs):
        answer = torch.tensor([start, *pair.written, end])
        encoder_ids[row, read - len(pair.read) :] = torch.tensor(pair.read)
        decoder_ids[row, : len(answer) - 1] = answer[:-1]
        targets[row, : len(answer) - 1] = answer[1:]
        starts[row] = read - len(pair.read)
    return encoder_ids, decoder_ids, targets, starts


def continued_pairs(pairs: Sequence[Pair], *, end: int, padding: int) -> tuple[Tensor, Tensor]:
    """A batch for `next_token`: inputs and targets [B, T], of which only the answers are scored.

    A row is what is read, what is written and `end`, padded on the right.
    """
    width = max(len(pair.read) + len(pair.written) for pair in pairs)
    inputs = torch.full((len(pairs), width), padding)
    targets = torch.full((len(pairs), width), _IGNORED)
    for row, pair in enumerate(pairs):
        ids = torch.tensor([*pair.read, *pair.written, end])
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, len(pair.read) - 1 : len(ids) - 1] = ids[len(pair.read) :]
    return inputs, targets
