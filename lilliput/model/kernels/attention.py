"""Softmax attention, and what may be attended to.

On a CPU, PyTorch's fused attention spends 3 to 4 times the arithmetic's worth in its backward pass
at the head counts and lengths of tiny models; here it is plain matrix products of blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_QUERY_BLOCK, _DOCUMENT_BLOCK = 128, 64
"""Queries attended together, for equal rows and for documents: what comes after the block's keys is
never multiplied, and a document is padded to full blocks."""


@dataclass(frozen=True)
class Documents:
    """The documents of a batch [B, T] as rows of a padded one [P, L], longest first.

    Padding comes last in a row, so causal attention never sees it.
    """

    places: Tensor
    """[P, L] int64: where in the batch, its rows laid end to end, each token is; B·T: padding."""
    returns: Tensor
    """[B·T] int64: where in the rows, laid end to end, each token of the batch went."""
    lengths: tuple[int, ...]

    def rows_of(self, heads: Tensor) -> Tensor:
        """[B, H, T, E] → [P, H, L, E], zero where there is padding."""
        batch, count, time, head_dim = heads.shape
        vectors = heads.transpose(1, 2).reshape(batch * time * count, head_dim)
        vectors = torch.cat((vectors, vectors.new_zeros(count, head_dim)))
        places = self.places[:, None] * count + torch.arange(count)[:, None]
        return vectors.index_select(0, places.flatten()).view(*places.shape, head_dim)

    def batch_of(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The reverse: [P, H, L, E] → `shape`, which is [B, H, T, E]."""
        batch, count, time, head_dim = shape
        longest = rows.shape[2]
        row, place = self.returns // longest, self.returns % longest
        places = ((row * count)[:, None] + torch.arange(count)) * longest + place[:, None]
        vectors = rows.view(-1, head_dim).index_select(0, places.flatten())
        return vectors.view(batch, time, count, head_dim).transpose(1, 2)


@dataclass(frozen=True)
class Reach:
    """How far back in its document a token sees: the last `window` tokens, itself among them, or
    those of its own chunk of `chunk` tokens; 0 is no bound.
    """

    window: int = 0
    chunk: int = 0

    def sees(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Boolean, for positions in a document that broadcast together."""
        seen = keys <= queries
        if self.window:
            seen = seen & (keys > queries - self.window)
        if self.chunk:
            seen = seen & (queries // self.chunk == keys // self.chunk)
        return seen

    def first(self, query: int) -> int:
        """The first position that a query sees."""
        first = max(0, query - self.window + 1) if self.window else 0
        return max(first, query // self.chunk * self.chunk) if self.chunk else first


@dataclass(frozen=True)
class Visible:
    """What may be attended to where causal attention does not say it all; see `visible_to`.

    Either `mask`, boolean [B or 1, 1, T, S], true where attended to; or, for the blocked kernel,
    documents and their reach.
    """

    mask: Tensor | None = None
    documents: Documents | None = None
    reach: Reach = Reach()


def visible_to(
    document_starts: Tensor | None,
    past: int,
    time: int,
    device: torch.device,
    *,
    reach: Reach = Reach(),
    blocked: bool = True,
) -> Visible | None:
    """What `time` new tokens after `past` others may attend to; None if all that came before.

    `document_starts` [B, T or 1], int64: for each new token, the first token it may see, counted
    from the first ever given. A token before its own start, as padding is, sees itself alone, so
    that its softmax is defined. `blocked`: the attention that follows is one that the blocked
    kernel computes.
    """
    bounded = reach.first(past + time - 1) > 0
    if document_starts is None and not bounded and (past == 0 or time == 1):
        return None
    every_token = document_starts is None or document_starts.shape[1] == time
    if blocked and every_token and past == 0 and _trains_on_cpu(device):
        packed = document_starts is not None and bool(document_starts.any())
        documents = _documents(document_starts) if packed and document_starts is not None else None
        return Visible(documents=documents, reach=reach) if packed or bounded else None
    keys = torch.arange(past + time, device=device)
    queries = keys[past:, None]
    if document_starts is None:
        return Visible(reach.sees(queries, keys)[None, None])
    starts = document_starts[:, :, None]
    seen = reach.sees(queries - starts, keys - starts) & (keys >= starts)
    return Visible((seen | (keys == queries))[:, None])


def _documents(document_starts: Tensor) -> Documents:
    total = document_starts.numel()
    time = torch.arange(document_starts.shape[1])
    begins = (document_starts == time).flatten().nonzero().flatten()
    lengths = torch.diff(begins, append=torch.tensor([total]))
    lengths, order = lengths.sort(descending=True, stable=True)
    longest = -(-int(lengths[0]) // _DOCUMENT_BLOCK) * _DOCUMENT_BLOCK
    within = torch.arange(longest)
    padding = within >= lengths[:, None]
    places = (begins[order][:, None] + within).masked_fill_(padding, total)
    returns = torch.empty(total, dtype=torch.int64)
    kept = ~padding
    returns[places[kept]] = kept.flatten().nonzero().flatten()
    return Documents(places, returns, tuple(lengths.tolist()))


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
    softcap·tanh(s / softcap), and `bias` [1 or B, H, T, S] is added; `sinks` [H] are scores that
    each head may spend on nothing. Where PyTorch's `scaled_dot_product_attention` computes the same
    and is the faster one, on accelerators and without gradients, it is used.
    """
    if softcap or sinks is not None:
        return explicit_attention(query, key, value, visible, scale, bias, softcap, sinks)
    scale = query.shape[3] ** -0.5 if scale is None else scale
    mask = visible.mask if visible else None
    causal = mask is None and query.shape[2] == key.shape[2]
    if bias is None and (
        (visible and mask is None)
        or (causal and query.requires_grad and _trains_on_cpu(query.device))
    ):
        documents, reach = (visible.documents, visible.reach) if visible else (None, Reach())
        return _BlockedAttention.apply(query, key, value, documents, reach, scale)  # type: ignore[no-any-return, no-untyped-call]
    if bias is not None:
        mask = _with_bias(mask, bias, query, key)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
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
    """`attention` step by step, all scores in memory: its reference, and its only form for some."""
    heads, time, size = query.shape[1], query.shape[2], key.shape[2]
    key = key.repeat_interleave(heads // key.shape[1], dim=1)
    value = value.repeat_interleave(heads // value.shape[1], dim=1)
    scores = query @ key.mT * (query.shape[3] ** -0.5 if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    places = torch.arange(size, device=query.device)
    seen = places <= places[size - time :, None]
    if visible is not None and visible.mask is not None:
        seen = visible.mask
    scores = scores.masked_fill(~seen, -torch.inf)
    if sinks is not None:
        aside = sinks[:, None, None].expand(*scores.shape[:3], 1).to(scores.dtype)
        scores = torch.cat((scores, aside), dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=_sum_dtype(scores))[..., :size]
    return weights.to(value.dtype) @ value


def _sum_dtype(scores: Tensor) -> torch.dtype:
    return torch.float64 if scores.dtype == torch.float64 else torch.float32


def _with_bias(mask: Tensor | None, bias: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """`bias` where a token is seen, -inf elsewhere, in the scores' number format."""
    if mask is None:
        places = torch.arange(key.shape[2], device=key.device)
        mask = places <= places[key.shape[2] - query.shape[2] :, None]
    return bias.to(query.dtype).masked_fill(~mask, -torch.inf)


def _trains_on_cpu(device: torch.device) -> bool:
    on_cpu = device.type == "cpu" and torch.is_grad_enabled()
    return on_cpu and not torch.compiler.is_compiling()


class _BlockedAttention(torch.autograd.Function):
    """Causal attention as batched matrix products, one block of queries of every row at a time.

    Queries that share a key head are stacked, so that grouped heads multiply as one taller matrix.
    Documents, if given, become rows of their own first.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        documents: Documents | None,
        reach: Reach,
        scale: float,
    ) -> Tensor:
        heads, kv_heads, value_dim = query.shape[1], key.shape[1], value.shape[3]
        if documents:
            queries, keys, values = map(documents.rows_of, (query, key, value))
        else:
            queries, keys, values = query.contiguous(), key.contiguous(), value.contiguous()
        output = queries.new_empty(*queries.shape[:3], value_dim)
        probabilities = []
        for first, start, stop, rows in _blocks(queries, documents, reach):
            mask = _block_bias(first, start, stop, reach, query.dtype)
            mask = mask if heads == kv_heads else mask.repeat(heads // kv_heads, 1)
            asked = _grouped(queries[:rows, :, start:stop], kv_heads)
            known = keys[:rows, :, first:stop].flatten(0, 1)
            scores = torch.baddbmm(mask, asked, known.mT, alpha=scale)
            weights = torch.softmax(scores, dim=-1)
            mixed = torch.bmm(weights, values[:rows, :, first:stop].flatten(0, 1))
            output[:rows, :, start:stop] = mixed.view(rows, heads, stop - start, value_dim)
            probabilities.append(weights)
        ctx.save_for_backward(queries, keys, values, *probabilities)
        ctx.documents, ctx.reach, ctx.scale, ctx.shape = documents, reach, scale, query.shape
        return documents.batch_of(output, (*query.shape[:3], value_dim)) if documents else output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, *probabilities = ctx.saved_tensors
        _, heads, _, head_dim = queries.shape
        kv_heads = keys.shape[1]
        documents: Documents | None = ctx.documents
        outer = documents.rows_of(gradients[0]) if documents else gradients[0].contiguous()
        query_gradient = torch.zeros_like(queries)
        key_gradient = torch.zeros_like(keys)
        value_gradient = torch.zeros_like(values)
        for (first, start, stop, rows), weights in zip(
            _blocks(queries, documents, ctx.reach), probabilities, strict=True
        ):
            asked = _grouped(queries[:rows, :, start:stop], kv_heads)
            outer_rows = _grouped(outer[:rows, :, start:stop], kv_heads)
            known = keys[:rows, :, first:stop].flatten(0, 1)
            _add(value_gradient[:rows, :, first:stop], weights.mT, outer_rows, 1.0)
            weight_gradient = torch.bmm(outer_rows, values[:rows, :, first:stop].flatten(0, 1).mT)
            score_gradient = torch._softmax_backward_data(
                weight_gradient, weights, -1, weights.dtype
            )
            mixed = torch.bmm(score_gradient, known).mul_(ctx.scale)
            query_gradient[:rows, :, start:stop] = mixed.view(rows, heads, -1, head_dim)
            _add(key_gradient[:rows, :, first:stop], score_gradient.mT, asked, ctx.scale)
        if documents is None:
            return query_gradient, key_gradient, value_gradient, None, None, None
        kv_shape = (ctx.shape[0], kv_heads, *ctx.shape[2:])
        return (
            documents.batch_of(query_gradient, ctx.shape),
            documents.batch_of(key_gradient, kv_shape),
            documents.batch_of(value_gradient, (*kv_shape[:3], values.shape[3])),
            None,
            None,
            None,
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
    for start in range(0, longest, block):
        if documents:
            count = sum(length > start for length in documents.lengths)
        yield reach.first(start), start, min(start + block, longest), count


def _grouped(rows: Tensor, kv_heads: int) -> Tensor:
    """[P, H, T, E] → [P·K, H/K·T, E]: the queries of a key head as one matrix."""
    count, heads, time, head_dim = rows.shape
    if heads == kv_heads:
        return rows.flatten(0, 1)
    return rows.reshape(count * kv_heads, heads // kv_heads * time, head_dim)


@lru_cache(maxsize=64)
def _block_bias(first: int, start: int, stop: int, reach: Reach, dtype: torch.dtype) -> Tensor:
    """Additive mask [stop - start, stop - first]: 0 where the query sees the key, else -inf."""
    places = torch.arange(first, stop)
    seen = reach.sees(places[start - first :, None], places)
    return torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf).to(dtype)
