"""Names and layouts of weights and configurations in Hugging Face's classes, both directions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig

# Our name → theirs, a layer's names without its prefix. GPT-2 keeps its matrices transposed and its
# query, key and value as one; `_GPT2_FUSED` and `_GPT2_TRANSPOSED` say which.
_LLAMA_NAMES = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
    "attention.query_norm.weight": "self_attn.q_norm.weight",
    "attention.key_norm.weight": "self_attn.k_norm.weight",
    "feed_forward_norm.weight": "post_attention_layernorm.weight",
    "feed_forward.gate.weight": "mlp.gate_proj.weight",
    "feed_forward.up.weight": "mlp.up_proj.weight",
    "feed_forward.down.weight": "mlp.down_proj.weight",
}
_GPT2_NAMES = {
    "attention_norm": "ln_1",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}
_GPT2_FUSED = ("attention.query", "attention.key", "attention.value")
_GPT2_TRANSPOSED = ("attn.c_attn.weight", "c_proj.weight", "c_fc.weight")

_CLASSES = {
    "lilliput": ("qwen3", "Qwen3ForCausalLM"),
    "llama": ("llama", "LlamaForCausalLM"),
    "gpt2": ("gpt2", "GPT2LMHeadModel"),
}
FAMILY_OF_MODEL_TYPE = {model_type: family for family, (model_type, _) in _CLASSES.items()}


def foreign_config(config: ModelConfig, *, end_of_text: int, padding: int) -> dict[str, Any]:
    """The `config.json` that transformers' own class of this family reads."""
    model_type, architecture = _CLASSES[config.family]
    values: dict[str, Any] = {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": "float32",
        "vocab_size": config.vocabulary_size,
        "tie_word_embeddings": config.tied,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": padding,
        "initializer_range": 0.02,
        "use_cache": True,
    }
    if config.family == "gpt2":
        return values | {
            "n_positions": config.context_length,
            "n_embd": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "n_inner": config.d_ff,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": config.norm_eps,
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
        }
    return values | {
        "max_position_embeddings": config.context_length,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_bias": False,
        "attention_dropout": 0.0,
    }


def check_exchangeable(config: ModelConfig) -> None:
    """Raise UserError when transformers' class of the family cannot hold this configuration."""
    expected: dict[str, Any] = {"norm": "rmsnorm", "positions": "rotary", "activation": "silu"}
    expected |= {"gated": True, "bias": False, "qk_norm": config.family == "lilliput"}
    if config.family == "gpt2":
        expected = {"norm": "layernorm", "positions": "learned", "activation": "gelu_tanh"}
        expected |= {"gated": False, "bias": True, "qk_norm": False}
        expected |= {"n_kv_heads": config.n_heads, "head_dim": config.d_model // config.n_heads}
    for name, value in expected.items():
        if getattr(config, name) != value:
            raise UserError(
                f"model.{name} is {getattr(config, name)!r}, but family {config.family!r} "
                f"needs {value!r} to be a {_CLASSES[config.family][1]}: drop the override"
            )


def own_config(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The ModelConfig of a transformers `config.json`. Raises UserError for what we cannot hold."""
    model_type = values.get("model_type")
    family = FAMILY_OF_MODEL_TYPE.get(str(model_type))
    if family is None:
        raise UserError(
            f"{where}: model_type {model_type!r} is not a family Lilliput knows "
            f"({', '.join(FAMILY_OF_MODEL_TYPE)})"
        )
    try:
        return _gpt2_config(values) if family == "gpt2" else _llama_config(family, values, where)
    except KeyError as error:
        raise UserError(f"{where}: field {error} is missing") from None


def _gpt2_config(values: Mapping[str, Any]) -> ModelConfig:
    heads = values["n_head"]
    return ModelConfig(
        family="gpt2",
        vocabulary_size=values["vocab_size"],
        context_length=values["n_positions"],
        n_layers=values["n_layer"],
        d_model=values["n_embd"],
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=values["n_embd"] // heads,
        d_ff=values.get("n_inner") or 4 * values["n_embd"],
        norm="layernorm",
        norm_eps=values.get("layer_norm_epsilon", 1e-5),
        positions="learned",
        activation="gelu_tanh",
        gated=False,
        bias=True,
        tied=values.get("tie_word_embeddings", True),
    )


def _llama_config(family: str, values: Mapping[str, Any], where: str) -> ModelConfig:
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    unsupported = {
        "rope_parameters.rope_type": kind != "default",
        "attention_bias": bool(values.get("attention_bias")),
        "mlp_bias": bool(values.get("mlp_bias")),
        "use_sliding_window": bool(values.get("use_sliding_window")),
        "hidden_act": values.get("hidden_act", "silu") != "silu",
    }
    for name, refused in unsupported.items():
        if refused:
            raise UserError(f"{where}: {name} has a value Lilliput cannot compute yet")
    heads = values["num_attention_heads"]
    return ModelConfig(
        family=family,
        vocabulary_size=values["vocab_size"],
        context_length=values["max_position_embeddings"],
        n_layers=values["num_hidden_layers"],
        d_model=values["hidden_size"],
        n_heads=heads,
        n_kv_heads=values.get("num_key_value_heads") or heads,
        head_dim=values.get("head_dim") or values["hidden_size"] // heads,
        d_ff=values["intermediate_size"],
        norm_eps=values.get("rms_norm_eps", 1e-6),
        rope_theta=rope.get("rope_theta", values.get("rope_theta", 10_000.0)),
        qk_norm=family == "lilliput",
        tied=values.get("tie_word_embeddings", False),
    )


def to_foreign(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict → the tensors of transformers' class, contiguous, a tied head left out."""
    names = _top_names(config)
    if config.family == "gpt2":
        return {name: tensor.contiguous() for name, tensor in _to_gpt2(weights, config, names)}
    for layer in range(config.n_layers):
        for own, foreign in _LLAMA_NAMES.items():
            names[f"blocks.{layer}.{own}"] = f"model.layers.{layer}.{foreign}"
    return {names[name]: tensor.contiguous() for name, tensor in weights.items()}


def from_foreign(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The inverse of `to_foreign`; tensors we do not know (buffers, tied copies) are left out."""
    found = {
        name if name.startswith(("transformer.", "model.", "lm_head")) else f"transformer.{name}": t
        for name, t in tensors.items()
    }
    own_of = {foreign: own for own, foreign in _top_names(config).items()}
    if config.family == "gpt2":
        return dict(_from_gpt2(found, config, own_of))
    for layer in range(config.n_layers):
        for own, foreign in _LLAMA_NAMES.items():
            own_of[f"model.layers.{layer}.{foreign}"] = f"blocks.{layer}.{own}"
    return {own_of[name]: tensor for name, tensor in found.items() if name in own_of}


def _top_names(config: ModelConfig) -> dict[str, str]:
    """Names outside the layers."""
    if config.family == "gpt2":
        names = {
            "embedding.weight": "transformer.wte.weight",
            "position_embedding.weight": "transformer.wpe.weight",
            "final_norm.weight": "transformer.ln_f.weight",
            "final_norm.bias": "transformer.ln_f.bias",
        }
    else:
        names = {
            "embedding.weight": "model.embed_tokens.weight",
            "final_norm.weight": "model.norm.weight",
        }
    if not config.tied:
        names["head.weight"] = "lm_head.weight"
    return names


def _gpt2_pairs(config: ModelConfig) -> list[tuple[str, str]]:
    return [
        (f"blocks.{layer}.{own}.{kind}", f"transformer.h.{layer}.{foreign}.{kind}")
        for layer in range(config.n_layers)
        for own, foreign in _GPT2_NAMES.items()
        for kind in ("weight", "bias")
    ]


def _to_gpt2(
    weights: Mapping[str, Tensor], config: ModelConfig, names: Mapping[str, str]
) -> list[tuple[str, Tensor]]:
    pairs = [(names[own], weights[own]) for own in names]
    pairs += [(foreign, weights[own]) for own, foreign in _gpt2_pairs(config)]
    for layer in range(config.n_layers):
        for kind in ("weight", "bias"):
            parts = [weights[f"blocks.{layer}.{part}.{kind}"] for part in _GPT2_FUSED]
            pairs.append((f"transformer.h.{layer}.attn.c_attn.{kind}", torch.cat(parts)))
    return [
        (name, tensor.t() if name.endswith(_GPT2_TRANSPOSED) else tensor) for name, tensor in pairs
    ]


def _from_gpt2(
    tensors: Mapping[str, Tensor], config: ModelConfig, own_of: Mapping[str, str]
) -> list[tuple[str, Tensor]]:
    straight = {
        name: tensor.t() if name.endswith(_GPT2_TRANSPOSED) else tensor
        for name, tensor in tensors.items()
    }
    pairs = [(own, straight[foreign]) for foreign, own in own_of.items()]
    pairs += [(own, straight[foreign]) for own, foreign in _gpt2_pairs(config)]
    for layer in range(config.n_layers):
        for kind in ("weight", "bias"):
            parts = straight[f"transformer.h.{layer}.attn.c_attn.{kind}"].chunk(3)
            pairs += [
                (f"blocks.{layer}.{own}.{kind}", part)
                for own, part in zip(_GPT2_FUSED, parts, strict=True)
            ]
    return pairs
