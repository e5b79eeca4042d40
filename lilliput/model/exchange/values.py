"""Fields of `config.json` that are more than another name: activations, rotary scaling, layers."""

from collections.abc import Mapping
from typing import Any

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
from lilliput.model.positions import longrope_magnitude, yarn_magnitude

_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu2",
}
_FOREIGN_ACTIVATIONS = {"gelu_tanh": "gelu_pytorch_tanh", "clamped_swish": "silu"}
_LAYER_TYPES = {"G": "full_attention", "L": "sliding_attention", "C": "chunked_attention"}


def activation_of(name: str) -> str:
    """Our activation of a transformers name. Raises UserError for one we lack."""
    if name not in _ACTIVATIONS:
        raise UserError(f"activation {name!r} is not one Lilliput computes")
    return _ACTIVATIONS[name]


def foreign_activation(config: ModelConfig) -> str:
    """transformers' name of our activation."""
    return _FOREIGN_ACTIVATIONS.get(config.activation, config.activation)


def shortest_pattern(letters: str) -> str:
    """The shortest pattern that repeats to these letters."""
    for period in range(1, len(letters) + 1):
        if all(letter == letters[place % period] for place, letter in enumerate(letters)):
            return letters[:period]
    return letters


def layer_kinds(config: ModelConfig) -> str:
    """The letter of every layer."""
    return "".join(map(config.kind, range(config.n_layers)))


def layer_types(config: ModelConfig) -> list[str]:
    """transformers' name of every layer's kind."""
    return [_LAYER_TYPES.get(kind, "full_attention") for kind in layer_kinds(config)]


def pattern_of(types: list[str]) -> str:
    """The pattern of transformers' `layer_types`."""
    letters = {name: letter for letter, name in _LAYER_TYPES.items()}
    for name in types:
        if name not in letters:
            raise UserError(f"layer type {name!r} is not one Lilliput computes")
    return shortest_pattern("".join(letters[name] for name in types))


def rope_values(config: ModelConfig) -> dict[str, Any]:
    """`rope_parameters`, with the old `rope_theta` beside it for older readers."""
    values: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_fraction != 1:
        values["partial_rotary_factor"] = config.rope_fraction
    if config.rope_scaling != "none":
        values |= {"rope_type": config.rope_scaling, "factor": config.rope_factor}
    if config.rope_scaling in ("yarn", "llama3", "longrope"):
        values["original_max_position_embeddings"] = config.rope_original_context
    if config.rope_scaling == "llama3":
        values |= {
            "low_freq_factor": config.rope_low_factor,
            "high_freq_factor": config.rope_high_factor,
        }
    if config.rope_scaling == "yarn":
        values |= {
            "beta_fast": config.rope_beta_fast,
            "beta_slow": config.rope_beta_slow,
            "truncate": config.rope_truncate,
            "attention_factor": config.rope_magnitude,
        }
    if config.rope_scaling == "longrope":
        values |= {
            "short_factor": list(config.rope_short_factors),
            "long_factor": list(config.rope_long_factors),
            "attention_factor": config.rope_magnitude,
        }
    named = {"rope_parameters": values, "rope_theta": config.rope_theta}
    if config.rope_scaling == "dynamic":  # their classes count from the context before the stretch
        named["max_position_embeddings"] = config.rope_original_context
    return named


def rope_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Our rotary fields, from `rope_parameters` or the older `rope_theta` and `rope_scaling`."""
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    return scaling_fields(rope, values)


def scaling_fields(rope: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Our rotary fields of one `rope_parameters` table. Raises UserError for a kind we lack."""
    kind = rope.get("rope_type", rope.get("type", "default"))
    kind = "longrope" if kind == "su" else kind
    context = values.get("max_position_embeddings", 0)
    fraction = rope.get("partial_rotary_factor", values.get("partial_rotary_factor", 1.0))
    fields: dict[str, Any] = {
        "rope_theta": float(rope.get("rope_theta", values.get("rope_theta", 10_000.0))),
        "rope_fraction": float(fraction),
    }
    if kind == "default":
        return fields
    if kind not in ("linear", "dynamic", "yarn", "llama3", "longrope"):
        raise UserError(f"rope_type {kind!r} is not one Lilliput computes")
    original = rope.get(
        "original_max_position_embeddings",
        values.get("original_max_position_embeddings", context),
    )
    if kind == "dynamic":
        original = context
    factor = float(rope.get("factor") or context / original)
    fields |= {"rope_scaling": kind, "rope_factor": factor}
    if kind == "dynamic":
        fields["context_length"] = int(original * factor)
    if kind != "linear":
        fields["rope_original_context"] = original
    if kind == "llama3":
        fields |= {
            "rope_low_factor": float(rope["low_freq_factor"]),
            "rope_high_factor": float(rope["high_freq_factor"]),
        }
    elif kind == "yarn":
        fields |= {
            "rope_beta_fast": float(rope.get("beta_fast") or 32),
            "rope_beta_slow": float(rope.get("beta_slow") or 1),
            "rope_truncate": rope.get("truncate", True),
            "rope_magnitude": _yarn_magnitude(rope, factor),
        }
    elif kind == "longrope":
        magnitude = rope.get("attention_factor") or longrope_magnitude(context, original)
        fields |= {
            "rope_short_factors": tuple(map(float, rope["short_factor"])),
            "rope_long_factors": tuple(map(float, rope["long_factor"])),
            "rope_magnitude": float(magnitude),
        }
    return fields


def _yarn_magnitude(rope: Mapping[str, Any], factor: float) -> float:
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    weight, all_dims = rope.get("mscale"), rope.get("mscale_all_dim")
    if weight and all_dims:
        return yarn_magnitude(factor, weight) / yarn_magnitude(factor, all_dims)
    return yarn_magnitude(factor)
