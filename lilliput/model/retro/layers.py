"""The parts of RETRO (arXiv 2112.04426): cross-attention, the encoder of neighbours.

Shapes are named by letters: B rows, T tokens, D width of the residual stream, N chunks ended, C
chunks seen, K neighbours of a chunk, R tokens of a neighbour, S = K·R, M tokens of a chunk, H
heads, E head dimension. Positions in chunk and neighbours are counted from the chunk's beginning,
so that a neighbour's continuation stands beside the text that follows the chunk.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lilliput.model.attention import Attention, Memory, Sight
from lilliput.model.feed_forward import FeedForward
from lilliput.model.kernels import Visible, attention, rotate
from lilliput.model.linear import make_linear
from lilliput.model.norms import make_norm
from lilliput.model.positions import rotary_table
from lilliput.model.retro.chunks import ChunkPlan
from lilliput.model.retro.config import RetroConfig

Turn = tuple[Tensor, Tensor]
"""Cosine and sine [..., T, 1, E] of the angles of T positions."""


class Neighbours(NamedTuple):
    """Neighbours as the encoder read them: rows [B, N, S, D], and boolean [B, N, S] which exist."""

    encoded: Tensor
    visible: Tensor


class CrossAttention(nn.Module):
    """Attention of rows to a memory of another width, with a norm before the queries."""

    def __init__(self, config: RetroConfig, *, asking: int, asked: int, heads: int) -> None:
        super().__init__()
        self.head_dim, inner = config.head_dim, heads * config.head_dim
        self.norm = make_norm(config, asking)
        self.query = make_linear(config, asking, inner, bias=False)
        self.key = make_linear(config, asked, inner, bias=False)
        self.value = make_linear(config, asked, inner, bias=False)
        self.output = make_linear(config, inner, asking, bias=False)

    def queries(self, rows: Tensor, turn: Turn) -> Tensor:
        """[B, T, D] → [B, T, H, E]."""
        return rotate(self._heads(self.query(self.norm(rows))), *turn)

    def keys_and_values(self, memory: Tensor, turn: Turn) -> tuple[Tensor, Tensor]:
        """[..., S, D] → two of [..., H, S, E]."""
        keys, values = rotate(self._heads(self.key(memory)), *turn), self.value(memory)
        return keys.transpose(-2, -3), self._heads(values).transpose(-2, -3)

    def _heads(self, rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:-1], -1, self.head_dim)


class ChunkedCrossAttention(CrossAttention):
    """What the text takes from the neighbours of its last whole chunk.

    Added through a gate, the tanh of a learned vector that begins at 0 (Flamingo, arXiv
    2204.14198), so that a decoder given retrieval is at first what it was.
    """

    def __init__(self, config: RetroConfig) -> None:
        width = config.d_model
        asked = config.d_encoder or width
        super().__init__(config, asking=width, asked=asked, heads=config.n_heads)
        self.gate = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        residual: Tensor,
        turn: Turn,
        plan: ChunkPlan,
        keys_values: tuple[Tensor, Tensor],
        visible: Tensor,
    ) -> Tensor:
        """What is added to [B, T, D]; keys and values [B, C, H, S, E], visible [B, C, S]."""
        asked = plan.gathered(self.queries(residual, turn).flatten(2))
        keys, values = (part.flatten(0, 1) for part in keys_values)
        mixed = attend(self._heads(asked), keys, values, visible.flatten(0, 1))
        return torch.tanh(self.gate) * self.output(plan.returned(mixed))  # type: ignore[no-any-return]


def attend(queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor) -> Tensor:
    """[P, T, H, E] to [P, H, S, E] → [P, T, H·E]; zero in a row of which nothing is `visible`.

    `visible` is boolean [P, S].
    """
    any_visible = visible.any(dim=1, keepdim=True)
    # Softmax over nothing is not defined: such rows look at everything, and then count nothing.
    mask = (visible | ~any_visible)[:, None, None]
    mixed = attention(queries.transpose(1, 2), keys, values, Visible(mask))
    return mixed.transpose(1, 2).flatten(2) * any_visible[..., None].to(mixed.dtype)


class EncoderLayer(nn.Module):
    """One pre-norm layer that sees a whole neighbour; the first also what the text says."""

    def __init__(self, config: RetroConfig, layer: int) -> None:
        super().__init__()
        inner, width = config.encoder, config.encoder.d_model
        self.attention_norm = make_norm(inner, width)
        self.attention = Attention(inner, layer)
        self.cross_attention: CrossAttention | None = None
        if layer == 0:
            self.cross_attention = CrossAttention(
                config, asking=width, asked=config.d_model, heads=inner.n_heads
            )
        self.feed_forward_norm = make_norm(inner, width)
        self.feed_forward = FeedForward(inner, inner.d_ff)

    def forward(self, rows: Tensor, sight: Sight, states: Tensor, states_turn: Turn) -> Tensor:
        """[B·N·K, R, D] → the same; `states` [B·N, M, D] are those of the chunks' tokens."""
        rows = rows + self.attention(self.attention_norm(rows), sight, Memory())
        if self.cross_attention is not None:
            assert sight.rotary is not None
            queries = self.cross_attention.queries(rows, sight.rotary)
            keys, values = self.cross_attention.keys_and_values(states, states_turn)
            chunks = len(states)
            everything = states.new_ones(chunks, states.shape[1], dtype=torch.bool)
            asked = queries.reshape(chunks, -1, *queries.shape[2:])
            mixed = attend(asked, keys, values, everything).reshape(*rows.shape[:2], -1)
            rows = rows + self.cross_attention.output(mixed)
        changed: Tensor = rows + self.feed_forward(self.feed_forward_norm(rows))
        return changed


class NeighbourEncoder(nn.Module):
    """Reads the neighbours of a chunk in both directions, knowing what the chunk says."""

    def __init__(self, config: RetroConfig) -> None:
        super().__init__()
        self.config, width = config, config.encoder.d_model
        self.input = (
            nn.Identity()
            if width == config.d_model
            else make_linear(config, config.d_model, width, bias=False)
        )
        self.states_norm = make_norm(config, config.d_model)
        self.layers = nn.ModuleList(
            EncoderLayer(config, layer) for layer in range(config.n_encoder_layers)
        )
        self.final_norm = make_norm(config.encoder, width)

    def forward(self, embedded: Tensor, visible: Tensor, states: Tensor) -> Neighbours:
        """Neighbours' embeddings [B, N, K, R, D], which tokens exist [B, N, K, R], the chunks'
        states [B, N, M, D] → what the text attends to.
        """
        rows, present = self.input(embedded.flatten(0, 2)), visible.flatten(0, 2)
        mask = (present | ~present.any(dim=1, keepdim=True))[:, None, None]
        turn = turn_of(self.config, torch.arange(rows.shape[1], device=rows.device), rows.dtype)
        sight = Sight(Visible(mask), turn)
        states = self.states_norm(states).flatten(0, 1)
        places = torch.arange(states.shape[1], device=rows.device)
        states_turn = turn_of(self.config, places, rows.dtype)
        for layer in self.layers:
            rows = layer(rows, sight, states, states_turn)
        rows = self.final_norm(rows).view(*visible.shape[:2], -1, rows.shape[2])
        return Neighbours(rows, visible.flatten(2))


def turn_of(config: RetroConfig, positions: Tensor, dtype: torch.dtype) -> Turn:
    """Rotary angles of positions [..., T] in chunk and neighbours."""
    cosine, sine = rotary_table(config.encoder, positions, local=False)
    return cosine.to(dtype), sine.to(dtype)
