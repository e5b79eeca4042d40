"""Attention by PyTorch's FlexAttention (arXiv 2412.05496): one kernel for masks, caps and slopes.

It is compiled for the device that runs it and skips blocks of keys that no query sees.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention

BLOCK = 128
"""Queries and keys of a block; with fewer queries no block could be skipped."""
_NARROWEST_HEAD = 16
"""Compiled kernels multiply matrices at least so wide."""


def block_mask(first: Tensor, last: Tensor, keys: int) -> BlockMask:
    """The blocks of queries that see keys `first` [B or 1, T] to `last` [T] out of `keys`.

    Made from the spans alone: no mask of all queries by all keys is ever in memory.
    """

    # Two functions, as a number that one captured would be compiled as a changing one.
    def of_each(batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key >= first[batch, query]) & (key <= last[query])

    def of_all(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key >= first[0, query]) & (key <= last[query])

    earliest, latest_first = _least_and_most(first)
    soonest, latest = _least_and_most(last[None])
    begin = torch.arange(0, keys, BLOCK, device=first.device)
    end = begin + BLOCK - 1
    touched = (end >= earliest[..., None]) & (begin <= latest[..., None])
    full = (begin >= latest_first[..., None]) & (end <= soonest[..., None])
    partial_count, partial_blocks = _listed(touched & ~full)
    full_count, full_blocks = _listed(full)
    return BlockMask.from_kv_blocks(
        partial_count,
        partial_blocks,
        full_count,
        full_blocks,
        BLOCK_SIZE=BLOCK,
        mask_mod=of_each if len(first) > 1 else of_all,
        seq_lengths=(last.shape[0], keys),
    )


def _least_and_most(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Of every block of queries: [B, T] → two of [B, ceil(T / BLOCK)]."""
    missing = -numbers.shape[1] % BLOCK
    numbers = torch.cat((numbers, numbers[:, -1:].expand(-1, missing)), dim=1)
    blocks = numbers.view(len(numbers), -1, BLOCK)
    return blocks.amin(2), blocks.amax(2)


def _listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Booleans [B, Q, K] → how many are true in a row, and where those are, the others after."""
    order = chosen.int().argsort(dim=2, descending=True, stable=True)
    return chosen.sum(2, dtype=torch.int32)[:, None], order.int()[:, None]


def flexible_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    blocks: BlockMask,
    last: Tensor,
    slopes: Tensor | None,
    *,
    scale: float,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
) -> Tensor:
    """`attention` over the keys in `blocks`, with `slopes` [H] times the distance from key `last`.

    A sink takes its share of the softmax afterwards: what is left to the keys is
    sigmoid(log-sum-exp of the scores - sink).
    """

    def changed(
        score: Tensor, _batch: Tensor, head: Tensor, query_at: Tensor, key_at: Tensor
    ) -> Tensor:
        if softcap:
            score = softcap * torch.tanh(score / softcap)
        if slopes is not None:
            score = score - slopes[head] * (last[query_at] - key_at)
        return score

    width = value.shape[3]
    query, key, value = _wide(query), _wide(key), _wide(value)
    mixed = _kernel()(
        query,
        key,
        value,
        score_mod=changed if softcap or slopes is not None else None,
        block_mask=blocks,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
        return_aux=None if sinks is None else AuxRequest(lse=True),
    )
    if sinks is not None:
        mixed, aside = mixed
        kept = torch.sigmoid(aside.lse - sinks[:, None])
        mixed = mixed * kept[..., None].to(mixed.dtype)
    return mixed[..., :width]  # type: ignore[no-any-return]


def _wide(heads: Tensor) -> Tensor:
    """Zeros after the last dimension, which change no score, where it is too narrow."""
    missing = _NARROWEST_HEAD - heads.shape[3]
    return F.pad(heads, (0, missing)) if missing > 0 else heads


def _kernel() -> Any:
    """FlexAttention, compiled; inside a function that is being compiled, as it is."""
    if torch.compiler.is_compiling():
        return flex_attention
    return _compiled(torch.is_grad_enabled())


@lru_cache(maxsize=2)
def _compiled(trains: bool) -> Any:
    """For training, whose batches have one shape, or for texts of any length."""
    return torch.compile(flex_attention, dynamic=False if trains else None)
