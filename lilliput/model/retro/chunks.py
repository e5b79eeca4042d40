"""Which tokens see the neighbours of which chunk.

Chunks are counted from the beginning of each document, so that a document means the same alone,
packed with others or behind padding. The neighbours of a chunk are seen from its last token on,
which predicts the first after it, up to the last but one of the next chunk: no token sees what was
found with the help of a later one (arXiv 2112.04426, section 2.4).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ChunkPlan:
    """The chunks of one pass over T new tokens of B rows.

    There are C chunks a row: first, if `carried`, the last that ended before these tokens, then the
    N ended by them. Each has room for the W tokens of this pass that see its neighbours.
    """

    carried: bool
    slots: Tensor
    """[B, T] int64: in which of the C·W places a token is; C·W for a token that sees nothing."""
    tokens: Tensor
    """[B, C·W] int64: the reverse; 0 for a place without a token."""
    offsets: Tensor
    """[B, T] int64: how far each token is behind the last one of a whole chunk."""
    ends: Tensor
    """[B, N] int64: the last token of each new chunk, counted from the first new token."""
    present: Tensor
    """[B, N] boolean: whether the row has this chunk."""
    count: Tensor
    """[B] int64: new chunks of the row."""

    @property
    def chunks(self) -> int:
        """C."""
        return self.ends.shape[1] + self.carried

    def gathered(self, rows: Tensor) -> Tensor:
        """[B, T, X] → [B·C, W, X]: tokens by the chunk whose neighbours they see."""
        places = self.tokens[..., None].expand(-1, -1, rows.shape[2])
        width = self.tokens.shape[1] // self.chunks
        return rows.gather(1, places).view(-1, width, rows.shape[2])

    def returned(self, rows: Tensor) -> Tensor:
        """The reverse: [B·C, W, X] → [B, T, X], zero for a token that sees nothing."""
        rows = rows.reshape(len(self.tokens), -1, rows.shape[2])
        rows = torch.cat((rows, rows.new_zeros(len(rows), 1, rows.shape[2])), dim=1)
        return rows.gather(1, self.slots[..., None].expand(-1, -1, rows.shape[2]))

    def last_of(self, chunks: Tensor) -> Tensor:
        """[B, C, …] → [B, …]: that of each row's last chunk; any where it has none."""
        last = (self.count - 1 + self.carried).clamp_min(0)
        return chunks[torch.arange(len(chunks), device=chunks.device), last]

    def members(self, rows: Tensor, past: int, chunk_length: int) -> Tensor:
        """What belongs to the tokens of each new chunk: [B, past + T, X] → [B, N, M, X]."""
        within = torch.arange(1 - chunk_length, 1, device=rows.device)
        places = (self.ends[..., None] + past + within).clamp_min(0).flatten(1)
        found = rows.gather(1, places[..., None].expand(-1, -1, rows.shape[2]))
        return found.view(*self.ends.shape, chunk_length, rows.shape[2])


def plan_chunks(
    document_starts: Tensor | None,
    rows: int,
    past: int,
    time: int,
    *,
    chunk_length: int,
    carried: bool,
    device: torch.device,
    most: int | None = None,
) -> ChunkPlan:
    """The plan for `time` new tokens a row after `past` others.

    `document_starts` is as in `Decoder.hidden`. `most`: N; by default as many as the row with the
    most has. Raises ValueError if that has more.
    """
    local = torch.arange(time, device=device)
    starts = 0 if document_starts is None else document_starts
    relative = (local + past - starts).expand(rows, time)
    offsets = (relative + 1) % chunk_length
    ending = (offsets == 0) & (relative >= 0)
    count = ending.sum(dim=1)
    needed = int(count.max())
    new = needed if most is None else most
    if new < needed:
        raise ValueError(f"neighbours are given for {new} chunks and a row has {needed}")
    # Places are counted from the chunk's end, or from the first new token if that is later.
    width = min(chunk_length, time)
    chunk = ending.cumsum(dim=1) - 1 + carried
    nothing = (new + carried) * width
    sees = relative >= chunk_length - 1
    slots = torch.where(sees, chunk * width + torch.minimum(offsets, local), nothing)
    tokens = torch.zeros(rows, nothing + 1, dtype=torch.int64, device=device)
    tokens = tokens.scatter_(1, slots, local.expand(rows, time).contiguous())[:, :nothing]
    ends = tokens.view(rows, new + carried, width)[:, carried:, 0]
    present = torch.arange(new, device=device) < count[:, None]
    return ChunkPlan(carried, slots, tokens, offsets, ends, present, count)
