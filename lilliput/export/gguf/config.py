"""`config.json` ↔ GGUF's metadata.

Metadata are kept here without the architecture's name before each key.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.errors import UserError
from lilliput.export.gguf.architectures import MODEL_TYPES, architecture_of_config
from lilliput.export.gguf.file import GgufFile, checked
from lilliput.export.gguf.layouts import Sizes
from lilliput.export.gguf.refusals import refusals
from lilliput.export.gguf.rope import rope_metadata, rope_parameters
from lilliput.export.gguf.rows import Architecture

Values = dict[str, Any]

_GEMMA_LOCAL_THETA = 10_000.0
_FLAGS = ("expert_weights_norm",)
# Fields that `completed` makes and config.json has not.
_COMPUTED = ("rotary_dim", "kv_heads", "latent_kv_heads", "latent_key_length", "gating_func")
_MAY_BE_ZERO = ("leading_dense_block_count", "expert_shared_count")


def architecture_of(values: Mapping[str, Any], where: Path) -> Architecture:
    """The row of a folder's config.json. Raises UserError if GGUF has no class for it here."""
    found = architecture_of_config(values)
    if found is None:
        raise UserError(
            f"{where}: models of type {values.get('model_type')!r} cannot be written as GGUF; "
            f"these can: {', '.join(MODEL_TYPES)}"
        )
    return found


def completed(architecture: Architecture, values: Mapping[str, Any], where: Path) -> Values:
    """config.json with every default that metadata need filled in.

    Raises UserError for a setting that llama.cpp's class of that name would compute wrongly.
    """
    filled = {**architecture.defaults, **_known(values)}
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
        share = rope.get("partial_rotary_factor", filled.get("partial_rotary_factor", 1.0))
        filled["rotary_dim"] = int(filled["head_dim"] * share)
    filled |= architecture.complete(filled)
    for wrong, reason in refusals(architecture, filled):
        if wrong:
            raise UserError(f"{where}: {reason}, so no GGUF file is written")
    return filled


def metadata_of(architecture: Architecture, values: Values, where: Path) -> Values:
    """The numbers of a completed config as GGUF's metadata."""
    missing = [name for name in architecture.numbers.values() if values.get(name) is None]
    if missing:
        raise UserError(f"{where}: field {missing[0]!r} is missing")
    numbers = {key: _kind(key)(values[name]) for key, name in architecture.numbers.items()}
    return numbers | rope_metadata(architecture.name, values, where)


def is_fraction(key: str) -> bool:
    """Whether llama.cpp reads this number as float32 (else as uint32)."""
    return key.endswith(
        ("epsilon", "scale", "softcapping", "freq_base", "factor", "beta_fast", "beta_slow")
    )


def _kind(key: str) -> type:
    return bool if key in _FLAGS else float if is_fraction(key) else int


def sizes_of(metadata: Mapping[str, Any]) -> Sizes:
    """The numbers that layouts need, of metadata without prefix."""
    heads = metadata["attention.head_count"]
    turned = metadata.get("rope.dimension_count", 0)
    return Sizes(
        layers=metadata["block_count"],
        heads=heads,
        kv_heads=metadata.get("attention.head_count_kv", heads),
        width=metadata["embedding_length"],
        rotary=turned,
        experts=metadata.get("expert_count", 0),
        first_mixture=metadata.get("leading_dense_block_count", 0),
        mixture_step=metadata.get("interleave_moe_layer_step", 1),
        latent_key=metadata.get("attention.key_length_mla", turned) - turned,
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
            found[key] = checked({name: value}, name, _checked_kinds(key), file.path)
            least = 0 if key in _MAY_BE_ZERO or key in _FLAGS else 1
            if not math.isfinite(value) or (not is_fraction(key) and value < least):
                raise UserError(f"{file.path}: its metadata entry {name} is {value}")
    _fill_file_numbers(architecture, file, found)
    for key in architecture.numbers:
        checked(found, key, _checked_kinds(key), file.path)
    if found["attention.head_count"] % found.get("attention.head_count_kv", 1):
        raise UserError(f"{file.path}: its key/value heads do not divide its heads")
    return found


def _checked_kinds(key: str) -> type | tuple[type, ...]:
    return (int, float) if is_fraction(key) else _kind(key)


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
    for key, value in {**defaults, **architecture.file_defaults}.items():
        if key in architecture.numbers:
            found.setdefault(key, value)
    for key in ("attention.value_length", "rope.dimension_count"):
        if architecture.numbers.get(key) != "head_dim" or key not in found:
            continue  # what is missing is named by the caller
        if found[key] != found.get("attention.key_length"):
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
        **architecture.fixed,
        **architecture.restore(numbers),
    }
    if "rope.freq_base" in architecture.numbers:
        rope = rope_parameters(file, numbers)
        if "rotary_dim" in config:
            share = config["rotary_dim"] / config["head_dim"]
            config["partial_rotary_factor"] = rope["partial_rotary_factor"] = share
        if architecture.model_type == "gemma3_text":
            local = {"rope_type": "default", "rope_theta": _GEMMA_LOCAL_THETA}
            rope = {"full_attention": rope, "sliding_attention": local}
        config["rope_parameters"] = rope
    if architecture.model_type in ("llama", "granite", "smollm3", "nemotron"):
        config["attention_bias"] = "blk.0.attn_q.bias" in file.tensors
        config["mlp_bias"] = "blk.0.ffn_up.bias" in file.tensors
    return {name: value for name, value in config.items() if name not in _COMPUTED}


def shortest(value: float | int) -> float | int:
    """The shortest decimal that is the same float32: 1e-06 for 9.999999974752427e-07."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _known(values: Mapping[str, Any]) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _check_gemma_ropes(rope: Mapping[str, Any], where: Path) -> None:
    local = rope.get("sliding_attention", {})
    if local.get("rope_theta", _GEMMA_LOCAL_THETA) != _GEMMA_LOCAL_THETA:
        raise UserError(
            f"{where}: llama.cpp's Gemma 3 turns its local layers with base "
            f"{_GEMMA_LOCAL_THETA:g}, this model with {local['rope_theta']:g}, "
            "so no GGUF file is written"
        )
