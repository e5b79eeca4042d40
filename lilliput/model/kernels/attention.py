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
class Visible:
    """What may be attended to where causal attention does not say it all; see `visible_to`.

    Either `mask`, boolean [B or 1, 1, T, S], true where attended to, or `documents`.
    """

    mask: Tensor | None = None
    documents: Documents | None = None


def visible_to(
    document_starts: Tensor | None, past: int, time: int, device: torch.device
) -> Visible | None:
    """What `time` new tokens after `past` others may attend to; None if all that came before.

    `document_starts` [B, T or 1], int64: for each new token, the first token it may see, counted
    from the first ever given. A token before its own start, as padding is, sees itself alone, so
    that its softmax is defined.
    """
    if document_starts is None and (past == 0 or time == 1):
        return None
    keys = torch.arange(past + time, device=device)
    queries = keys[past:]
    if document_starts is None:
        return Visible((keys <= queries[:, None])[None, None])
    if _trains_on_cpu(document_starts) and document_starts.shape[1] == time and past == 0:
        one_each = not document_starts.any()
        return None if one_each else Visible(documents=_documents(document_starts))
    causal = keys <= queries[:, None]
    seen = causal & (keys >= document_starts[:, :, None])
    return Visible((seen | (keys == queries[:, None]))[:, None])


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


def attention(query: Tensor, key: Tensor, value: Tensor, visible: Visible | None = None) -> Tensor:
    """Softmax attention, scaled by E^-1/2: causal, unless `visible` says otherwise.

    Shapes: query [B, H, T, E], key and value [B, K, S, E] with H a multiple of K; the result is
    [B, H, T, E]. The same function as PyTorch's `scaled_dot_product_attention`, which is used
    wherever it is the faster one: on accelerators, and when no gradient is asked for.
    """
    mask = visible.mask if visible else None
    documents = visible.documents if visible else None
    causal = mask is None and query.shape[2] == key.shape[2]
    if documents or (causal and query.requires_grad and _trains_on_cpu(query)):
        return _BlockedAttention.apply(query, key, value, documents)  # type: ignore[no-any-return, no-untyped-call]
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=causal,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _trains_on_cpu(tensor: Tensor) -> bool:
    on_cpu = tensor.device.type == "cpu" and torch.is_grad_enabled()
    return on_cpu and not torch.compiler.is_compiling()


class _BlockedAttention(torch.autograd.Function):
    """Causal attention as batched matrix products, one block of queries of every row at a time.

    Queries that share a key head are stacked, so that grouped heads multiply as one taller matrix.
    Documents, if given, become rows of their own first.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, documents: Documents | None
    ) -> Tensor:
        heads, kv_heads, head_dim = query.shape[1], key.shape[1], query.shape[3]
        if documents:
            queries, keys, values = map(documents.rows_of, (query, key, value))
        else:
            queries, keys, values = query.contiguous(), key.contiguous(), value.contiguous()
        output = torch.empty_like(queries)
        probabilities = []
        for start, stop, rows in _blocks(queries, documents):
            mask = _causal_bias(start, query.dtype)[: stop - start]
            mask = mask if heads == kv_heads else mask.repeat(heads // kv_heads, 1)
            asked = _grouped(queries[:rows, :, start:stop], kv_heads)
            known = keys[:rows, :, :stop].flatten(0, 1)
            scores = torch.baddbmm(mask[:, :stop], asked, known.mT, alpha=head_dim**-0.5)
            weights = torch.softmax(scores, dim=-1)
            mixed = torch.bmm(weights, values[:rows, :, :stop].flatten(0, 1))
            output[:rows, :, start:stop] = mixed.view(rows, heads, stop - start, head_dim)
            probabilities.append(weights)
        ctx.save_for_backward(queries, keys, values, *probabilities)
        ctx.documents, ctx.shape = documents, query.shape
        return documents.batch_of(output, query.shape) if documents else output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, values, *probabilities = ctx.saved_tensors
        _, heads, _, head_dim = queries.shape
        kv_heads = keys.shape[1]
        documents: Documents | None = ctx.documents
        outer = documents.rows_of(gradients[0]) if documents else gradients[0].contiguous()
        query_gradient = torch.zeros_like(queries)
        key_gradient = torch.zeros_like(keys)
        value_gradient = torch.zeros_like(values)
        scale = head_dim**-0.5
        for (start, stop, rows), weights in zip(
            _blocks(queries, documents), probabilities, strict=True
        ):
            asked = _grouped(queries[:rows, :, start:stop], kv_heads)
            outer_rows = _grouped(outer[:rows, :, start:stop], kv_heads)
            known = keys[:rows, :, :stop].flatten(0, 1)
            told = value_gradient[:rows, :, :stop].flatten(0, 1)
            told += torch.bmm(weights.mT, outer_rows)
            weight_gradient = torch.bmm(outer_rows, values[:rows, :, :stop].flatten(0, 1).mT)
            score_gradient = torch._softmax_backward_data(
                weight_gradient, weights, -1, weights.dtype
            )
            mixed = torch.bmm(score_gradient, known).mul_(scale)
            query_gradient[:rows, :, start:stop] = mixed.view(rows, heads, -1, head_dim)
            told = key_gradient[:rows, :, :stop].flatten(0, 1)
            told.baddbmm_(score_gradient.mT, asked, alpha=scale)
        if documents is None:
            return query_gradient, key_gradient, value_gradient, None
        kv_shape = (ctx.shape[0], kv_heads, *ctx.shape[2:])
        return (
            documents.batch_of(query_gradient, ctx.shape),
            documents.batch_of(key_gradient, kv_shape),
            documents.batch_of(value_gradient, kv_shape),
            None,
        )


def _blocks(rows: Tensor, documents: Documents | None) -> Iterator[tuple[int, int, int]]:
    """(first query, end, rows that reach so far) of every block of queries; rows [P, H, L, E]."""
    count, _, longest, _ = rows.shape
    block = _DOCUMENT_BLOCK if documents else _QUERY_BLOCK
    for start in range(0, longest, block):
        if documents:
            count = sum(length > start for length in documents.lengths)
        yield start, min(start + block, longest), count


def _grouped(rows: Tensor, kv_heads: int) -> Tensor:
    """[P, H, T, E] → [P·K, H/K·T, E]: the queries of a key head as one matrix."""
    count, heads, time, head_dim = rows.shape
    if heads == kv_heads:
        return rows.flatten(0, 1)
    return rows.reshape(count * kv_heads, heads // kv_heads * time, head_dim)


@lru_cache(maxsize=64)
def _causal_bias(start: int, dtype: torch.dtype) -> Tensor:
    """Additive mask [block, start + block]: 0 where the key is not after the query, else -inf."""
    bias = torch.full((_QUERY_BLOCK, start + _QUERY_BLOCK), float("-inf"))
    return bias.triu_(start + 1).to(dtype)
