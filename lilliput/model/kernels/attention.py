"""Softmax attention: one definition, and the rule for what computes it where.

On a CPU, `blocked_attention` computes whole sequences, masks of windows, chunks and documents,
ALiBi, caps and sinks included; on accelerators FlexAttention does, and where nothing but
causality is asked for, PyTorch's `scaled_dot_product_attention`. A few queries after a cache
go through the latter too, with a mask. `explicit_attention` is what all are tested against.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.model.kernels.blocked import blocked_attention
from lilliput.model.kernels.flexible import flexible_attention
from lilliput.model.kernels.visible import Visible

_LONGEST_CAUSAL = 512
"""Tokens up to which blocks train causal attention on a CPU as fast as PyTorch's, and grouped heads
faster; beyond, the weights they keep for the backward pass cost more than they save."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visible | None = None,
    *,
    scale: float | None = None,
    bias: Tensor | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
) -> Tensor:
    """Softmax attention: causal, unless `visible` says otherwise.

    Shapes: query [B, H, T, E], key [B, K, S, E], value [B, K, S, V] with H a multiple of K; the
    result is [B, H, T, V]. Scores are multiplied by `scale` (E^-1/2 if None), capped as
    softcap·tanh(s / softcap), and ALiBi's slopes and `bias` [1 or B, H, T, S] are added; `sinks`
    [H] are scores that each head may spend on nothing. A bias wants a `visible` with a mask.
    """
    scale = query.shape[3] ** -0.5 if scale is None else scale
    if visible is not None and visible.blocks is not None:
        assert visible.spans is not None
        return flexible_attention(
            query,
            key,
            value,
            visible.blocks,
            visible.spans.last,
            visible.slopes,
            scale=scale,
            softcap=softcap,
            sinks=sinks,
        )
    mask = visible.mask if visible else None
    causal = mask is None and query.shape[2] == key.shape[2]
    if bias is None and (
        (visible and mask is None)
        or (causal and _prefers_blocks(query, capped=softcap > 0 or sinks is not None))
    ):
        return blocked_attention(
            query, key, value, visible, scale=scale, softcap=softcap, sinks=sinks
        )
    if softcap or (sinks is not None and query.shape[2] == 1):
        return explicit_attention(query, key, value, visible, scale, bias, softcap, sinks)
    if bias is not None:
        mask = _with_bias(mask, bias, query, key)
    if sinks is not None:
        key, value, mask = _with_sinks(key, value, mask, sinks, query)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask if mask is None or mask.dtype == torch.bool else mask.to(query.dtype),
        is_causal=causal and mask is None,
        enable_gqa=query.shape[1] != key.shape[1],
        scale=scale,
    )


def explicit_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visible | None = None,
    scale: float | None = None,
    bias: Tensor | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
) -> Tensor:
    """`attention` step by step, all scores in memory: its reference, and the form for one query
    that has nothing to skip.
    """
    weights = attention_weights(query, key, visible, scale, bias, softcap, sinks).to(value.dtype)
    grouped = weights.reshape(len(value), value.shape[1], -1, key.shape[2])
    return (grouped @ value).view(*query.shape[:3], value.shape[3])


def attention_weights(
    query: Tensor,
    key: Tensor,
    visible: Visible | None = None,
    scale: float | None = None,
    bias: Tensor | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
) -> Tensor:
    """How much of each value goes into the output, [B, H, T, S], float32 or float64.

    A query's weights sum to 1, with sinks to less. Arguments as of `attention`.
    """
    batch, heads, time, width = query.shape
    size = key.shape[2]
    grouped = query.reshape(batch, key.shape[1], -1, width)
    scores = (grouped @ key.mT).view(batch, heads, time, size)
    scores = scores * (width**-0.5 if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    seen = _causal(query, key) if visible is None else visible.dense()
    if seen.dtype == torch.bool:
        scores = scores.masked_fill(~seen, -torch.inf)
    else:
        scores = scores + seen
    if sinks is not None:
        aside = sinks[:, None, None].expand(batch, heads, time, 1).to(scores.dtype)
        scores = torch.cat((scores, aside), dim=-1)
    dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
    return torch.softmax(scores, dim=-1, dtype=dtype)[..., :size]


def _prefers_blocks(query: Tensor, *, capped: bool) -> bool:
    """Whether the blocked kernel is the one for causal attention of whole sequences."""
    if query.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    trains = query.requires_grad and torch.is_grad_enabled()
    return capped or (trains and query.shape[2] <= _LONGEST_CAUSAL)


def _causal(query: Tensor, key: Tensor) -> Tensor:
    places = torch.arange(key.shape[2], device=key.device)
    return places <= places[key.shape[2] - query.shape[2] :, None]


def _with_bias(mask: Tensor | None, bias: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """`bias` where a token is seen, -inf elsewhere, in the scores' number format."""
    mask = _causal(query, key) if mask is None else mask
    return bias.to(query.dtype).masked_fill(~mask, -torch.inf)


def _with_sinks(
    key: Tensor, value: Tensor, mask: Tensor | None, sinks: Tensor, query: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A sink as one more key: its score is the mask's last column, its value is zero."""
    seen = _causal(query, key)[None, None] if mask is None else mask
    if seen.dtype == torch.bool:
        seen = query.new_zeros(seen.shape).masked_fill_(~seen, -torch.inf)
    seen = seen.to(query.dtype).expand(-1, query.shape[1], -1, -1)
    aside = sinks.to(query.dtype)[:, None, None].expand(len(seen), -1, query.shape[2], 1)
    one_more = (0, 0, 0, 1)
    return F.pad(key, one_more), F.pad(value, one_more), torch.cat((seen, aside), dim=-1)
