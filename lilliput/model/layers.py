"""The parts of a block: norm, rotary positions, attention, feed-forward.

Shapes are named by letters: B batch, T new tokens, S tokens attended to, D width of the residual
stream, H query heads, K key/value heads, E head dimension, F feed-forward width.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.config import ModelConfig
from lilliput.model.kernels import Visible, attention, rms_norm, rotate


class Cache(Protocol):
    """What attention needs of a key-value cache; `lilliput.generate` provides one."""

    length: int

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store T new keys and values [B, K, T, E]; return all so far, [B, K, S, E]."""

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored, once every layer has them."""


class RMSNorm(nn.RMSNorm):
    """PyTorch's, computed by `lilliput.model.kernels.rms_norm`."""

    def forward(self, rows: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        return rms_norm(rows, self.weight, self.eps or 0.0)


def make_norm(config: ModelConfig, width: int) -> nn.Module:
    """The configuration's norm over the last dimension, of this width."""
    if config.norm == "layernorm":
        return nn.LayerNorm(width, eps=config.norm_eps)
    return RMSNorm(width, eps=config.norm_eps)


def rotary_table(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of positions [..., T], float32 [..., T, 1, head_dim].

    Half-split layout, as in GPT-NeoX and Llama's transformers port: dimension i turns together
    with i + head_dim/2. RoFormer, arXiv 2104.09864. The sine's first half carries the minus sign.
    """
    half = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    angles = positions[..., None, None].float() * theta**-half
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat((cosine, cosine), dim=-1), torch.cat((-sine, sine), dim=-1)


class Attention(nn.Module):
    """Multi-head, multi-query (arXiv 1911.02150) or grouped-query (arXiv 2305.13245) attention."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        width, heads, kv_heads = config.d_model, config.n_heads, config.n_kv_heads
        self.query = nn.Linear(width, heads * config.head_dim, bias=config.bias)
        self.key = nn.Linear(width, kv_heads * config.head_dim, bias=config.bias)
        self.value = nn.Linear(width, kv_heads * config.head_dim, bias=config.bias)
        self.output = nn.Linear(heads * config.head_dim, width, bias=config.bias)
        if config.qk_norm:
            self.query_norm = RMSNorm(config.head_dim, eps=config.norm_eps)
            self.key_norm = RMSNorm(config.head_dim, eps=config.norm_eps)

    def forward(
        self,
        residual: Tensor,
        rotary: tuple[Tensor, Tensor] | None,
        visible: Visible | None,
        cache: Cache | None,
    ) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        batch, time, _ = residual.shape
        head_dim = self.config.head_dim
        query = self.query(residual).view(batch, time, -1, head_dim)
        key = self.key(residual).view(batch, time, -1, head_dim)
        value = self.value(residual).view(batch, time, -1, head_dim).transpose(1, 2)
        if self.config.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if rotary is not None:
            query, key = rotate(query, *rotary), rotate(key, *rotary)
        query, key = query.transpose(1, 2), key.transpose(1, 2)
        if cache is not None:
            key, value = cache.extend(self.layer, key, value)
        mixed = attention(query, key, value, visible)
        return self.output(mixed.transpose(1, 2).reshape(batch, time, -1))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two matrices around a non-linearity, or three when gated."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        if config.gated:
            self.gate = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.up = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, residual: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        if self.config.gated:
            inner = self._activate(self.gate(residual)) * self.up(residual)
        else:
            inner = self._activate(self.up(residual))
        return self.down(inner)  # type: ignore[no-any-return]

    def _activate(self, inner: Tensor) -> Tensor:
        if self.config.activation == "silu":
            return F.silu(inner)
        return F.gelu(inner, approximate="tanh")


class Block(nn.Module):
    """One pre-norm layer: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = make_norm(config, config.d_model)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = make_norm(config, config.d_model)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        residual: Tensor,
        rotary: tuple[Tensor, Tensor] | None,
        visible: Visible | None,
        cache: Cache | None,
    ) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        residual = residual + self.attention(self.attention_norm(residual), rotary, visible, cache)
        changed: Tensor = residual + self.feed_forward(self.feed_forward_norm(residual))
        return changed
