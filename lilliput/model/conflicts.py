"""Which values of a ModelConfig cannot go together: each rule names the fields at odds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lilliput.errors import UserError

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig

_AT_LEAST_ONE = (
    "vocabulary_size", "context_length", "n_layers", "d_model", "n_heads", "n_kv_heads",
    "head_dim", "d_ff", "experts_per_token", "experts_every", "router_groups",
    "router_top_groups", "attention_temperature_from", "depth_every",
)  # fmt: skip
_NOT_NEGATIVE = (
    "window", "latent_rank", "latent_query_rank", "latent_rope_dim", "latent_value_dim",
    "shared_kv_layers", "n_experts", "n_shared_experts", "d_ff_expert", "first_dense_layers",
    "attention_softcap", "logit_softcap", "router_balance_loss", "router_z_loss",
    "n_future_tokens", "future_loss", "rope_original_context", "depth_capacity",
)  # fmt: skip
_ABOVE_ZERO = ("norm_eps", "rope_theta", "rope_fraction", "rope_factor", "rope_magnitude")


def check(config: ModelConfig) -> None:
    """Raise UserError for the first value that is illegal, or pair of fields that conflict."""
    for name in _AT_LEAST_ONE:
        if getattr(config, name) < 1:
            raise UserError(f"model.{name} is {getattr(config, name)}: it must be at least 1")
    for name in _NOT_NEGATIVE:
        if getattr(config, name) < 0:
            raise UserError(f"model.{name} is {getattr(config, name)}: it must not be negative")
    for name in _ABOVE_ZERO:
        if not getattr(config, name) > 0:
            raise UserError(f"model.{name} is {getattr(config, name)}: it must be above 0")
    for conflict in _conflicts(config):
        raise UserError(conflict)


def _conflicts(config: ModelConfig) -> Iterator[str]:
    yield from _layer_conflicts(config)
    yield from _position_conflicts(config)
    yield from _attention_conflicts(config)
    yield from _mixture_conflicts(config)
    yield from _depth_conflicts(config)
    if config.tied and config.head_bias:
        yield _both("tied", "head_bias", "a head with a bias is not the embedding: untie it")
    if config.n_future_tokens and config.shared_kv_layers:
        yield _both("n_future_tokens", "shared_kv_layers", "a predictor makes its own keys")
    if config.sub_norm and config.n_experts:
        yield _both("sub_norm", "n_experts", "experts have no norm inside")
    if config.parallel != "none" and config.norm_placement != "pre":
        yield _both("parallel", "norm_placement", "side by side needs norms placed 'pre'")
    if config.norm == "rmsnorm" and config.norm_gain == "weight_bias":
        yield _both("norm", "norm_gain", "RMSNorm has no bias: choose 'weight' or 'none'")


def _layer_conflicts(config: ModelConfig) -> Iterator[str]:
    for name in ("layer_heads", "layer_kv_heads", "layer_d_ff"):
        values = getattr(config, name)
        if values and len(values) != config.n_layers:
            yield (
                f"model.{name} has {len(values)} values, but model.n_layers is {config.n_layers}: "
                "give one for each layer"
            )
        if any(value < 1 for value in values):
            yield f"model.{name} is {values}: each must be at least 1"
    if bool(config.layer_heads) != bool(config.layer_kv_heads):
        yield _both("layer_heads", "layer_kv_heads", "give both or neither")
    elif all(len(v) == config.n_layers for v in (config.layer_heads or (),) if v):
        for layer in range(config.n_layers):
            queries, kv_heads = config.heads(layer)
            if queries % kv_heads:
                names = ("layer_heads", "layer_kv_heads")
                heads, keys = names if config.layer_heads else ("n_heads", "n_kv_heads")
                yield f"model.{heads} ({queries}) must be a multiple of model.{keys} ({kv_heads})"
    if not config.layer_pattern or set(config.layer_pattern) - set("GLCN"):
        yield f"model.layer_pattern is {config.layer_pattern!r}: write letters G, L, C and N"
    if set(config.layer_pattern) & set("LC") and config.window < 1:
        yield (
            f"model.layer_pattern {config.layer_pattern!r} has local or chunked layers, but "
            f"model.window is {config.window}: say how many tokens they see"
        )
    if config.layer_heads and config.positions == "alibi":
        yield _both("layer_heads", "positions", "ALiBi's slopes are the same in all layers")
    if config.layer_heads and config.shared_kv_layers:
        yield _both("layer_heads", "shared_kv_layers", "shared keys need equal heads")
    if config.shared_kv_layers >= config.n_layers:
        yield (
            f"model.shared_kv_layers ({config.shared_kv_layers}) must be below model.n_layers "
            f"({config.n_layers}): some layer has to make the keys and values"
        )


def _position_conflicts(config: ModelConfig) -> Iterator[str]:
    if config.positions == "rotary" and (config.rope_dim % 2 or config.rope_dim < 2):
        parts = "model.latent_rope_dim" if config.latent_rank else "model.head_dim"
        yield (
            f"model.positions 'rotary' turns pairs, so {parts} times model.rope_fraction "
            f"({config.rope_dim}) must be even"
        )
    if config.rope_fraction > 1:
        yield f"model.rope_fraction is {config.rope_fraction}: it must be at most 1"
    if config.positions != "rotary":
        for name, value in (
            ("rope_scaling", config.rope_scaling != "none"),
            ("rope_local_theta", config.rope_local_theta is not None),
            ("latent_rank", config.latent_rank > 0),
        ):
            if value:
                yield _both("positions", name, "it needs 'rotary' positions")
        if "N" in config.layer_pattern:
            yield _both("positions", "layer_pattern", "N layers leave out 'rotary' positions only")
    if config.positions == "sinusoidal" and config.d_model % 2:
        yield _both("positions", "d_model", "sines and cosines need an even width")
    if config.rope_scaling != "none" and config.rope_factor < 1:
        yield _both("rope_scaling", "rope_factor", "a factor below 1 would shorten the context")
    if config.rope_scaling not in ("none", "linear") and not config.rope_original_context:
        yield _both("rope_scaling", "rope_original_context", "say how long the context was before")
    if config.rope_scaling == "dynamic" and config.rope_dim < 4:
        yield _both("rope_scaling", "head_dim", "'dynamic' needs two pairs of dimensions that turn")
    factors = len(config.rope_short_factors), len(config.rope_long_factors)
    if config.rope_scaling == "longrope" and factors != (config.rope_dim // 2,) * 2:
        yield (
            f"model.rope_short_factors and model.rope_long_factors have {factors[0]} and "
            f"{factors[1]} values: give {config.rope_dim // 2}, one for each turning pair"
        )


def _attention_conflicts(config: ModelConfig) -> Iterator[str]:
    if config.latent_rank:
        for name in ("latent_rope_dim", "latent_value_dim"):
            if not getattr(config, name):
                yield _both("latent_rank", name, "say how many dimensions it has")
        for name, value in (
            ("qk_norm", config.qk_norm != "none"),
            ("attention_sinks", config.attention_sinks),
            ("shared_kv_layers", config.shared_kv_layers > 0),
            ("layer_heads", bool(config.layer_heads)),
            ("rope_fraction", config.rope_fraction != 1),
            ("n_kv_heads", config.n_kv_heads != config.n_heads),
            ("sub_norm", config.sub_norm),
        ):
            if value:
                yield _both("latent_rank", name, "latent attention does without it")
    if config.positions == "relative" and config.qk_norm != "none":
        yield _both("positions", "qk_norm", "relative positions enter the scores without a norm")
    if config.attention_temperature and "N" not in config.layer_pattern:
        yield _both("attention_temperature", "layer_pattern", "only N layers use it")


def _mixture_conflicts(config: ModelConfig) -> Iterator[str]:
    if not config.n_experts:
        for name in ("router_selection_bias", "n_shared_experts"):
            if getattr(config, name):
                yield _both(name, "n_experts", "there are no experts")
        return
    if config.experts_per_token > config.n_experts:
        yield (
            f"model.experts_per_token ({config.experts_per_token}) is above model.n_experts "
            f"({config.n_experts})"
        )
    if config.n_experts % config.router_groups:
        yield (
            f"model.n_experts ({config.n_experts}) must be a multiple of model.router_groups "
            f"({config.router_groups})"
        )
    if config.router_top_groups > config.router_groups:
        yield (
            f"model.router_top_groups ({config.router_top_groups}) is above "
            f"model.router_groups ({config.router_groups})"
        )
    elif config.experts_per_token > config.n_experts // config.router_groups * (
        config.router_top_groups
    ):
        yield _both("router_top_groups", "experts_per_token", "the groups hold too few experts")
    if config.n_experts // config.router_groups < 2 and config.router_group_score == "top2_sum":
        yield _both("router_group_score", "router_groups", "a group of one has no two best")


def _depth_conflicts(config: ModelConfig) -> Iterator[str]:
    if not config.depth_capacity:
        return
    if config.depth_capacity > 1:
        yield f"model.depth_capacity is {config.depth_capacity}: it is a share, at most 1"
    for name, value, why in (
        ("positions", config.positions in ("alibi", "relative"), "distances would be skipped"),
        ("layer_pattern", bool(set("LC") & set(config.layer_pattern)), "windows would be skipped"),
        ("shared_kv_layers", config.shared_kv_layers > 0, "keys of some tokens are missing"),
        ("n_future_tokens", config.n_future_tokens > 0, "a predictor works on all tokens"),
    ):
        if value:
            yield _both("depth_capacity", name, why)


def _both(one: str, other: str, why: str) -> str:
    return f"model.{one} and model.{other} conflict: {why}"
