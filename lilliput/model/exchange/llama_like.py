"""Classes with Llama's names: RMSNorm, rotary positions, gated feed-forward, and their cousins."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lilliput.model.config import ModelConfig
from lilliput.model.exchange.classes import ForeignClass
from lilliput.model.exchange.rules import Rule, joined, same
from lilliput.model.exchange.values import (
    activation_of,
    foreign_activation,
    layer_types,
    pattern_of,
    rope_fields,
    rope_values,
    shortest_pattern,
)

SIZES = {
    "vocabulary_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "n_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "d_ff": "intermediate_size",
    "tied": "tie_word_embeddings",
}
FIELDS = SIZES | {"norm_eps": "rms_norm_eps"}
PRE_NORMS = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}
ATTENTION = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
}
FEED_FORWARD = {
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
NAMES = PRE_NORMS | ATTENTION | FEED_FORWARD
OUT_NORMS = {
    "attention_out_norm": "post_attention_layernorm",
    "feed_forward_out_norm": "post_feedforward_layernorm",
}
_ACROSS = {
    "attention.query_norm.norm": "self_attn.q_norm",
    "attention.key_norm.norm": "self_attn.k_norm",
}


def top_rules(config: ModelConfig) -> Iterator[Rule]:
    """Embedding, final norm and head."""
    yield same("embedding.weight", "model.embed_tokens.weight")
    yield same("final_norm.weight", "model.norm.weight")
    yield same("final_norm.bias", "model.norm.bias")
    yield same("head.weight", "lm_head.weight")
    yield same("head.bias", "lm_head.bias")


def layer_rules(config: ModelConfig, names: Mapping[str, str]) -> Iterator[Rule]:
    """Weights and biases of every layer whose names alone differ."""
    for layer in range(config.n_layers):
        for own, foreign in names.items():
            for kind in ("weight", "bias"):
                yield same(f"blocks.{layer}.{own}.{kind}", f"model.layers.{layer}.{foreign}.{kind}")


def named(names: Mapping[str, str], config: ModelConfig) -> Iterator[Rule]:
    """All rules of a class whose tensors differ in names alone."""
    yield from top_rules(config)
    yield from layer_rules(config, names)


def head_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Heads where a config leaves them to be derived."""
    heads = values["num_attention_heads"]
    return {
        "n_kv_heads": values.get("num_key_value_heads") or heads,
        "head_dim": values.get("head_dim") or values["hidden_size"] // heads,
    }


def common_values(config: ModelConfig) -> dict[str, Any]:
    """What the classes of this file write alike."""
    return rope_values(config) | {
        "hidden_act": foreign_activation(config),
        "attention_bias": config.qkv_bias and config.output_bias,
        "mlp_bias": config.feed_forward_bias,
        "attention_dropout": 0.0,
    }


def common_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the classes of this file read alike."""
    return (
        rope_fields(values)
        | head_fields(values)
        | {
            "activation": activation_of(values.get("hidden_act", "silu")),
            "qkv_bias": bool(values.get("attention_bias")),
            "output_bias": bool(values.get("attention_bias")),
            "feed_forward_bias": bool(values.get("mlp_bias")),
            "tied": bool(values.get("tie_word_embeddings", False)),
        }
    )


def _window_values(config: ModelConfig) -> dict[str, Any]:
    local = "L" in letters_used(config)
    return common_values(config) | {"sliding_window": config.window if local else None}


def letters_used(config: ModelConfig) -> str:
    """The letters a model's layers use."""
    return "".join(sorted({config.kind(layer) for layer in range(config.n_layers)}))


def _mistral_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    window = values.get("sliding_window")
    local = {"window": window, "layer_pattern": "L"} if window else {}
    return common_fields(values) | local


def _typed_values(config: ModelConfig) -> dict[str, Any]:
    return _window_values(config) | {
        "layer_types": layer_types(config),
        "use_sliding_window": "L" in letters_used(config),
        "max_window_layers": config.n_layers,
    }


def _typed_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    pattern = pattern_of(values.get("layer_types") or ["full_attention"])
    local = {"window": values["sliding_window"]} if "L" in pattern else {}
    return common_fields(values) | {"layer_pattern": pattern} | local


def _qwen2_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return _typed_fields(values) | {"qkv_bias": True, "output_bias": False}


def _smollm3_values(config: ModelConfig) -> dict[str, Any]:
    kinds = [config.kind(layer) for layer in range(config.n_layers)]
    return _typed_values(config) | {
        "no_rope_layers": [int(kind != "N") for kind in kinds],
        "no_rope_layer_interval": 4,
    }


def _smollm3_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    interval = values.get("no_rope_layer_interval", 4)
    layers = values["num_hidden_layers"]
    turning = values.get("no_rope_layers") or [
        int((layer + 1) % interval != 0) for layer in range(layers)
    ]
    letters = "".join("G" if turns else "N" for turns in turning)
    return common_fields(values) | {
        "layer_pattern": shortest_pattern(letters),
        "tied": bool(values.get("tie_word_embeddings", True)),
    }


def _granite_values(config: ModelConfig) -> dict[str, Any]:
    scale = config.attention_scale
    return common_values(config) | {
        "embedding_multiplier": config.embedding_scale,
        "residual_multiplier": config.residual_scale,
        "attention_multiplier": config.head_dim**-0.5 if scale is None else scale,
        "logits_scaling": 1 / config.logit_scale,
    }


def _granite_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return common_fields(values) | {
        "embedding_scale": float(values.get("embedding_multiplier", 1.0)),
        "residual_scale": float(values.get("residual_multiplier", 1.0)),
        "attention_scale": float(values.get("attention_multiplier", 1.0)),
        "logit_scale": 1 / values.get("logits_scaling", 1.0),
    }


def _phi3_rules(config: ModelConfig) -> Iterator[Rule]:
    fused = ("attention.query", "attention.key", "attention.value")
    sizes = [heads * config.head_dim for heads in (config.n_heads, *(config.n_kv_heads,) * 2)]
    parts = {name: NAMES[name] for name in ("attention.output", "feed_forward.down")}
    yield from named(PRE_NORMS | parts, config)
    for layer in range(config.n_layers):
        own, theirs = f"blocks.{layer}", f"model.layers.{layer}"
        qkv = [f"{own}.{name}.weight" for name in fused]
        yield joined(qkv, f"{theirs}.self_attn.qkv_proj.weight", sizes)
        halves = [f"{own}.feed_forward.{name}.weight" for name in ("gate", "up")]
        yield joined(halves, f"{theirs}.mlp.gate_up_proj.weight", [config.d_ff] * 2)


def _phi3_values(config: ModelConfig) -> dict[str, Any]:
    return _window_values(config) | {
        "original_max_position_embeddings": config.rope_original_context or config.context_length,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
    }


def _bitnet_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    online = (values.get("quantization_config") or {}).get("quant_method") == "bitnet"
    return common_fields(values) | {"linear": "ternary" if online else "full"}


def _bitnet_values(config: ModelConfig) -> dict[str, Any]:
    values = common_values(config)
    if config.linear == "ternary":
        values["quantization_config"] = {
            "quant_method": "bitnet",
            "linear_class": "autobitlinear",
            "quantization_mode": "online",
            "modules_to_not_convert": ["lm_head"],
        }
    return values


_PLAIN = partial(named, NAMES)
_SUB_NORMS = {
    "attention.sub_norm": "self_attn.attn_sub_norm",
    "feed_forward.sub_norm": "mlp.ffn_sub_norm",
}

CLASSES = (
    ForeignClass("llama", "LlamaForCausalLM", "llama", _PLAIN, FIELDS, {},
                 common_values, common_fields),
    ForeignClass("mistral", "MistralForCausalLM", "mistral", _PLAIN, FIELDS, {},
                 _window_values, _mistral_fields),
    ForeignClass("ministral", "MinistralForCausalLM", "ministral", _PLAIN, FIELDS, {},
                 _typed_values, _typed_fields),
    ForeignClass("qwen2", "Qwen2ForCausalLM", "qwen2", _PLAIN, FIELDS, {},
                 _typed_values, _qwen2_fields),
    ForeignClass("qwen3", "Qwen3ForCausalLM", "qwen3", _PLAIN, FIELDS, {"qk_norm": "head"},
                 _typed_values, _typed_fields),
    ForeignClass("smollm3", "SmolLM3ForCausalLM", "smollm3", _PLAIN, FIELDS, {},
                 _smollm3_values, _smollm3_fields),
    ForeignClass("granite", "GraniteForCausalLM", "granite", _PLAIN, FIELDS, {},
                 _granite_values, _granite_fields),
    ForeignClass("olmo2", "Olmo2ForCausalLM", "olmo2",
                 partial(named, OUT_NORMS | ATTENTION | FEED_FORWARD | _ACROSS), FIELDS,
                 {"norm_placement": "out", "qk_norm": "full"}, common_values, common_fields),
    ForeignClass("phi3", "Phi3ForCausalLM", "phi3", _phi3_rules, FIELDS, {},
                 _phi3_values, _mistral_fields),
    ForeignClass("bitnet", "BitNetForCausalLM", "bitnet", partial(named, NAMES | _SUB_NORMS),
                 FIELDS, {"sub_norm": True}, _bitnet_values, _bitnet_fields),
)  # fmt: skip
