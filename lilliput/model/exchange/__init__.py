"""Configurations and weights in transformers' classes, both directions."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
from lilliput.model.exchange import gpt_like, llama_like, mixtures, others
from lilliput.model.exchange.classes import ForeignClass
from lilliput.model.retro.config import RetroConfig

__all__ = [
    "CLASSES",
    "OWN_TYPE",
    "ForeignClass",
    "foreign_class",
    "foreign_config",
    "from_foreign",
    "own_config",
    "to_foreign",
]

CLASSES = {
    one.model_type: one
    for one in (
        *gpt_like.CLASSES,
        *llama_like.CLASSES,
        *others.CLASSES,
        *mixtures.CLASSES,
    )
}
OWN_TYPE = "lilliput"
"""`model_type` of a folder that no class of transformers can compute."""


def foreign_class(config: ModelConfig, model_type: str | None) -> tuple[ForeignClass | None, str]:
    """The class that computes what `config` does, and if there is none, the reason in words."""
    if model_type is None:
        return None, f"no class of transformers computes family {config.family!r}"
    one = CLASSES[model_type]
    try:
        difference = one.difference(config)
    except UserError as error:
        difference = str(error)
    return (None, difference) if difference else (one, "")


def foreign_config(
    config: ModelConfig, one: ForeignClass | None, *, end_of_text: int, padding: int
) -> dict[str, Any]:
    """The `config.json` of a model folder: what the class reads, or all our fields if none does."""
    special = {"bos_token_id": end_of_text, "eos_token_id": end_of_text, "pad_token_id": padding}
    if one is None:
        return {"model_type": OWN_TYPE, OWN_TYPE: config.to_dict(), **special}
    return {
        "architectures": [one.architecture],
        "model_type": one.model_type,
        "lilliput_family": config.family,
        "torch_dtype": "float32",
        "initializer_range": 0.02,
        "use_cache": True,
        **special,
        **one.values_of(config),
    }


def own_config(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The ModelConfig of a `config.json`. Raises UserError for what we cannot hold."""
    model_type = str(values.get("model_type"))
    if model_type == OWN_TYPE and isinstance(values.get(OWN_TYPE), Mapping):
        own = values[OWN_TYPE]
        kind = RetroConfig if own.get("family") == "retro" else ModelConfig
        return kind.from_dict(own)
    if model_type not in CLASSES:
        raise UserError(
            f"{where}: model_type {model_type!r} is not one Lilliput knows "
            f"({', '.join(sorted(CLASSES))})"
        )
    try:
        config = CLASSES[model_type].config_of(values)
    except KeyError as error:
        raise UserError(f"{where}: field {error} is missing") from None
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return config.with_(family=values.get("lilliput_family", config.family))


def to_foreign(
    weights: Mapping[str, Tensor], config: ModelConfig, one: ForeignClass | None
) -> dict[str, Tensor]:
    """Our state dict → the class's tensors, contiguous, a tied head left out."""
    if one is None:
        return {name: tensor.contiguous() for name, tensor in weights.items()}
    tensors: dict[str, Tensor] = {}
    for rule in one.rules(config):
        if all(name in weights for name in rule.own):
            made = rule.to_foreign([weights[name] for name in rule.own])
            tensors |= dict(zip(rule.foreign, (t.contiguous() for t in made), strict=True))
    return tensors


def from_foreign(
    tensors: Mapping[str, Tensor],
    config: ModelConfig,
    one: ForeignClass | None,
    wanted: Collection[str],
) -> dict[str, Tensor]:
    """The inverse of `to_foreign`, for our `wanted` names; others (buffers, tied copies) stay."""
    if one is None:
        return dict(tensors)
    found = dict(tensors)
    if one.model_type in ("gpt2", "bloom"):  # published without the prefix
        found = {_prefixed(name): tensor for name, tensor in tensors.items()}
    weights: dict[str, Tensor] = {}
    for rule in one.rules(config):
        known = all(name in wanted for name in rule.own)
        if known and all(name in found for name in rule.foreign):
            made = rule.to_own([found[name] for name in rule.foreign])
            weights |= dict(zip(rule.own, made, strict=True))
    return weights


def _prefixed(name: str) -> str:
    return name if name.startswith(("transformer.", "lm_head")) else f"transformer.{name}"
