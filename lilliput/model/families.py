"""Families as a table: each is a row of values, and a dial that gives a size its shape."""

from dataclasses import dataclass
from typing import Any

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig


@dataclass(frozen=True)
class Family:
    """One architecture of the literature.

    `switches` are the ModelConfig fields that define it; `feed_forward_ratio` is d_ff / d_model.
    """

    name: str
    paper: str
    distinctive: str
    switches: dict[str, Any]
    feed_forward_ratio: float


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "lilliput",
            "Qwen3, arXiv 2505.09388",
            "RMSNorm, rotary, QK-norm, SwiGLU: loads as Qwen3 in transformers and llama.cpp",
            {"qk_norm": True, "tied": False},
            feed_forward_ratio=8 / 3,
        ),
        Family(
            "llama",
            "Llama 2, arXiv 2307.09288",
            "RMSNorm, rotary, grouped queries, SwiGLU, untied",
            {"norm_eps": 1e-5, "tied": False},
            feed_forward_ratio=8 / 3,
        ),
        Family(
            "gpt2",
            "GPT-2 (Radford et al. 2019)",
            "LayerNorm, learned positions, GELU, biases, tied",
            {
                "norm": "layernorm",
                "norm_eps": 1e-5,
                "positions": "learned",
                "activation": "gelu_tanh",
                "gated": False,
                "bias": True,
            },
            feed_forward_ratio=4,
        ),
    )
}

WIDTH_PER_LAYER = 64
"""Aspect ratio of the dial: nanochat's sweeps (its log, January 2026) prefer 64 to 128."""


def shape_of_depth(
    depth: int, *, vocabulary_size: int, family: str = "lilliput", **overrides: Any
) -> ModelConfig:
    """The one dial: a depth in layers gives width, heads and feed-forward; any can be overridden.

    Width is 64 a layer. Heads are 64 wide: on the lengths tiny models train at, half as many heads
    cost half the softmax. Raises UserError for an unknown family or a field that does not exist.
    """
    if family not in FAMILIES:
        raise UserError(f"model.family {family!r} is unknown: choose {', '.join(FAMILIES)}")
    if depth < 1:
        raise UserError(f"model.depth is {depth}: it must be at least 1")
    row = FAMILIES[family]
    d_model = overrides.get("d_model", depth * WIDTH_PER_LAYER)
    head_dim = overrides.get("head_dim", _head_dim(d_model, overrides.get("n_heads")))
    n_heads = overrides.get("n_heads", max(1, d_model // head_dim))
    groups = 2 if family == "llama" and n_heads % 2 == 0 else 1
    derived: dict[str, Any] = {
        "n_layers": depth,
        "d_model": d_model,
        "head_dim": head_dim,
        "n_heads": n_heads,
        "n_kv_heads": n_heads // groups,
        "d_ff": max(16, round(d_model * row.feed_forward_ratio / 16) * 16),
    }
    return ModelConfig.from_dict(
        {
            **row.switches,
            **derived,
            **overrides,
            "family": family,
            "vocabulary_size": vocabulary_size,
        }
    )


def _head_dim(d_model: int, n_heads: int | None) -> int:
    if n_heads is not None:
        return d_model // n_heads
    return next((width for width in (64, 32, 16) if d_model % width == 0), d_model)
