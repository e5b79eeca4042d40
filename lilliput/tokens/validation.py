"""Evaluation windows: every token of a split scored exactly once, with context before it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from lilliput.tokens.folder import TokenSplit

NOT_SCORED = -100
BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class _Window:
    """Inputs [start, stop) of the stream, of which those from `scored_from` on are scored."""

    start: int
    scored_from: int
    stop: int


class ValidationWindows:
    """Batches of (inputs, targets) that score chosen documents, each target once.

    Iterating yields int64 tensors [rows, width]; a target of -100 is not scored (padding, or
    scored in an earlier window). `tokens` is the number of scored targets, `bytes` the UTF-8
    bytes they stand for: bits per byte = total nats / ln 2 / bytes.
    """

    def __init__(
        self,
        split: TokenSplit,
        context_length: int,
        documents: npt.NDArray[np.int64],
        text_bytes: int,
        batch_tokens: int,
    ) -> None:
        self._split, self._batch_tokens = split, batch_tokens
        self.documents = len(documents)
        self.tokens = int(split.document_lengths[documents].sum())
        self.bytes = text_bytes
        windows = [
            window
            for document in documents
            for window in _windows_of(
                int(split.document_starts[document]),
                int(split.document_lengths[document]),
                context_length,
            )
        ]
        self._windows = sorted(windows, key=lambda window: window.stop - window.start)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        rows: list[_Window] = []
        for window in self._windows:
            if rows and (len(rows) + 1) * (window.stop - window.start) > self._batch_tokens:
                yield self._batch(rows)
                rows = []
            rows.append(window)
        if rows:
            yield self._batch(rows)

    def _batch(self, rows: list[_Window]) -> tuple[torch.Tensor, torch.Tensor]:
        width = rows[-1].stop - rows[-1].start
        inputs = np.full((len(rows), width), self._split.end_of_text, dtype=np.int64)
        targets = np.full((len(rows), width), NOT_SCORED, dtype=np.int64)
        for row, window in enumerate(rows):
            ids = self._split.read(window.start, window.stop + 1)
            inputs[row, : len(ids) - 1] = ids[:-1]
            skipped = window.scored_from - window.start
            targets[row, skipped : len(ids) - 1] = ids[1 + skipped :]
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def validation_windows(
    split: TokenSplit,
    context_length: int,
    max_tokens: int | None = None,
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> ValidationWindows:
    """Deterministic evaluation batches of a split, at most `batch_tokens` inputs each.

    A document starts at its end-of-text, and its last target is the end-of-text after it. One
    longer than the context goes on in windows that overlap by half, the overlap not scored again.
    Windows come sorted by length, so that padding wastes little.

    With `max_tokens`, whole documents are taken in the order of a hash of their ids until they
    hold that many tokens; that subset hardly moves when the corpus grows.
    """
    documents = np.arange(len(split.document_starts))
    text_bytes = split.bytes
    if max_tokens is not None and max_tokens < split.tokens - 1:
        documents = _subset(split, max_tokens)
        lengths = split.document_lengths
        # The bytes of a subset: exact if the subset is everything, else by share of tokens.
        text_bytes = round(split.bytes * int(lengths[documents].sum()) / int(lengths.sum()))
    return ValidationWindows(split, context_length, documents, text_bytes, batch_tokens)


def _subset(split: TokenSplit, max_tokens: int) -> npt.NDArray[np.int64]:
    def key(document: int) -> bytes:
        start = int(split.document_starts[document])
        ids = split.read(start, start + int(split.document_lengths[document]))
        return hashlib.blake2b(ids.astype("<u4").tobytes(), digest_size=8).digest()

    order = np.array(sorted(range(len(split.document_starts)), key=key), dtype=np.int64)
    held = np.cumsum(split.document_lengths[order])
    return order[: max(1, int(np.searchsorted(held, max_tokens, side="right")))]


def _windows_of(start: int, length: int, context_length: int) -> Iterator[_Window]:
    stride = max(1, context_length // 2)
    end = start + length
    scored = start
    window_start = start
    while scored < end:
        stop = min(window_start + context_length, end)
        yield _Window(window_start, scored, stop)
        scored = stop
        window_start += stride
