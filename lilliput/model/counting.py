"""Parameters part by part, and the FLOPs of a token, counted on the decoder itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


@dataclass(frozen=True)
class Part:
    """A named part of a model: a block's part is counted over all layers."""

    group: Literal["embedding", "block", "norm", "future"]
    name: str


@lru_cache(maxsize=512)
def count_parts(config: ModelConfig) -> Mapping[Part, int]:
    """The parameters of every part, in the order the decoder uses them."""
    from lilliput.model.decoder import Decoder

    with torch.device("meta"), _NoValues():
        decoder = Decoder(_one_layer(config))
    parts: Counter[Part] = Counter()
    for name, parameter in decoder.named_parameters():
        if name.startswith("blocks."):
            continue
        parts[_part_of(name)] += parameter.numel()
    for counts in weights_by_layer(config):
        for name, count in counts.items():
            parts[Part("block", name)] += count
    return MappingProxyType(parts)


def weights_by_layer(config: ModelConfig) -> list[Mapping[str, int]]:
    """The parameters of every layer's parts, by name; layers of one shape are counted once."""
    known: dict[Hashable, Mapping[str, int]] = {}
    layers = []
    for layer in range(config.n_layers):
        makes_keys = layer < config.n_layers - config.shared_kv_layers
        width, mixture = config.feed_forward_width(layer), config.is_mixture(layer)
        key = (config.heads(layer), width, mixture, makes_keys, config.is_routed(layer))
        if key not in known:
            known[key] = _weights_of_layer(config, layer)
        layers.append(known[key])
    return layers


def _weights_of_layer(config: ModelConfig, layer: int) -> Mapping[str, int]:
    from lilliput.model.decoder import Block

    with torch.device("meta"), _NoValues():
        block = Block(config, layer)
    counts: Counter[str] = Counter()
    for name, parameter in block.named_parameters():
        path = name.rpartition(".")[0]
        counts["feed_forward.experts" if path == "feed_forward" else path] += parameter.numel()
    return counts


def _one_layer(config: ModelConfig) -> ModelConfig:
    """The same with its last layer alone: what is outside the layers stays."""
    last = config.n_layers - 1
    dense = {"n_experts": 0, "n_shared_experts": 0, "router_selection_bias": False}
    return config.with_(
        **({} if config.is_mixture(last) else dense),
        n_layers=1,
        first_dense_layers=0,
        experts_every=1,
        layer_heads=config.layer_heads[:1],
        layer_kv_heads=config.layer_kv_heads[:1],
        layer_d_ff=config.layer_d_ff[:1],
        shared_kv_layers=0,
    )


class _NoValues(TorchFunctionMode):
    """Parameters keep no values: on the meta device, giving them some costs seconds of imports."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, unless it fills a tensor."""
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _part_of(name: str) -> Part:
    first, *rest = name.split(".")
    if first == "future":
        return Part("future", ".".join(rest[1:-1]))
    return Part("norm" if first.endswith("norm") else "embedding", first)


@lru_cache(maxsize=256)
def flops_per_token(config: ModelConfig, sequence_length: int) -> float:
    """Training FLOPs a token, forward and backward: 6 a matrix weight in use, plus attention.

    The lookup of an embedding costs nothing; the output head counts once whether tied or not; of
    experts, those that a token goes through. Attention counts the keys that a token sees on
    average (PaLM, arXiv 2204.02311, appendix B, without the half that causality hides).
    """
    used = config.experts_per_token / config.n_experts if config.n_experts else 1.0
    weights = float(config.vocabulary_size * config.d_model * (1 + config.n_future_tokens))
    future = {part.name: n for part, n in count_parts(config).items() if part.group == "future"}
    shares = [config.depth_capacity if config.is_routed(n) else 1.0 for n in range(config.n_layers)]
    for share, counts in zip([1.0, *shares], [future, *weights_by_layer(config)], strict=True):
        for name, count in counts.items():
            if not name.rsplit(".", 1)[-1].endswith("norm"):
                weights += share * count * (used if name == "feed_forward.experts" else 1.0)
    value_dim = config.latent_value_dim or config.head_dim
    heads_width = config.head_dim + config.latent_rope_dim + value_dim
    attended = sum(
        config.heads(layer)[0] * heads_width * _mean_keys(config, layer, sequence_length) * share**2
        for layer, share in enumerate(shares)
    )
    return 6.0 * (weights + attended)


def _mean_keys(config: ModelConfig, layer: int, length: int) -> float:
    """Keys that a token of a whole window sees on average."""
    kind = config.kind(layer)
    if kind in "GN" or config.window >= length:
        return length / 2
    if kind == "C":
        return config.window / 2
    return config.window * (1 - config.window / (2 * length))
