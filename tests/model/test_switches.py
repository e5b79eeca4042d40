"""Every switch matters: reset to its default, it changes what some family computes.

The families' logits equal transformers' (test_parity.py) or have their own check
(test_family_table.py), so a switch that changes them is one that parity needs.
"""

from dataclasses import fields
from functools import cache
from typing import Any

import pytest
import torch
from random_models import frozen_decoder

from lilliput.errors import UserError
from lilliput.model import FAMILIES, Decoder, ModelConfig, shape_of_size

SIZES = {
    "vocabulary_size", "context_length", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim",
    "d_ff", "d_ff_expert", "family",
}  # fmt: skip
TRAINING_ONLY = {"router_balance_loss", "router_z_loss", "n_future_tokens", "future_loss"}
NEED_ANOTHER = {  # switches without effect unless another one is set: changed together with it
    "rope_factor", "rope_original_context", "rope_low_factor", "rope_high_factor",
    "rope_beta_fast", "rope_beta_slow", "rope_truncate", "rope_magnitude", "rope_short_factors",
    "rope_long_factors", "window", "latent_query_rank", "latent_rope_dim", "latent_value_dim",
    "layer_kv_heads", "attention_temperature_from", "experts_per_token", "n_shared_experts",
    "router_top_groups", "depth_every",
}  # fmt: skip
SCALED: dict[str, dict[str, Any]] = {
    "linear": {"rope_factor": 4.0},
    "yarn": {"rope_factor": 4.0, "rope_original_context": 2048, "rope_magnitude": 1.2},
    "llama3": {"rope_factor": 8.0, "rope_original_context": 12},
    "longrope": {
        "rope_factor": 4.0, "rope_original_context": 12, "rope_magnitude": 1.2,
        "rope_short_factors": (1.0,) * 8, "rope_long_factors": (1.0, 2.0, 3.0, 4.0) * 2,
    },
    "longrope ": {
        "rope_factor": 4.0, "rope_original_context": 512, "rope_magnitude": 1.2,
        "rope_short_factors": (1.0,) * 8, "rope_long_factors": (1.0, 2.0, 3.0, 4.0) * 2,
    },
}  # fmt: skip


TRIED = (
    "llama", "gpt-oss", "deepseek-v2", "deepseek-v3", "llama4", "openelm", "mixture-of-depths",
)  # fmt: skip
TOGETHER: dict[str, dict[str, Any]] = {
    "layer_heads": {"layer_kv_heads": ()},
    "router_groups": {"router_top_groups": 1},
}


@cache
def base(family: str) -> tuple[ModelConfig, Decoder, torch.Tensor, torch.Tensor]:
    chosen: dict[str, Any] = {"context_length": 48}
    if set(FAMILIES[family].switches.get("layer_pattern", "G")) & set("LC"):
        chosen["window"] = 8
    if FAMILIES[family].switches.get("attention_temperature"):
        chosen["attention_temperature_from"] = 8
    if family == "openelm":
        chosen |= {"n_heads": 8, "head_dim": 8}  # room to grow from layer to layer
    config = shape_of_size("xs", vocabulary_size=64, family=family, **chosen)
    torch.manual_seed(1)
    ids = torch.randint(0, 64, (2, 32))
    model = frozen_decoder(config)
    return config, model, ids, model(ids)


def differs(family: str, name: str, default: Any) -> bool:
    """Whether the family computes something else, or nothing at all, with the default."""
    config, model, ids, logits = base(family)
    values = {name: default, **TOGETHER.get(name, {})}
    try:
        other = frozen_decoder(config.with_(**values))
    except UserError:
        return False  # only another field makes sense of it
    fits = {
        key: value
        for key, value in model.state_dict().items()
        if key in other.state_dict() and other.state_dict()[key].shape == value.shape
    }
    other.load_state_dict(fits, strict=False)
    return float((other(ids) - logits).abs().max()) > 1e-4


SWITCHES = {
    item.name: item.default
    for item in fields(ModelConfig)
    if item.name not in SIZES | TRAINING_ONLY | NEED_ANOTHER
}


@pytest.mark.parametrize("name", SWITCHES)
def test_each_switch_changes_some_family(name: str) -> None:
    users = [
        family
        for family in FAMILIES
        if getattr(base(family)[0], name) not in (SWITCHES[name], None)
        or (name == "tied" and not base(family)[0].tied)
    ]
    assert users, f"no family uses {name}"
    assert any(differs(family, name, SWITCHES[name]) for family in users)


@pytest.mark.parametrize("name", sorted(NEED_ANOTHER))
def test_each_dependent_switch_changes_what_is_computed(name: str) -> None:
    for family in TRIED:
        config = base(family)[0]
        for values in [
            {},
            *({"rope_scaling": kind.strip()} | extra for kind, extra in SCALED.items()),
        ]:
            try:
                one = config.with_(**values)
                other = one.with_(**changed(one, name))
            except UserError:
                continue
            ids, first = base(family)[2], frozen_decoder(one)
            second = frozen_decoder(other)
            if second.state_dict().keys() != first.state_dict().keys():
                return  # it decides which weights there are
            shapes = [first.state_dict()[key].shape for key in first.state_dict()]
            if shapes != [value.shape for value in second.state_dict().values()]:
                return
            second.load_state_dict(first.state_dict())
            if float((first(ids) - second(ids)).abs().max()) > 1e-5:
                return
    pytest.fail(f"{name} changes nothing anywhere")


def changed(config: ModelConfig, name: str) -> dict[str, Any]:
    """Another value of a switch that others make sense of."""
    value = getattr(config, name)
    if isinstance(value, bool):
        return {name: not value}
    if isinstance(value, tuple):
        if not value:
            raise UserError("not in use")
        return {name: tuple(item * 2 for item in value)}
    return {name: value * 2 if value else 4}


ILLEGAL: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"n_heads": 4, "n_kv_heads": 3}, ("n_heads", "n_kv_heads")),
    ({"tied": True, "head_bias": True}, ("tied", "head_bias")),
    ({"parallel": "one_norm", "norm_placement": "sandwich"}, ("parallel", "norm_placement")),
    ({"norm_gain": "weight_bias"}, ("norm", "norm_gain")),
    ({"layer_pattern": "LG"}, ("layer_pattern", "window")),
    ({"layer_pattern": "XG", "window": 4}, ("layer_pattern",)),
    ({"positions": "alibi", "layer_pattern": "GN"}, ("positions", "layer_pattern")),
    ({"positions": "learned", "rope_scaling": "linear"}, ("positions", "rope_scaling")),
    ({"positions": "alibi", "rope_local_theta": 5.0}, ("positions", "rope_local_theta")),
    ({"rope_scaling": "yarn", "rope_factor": 2.0}, ("rope_scaling", "rope_original_context")),
    ({"rope_scaling": "linear", "rope_factor": 0.5}, ("rope_scaling", "rope_factor")),
    ({"rope_scaling": "longrope", "rope_original_context": 9}, ("rope_short_factors",)),
    ({"rope_fraction": 1.5}, ("rope_fraction",)),
    ({"head_dim": 15}, ("positions", "head_dim")),
    ({"latent_rank": 8}, ("latent_rank", "latent_rope_dim")),
    ({"latent_rank": 8, "latent_rope_dim": 4, "latent_value_dim": 8, "qk_norm": "head"},
     ("latent_rank", "qk_norm")),
    ({"shared_kv_layers": 4}, ("shared_kv_layers", "n_layers")),
    ({"shared_kv_layers": 1, "n_future_tokens": 1}, ("n_future_tokens", "shared_kv_layers")),
    ({"layer_d_ff": (8, 8)}, ("layer_d_ff", "n_layers")),
    ({"layer_heads": (4, 4, 4, 4)}, ("layer_heads", "layer_kv_heads")),
    ({"attention_temperature": 0.1}, ("attention_temperature", "layer_pattern")),
    ({"n_experts": 4, "experts_per_token": 5}, ("experts_per_token", "n_experts")),
    ({"n_experts": 4, "router_groups": 3}, ("n_experts", "router_groups")),
    ({"n_experts": 4, "router_groups": 2, "router_top_groups": 3},
     ("router_top_groups", "router_groups")),
    ({"n_experts": 4, "router_groups": 4, "experts_per_token": 2},
     ("router_top_groups", "experts_per_token")),
    ({"router_selection_bias": True}, ("router_selection_bias", "n_experts")),
    ({"sub_norm": True, "n_experts": 4}, ("sub_norm", "n_experts")),
    ({"depth_capacity": 0.5, "positions": "alibi"}, ("depth_capacity", "positions")),
    ({"depth_capacity": 0.5, "layer_pattern": "L", "window": 4},
     ("depth_capacity", "layer_pattern")),
    ({"depth_capacity": 1.5}, ("depth_capacity",)),
    ({"d_model": 0}, ("d_model",)),
    ({"window": -1}, ("window",)),
    ({"norm": "batchnorm"}, ("norm",)),
]  # fmt: skip


@pytest.mark.parametrize(("values", "named"), ILLEGAL, ids=lambda value: "-".join(value))
def test_conflicts_name_their_fields(values: dict[str, Any], named: tuple[str, ...]) -> None:
    config = shape_of_size("xs", vocabulary_size=64)
    with pytest.raises(UserError) as refused:
        config.with_(**values)
    for name in named:
        assert f"model.{name}" in str(refused.value)
