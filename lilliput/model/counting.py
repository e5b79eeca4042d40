"""Parameters part by part, and the FLOPs of a token, counted on the decoder itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


@dataclass(frozen=True)
class Part:
    """A named part of a model: a block's part is counted over all layers."""

    group: Literal["embedding", "block", "norm", "future"]
    name: str


@lru_cache(maxsize=256)
def count_parts(config: ModelConfig) -> Mapping[Part, int]:
    """The parameters of every part, in the order the decoder uses them."""
    from lilliput.model.decoder import Decoder

    with torch.device("meta"):
        decoder = Decoder(config)
    parts: Counter[Part] = Counter()
    for name, parameter in decoder.named_parameters():
        parts[_part_of(name)] += parameter.numel()
    return MappingProxyType(parts)


def _part_of(name: str) -> Part:
    first, *rest = name.split(".")
    if first == "blocks":
        path = ".".join(rest[1:-1])
        return Part("block", "feed_forward.experts" if path == "feed_forward" else path)
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
    for part, count in count_parts(config).items():
        last = part.name.rsplit(".", 1)[-1]
        if part.group in ("block", "future") and not last.endswith("norm"):
            weights += count * (used if part.name == "feed_forward.experts" else 1.0)
    value_dim = config.latent_value_dim or config.head_dim
    heads_width = config.head_dim + config.latent_rope_dim + value_dim
    attended = sum(
        config.heads(layer)[0] * heads_width * _mean_keys(config, layer, sequence_length)
        for layer in range(config.n_layers)
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
