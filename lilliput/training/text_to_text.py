"""Training an encoder-decoder: one objective, and where its batches come from.

A batch is (encoder ids [B, S], decoder ids [B, T], targets [B, T], padding [B, 1]), int64: the last
is how many ids of padding each encoder row has on its left, and left out where there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.model.t5.config import T5Config
from lilliput.model.t5.trunk import T5
from lilliput.tokens import Position
from lilliput.tokens.span_corruption import SpanCorruption, corrupt_rows

_IGNORED = -100
_BEGINNING = Position()


def text_to_text(model: T5, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
    """Cross-entropy of every decoder token after the encoded text, summed, and how many there are.

    The objective of span corruption and of supervised pairs alike (arXiv 1910.10683, section
    2.4). Targets of -100 are not scored.
    """
    encoder_ids, decoder_ids, targets = batch[:3]
    starts = batch[3] if len(batch) > 3 else None
    hidden = model.answer_hidden(encoder_ids, decoder_ids, document_starts=starts)
    return model.loss(hidden, targets), int((targets != _IGNORED).sum())


def span_corruption(
    config: T5Config, end_token: int, *, share: float = 0.15, mean_span: float = 3.0
) -> SpanCorruption:
    """Span corruption with the sentinels and the start token of this model."""
    return SpanCorruption(
        first_sentinel=config.first_sentinel,
        n_sentinels=config.n_sentinels,
        start_token=config.start_token,
        end_token=end_token,
        share=share,
        mean_span=mean_span,
    )


class WindowSource(Protocol):
    """What `lilliput.tokens.Batches` is: windows, their first part [B, L], at a position."""

    position: Position

    def windows(self, epoch: int) -> int:
        """How many windows an epoch has."""

    def next(self) -> tuple[Tensor, ...]:
        """The next batch, whose first tensor is the windows."""

    def close(self) -> None:
        """Free what the source holds."""


class CorruptedBatches:
    """Windows of another source, corrupted: a window's gaps depend on seed, epoch and window alone.

    So they are the same whatever the size of a batch and wherever a run was resumed, and other
    gaps each epoch. The source is best on the CPU, where the work is; batches go to `device`.
    """

    def __init__(
        self,
        source: WindowSource,
        settings: SpanCorruption,
        *,
        seed: int,
        device: torch.device | str | None = None,
    ) -> None:
        self._source, self._settings, self._seed, self._device = source, settings, seed, device

    @property
    def position(self) -> Position:
        """That of the source."""
        return self._source.position

    def next(self) -> tuple[Tensor, ...]:
        """The next encoder ids, decoder ids and targets."""
        position = self._source.position
        windows = self._source.next()[0].cpu().numpy()
        seeds = []
        epoch, window = position.epoch, position.window
        for _ in windows:
            while window >= self._source.windows(epoch):
                epoch, window = epoch + 1, 0
            seeds.append((self._seed, epoch, window))
            window += 1
        corrupted = corrupt_rows(windows, self._settings, seeds)
        return tuple(torch.from_numpy(part).to(self._device) for part in corrupted)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


@dataclass(frozen=True)
class Pair:
    """What is read, ids as a prompt has them, and what is to be written, without an end token."""

    read: Sequence[int]
    written: Sequence[int]


class PairBatches:
    """An endless stream of batches of pairs, in a fresh random order each epoch.

    What is read is padded on the left, as prompts are; what is written ends with `end_token` and is
    padded on the right. `padding` may be any id. The last batch of an epoch goes on into the next.

    Raises UserError if there is no pair, or one of them does not fit in the model's context.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        config: T5Config,
        *,
        batch_size: int,
        seed: int,
        end_token: int,
        padding: int,
        position: Position = _BEGINNING,
        device: torch.device | str | None = None,
    ) -> None:
        _check_pairs(pairs, config.context_length)
        self.position = position
        self._pairs, self._batch_size, self._seed = pairs, batch_size, seed
        self._start, self._end, self._padding = config.start_token, end_token, padding
        self._device = device
        self._order = lru_cache(maxsize=2)(self._draw)

    def next(self) -> tuple[Tensor, ...]:
        """The next encoder ids, decoder ids, targets and encoder padding."""
        epoch, place = self.position.epoch, self.position.window
        chosen = []
        for _ in range(self._batch_size):
            if place == len(self._pairs):
                epoch, place = epoch + 1, 0
            chosen.append(self._pairs[self._order(epoch)[place]])
            place += 1
        self.position = Position(epoch, place)
        batch = pair_batch(chosen, start=self._start, end=self._end, padding=self._padding)
        return tuple(part.to(self._device) for part in batch)

    def close(self) -> None:
        """Nothing to do."""

    def _draw(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._pairs))


def pair_batch(
    pairs: Sequence[Pair], *, start: int, end: int, padding: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A batch of these pairs, padded: see `PairBatches`, and the module for its parts."""
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


def _check_pairs(pairs: Sequence[Pair], context_length: int) -> None:
    if not pairs:
        raise UserError("there is no pair to train on")
    for number, pair in enumerate(pairs, start=1):
        if not pair.read:
            raise UserError(f"pair {number} has nothing to read: give it some text")
        for part, length in (("read", len(pair.read)), ("written", len(pair.written) + 1)):
            if length > context_length:
                raise UserError(
                    f"pair {number}: its {part} part is {length} tokens long and the model's "
                    f"context holds {context_length}: shorten it"
                )
