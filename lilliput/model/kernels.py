"""Two operations whose general form wastes time or memory, with their gradients by hand.

On a CPU, PyTorch's fused attention spends 3 to 4 times the arithmetic's worth in its backward pass
at the head counts and lengths of tiny models, and the loss over a vocabulary spends more on moving
logits through memory than on computing them. Both are plain matrix products here, in pieces that
stay in cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_QUERY_BLOCK = 128
"""Queries attended together: keys after the block are never multiplied."""


@dataclass(frozen=True)
class Documents:
    """The documents of a batch [B, T] as rows of a padded one [P, L], longest first.

    Padding comes last in a row, so causal attention never sees it.
    """

    places: Tensor
    """[P, L] int64: where in the batch, its rows laid end to end, each token is; 0 for padding."""
    padding: Tensor
    """[P, L] bool."""
    returns: Tensor
    """[B·T] int64: where in the rows, laid end to end, each token of the batch went."""
    lengths: tuple[int, ...]


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
        return Visible(documents=_documents(document_starts))
    causal = keys <= queries[:, None]
    seen = causal & (keys >= document_starts[:, :, None])
    return Visible((seen | (keys == queries[:, None]))[:, None])


def _documents(document_starts: Tensor) -> Documents:
    total = document_starts.numel()
    time = torch.arange(document_starts.shape[1])
    begins = (document_starts == time).flatten().nonzero().flatten()
    lengths = torch.diff(begins, append=torch.tensor([total]))
    lengths, order = lengths.sort(descending=True, stable=True)
    longest = -(-int(lengths[0]) // _QUERY_BLOCK) * _QUERY_BLOCK
    within = torch.arange(longest)
    padding = within >= lengths[:, None]
    places = (begins[order][:, None] + within).masked_fill_(padding, 0)
    returns = torch.empty(total, dtype=torch.int64)
    kept = ~padding
    returns[places[kept]] = kept.flatten().nonzero().flatten()
    return Documents(places, padding, returns, tuple(lengths.tolist()))


def attention(query: Tensor, key: Tensor, value: Tensor, visible: Visible | None = None) -> Tensor:
    """Softmax attention, scaled by E^-1/2: causal, unless `visible` says otherwise.

    Shapes: query [B, H, T, E], key and value [B, K, S, E] with H a multiple of K; the result is
    [B, H, T, E]. The same function as PyTorch's `scaled_dot_product_attention`, which is used
    wherever it is the faster one: on accelerators, and when no gradient is asked for.
    """
    mask = visible.mask if visible else None
    if mask is None and query.requires_grad and _trains_on_cpu(query):
        documents = visible.documents if visible else None
        return _BlockedAttention.apply(query, key, value, documents)  # type: ignore[no-any-return, no-untyped-call]
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=mask is None and query.shape[2] == key.shape[2],
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
        queries, keys, values = (_as_rows(part, documents) for part in (query, key, value))
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
        return _as_batch(output, documents, query.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, values, *probabilities = ctx.saved_tensors
        _, heads, _, head_dim = queries.shape
        kv_heads = keys.shape[1]
        outer = _as_rows(gradients[0], ctx.documents)
        if ctx.documents:
            outer.masked_fill_(ctx.documents.padding[:, None, :, None], 0.0)
        query_gradient = torch.zeros_like(queries)
        key_gradient = torch.zeros_like(keys)
        value_gradient = torch.zeros_like(values)
        scale = head_dim**-0.5
        for (start, stop, rows), weights in zip(
            _blocks(queries, ctx.documents), probabilities, strict=True
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
        kv_shape = (ctx.shape[0], kv_heads, *ctx.shape[2:])
        return (
            _as_batch(query_gradient, ctx.documents, ctx.shape),
            _as_batch(key_gradient, ctx.documents, kv_shape),
            _as_batch(value_gradient, ctx.documents, kv_shape),
            None,
        )


def _blocks(rows: Tensor, documents: Documents | None) -> Iterator[tuple[int, int, int]]:
    """(first query, end, rows that reach so far) of every block of queries; rows [P, H, L, E]."""
    count, _, longest, _ = rows.shape
    for start in range(0, longest, _QUERY_BLOCK):
        if documents:
            count = sum(length > start for length in documents.lengths)
        yield start, min(start + _QUERY_BLOCK, longest), count


def _as_rows(heads: Tensor, documents: Documents | None) -> Tensor:
    """[B, H, T, E] → [P, H, L, E], contiguous: a row for every document, or as it is."""
    if documents is None:
        return heads.contiguous()
    batch, count, time, head_dim = heads.shape
    vectors = heads.transpose(1, 2).reshape(batch * time * count, head_dim)
    places = documents.places[:, None] * count + torch.arange(count)[:, None]
    return vectors.index_select(0, places.flatten()).view(*places.shape, head_dim)


def _as_batch(rows: Tensor, documents: Documents | None, shape: tuple[int, ...]) -> Tensor:
    """The reverse of `_as_rows`: [P, H, L, E] → [B, H, T, E]."""
    if documents is None:
        return rows
    batch, count, time, head_dim = shape
    longest = rows.shape[2]
    row, place = documents.returns // longest, documents.returns % longest
    returns = (row * count)[:, None] + torch.arange(count)
    vectors = rows.view(-1, head_dim).index_select(
        0, (returns * longest + place[:, None]).flatten()
    )
    return vectors.view(batch, time, count, head_dim).transpose(1, 2)


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
            logits = F.linear(rows, weight)
            probabilities = torch.softmax(logits, dim=-1)
            # log-sum-exp through the largest entry: its probability is at least 1/V, so the
            # logarithm is exact where that of a vanishing probability would not be.
            top, place = logits.max(-1, keepdim=True)
            top_probability = probabilities.gather(1, place).float()
            losses = (top - logits.gather(1, wanted)).float() - top_probability.log()
            total += (losses * counted).sum()
            probabilities.scatter_add_(1, wanted, probabilities.new_full(wanted.shape, -1.0))
            if not counted.all():
                probabilities *= counted
            stop = start + len(rows)
            torch.mm(probabilities, weight, out=hidden_gradient[start:stop])
            weight_gradient += probabilities.t() @ rows
            start = stop
        ctx.save_for_backward(hidden_gradient, weight_gradient.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * gradients[0], weight_gradient * gradients[0], None
