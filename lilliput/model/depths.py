"""Mixture of Depths, arXiv 2404.02258: some layers work on some tokens, the rest pass them by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.attention import Memory, Sight
from lilliput.model.config import ModelConfig
from lilliput.model.kernels import Visible, visible_to
from lilliput.model.router import with_loss

if TYPE_CHECKING:
    from lilliput.model.decoder import Block

_PREDICTION_LOSS = 0.01
"""Weight of the loss that teaches a token's score to foretell whether it will be among the best."""


class DepthRouter(nn.Module):
    """A score for every token: how much it needs the layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, config.d_model))

    def forward(self, residual: Tensor) -> Tensor:
        """[B, T, D] → [B, T], float32."""
        return F.linear(residual.float(), self.weight.float())[..., 0]


def work_on_some(block: Block, residual: Tensor, sight: Sight, memory: Memory) -> Tensor:
    """A routed layer: [B, T, D] → [B, T, D].

    In training the `depth_capacity` best tokens of every window are worked on, which a token cannot
    know before the later ones are there; so without gradients, and with a cache, a token is worked
    on if its score is above 0, which training teaches to mean the same.
    """
    assert block.depth_router is not None
    scores = block.depth_router(residual)
    if torch.is_grad_enabled() and memory.cache is None:
        return _work_on_best(block, residual, scores, sight, memory)
    return _work_on_foretold(block, residual, scores, sight, memory)


def _work_on_best(
    block: Block, residual: Tensor, scores: Tensor, sight: Sight, memory: Memory
) -> Tensor:
    count = max(1, int(residual.shape[1] * block.config.depth_capacity))
    best = scores.topk(count, dim=1).indices.sort(dim=1).values
    wanted = torch.zeros_like(scores).scatter(1, best, 1.0)
    loss = F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")
    share = with_loss(scores.gather(1, best).sigmoid(), _PREDICTION_LOSS * loss)
    places = best[..., None].expand(-1, -1, residual.shape[2])
    rows = residual.gather(1, places)
    chosen = _sight_of(best, sight, memory.document_starts, block.config.plain_scores)
    worked = block(rows, chosen, Memory())
    changed = rows + share[..., None].to(rows.dtype) * (worked - rows)
    return residual.scatter(1, places, changed)


def _sight_of(best: Tensor, sight: Sight, document_starts: Tensor | None, plain: bool) -> Sight:
    """What the chosen tokens [B, k] see of each other: their own positions, their own documents."""
    rotary = sight.rotary
    if rotary is not None:
        cosine, sine = (_rows_of(table, best) for table in rotary)
        rotary = cosine, sine
    temperature = sight.temperature
    temperature = None if temperature is None else _rows_of(temperature, best)
    first = None
    if document_starts is not None:
        starts = document_starts.expand(len(best), -1)
        starts = starts.gather(1, best) if starts.shape[1] > 1 else starts.expand_as(best)
        first = torch.searchsorted(best, starts.contiguous())
    visible = visible_to(first, 0, best.shape[1], best.device, plain=plain)
    return replace(sight, visible=visible, rotary=rotary, temperature=temperature)


def _rows_of(table: Tensor, best: Tensor) -> Tensor:
    """Rows [B, k, 1, E] of a table [T, 1, E] or [B, T, 1, E]."""
    if table.ndim == 3:
        return table[best]
    return table[torch.arange(len(best), device=best.device)[:, None], best]


def _work_on_foretold(
    block: Block, residual: Tensor, scores: Tensor, sight: Sight, memory: Memory
) -> Tensor:
    chosen = scores > 0
    flags = chosen[:, None, :, None]
    if memory.cache is not None:
        # The cache keeps who was worked on like the keys of one more layer.
        layer = block.config.n_layers + block.layer
        flags = memory.cache.extend(layer, flags.to(residual.dtype), flags.to(residual.dtype))[0]
    worked_on = flags[..., 0].bool()[:, :, None]
    time, size = residual.shape[1], worked_on.shape[-1]
    places = torch.arange(size, device=residual.device)
    queries = places[size - time :, None]
    seen = sight.visible.dense() if sight.visible else places <= queries
    visible = Visible(mask=(seen & worked_on) | (places == queries))
    worked = block(residual, replace(sight, visible=visible), memory)
    share = scores.sigmoid()[..., None].to(residual.dtype)
    return torch.where(chosen[..., None], residual + share * (worked - residual), residual)
