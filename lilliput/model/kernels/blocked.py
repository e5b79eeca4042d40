"""Attention as batched matrix products, one block of queries of every row at a time.

On a CPU, PyTorch's fused attention spends 3 to 4 times the arithmetic's worth in its backward pass
at the head counts and lengths of tiny models, and looks at every key that a mask hides; here keys
that no query of a block sees are never multiplied.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lilliput.model.kernels.visible import Documents, Reach, Visible

_QUERY_BLOCK, _DOCUMENT_BLOCK = 128, 64
"""Queries attended together, for equal rows and for documents."""


def blocked_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visible | None,
    *,
    scale: float,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
) -> Tensor:
    """`attention` on a CPU of as many queries as keys; `visible` has no mask."""
    visible = visible or Visible()
    return _BlockedAttention.apply(  # type: ignore[no-any-return, no-untyped-call]
        query,
        key,
        value,
        sinks,
        visible.documents,
        visible.reach or Reach(),
        visible.slopes,
        scale,
        softcap,
    )


class _BlockedAttention(torch.autograd.Function):
    """Queries that share a key head are stacked, so that grouped heads multiply as one taller
    matrix. Documents, if given, become rows of their own first. A sink is one more key, of zeros,
    whose value is zero and whose score is the sink.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        sinks: Tensor | None,
        documents: Documents | None,
        reach: Reach,
        slopes: Tensor | None,
        scale: float,
        softcap: float,
    ) -> Tensor:
        heads, kv_heads, value_dim = query.shape[1], key.shape[1], value.shape[3]
        if documents:
            queries, keys, values = map(documents.rows_of, (query, key, value))
        else:
            queries, keys, values = query.contiguous(), key.contiguous(), value.contiguous()
        output = queries.new_empty(*queries.shape[:3], value_dim)
        kept: list[Tensor] = []
        for first, start, stop, rows in _blocks(queries, documents, reach):
            asked = _grouped(queries[:rows, :, start:stop], kv_heads)
            known = _with_sink(keys[:rows, :, first:stop].flatten(0, 1), sinks)
            mask = _block_bias(first, start, stop, reach, query.dtype, sinks is not None)
            mask = mask if heads == kv_heads else mask.repeat(heads // kv_heads, 1)
            if softcap:
                turned = torch.bmm(asked, known.mT).mul_(scale / softcap).tanh_()
                scores = torch.add(mask, turned, alpha=softcap)
            else:
                scores = torch.baddbmm(mask, asked, known.mT, alpha=scale)
            by_head = scores.view(rows, heads, stop - start, -1)
            if slopes is not None:
                by_head[..., : stop - first] -= _slants(slopes, first, start, stop).to(query.dtype)
            if sinks is not None:
                by_head[..., -1] = sinks.detach()[:, None]
            weights = torch.softmax(scores, dim=-1)
            mixed = torch.bmm(
                weights[..., : stop - first], values[:rows, :, first:stop].flatten(0, 1)
            )
            output[:rows, :, start:stop] = mixed.view(rows, heads, stop - start, value_dim)
            if any(ctx.needs_input_grad):
                kept += (weights, turned) if softcap else (weights,)
        ctx.save_for_backward(queries, keys, values, sinks, *kept)
        ctx.documents, ctx.reach, ctx.shape = documents, reach, query.shape
        ctx.scale, ctx.softcap = scale, softcap
        return documents.batch_of(output, (*query.shape[:3], value_dim)) if documents else output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, sinks, *kept = ctx.saved_tensors
        _, heads, _, head_dim = queries.shape
        kv_heads = keys.shape[1]
        documents: Documents | None = ctx.documents
        outer = documents.rows_of(gradients[0]) if documents else gradients[0].contiguous()
        query_gradient = torch.zeros_like(queries)
        key_gradient = torch.zeros_like(keys)
        value_gradient = torch.zeros_like(values)
        sink_gradient = None if sinks is None else torch.zeros_like(sinks)
        of_block = iter(kept)
        for first, start, stop, rows in _blocks(queries, documents, ctx.reach):
            weights, count = next(of_block), stop - first
            asked = _grouped(queries[:rows, :, start:stop], kv_heads)
            outer_rows = _grouped(outer[:rows, :, start:stop], kv_heads)
            known = keys[:rows, :, first:stop].flatten(0, 1)
            told = _with_sink(values[:rows, :, first:stop].flatten(0, 1), sinks)
            _add(value_gradient[:rows, :, first:stop], weights[..., :count].mT, outer_rows, 1.0)
            weight_gradient = torch.bmm(outer_rows, told.mT)
            score_gradient = torch._softmax_backward_data(
                weight_gradient, weights, -1, weights.dtype
            )
            if sink_gradient is not None:
                by_head = score_gradient[..., -1].reshape(rows, heads, -1)
                sink_gradient += by_head.sum((0, 2)).to(sink_gradient.dtype)
            if ctx.softcap:
                turned = next(of_block)
                score_gradient = torch.addcmul(
                    score_gradient, score_gradient, turned.square_(), value=-1
                )
            score_gradient = score_gradient[..., :count]
            mixed = torch.bmm(score_gradient, known).mul_(ctx.scale)
            query_gradient[:rows, :, start:stop] = mixed.view(rows, heads, -1, head_dim)
            _add(key_gradient[:rows, :, first:stop], score_gradient.mT, asked, ctx.scale)
        others = (sink_gradient, None, None, None, None, None)
        if documents is None:
            return query_gradient, key_gradient, value_gradient, *others
        kv_shape = (ctx.shape[0], kv_heads, *ctx.shape[2:])
        return (
            documents.batch_of(query_gradient, ctx.shape),
            documents.batch_of(key_gradient, kv_shape),
            documents.batch_of(value_gradient, (*kv_shape[:3], values.shape[3])),
            *others,
        )


def _add(total: Tensor, left: Tensor, right: Tensor, scale: float) -> None:
    """total [P, K, S, E] plus scale · left [P·K, S, T] @ right [P·K, T, E], in place."""
    total.view(-1, *total.shape[2:]).baddbmm_(left, right, alpha=scale)


def _blocks(
    rows: Tensor, documents: Documents | None, reach: Reach
) -> Iterator[tuple[int, int, int, int]]:
    """(first key, first query, end, rows that reach so far) of every block; rows [P, H, L, E]."""
    count, _, longest, _ = rows.shape
    block = _DOCUMENT_BLOCK if documents else _QUERY_BLOCK
    starts = range(0, longest, block)
    for start, first in zip(starts, reach.first(torch.tensor(starts)).tolist(), strict=True):
        if documents:
            count = sum(length > start for length in documents.lengths)
        yield first, start, min(start + block, longest), count


def _grouped(rows: Tensor, kv_heads: int) -> Tensor:
    """[P, H, T, E] → [P·K, H/K·T, E]: the queries of a key head as one matrix."""
    count, heads, time, head_dim = rows.shape
    if heads == kv_heads:
        return rows.flatten(0, 1)
    return rows.reshape(count * kv_heads, heads // kv_heads * time, head_dim)


def _with_sink(rows: Tensor, sinks: Tensor | None) -> Tensor:
    """[N, S, E] with one more row of zeros, if there are sinks."""
    if sinks is None:
        return rows
    return torch.cat((rows, rows.new_zeros(len(rows), 1, rows.shape[2])), dim=1)


def _slants(slopes: Tensor, first: int, start: int, stop: int) -> Tensor:
    """What ALiBi takes off the scores of a block, [H, stop - start, stop - first]."""
    places = torch.arange(first, stop)
    return slopes[:, None, None] * (places[start - first :, None] - places)


@lru_cache(maxsize=64)
def _block_bias(
    first: int, start: int, stop: int, reach: Reach, dtype: torch.dtype, sink: bool
) -> Tensor:
    """Additive mask [stop - start, stop - first]: 0 where the query sees the key, else -inf.

    With one more column of zeros for a sink.
    """
    places = torch.arange(first, stop)
    queries = places[start - first :]
    seen = (places >= reach.first(queries)[:, None]) & (places <= queries[:, None])
    bias = torch.zeros(len(queries), len(places) + sink, dtype=dtype)
    bias[:, : len(places)].masked_fill_(~seen, -torch.inf)
    return bias
