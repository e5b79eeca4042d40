"""Mamba's names and configuration in transformers' `MambaForCausalLM`, both directions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.model.mamba.config import MambaConfig

MODEL_TYPE, ARCHITECTURE = "mamba", "MambaForCausalLM"

# Ours → theirs, after the layer's prefix. Theirs has values and gate, in this order, as one matrix.
_FUSED, _FUSED_NAME = ("values.weight", "gate.weight"), "mixer.in_proj.weight"
_NAMES = {
    "norm.weight": "norm.weight",
    "convolution.weight": "mixer.conv1d.weight",
    "convolution.bias": "mixer.conv1d.bias",
    "selection.weight": "mixer.x_proj.weight",
    "step.weight": "mixer.dt_proj.weight",
    "step.bias": "mixer.dt_proj.bias",
    "decay_log": "mixer.A_log",
    "skip": "mixer.D",
    "output.weight": "mixer.out_proj.weight",
}


def foreign_mamba_config(config: MambaConfig, *, end_of_text: int, padding: int) -> dict[str, Any]:
    """The `config.json` that `MambaForCausalLM` reads.

    It has no field for the context length, which a state-space model does not need: ours rides
    along under its usual name.
    """
    return {
        "architectures": [ARCHITECTURE],
        "model_type": MODEL_TYPE,
        "torch_dtype": "float32",
        "vocab_size": config.vocabulary_size,
        "max_position_embeddings": config.context_length,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_inner,
        "expand": config.d_inner // config.d_model,
        "state_size": config.d_state,
        "conv_kernel": config.d_conv,
        "time_step_rank": config.dt_rank,
        "num_hidden_layers": config.n_layers,
        "layer_norm_epsilon": config.norm_eps,
        "hidden_act": "silu",
        "use_bias": False,
        "use_conv_bias": True,
        "residual_in_fp32": True,
        "tie_word_embeddings": config.tied,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": padding,
        "use_cache": True,
    }


def own_mamba_config(values: Mapping[str, Any], where: str) -> MambaConfig:
    """The MambaConfig of a transformers `config.json`. Raises UserError for what we cannot hold."""
    expected = {"hidden_act": "silu", "use_bias": False, "use_conv_bias": True}
    for name, value in expected.items():
        if values.get(name, value) != value:
            raise UserError(f"{where}: {name} has a value Lilliput cannot compute yet")
    try:
        width = values["hidden_size"]
        rank = values.get("time_step_rank", "auto")
        return MambaConfig(
            vocabulary_size=values["vocab_size"],
            context_length=values.get("max_position_embeddings", 2048),
            n_layers=values["num_hidden_layers"],
            d_model=width,
            d_inner=int(values.get("expand", 2) * width),
            d_state=values.get("state_size", 16),
            d_conv=values.get("conv_kernel", 4),
            dt_rank=0 if rank == "auto" else rank,
            norm_eps=values.get("layer_norm_epsilon", 1e-5),
            tied=values.get("tie_word_embeddings", True),
        )
    except KeyError as error:
        raise UserError(f"{where}: field {error} is missing") from None


def check_mamba_exchangeable(config: MambaConfig) -> None:
    """Raise UserError when `MambaForCausalLM` cannot hold this configuration."""
    if config.d_inner % config.d_model:
        raise UserError(
            f"model.d_inner is {config.d_inner}, but {ARCHITECTURE} needs a multiple of "
            f"model.d_model ({config.d_model})"
        )


def to_foreign_mamba(weights: Mapping[str, Tensor], config: MambaConfig) -> dict[str, Tensor]:
    """Our state dict → the tensors of transformers' class, contiguous, a tied head left out."""
    found = {foreign: weights[own] for own, foreign in _pairs(config)}
    for layer in range(config.n_layers):
        parts = [weights[f"blocks.{layer}.{name}"] for name in _FUSED]
        found[f"backbone.layers.{layer}.{_FUSED_NAME}"] = torch.cat(parts)
    return {name: tensor.contiguous() for name, tensor in found.items()}


def from_foreign_mamba(tensors: Mapping[str, Tensor], config: MambaConfig) -> dict[str, Tensor]:
    """The inverse of `to_foreign_mamba`; what the file lacks or we do not know is left out.

    Knows the original release's name of the embedding too, and folders without a head on top.
    """
    found = {
        name if name.startswith(("backbone.", "lm_head.")) else f"backbone.{name}": tensor
        for name, tensor in tensors.items()
    }
    if "backbone.embedding.weight" in found:
        found["backbone.embeddings.weight"] = found.pop("backbone.embedding.weight")
    weights = {own: found[foreign] for own, foreign in _pairs(config) if foreign in found}
    for layer in range(config.n_layers):
        fused = found.get(f"backbone.layers.{layer}.{_FUSED_NAME}")
        if fused is not None:
            for name, part in zip(_FUSED, fused.chunk(2), strict=True):
                weights[f"blocks.{layer}.{name}"] = part
    return weights


def _pairs(config: MambaConfig) -> list[tuple[str, str]]:
    """Our name and theirs of every tensor that is one in both."""
    pairs = [
        ("embedding.weight", "backbone.embeddings.weight"),
        ("final_norm.weight", "backbone.norm_f.weight"),
    ]
    if not config.tied:
        pairs.append(("head.weight", "lm_head.weight"))
    return pairs + [
        (f"blocks.{layer}.{own}", f"backbone.layers.{layer}.{foreign}")
        for layer in range(config.n_layers)
        for own, foreign in _NAMES.items()
    ]
