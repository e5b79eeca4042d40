"""`config.json` ↔ GGUF's metadata.

Metadata are kept here without the architecture's name before each key.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.errors import UserError
from lilliput.export.gguf.architectures import FALCON_TWO_NORMS, OF_MODEL_TYPE
from lilliput.export.gguf.file import GgufFile, checked
from lilliput.export.gguf.layouts import Sizes
from lilliput.export.gguf.refusals import NO_ROPE_STEP, refusals
from lilliput.export.gguf.rope import rope_metadata, rope_parameters
from lilliput.export.gguf.rows import Architecture

Values = dict[str, Any]

_GEMMA_LOCAL_THETA = 10_000.0
_BLOOM_CONTEXT = 2048  # BloomConfig names no length: ALiBi has none


def architecture_of(values: Mapping[str, Any], where: Path) -> Architecture:
    """The row of a folder's config.json. Raises UserError if GGUF has no class for it here."""
    found = OF_MODEL_TYPE.get(str(values.get("model_type")))
    if found is None:
        raise UserError(
            f"{where}: models of type {values.get('model_type')!r} cannot be written as GGUF; "
            f"these can: {', '.join(OF_MODEL_TYPE)}"
        )
    if found.name == "falcon" and _falcon_has_two_norms(values):
        return FALCON_TWO_NORMS
    return found


def completed(architecture: Architecture, values: Mapping[str, Any], where: Path) -> Values:
    """config.json with every default that metadata need filled in.

    Raises UserError for a setting that llama.cpp's class of that name would compute wrongly.
    """
    filled = {**_defaults(architecture.model_type), **_known(values)}
    rope = filled.get("rope_parameters") or filled.get("rope_scaling") or {}
    if architecture.model_type == "gemma3_text":
        _check_gemma_ropes(rope, where)
        rope = rope.get("full_attention", rope)
    filled["rope_parameters"] = rope
    if "rope.freq_base" in architecture.numbers:
        filled["rope_theta"] = rope.get("rope_theta", filled.get("rope_theta", 10_000.0))
    heads = filled.get("num_attention_heads")
    if heads:
        filled.setdefault("num_key_value_heads", heads)
        filled.setdefault("head_dim", filled.get("hidden_size", 0) // heads)
    if "n_inner" in architecture.numbers.values():
        filled.setdefault("n_inner", 4 * filled.get("n_embd", filled.get("hidden_size", 0)))
    if architecture.model_type == "qwen3_moe":  # its name until transformers 5
        filled.setdefault("num_local_experts", filled.get("num_experts"))
    if architecture.name == "falcon":
        filled.setdefault("ffn_hidden_size", 4 * filled.get("hidden_size", 0))
        filled["num_kv_heads"] = _falcon_kv_heads(filled)
    for wrong, reason in refusals(architecture.model_type, filled):
        if wrong:
            raise UserError(f"{where}: {reason}, so no GGUF file is written")
    return filled


def metadata_of(architecture: Architecture, values: Values, where: Path) -> Values:
    """The numbers of a completed config as GGUF's metadata."""
    missing = [name for name in architecture.numbers.values() if values.get(name) is None]
    if missing:
        raise UserError(f"{where}: field {missing[0]!r} is missing")
    numbers = {key: values[name] for key, name in architecture.numbers.items()}
    numbers = {
        key: float(value) if is_fraction(key) else int(value) for key, value in numbers.items()
    }
    return numbers | rope_metadata(architecture.name, values, where)


def is_fraction(key: str) -> bool:
    """Whether llama.cpp reads this number as float32 (else as uint32)."""
    return key.endswith(("epsilon", "scale", "freq_base", "factor", "beta_fast", "beta_slow"))


def sizes_of(metadata: Mapping[str, Any]) -> Sizes:
    """The numbers that layouts need, of metadata without prefix."""
    heads = metadata["attention.head_count"]
    return Sizes(
        metadata["block_count"],
        heads,
        metadata.get("attention.head_count_kv", heads),
        metadata.get("expert_count", 0),
    )


def file_metadata(architecture: Architecture, file: GgufFile) -> Values:
    """A file's numbers, without prefix. Raises UserError for a missing or senseless one."""
    found: Values = {}
    for key in architecture.numbers:
        name = f"{file.architecture}.{key}"
        if name in file.metadata:
            value = file.metadata[name]
            if isinstance(value, list) and value and value.count(value[0]) == len(value):
                value = value[0]  # one number a layer, all the same
            kind = (int, float) if is_fraction(key) else int
            found[key] = checked({name: value}, name, kind, file.path)
            if not math.isfinite(value) or (not is_fraction(key) and value < 1):
                raise UserError(f"{file.path}: its metadata entry {name} is {value}")
    _fill_file_numbers(architecture, file, found)
    for key in architecture.numbers:
        checked(found, key, (int, float), file.path)
    if found["attention.head_count"] % found.get("attention.head_count_kv", 1):
        raise UserError(f"{file.path}: its key/value heads do not divide its heads")
    return found


def _fill_file_numbers(architecture: Architecture, file: GgufFile, found: Values) -> None:
    """Add to `found` what the file leaves to llama.cpp's defaults."""
    embedding = file.tensors.get("token_embd.weight")
    if embedding is not None:
        found["vocab_size"] = embedding.shape[0]
    defaults: Values = {"rope.freq_base": 10_000.0, "logit_scale": 1.0}
    heads, width = found.get("attention.head_count"), found.get("embedding_length")
    if heads and width:
        defaults |= {
            "attention.head_count_kv": heads,
            "attention.key_length": max(1, width // heads),
        }
        head_dim: int = found.get("attention.key_length") or defaults["attention.key_length"]
        defaults |= {"attention.value_length": head_dim, "rope.dimension_count": head_dim}
        defaults |= {"attention.scale": head_dim**-0.5}
        defaults |= {"embedding_scale": 1.0, "residual_scale": 1.0}
    for key, value in defaults.items():
        if key in architecture.numbers:
            found.setdefault(key, value)
    for key in ("attention.value_length", "rope.dimension_count"):
        if key in found and found[key] != found.get("attention.key_length"):
            raise UserError(
                f"{file.path}: {key} is {found[key]} where heads are "
                f"{found.get('attention.key_length')} wide, which is not read yet"
            )


def config_of(
    architecture: Architecture, metadata: Values, file: GgufFile, *, tied: bool
) -> Values:
    """The config.json of a file's metadata (as `file_metadata` gives them)."""
    numbers = {name: shortest(metadata[key]) for key, name in architecture.numbers.items()}
    config: Values = {
        "architectures": [architecture.hf_class],
        "model_type": architecture.model_type,
        "torch_dtype": "float32",
        "tie_word_embeddings": tied,
        **numbers,
        **_fixed_fields(architecture, metadata["block_count"]),
    }
    if "rope.freq_base" in architecture.numbers:
        rope = rope_parameters(file, numbers)
        if architecture.model_type == "gemma3_text":
            local = {"rope_type": "default", "rope_theta": _GEMMA_LOCAL_THETA}
            rope = {"full_attention": rope, "sliding_attention": local}
        config["rope_parameters"] = rope
    if architecture.model_type == "gemma3_text":
        config["query_pre_attn_scalar"] = config["head_dim"]
    if architecture.model_type in ("llama", "granite", "smollm3"):
        config["attention_bias"] = "blk.0.attn_q.bias" in file.tensors
        config["mlp_bias"] = "blk.0.ffn_up.bias" in file.tensors
    if architecture.name == "falcon":
        config |= _falcon_fields(architecture, config)
    return config


def shortest(value: float | int) -> float | int:
    """The shortest decimal that is the same float32: 1e-06 for 9.999999974752427e-07."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _known(values: Mapping[str, Any]) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _defaults(model_type: str) -> Values:
    """What transformers' config classes assume when a field is absent."""
    per_type: dict[str, Values] = {
        "gpt2": {"layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"},
        "bloom": {"layer_norm_epsilon": 1e-5, "seq_length": _BLOOM_CONTEXT},
        "falcon": {"layer_norm_epsilon": 1e-5, "max_position_embeddings": 2048},
        "starcoder2": {"norm_epsilon": 1e-5, "hidden_act": "gelu_pytorch_tanh"},
        "gemma3_text": {"hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6},
    }
    return per_type.get(model_type, {"rms_norm_eps": 1e-6})


def _check_gemma_ropes(rope: Mapping[str, Any], where: Path) -> None:
    local = rope.get("sliding_attention", {})
    if local.get("rope_theta", _GEMMA_LOCAL_THETA) != _GEMMA_LOCAL_THETA:
        raise UserError(
            f"{where}: llama.cpp's Gemma 3 turns its local layers with base "
            f"{_GEMMA_LOCAL_THETA:g}, this model with {local['rope_theta']:g}, "
            "so no GGUF file is written"
        )


def _fixed_fields(architecture: Architecture, layers: int) -> Values:
    """Fields of config.json that a class of llama.cpp leaves no choice in."""
    tanh = "gelu_pytorch_tanh"
    fields: dict[str, Values] = {
        "gpt2": {"activation_function": "gelu_new"},
        "starcoder2": {"hidden_act": tanh, "use_bias": True, "sliding_window": None},
        "gemma3_text": {"hidden_activation": tanh},
        "smollm3": {"no_rope_layer_interval": NO_ROPE_STEP, "hidden_act": "silu"},
        "qwen3_moe": {"norm_topk_prob": True, "decoder_sparse_step": 1, "hidden_act": "silu"},
        "olmoe": {"norm_topk_prob": False, "clip_qkv": None, "hidden_act": "silu"},
        "mixtral": {"sliding_window": None, "hidden_act": "silu"},
        "bloom": {"apply_residual_connection_post_layernorm": False},
        "falcon": {},
    }
    found = fields.get(architecture.model_type, {"hidden_act": "silu"})
    if architecture.model_type == "smollm3":
        steps = [int((layer + 1) % NO_ROPE_STEP != 0) for layer in range(layers)]
        return found | {"no_rope_layers": steps}
    return found


def _falcon_has_two_norms(values: Mapping[str, Any]) -> bool:
    if not values.get("new_decoder_architecture"):
        return False
    return values.get("num_ln_in_parallel_attn") in (None, 2)


def _falcon_kv_heads(values: Values) -> int:
    """Falcon's config means key/value heads by three fields."""
    heads = int(values.get("num_attention_heads", 1))
    if values.get("new_decoder_architecture"):
        return int(values.get("num_kv_heads", heads))
    return 1 if values.get("multi_query", True) else heads


def _falcon_fields(architecture: Architecture, config: Values) -> Values:
    two_norms = architecture is FALCON_TWO_NORMS
    grouped = 1 < config["num_kv_heads"] < config["num_attention_heads"]
    return {
        "alibi": False,
        "bias": False,
        "parallel_attn": True,
        "activation": "gelu",
        "new_decoder_architecture": two_norms or grouped,
        "num_ln_in_parallel_attn": 2 if two_norms else 1,
        "multi_query": config["num_kv_heads"] == 1,
    }
