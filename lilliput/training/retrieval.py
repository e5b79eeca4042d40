"""Training a decoder that retrieves: batches with the neighbours of their chunks, an objective.

A batch is (inputs [B, T], targets [B, T], neighbours [B, N, K, R]) and, if attention is to stay
inside documents, their starts [B, T]; int64, with MISSING in neighbours where there is no token.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lilliput.generate.retrieval import check_index
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.trunk import Retro
from lilliput.tokens import Position, TokenSplit
from lilliput.tokens.batches import Align
from lilliput.tokens.layout import DocumentLayout, Layout, RandomLayout
from lilliput.tokens.neighbours import LeakageControl, NeighbourIndex
from lilliput.tokens.ngrams import MISSING

Ids = npt.NDArray[np.int64]

_IGNORED = -100


def retrieved_next_token(model: Retro, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
    """Cross-entropy of every next token, given the neighbours, summed, and how many there are.

    Targets of -100 are not scored.
    """
    inputs, targets, neighbours = batch[:3]
    starts = batch[3] if len(batch) > 3 else None
    hidden = model.hidden(inputs, document_starts=starts, neighbours=neighbours)
    return model.loss(hidden, targets), int((targets != _IGNORED).sum())


@dataclass(frozen=True)
class RowChunks:
    """The chunks that end in rows [B, T] of inputs: Q of them, in order."""

    rows: Ids
    """[Q]: the row of each."""
    order: Ids
    """[Q]: which of its row's chunks it is."""
    members: Ids
    """[Q, M]: the places of its tokens in the row."""
    told: Ids
    """[Q, M]: the places whose targets its neighbours help to predict, MISSING where there is none:
    behind the row's end or in another document."""


def chunks_of_rows(starts: Ids, chunk_length: int) -> RowChunks:
    """Chunks counted from where each document begins; `starts` [B, T] as in a batch."""
    time = starts.shape[1]
    relative = np.arange(time) - starts
    rows, last = np.nonzero(relative % chunk_length == chunk_length - 1)
    order = np.arange(len(rows)) - np.searchsorted(rows, rows)
    within = np.arange(chunk_length)
    told = last[:, None] + within
    inside = np.minimum(told, time - 1)
    same = (told < time) & (starts[rows[:, None], inside] == starts[rows, last][:, None])
    members = last[:, None] + within - (chunk_length - 1)
    return RowChunks(rows, order, members, np.where(same, told, MISSING))


def neighbours_of_rows(
    index: NeighbourIndex,
    inputs: Ids,
    targets: Ids,
    starts: Ids | None,
    documents: Ids | None,
    *,
    count: int,
    control: LeakageControl | None,
) -> Ids:
    """Neighbours [B, N, count, R] of the chunks that end in rows; N is the most a row could have.

    `documents` [B, T] is the number in the index's split of each token's document: no chunk of
    those that a chunk or what is predicted after it lies in is given, nor what `control` drops.
    """
    batch, time = inputs.shape
    length = index.chunk_length
    chunks = chunks_of_rows(np.zeros_like(inputs) if starts is None else starts, length)
    excluded = None
    if documents is not None:
        own = documents[chunks.rows[:, None], np.maximum(chunks.told, chunks.members)]
        excluded = np.concatenate((documents[chunks.rows[:, None], chunks.members], own), axis=1)
    told = targets[chunks.rows[:, None], np.maximum(chunks.told, 0)]
    near = index.nearest(
        inputs[chunks.rows[:, None], chunks.members],
        count,
        excluded=excluded,
        predicted=np.where((chunks.told == MISSING) | (told == _IGNORED), MISSING, told),
        control=control,
    )
    found = np.full((batch, time // length, count, 2 * length), MISSING, dtype=np.int64)
    found[chunks.rows, chunks.order] = index.values(near.numbers)
    return found


class WindowSource(Protocol):
    """What `lilliput.tokens.Batches` is: inputs, targets and perhaps starts at a position."""

    position: Position

    def next(self) -> tuple[Tensor, ...]:
        """The next batch."""

    def close(self) -> None:
        """Free what the source holds."""


class RetrievedBatches:
    """Batches of a split with neighbours from an index of the same split.

    `source` must be `Batches` of that split made with the same `context_length`, `seed` and
    `align`, on the CPU, where the search is; batches go to `device`. No neighbour comes from a
    document that the chunk or what follows it in the window lies in, nor gives away what follows.
    """

    def __init__(
        self,
        source: WindowSource,
        index: NeighbourIndex,
        config: RetroConfig,
        *,
        seed: int,
        align: Align = "document",
        control: LeakageControl | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        check_index(config, index)
        self._source, self._index, self._device = source, index, device
        self._count, self._control = config.n_neighbours, control or LeakageControl()
        self._split, time = index.split, config.context_length
        self._layout = _layout(self._split, time, seed, align)

    @property
    def position(self) -> Position:
        """That of the source."""
        return self._source.position

    def next(self) -> tuple[Tensor, ...]:
        """The next inputs, targets, neighbours and, if the source has them, document starts."""
        position = self._source.position
        inputs, targets, *starts = (part.cpu().numpy() for part in self._source.next())
        neighbours = neighbours_of_rows(
            self._index,
            inputs,
            targets,
            starts[0] if starts else None,
            self._documents(position, len(inputs)),
            count=self._count,
            control=self._control,
        )
        parts = (inputs, targets, neighbours, *starts)
        return tuple(torch.from_numpy(part).to(self._device) for part in parts)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _documents(self, position: Position, rows: int) -> Ids:
        """The document of every input of the next `rows` windows, int64 [rows, T]."""
        epoch, window, found = position.epoch, position.window, []
        for _ in range(rows):
            while window >= self._layout.windows(epoch):
                epoch, window = epoch + 1, 0
            places = [
                np.arange(start, start + length)
                for start, length in zip(*self._layout.pieces(epoch, window), strict=True)
            ]
            found.append(document_of(self._split, np.concatenate(places)))
            window += 1
        return np.stack(found)


def document_of(split: TokenSplit, places: Ids) -> Ids:
    """The number of the document that each place in a split's stream lies in."""
    return np.searchsorted(split.document_starts, places, side="right") - 1


def _layout(split: TokenSplit, context_length: int, seed: int, align: Align) -> Layout:
    if align == "random":
        return RandomLayout(split.tokens - 1, context_length, seed)
    return DocumentLayout(split.document_starts, split.document_lengths, context_length, seed)
