"""The loss over a vocabulary: more time goes into moving logits through memory than into computing
them, so they are made and used a piece at a time that stays in cache.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, softcap: float = 0.0
) -> Tensor:
    """Sum of next-token losses in nats, float32 scalar, without ever holding all logits.

    hidden [N, D], weight [V, D], targets [N] int64 with -100 where no loss is wanted; logits l
    become softcap·tanh(l / softcap) if that is not 0. Logits are made, turned into their gradient
    and dropped a chunk of rows at a time, so memory grows with N·D and not N·V. The idea of "Cut
    your losses" (arXiv 2411.09009), without its kernel.
    """
    if not (torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)):
        total = torch.zeros((), device=hidden.device)
        for rows, chunk_targets in _row_chunks(hidden, weight, targets):
            logits = _capped(F.linear(rows, weight).float(), softcap)
            total += F.cross_entropy(logits, chunk_targets, reduction="sum", ignore_index=-100)
        return total
    return _LinearCrossEntropy.apply(hidden, weight, targets, softcap)  # type: ignore[no-any-return, no-untyped-call]


def _capped(logits: Tensor, softcap: float) -> Tensor:
    return logits if not softcap else softcap * torch.tanh(logits / softcap)


def _row_chunks(hidden: Tensor, weight: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pieces of 256 to 1,024 rows and about 2^23 logits (CPU), or of 2^26 logits (accelerators)."""
    if hidden.device.type == "cpu":
        rows = min(max(256, (1 << 23) // weight.shape[0]), 1024)
    else:
        rows = max(256, (1 << 26) // weight.shape[0])
    return list(zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, softcap: float
    ) -> Tensor:
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), device=hidden.device)
        minus_one = hidden.new_full((), -1.0)
        places = torch.arange(len(hidden), device=hidden.device)
        start = 0
        for rows, chunk_targets in _row_chunks(hidden, weight, targets):
            counted = (chunk_targets != -100)[:, None]
            wanted = chunk_targets.clamp_min(0)[:, None]
            logits = _capped(F.linear(rows, weight), softcap)
            probabilities = torch.softmax(logits, dim=-1)
            # log-sum-exp through the largest entry: its probability is at least 1/V, so the
            # logarithm is exact where that of a vanishing probability would not be.
            top, top_probability = logits.amax(-1, True), probabilities.amax(-1, True)
            losses = (top - logits.gather(1, wanted)).float() - top_probability.float().log()
            total += (losses * counted).sum()
            # Not scatter_add_, which goes through a float32 copy of the whole matrix.
            probabilities.index_put_((places[: len(rows)], wanted[:, 0]), minus_one, True)
            if not counted.all():
                probabilities *= counted
            if softcap:
                probabilities *= 1 - (logits / softcap).square()
            stop = start + len(rows)
            torch.mm(probabilities, weight, out=hidden_gradient[start:stop])
            weight_gradient += probabilities.t() @ rows
            start = stop
        ctx.save_for_backward(hidden_gradient, weight_gradient.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * gradients[0], weight_gradient * gradients[0], None, None
