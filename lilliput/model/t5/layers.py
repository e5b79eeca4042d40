"""The parts of T5 (arXiv 1910.10683, section 2.1): relative bias, attention, layers.

Shapes are named by letters: B batch, T tokens that ask, S tokens attended to, D width of the
residual stream, H heads, E head dimension, F feed-forward width.
"""

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.kernels import rms_norm
from lilliput.model.t5.config import T5Config


class SelfAttentionCache(Protocol):
    """What a decoder layer needs of a cache."""

    length: int

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [B, H, T, E]; return all so far, [B, H, S, E]."""


class ScaleNorm(nn.Module):
    """RMSNorm (arXiv 1910.07467): no mean is taken off and nothing added."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.d_model))
        self.eps = config.norm_eps

    def forward(self, rows: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        return rms_norm(rows, self.weight, self.eps)


def relative_bucket(
    differences: Tensor, *, bidirectional: bool, buckets: int, distance: int
) -> Tensor:
    """The bucket, 0 to buckets - 1, of each difference `key's place - query's place`, int64.

    Half the buckets hold one distance each; in the other half they widen logarithmically up to
    `distance`, and what is further shares the last. Bidirectional, keys to the right have buckets
    of their own; else they have that of distance 0, and are never attended to.
    """
    offset = torch.zeros_like(differences)
    if bidirectional:
        buckets //= 2
        offset = (differences > 0) * buckets
        distances = differences.abs()
    else:
        distances = (-differences).clamp_min(0)
    exact = buckets // 2
    # In float32 and in this order, as in every other T5: at a bucket's edge the rounding decides.
    share = torch.log(distances.clamp_min(1).float() / exact) / math.log(distance / exact)
    logarithmic = exact + (share * (buckets - exact)).long()
    within = torch.where(distances < exact, distances, logarithmic.clamp_max(buckets - 1))
    return offset + within


class RelativeBias(nn.Module):
    """A learned number for every head and bucket of distance, added to attention's scores."""

    def __init__(self, config: T5Config, *, bidirectional: bool) -> None:
        super().__init__()
        self.config, self.bidirectional = config, bidirectional
        self.weight = nn.Parameter(torch.empty(config.relative_buckets, config.n_heads))

    def forward(self, queries: int, keys: int) -> Tensor:
        """[1, H, queries, keys]; the queries are the last of the keys. Causal: -inf after one."""
        device = self.weight.device
        # The bias knows differences only: made once for each, then laid out row by row.
        differences = torch.arange(1 - keys, queries, device=device)
        bucket = relative_bucket(
            differences,
            bidirectional=self.bidirectional,
            buckets=self.config.relative_buckets,
            distance=self.config.relative_distance,
        )
        bias = F.embedding(bucket, self.weight)
        if not self.bidirectional:
            bias = bias.masked_fill((differences > 0)[:, None], float("-inf"))
        return bias.t().unfold(1, keys, 1).flip(1)[None]


class T5Attention(nn.Module):
    """Multi-head attention without biases and, as T5's initialisation does it, without scaling."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        inner = config.n_heads * config.head_dim
        self.query = nn.Linear(config.d_model, inner, bias=False)
        self.key = nn.Linear(config.d_model, inner, bias=False)
        self.value = nn.Linear(config.d_model, inner, bias=False)
        self.output = nn.Linear(inner, config.d_model, bias=False)

    def keys_and_values(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S, D] → two of [B, H, S, E]."""
        return self._heads(self.key(rows)), self._heads(self.value(rows))

    def forward(self, rows: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """[B, T, D] and [B, H, S, E] → [B, T, D].

        `mask` [1 or B, 1 or H, 1 or T, S]: boolean, true where attended to, or added to the scores.
        """
        query = self._heads(self.query(rows))
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=1.0)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, rows: Tensor) -> Tensor:
        batch, time, _ = rows.shape
        return rows.view(batch, time, -1, self.head_dim).transpose(1, 2)


class T5FeedForward(nn.Module):
    """Two matrices around a non-linearity, or three when gated."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        if config.gated:
            self.gate = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        if self.config.gated:
            inner = self._activate(self.gate(rows)) * self.up(rows)
        else:
            inner = self._activate(self.up(rows))
        return self.down(inner)  # type: ignore[no-any-return]

    def _activate(self, inner: Tensor) -> Tensor:
        if self.config.activation == "relu":
            return F.relu(inner)
        if self.config.activation == "silu":
            return F.silu(inner)
        return F.gelu(inner, approximate="tanh")


class EncoderBlock(nn.Module):
    """One pre-norm layer that sees the whole text: attention, then feed-forward."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.attention_norm = ScaleNorm(config)
        self.attention = T5Attention(config)
        self.feed_forward_norm = ScaleNorm(config)
        self.feed_forward = T5FeedForward(config)

    def forward(self, residual: Tensor, bias: Tensor) -> Tensor:
        """[B, S, D] → [B, S, D]; `bias` [1 or B, H, S, S] is added to the scores."""
        rows = self.attention_norm(residual)
        keys, values = self.attention.keys_and_values(rows)
        residual = residual + self.attention(rows, keys, values, bias)
        changed: Tensor = residual + self.feed_forward(self.feed_forward_norm(residual))
        return changed


class DecoderBlock(nn.Module):
    """One pre-norm layer: causal attention, attention to the memory, feed-forward."""

    def __init__(self, config: T5Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm = ScaleNorm(config)
        self.attention = T5Attention(config)
        self.cross_attention_norm = ScaleNorm(config)
        self.cross_attention = T5Attention(config)
        self.feed_forward_norm = ScaleNorm(config)
        self.feed_forward = T5FeedForward(config)

    def forward(
        self,
        residual: Tensor,
        bias: Tensor,
        memory: tuple[Tensor, Tensor],
        memory_mask: Tensor | None,
        cache: SelfAttentionCache | None,
    ) -> Tensor:
        """[B, T, D] → [B, T, D].

        `bias` [1, H, T, S] for the S decoder tokens so far; `memory` is this layer's keys and
        values [B, H, P, E] of the P encoder tokens, `memory_mask` boolean [B, 1, 1, P].
        """
        rows = self.attention_norm(residual)
        keys, values = self.attention.keys_and_values(rows)
        if cache is not None:
            keys, values = cache.extend(self.layer, keys, values)
        residual = residual + self.attention(rows, keys, values, bias)
        rows = self.cross_attention_norm(residual)
        residual = residual + self.cross_attention(rows, *memory, memory_mask)
        changed: Tensor = residual + self.feed_forward(self.feed_forward_norm(residual))
        return changed
