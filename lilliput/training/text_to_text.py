"""Training an encoder-decoder: its one objective, and batches of corrupted windows for it.

A batch is (encoder ids [B, S], decoder ids [B, T], targets [B, T], padding [B, 1]), int64: the last
is how many ids of padding each encoder row has on its left, and left out where there is none.
"""

from typing import Protocol

import torch
from torch import Tensor

from lilliput.model.t5.config import T5Config
from lilliput.model.t5.trunk import T5
from lilliput.tokens import Position
from lilliput.tokens.span_corruption import SpanCorruption, corrupt_rows

_IGNORED = -100


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
