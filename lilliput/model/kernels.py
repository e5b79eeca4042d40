"""Two operations whose general form wastes time or memory, with their gradients by hand.

On a CPU, PyTorch's fused attention spends 3 to 4 times the arithmetic's worth in its backward pass
at the head counts and lengths of tiny models, and the loss over a vocabulary spends more on moving
logits through memory than on computing them. Both are plain matrix products here, in pieces that
stay in cache.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_QUERY_BLOCK = 128
"""Queries attended together: keys after the block are never multiplied."""


def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention of every position over itself and those before it, scaled by E^-1/2.

    Shapes: query [B, H, T, E], key and value [B, K, T, E] with H a multiple of K; the result is
    [B, H, T, E]. The same function as `scaled_dot_product_attention(is_causal=True)`, which
    is used wherever it is the faster one: on accelerators, and when no gradient is asked for.
    """
    trains_on_cpu = query.device.type == "cpu" and query.requires_grad and torch.is_grad_enabled()
    if trains_on_cpu and not torch.compiler.is_compiling():
        return _BlockedAttention.apply(query, key, value)  # type: ignore[no-any-return, no-untyped-call]
    return F.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=query.shape[1] != key.shape[1]
    )


class _BlockedAttention(torch.autograd.Function):
    """Causal attention as batched matrix products, one block of queries at a time.

    Queries that share a key head are stacked, so that grouped heads multiply as one taller matrix.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, time, head_dim = query.shape
        groups = heads // key.shape[1]
        keys = key.reshape(-1, time, head_dim)
        values = value.reshape(-1, time, head_dim)
        stacked = query.reshape(-1, groups, time, head_dim)
        output = torch.empty_like(stacked)
        probabilities = []
        for start in range(0, time, _QUERY_BLOCK):
            stop = min(start + _QUERY_BLOCK, time)
            rows = stacked[:, :, start:stop].reshape(len(keys), -1, head_dim)
            mask = _causal_bias(start, stop, query.dtype, query.device).repeat(groups, 1)
            scores = torch.baddbmm(mask, rows, keys[:, :stop].transpose(1, 2), alpha=head_dim**-0.5)
            weights = torch.softmax(scores, dim=-1)
            mixed = torch.bmm(weights, values[:, :stop])
            output[:, :, start:stop] = mixed.view(-1, groups, stop - start, head_dim)
            probabilities.append(weights)
        ctx.save_for_backward(stacked, keys, values, *probabilities)
        ctx.shapes = query.shape, key.shape
        return output.view(batch, heads, time, head_dim)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stacked, keys, values, *probabilities = ctx.saved_tensors
        query_shape, key_shape = ctx.shapes
        _, groups, time, head_dim = stacked.shape
        outer = gradients[0].reshape(stacked.shape)
        query_gradient = torch.empty_like(stacked)
        key_gradient = torch.zeros_like(keys)
        value_gradient = torch.zeros_like(values)
        for block, weights in enumerate(probabilities):
            start = block * _QUERY_BLOCK
            stop = min(start + _QUERY_BLOCK, time)
            rows = stacked[:, :, start:stop].reshape(len(keys), -1, head_dim)
            outer_rows = outer[:, :, start:stop].reshape(len(keys), -1, head_dim)
            value_gradient[:, :stop] += torch.bmm(weights.transpose(1, 2), outer_rows)
            weight_gradient = torch.bmm(outer_rows, values[:, :stop].transpose(1, 2))
            score_gradient = torch._softmax_backward_data(
                weight_gradient, weights, -1, weights.dtype
            )
            mixed = torch.bmm(score_gradient, keys[:, :stop])
            query_gradient[:, :, start:stop] = mixed.view(-1, groups, stop - start, head_dim)
            key_gradient[:, :stop] += torch.bmm(score_gradient.transpose(1, 2), rows)
        scale = head_dim**-0.5
        return (
            query_gradient.mul_(scale).view(query_shape),
            key_gradient.mul_(scale).view(key_shape),
            value_gradient.view(key_shape),
        )


def _causal_bias(start: int, stop: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive mask [stop-start, stop]: 0 where the key is not after the query, else -inf."""
    bias = torch.full((stop - start, stop), float("-inf"), device=device)
    return bias.triu_(start + 1).to(dtype)


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum of next-token losses in nats, float32 scalar, without ever holding all logits.

    hidden [N, D], weight [V, D], targets [N] int64 with -100 where no loss is wanted. Logits are
    made, turned into their gradient and dropped a chunk of rows at a time, so memory grows with
    N·D and not N·V. The idea of "Cut your losses" (arXiv 2411.09009), without its kernel.
    """
    if not (torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)):
        total = torch.zeros((), device=hidden.device)
        for rows, chunk_targets in _row_chunks(hidden, weight, targets):
            logits = F.linear(rows, weight).float()
            total += F.cross_entropy(logits, chunk_targets, reduction="sum", ignore_index=-100)
        return total
    return _LinearCrossEntropy.apply(hidden, weight, targets)  # type: ignore[no-any-return, no-untyped-call]


def _row_chunks(hidden: Tensor, weight: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Rows in pieces whose float32 logits fit a core's cache (CPU) or 256 MB (accelerators)."""
    elements = 1 << (20 if hidden.device.type == "cpu" else 26)
    rows = max(256, elements // weight.shape[0])
    return list(zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), device=hidden.device)
        start = 0
        for rows, chunk_targets in _row_chunks(hidden, weight, targets):
            counted = (chunk_targets != -100)[:, None]
            wanted = chunk_targets.clamp_min(0)[:, None]
            logits = F.linear(rows, weight).float()
            probabilities = torch.softmax(logits, dim=-1)
            # log-sum-exp through the largest entry: its probability is at least 1/V, so the
            # logarithm is exact where that of a vanishing probability would not be.
            top, top_probability = logits.amax(-1, True), probabilities.amax(-1, True)
            losses = top - logits.gather(1, wanted) - top_probability.log()
            total += (losses * counted).sum()
            probabilities.scatter_add_(1, wanted, probabilities.new_full(wanted.shape, -1.0))
            if not counted.all():
                probabilities *= counted
            logit_gradient = probabilities.to(hidden.dtype)
            stop = start + len(rows)
            torch.mm(logit_gradient, weight, out=hidden_gradient[start:stop])
            weight_gradient += logit_gradient.t() @ rows
            start = stop
        ctx.save_for_backward(hidden_gradient, weight_gradient.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * gradients[0], weight_gradient * gradients[0], None
