"""Attention: heads that look back, over keys and values of their own or over a latent.

Shapes are named by letters: B batch, T new tokens, S tokens attended to, D width of the residual
stream, H query heads, K key/value heads, E head dimension, V value dimension, R rank of a latent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lilliput.model.cache import Cache
from lilliput.model.config import ModelConfig
from lilliput.model.kernels import Visible, attention, rotate
from lilliput.model.linear import linear_weight, make_linear
from lilliput.model.norms import RMSNorm, make_head_norm, make_norm


@dataclass(frozen=True)
class Sight:
    """What the layers of one kind see: which tokens, and where they stand.

    rotary: cosine and sine [..., T, 1, rope_dim]. distances: sinusoids of distances 0 to S - 1,
    [S, D]. temperature: of queries, [..., T, 1, 1].
    """

    visible: Visible | None
    rotary: tuple[Tensor, Tensor] | None = None
    distances: Tensor | None = None
    temperature: Tensor | None = None


@dataclass
class Memory:
    """What one pass carries from layer to layer: the cache, and the last keys and values made.

    `made` is a dictionary because torch.compile forgets, after a FlexAttention, what was put into
    an object's fields.
    """

    cache: Cache | None = None
    document_starts: Tensor | None = None
    made: dict[str, Tensor] = field(default_factory=dict)


class Attention(nn.Module):
    """Multi-head, multi-query (arXiv 1911.02150) or grouped-query (arXiv 2305.13245) attention."""

    attend: Callable[..., Tensor] = staticmethod(attention)
    """What mixes the values; an inspection puts an observer in its place."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        width, head_dim = config.d_model, config.head_dim
        heads, kv_heads = config.heads(layer)
        self.query = make_linear(config, width, heads * head_dim, bias=config.qkv_bias)
        self.query_norm = make_head_norm(config, layer, heads)
        self.makes_keys = layer < config.n_layers - config.shared_kv_layers
        if self.makes_keys:
            self.key = make_linear(config, width, kv_heads * head_dim, bias=config.qkv_bias)
            self.value = make_linear(config, width, kv_heads * head_dim, bias=config.qkv_bias)
            self.key_norm = make_head_norm(config, layer, kv_heads)
        if config.positions == "relative":
            self.relative = make_linear(config, width, heads * head_dim, bias=False)
            self.content_bias = nn.Parameter(torch.zeros(heads, head_dim))
            self.distance_bias = nn.Parameter(torch.zeros(heads, head_dim))
        self.sinks = nn.Parameter(torch.zeros(heads)) if config.attention_sinks else None
        self.sub_norm = make_norm(config, heads * head_dim) if config.sub_norm else nn.Identity()
        self.output = make_linear(config, heads * head_dim, width, bias=config.output_bias)

    def forward(self, residual: Tensor, sight: Sight, memory: Memory) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        config, (batch, time, _) = self.config, residual.shape
        query = self.query_norm(self.query(residual).view(batch, time, -1, config.head_dim))
        if sight.rotary is not None:
            query = rotate(query, *sight.rotary)
        if sight.temperature is not None:
            query = query * sight.temperature
        if self.makes_keys:
            memory.made["keys"], memory.made["values"] = self._keys_values(
                residual, sight, memory.cache
            )
        key, value = memory.made["keys"], memory.made["values"]
        bias = None
        if sight.distances is not None:
            bias = self._relative_bias(query, sight.distances)
            query = query + self.content_bias
        mixed = self.attend(
            query.transpose(1, 2),
            key,
            value,
            sight.visible,
            scale=config.attention_scale,
            bias=bias,
            softcap=config.attention_softcap,
            sinks=self.sinks,
        )
        return self.output(self.sub_norm(mixed.transpose(1, 2).reshape(batch, time, -1)))  # type: ignore[no-any-return]

    def _keys_values(
        self, residual: Tensor, sight: Sight, cache: Cache | None
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of all tokens so far, [B, K, S, E]."""
        batch, time, _ = residual.shape
        key = self.key_norm(self.key(residual).view(batch, time, -1, self.config.head_dim))
        value = self.value(residual).view(batch, time, -1, self.config.head_dim)
        if sight.rotary is not None:
            key = rotate(key, *sight.rotary)
        key, value = key.transpose(1, 2), value.transpose(1, 2)
        return (key, value) if cache is None else cache.extend(self.layer, key, value)

    def _relative_bias(self, query: Tensor, distances: Tensor) -> Tensor:
        """Scores by distance, [B, H, T, S], from query [B, T, H, E]; arXiv 1901.02860, b and d."""
        size, time = len(distances), query.shape[1]
        scale = self.config.attention_scale or self.config.head_dim**-0.5
        told = self.relative(distances).view(size, -1, self.config.head_dim)
        scores = torch.einsum("bthe,dhe->bhtd", (query + self.distance_bias) * scale, told)
        places = torch.arange(size, device=query.device)
        distance = (places[size - time :, None] - places).clamp_min(0)
        return scores.gather(3, distance.expand_as(scores))


class LatentAttention(nn.Module):
    """Keys and values from one low-rank latent a token, and one rotary key for all heads (MLA).

    DeepSeek-V2, arXiv 2405.04434. A cache holds the latent and the rotary key alone; then queries
    are carried into the latent space and heads share the latent as their key and value, so that a
    step never makes the keys and values of the tokens before.
    """

    attend: Callable[..., Tensor] = staticmethod(attention)
    """As in Attention."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        width, heads, rank = config.d_model, config.n_heads, config.latent_rank
        query_dim = config.head_dim + config.latent_rope_dim
        inputs = width
        if config.latent_query_rank:
            inputs = config.latent_query_rank
            self.query_down = make_linear(config, width, inputs, bias=config.qkv_bias)
            self.query_norm = RMSNorm((inputs,), 1e-6)
        self.query = make_linear(config, inputs, heads * query_dim, bias=False)
        self.down = make_linear(config, width, rank + config.latent_rope_dim, bias=config.qkv_bias)
        self.latent_norm = RMSNorm((rank,), 1e-6)
        self.key = make_linear(config, rank, heads * config.head_dim, bias=False)
        self.value = make_linear(config, rank, heads * config.latent_value_dim, bias=False)
        values = heads * config.latent_value_dim
        self.output = make_linear(config, values, width, bias=config.output_bias)

    def forward(self, residual: Tensor, sight: Sight, memory: Memory) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        config, (batch, time, _) = self.config, residual.shape
        inner = residual
        if config.latent_query_rank:
            inner = self.query_norm(self.query_down(residual))
        query = self.query(inner).view(batch, time, config.n_heads, -1)
        if sight.temperature is not None:
            query = query * sight.temperature
        query, query_rope = query.split((config.head_dim, config.latent_rope_dim), dim=-1)
        latent, key_rope = self.down(residual)[:, :, None].split(
            (config.latent_rank, config.latent_rope_dim), dim=-1
        )
        latent = self.latent_norm(latent)
        if sight.rotary is not None:
            query_rope, key_rope = (
                rotate(query_rope, *sight.rotary),
                rotate(key_rope, *sight.rotary),
            )
        if memory.cache is None:
            mixed = self._unfolded(query, query_rope, latent, key_rope, sight)
        else:
            mixed = self._folded(query, query_rope, latent, key_rope, sight, memory.cache)
        return self.output(mixed.transpose(1, 2).reshape(batch, time, -1))  # type: ignore[no-any-return]

    def _unfolded(
        self, query: Tensor, query_rope: Tensor, latent: Tensor, key_rope: Tensor, sight: Sight
    ) -> Tensor:
        """Every head with its own keys and values, which is the cheaper form for many queries."""
        heads = self.config.n_heads
        key = self.key(latent).view(*query.shape)
        value = self.value(latent).view(*query.shape[:3], -1)
        key = torch.cat((key, key_rope.expand(-1, -1, heads, -1)), dim=-1)
        query = torch.cat((query, query_rope), dim=-1)
        return self._attend(query, key, value, sight)

    def _folded(
        self,
        query: Tensor,
        query_rope: Tensor,
        latent: Tensor,
        key_rope: Tensor,
        sight: Sight,
        cache: Cache,
    ) -> Tensor:
        """All heads over the latents: multi-query attention, value heads made at the end."""
        heads, rank = self.config.n_heads, self.config.latent_rank
        latents, ropes = cache.extend(self.layer, latent.transpose(1, 2), key_rope.transpose(1, 2))
        into_latent = linear_weight(self.key).view(heads, -1, rank)
        query = torch.einsum("bthe,her->bthr", query, into_latent)
        query = torch.cat((query, query_rope), dim=-1)
        key = torch.cat((latents, ropes), dim=-1).transpose(1, 2)
        mixed = self._attend(query, key, latents.transpose(1, 2), sight)
        from_latent = linear_weight(self.value).view(heads, -1, rank)
        return torch.einsum("bhtr,hvr->bhtv", mixed, from_latent)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, sight: Sight) -> Tensor:
        scale = self.config.attention_scale
        if scale is None:
            scale = (self.config.head_dim + self.config.latent_rope_dim) ** -0.5
        query, key, value = (heads.transpose(1, 2) for heads in (query, key, value))
        return self.attend(
            query, key, value, sight.visible, scale=scale, softcap=self.config.attention_softcap
        )
