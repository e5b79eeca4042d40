"""Batches for training: windows of tokens in a fresh random order each epoch.

The position is two integers, epoch and window. Whoever goes on from a position gets the same
batches as who never stopped.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from lilliput.errors import UserError
from lilliput.tokens.folder import TokenSplit
from lilliput.tokens.layout import DocumentLayout, Layout, RandomLayout

Align = Literal["document", "random"]
Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Position:
    """Exact position of the data stream: the next window to be handed out."""

    epoch: int = 0
    window: int = 0


_Assemble = Callable[[Position], tuple[Batch, Position]]
_Ahead = tuple[Batch, Position, torch.cuda.Event | None]


class Batches:
    """An endless stream of batches from one split.

    A batch is inputs and targets and, unless attention may go `across_documents`, for each input
    the index in its row with which its document begins. `align` "document" packs whole documents
    into windows, "random" takes plain windows at random places (see `lilliput.tokens.layout`).
    The last batch of an epoch goes on into the next epoch, so batches never shrink, and a split
    smaller than a batch is gone round several times.

    With `prefetch` (default: for a CUDA `device`), the next batch is built and copied in the
    background while the current one is used. `position` is always that of the batches handed out.

    Raises UserError if the split has fewer than context_length + 1 tokens.
    """

    def __init__(
        self,
        split: TokenSplit,
        *,
        context_length: int,
        batch_size: int,
        seed: int,
        align: Align = "document",
        across_documents: bool = False,
        position: Position = Position(0, 0),
        device: torch.device | str | None = None,
        prefetch: bool | None = None,
    ) -> None:
        if split.tokens < context_length + 1:
            raise UserError(
                f"the split {split.name!r} has {split.tokens:,} tokens, too few for a context of "
                f"{context_length:,}: choose a context of at most {max(split.tokens - 1, 0):,}, or "
                "use more text"
            )
        self.context_length, self.batch_size = context_length, batch_size
        self.position = position
        self._split, self._across_documents = split, across_documents
        self._layout = _layout(split, context_length, seed, align)
        self._device = torch.device(device) if device is not None else torch.device("cpu")
        if prefetch is None:
            prefetch = self._device.type == "cuda"
        self._prefetch = _Prefetch(self._device) if prefetch else None
        self._ahead: Future[_Ahead] | None = None

    def windows(self, epoch: int) -> int:
        """How many windows an epoch has."""
        return self._layout.windows(epoch)

    def next(self) -> Batch:
        """The next (inputs, targets) or (inputs, targets, document starts).

        Each is int64 [batch, context_length], on the device.
        """
        if self._prefetch is None:
            batch, self.position = self._assemble(self.position)
            return tuple(part.to(self._device) for part in batch)
        ahead = self._ahead or self._prefetch.submit(self._assemble, self.position)
        batch, self.position, copied = ahead.result()
        self._ahead = self._prefetch.submit(self._assemble, self.position)
        return self._prefetch.hand_over(batch, copied)

    def close(self) -> None:
        """End the background thread."""
        if self._prefetch is not None:
            self._prefetch.close()

    def _assemble(self, position: Position) -> tuple[Batch, Position]:
        shape = (self.batch_size, self.context_length)
        inputs, targets = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
        epoch, window = position.epoch, position.window
        for row in range(self.batch_size):
            while window >= self._layout.windows(epoch):
                epoch, window = epoch + 1, 0
            self._fill(inputs[row], targets[row], epoch, window)
            window += 1
        parts = [inputs, targets]
        if not self._across_documents:
            parts.append(_document_starts(inputs, self._split.end_of_text))
        return tuple(map(torch.from_numpy, parts)), Position(epoch, window)

    def _fill(self, inputs: np.ndarray, targets: np.ndarray, epoch: int, window: int) -> None:
        place = 0
        for start, length in zip(*self._layout.pieces(epoch, window), strict=True):
            ids = self._split.read(int(start), int(start + length) + 1)
            inputs[place : place + length] = ids[:-1]
            targets[place : place + length] = ids[1:]
            place += length


def _document_starts(inputs: npt.NDArray[np.int64], end_of_text: int) -> npt.NDArray[np.int64]:
    """For each input, where in its row its document begins; what a cut left over begins at 0."""
    begins = np.where(inputs == end_of_text, np.arange(inputs.shape[1]), 0)
    return np.maximum.accumulate(begins, axis=1)


def _layout(split: TokenSplit, context_length: int, seed: int, align: Align) -> Layout:
    if align == "random":
        return RandomLayout(split.tokens - 1, context_length, seed)
    if align == "document":
        return DocumentLayout(split.document_starts, split.document_lengths, context_length, seed)
    raise UserError(f"align {align!r} is unknown; there are document and random")


class _Prefetch:
    """Builds a batch in a thread and copies it to the device, on a CUDA stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def submit(self, assemble: _Assemble, position: Position) -> Future[_Ahead]:
        return self._thread.submit(self._build, assemble, position)

    def _build(self, assemble: _Assemble, position: Position) -> _Ahead:
        batch, after = assemble(position)
        if self._stream is None:
            return tuple(part.to(self._device) for part in batch), after, None
        with torch.cuda.stream(self._stream):
            batch = tuple(part.pin_memory().to(self._device, non_blocking=True) for part in batch)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(self._stream)
        return batch, after, copied

    def hand_over(self, batch: Batch, copied: torch.cuda.Event | None) -> Batch:
        """Make the current stream wait for the copy, and the allocator know of its use there."""
        if copied is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            for tensor in batch:
                tensor.record_stream(current)
        return batch

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
