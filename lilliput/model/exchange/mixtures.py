"""Classes with experts: Mixtral, OLMoE, Qwen 3 MoE, gpt-oss, Llama 4, DeepSeek."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lilliput.model.config import ModelConfig
from lilliput.model.exchange.classes import ForeignClass
from lilliput.model.exchange.llama_like import (
    ATTENTION,
    FEED_FORWARD,
    FIELDS,
    NAMES,
    PRE_NORMS,
    common_fields,
    common_values,
    layer_rules,
    letters_used,
    top_rules,
)
from lilliput.model.exchange.rules import (
    Rule,
    expert_halves,
    interleaved,
    same,
    transposed,
    unstacked,
)
from lilliput.model.exchange.values import layer_types, pattern_of, shortest_pattern
from lilliput.model.positions import yarn_magnitude

_ACROSS = {"attention.query_norm.norm": "self_attn.q_norm",
           "attention.key_norm.norm": "self_attn.k_norm"}  # fmt: skip


def _mixture_layers(config: ModelConfig) -> Iterator[tuple[str, str]]:
    for layer in range(config.n_layers):
        if config.is_mixture(layer):
            yield f"blocks.{layer}.feed_forward.", f"model.layers.{layer}."


def _separate_experts(
    config: ModelConfig, names: Mapping[str, str], *, place: str, router: str
) -> Iterator[Rule]:
    """Every expert's matrices by themselves."""
    yield from top_rules(config)
    yield from layer_rules(config, names)
    for own, theirs in _mixture_layers(config):
        yield same(f"{own}router.weight", f"{theirs}{router}.weight")
        for part, name in zip(("gate", "up", "down"), _expert_names(place), strict=True):
            experts = [
                f"{theirs}{place}.experts.{expert}.{name}.weight"
                for expert in range(config.n_experts)
            ]
            yield unstacked(f"{own}{part}", experts)


def _expert_names(place: str) -> tuple[str, str, str]:
    return ("w1", "w3", "w2") if "sparse" in place else ("gate_proj", "up_proj", "down_proj")


def _mixtral_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "sliding_window": config.window if "L" in letters_used(config) else None,
        "router_aux_loss_coef": config.router_balance_loss,
        "router_jitter_noise": 0.0,
    }


def _mixtral_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    window = values.get("sliding_window")
    fields = common_fields(values) | {
        "router_balance_loss": values.get("router_aux_loss_coef", 0.0)
    }
    return fields | ({"window": window, "layer_pattern": "L"} if window else {})


def _olmoe_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "norm_topk_prob": config.router_normalise,
        "router_aux_loss_coef": config.router_balance_loss,
        "clip_qkv": None,
    }


def _olmoe_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return common_fields(values) | {
        "router_normalise": bool(values.get("norm_topk_prob", False)),
        "router_balance_loss": values.get("router_aux_loss_coef", 0.0),
    }


def _qwen3_moe_values(config: ModelConfig) -> dict[str, Any]:
    return _olmoe_values(config) | {
        "decoder_sparse_step": config.experts_every,
        "mlp_only_layers": list(range(config.first_dense_layers)),
        "num_experts": config.n_experts,
        "use_sliding_window": False,
        "sliding_window": None,
    }


def _qwen3_moe_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return _olmoe_fields(values) | {
        "n_experts": values.get("num_experts") or values["num_local_experts"],
        "experts_every": values.get("decoder_sparse_step", 1),
        "first_dense_layers": len(values.get("mlp_only_layers") or ()),
    }


def _gpt_oss_rules(config: ModelConfig) -> Iterator[Rule]:
    yield from top_rules(config)
    yield from layer_rules(config, PRE_NORMS | ATTENTION)
    for layer in range(config.n_layers):
        sinks = "attention.sinks", "self_attn.sinks"
        yield same(f"blocks.{layer}.{sinks[0]}", f"model.layers.{layer}.{sinks[1]}")
    for own, theirs in _mixture_layers(config):
        for kind in ("weight", "bias"):
            yield same(f"{own}router.{kind}", f"{theirs}mlp.router.{kind}")
        for end in ("", "_bias"):
            halves = [f"{own}{part}{end}" for part in ("gate", "up")]
            yield expert_halves(halves, f"{theirs}mlp.experts.gate_up_proj{end}", alternate=True)
        yield transposed(f"{own}down", f"{theirs}mlp.experts.down_proj")
        yield same(f"{own}down_bias", f"{theirs}mlp.experts.down_proj_bias")


def _gpt_oss_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "layer_types": layer_types(config),
        "sliding_window": config.window or config.context_length,
        "router_aux_loss_coef": config.router_balance_loss,
    }


def _gpt_oss_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    usual = ["sliding_attention", "full_attention"] * values["num_hidden_layers"]
    pattern = pattern_of(values.get("layer_types") or usual[: values["num_hidden_layers"]])
    return common_fields(values) | {
        "activation": "clamped_swish",
        "feed_forward_bias": True,
        "qkv_bias": values.get("attention_bias", True),
        "output_bias": values.get("attention_bias", True),
        "layer_pattern": pattern,
        "window": values.get("sliding_window", 128) if "L" in pattern else 0,
        "router_balance_loss": values.get("router_aux_loss_coef", 0.0),
    }


def _llama4_rules(config: ModelConfig) -> Iterator[Rule]:
    dense = {own: name.replace("mlp", "feed_forward") for own, name in FEED_FORWARD.items()}
    shared = {
        f"feed_forward.shared.{part}": f"feed_forward.shared_expert.{part}_proj"
        for part in ("gate", "up", "down")
    }
    yield from top_rules(config)
    heads = {"query": config.n_heads, "key": config.n_kv_heads}
    for rule in layer_rules(config, PRE_NORMS | ATTENTION | dense | shared):
        part = next((part for part in heads if f"attention.{part}." in rule.own[0]), None)
        if part is None:
            yield rule
        else:
            yield interleaved(rule.own[0], rule.foreign[0], heads[part], config.rope_dim)
    for own, theirs in _mixture_layers(config):
        yield same(f"{own}router.weight", f"{theirs}feed_forward.router.weight")
        halves = [f"{own}gate", f"{own}up"]
        name = f"{theirs}feed_forward.experts.gate_up_proj"
        yield expert_halves(halves, name, alternate=False)
        yield transposed(f"{own}down", f"{theirs}feed_forward.experts.down_proj")


def _llama4_values(config: ModelConfig) -> dict[str, Any]:
    kinds = [config.kind(layer) for layer in range(config.n_layers)]
    return common_values(config) | {
        "intermediate_size": config.d_ff_expert or config.d_ff,
        "intermediate_size_mlp": config.d_ff,
        "interleave_moe_layer_step": config.experts_every,
        "moe_layers": [layer for layer in range(config.n_layers) if config.is_mixture(layer)],
        "no_rope_layers": [int(kind != "N") for kind in kinds],
        "layer_types": layer_types(config),
        "attention_chunk_size": config.window or config.context_length,
        "use_qk_norm": config.qk_norm == "unit",
        "attn_temperature_tuning": bool(config.attention_temperature),
        "attn_scale": config.attention_temperature or 0.1,
        "floor_scale": config.attention_temperature_from,
        "router_aux_loss_coef": config.router_balance_loss,
        "router_jitter_noise": 0.0,
    }


def _llama4_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    turning = values.get("no_rope_layers") or [
        int((layer + 1) % 4 != 0) for layer in range(values["num_hidden_layers"])
    ]
    letters = "".join("C" if turns else "N" for turns in turning)
    tuned = values.get("attn_temperature_tuning", True) and "N" in letters
    return common_fields(values) | {
        "d_ff": values["intermediate_size_mlp"],
        "d_ff_expert": values["intermediate_size"],
        "layer_pattern": shortest_pattern(letters),
        "window": values.get("attention_chunk_size", 8192) if "C" in letters else 0,
        "qk_norm": "unit" if values.get("use_qk_norm", True) else "none",
        "attention_temperature": values.get("attn_scale", 0.1) if tuned else 0.0,
        "attention_temperature_from": int(values.get("floor_scale", 8192)),
        "experts_every": values.get("interleave_moe_layer_step", 1),
        "router_balance_loss": values.get("router_aux_loss_coef", 0.0),
    }


def _deepseek_rules(config: ModelConfig) -> Iterator[Rule]:
    """Latent attention: the up-projection of keys and values is one matrix in theirs."""
    query = "q_b_proj" if config.latent_query_rank else "q_proj"
    names = (
        PRE_NORMS
        | FEED_FORWARD
        | {
            "attention.query_down": "self_attn.q_a_proj",
            "attention.query_norm": "self_attn.q_a_layernorm",
            "attention.latent_norm": "self_attn.kv_a_layernorm",
            "attention.output": "self_attn.o_proj",
            "feed_forward.shared.gate": "mlp.shared_experts.gate_proj",
            "feed_forward.shared.up": "mlp.shared_experts.up_proj",
            "feed_forward.shared.down": "mlp.shared_experts.down_proj",
        }
    )
    yield from _separate_experts(config, names, place="mlp", router="mlp.gate")
    heads, turning, nope = config.n_heads, config.latent_rope_dim, config.head_dim
    for layer in range(config.n_layers):
        own, theirs = f"blocks.{layer}.attention.", f"model.layers.{layer}.self_attn."
        bias = f"blocks.{layer}.feed_forward.router.selection_bias"
        yield same(bias, f"model.layers.{layer}.mlp.gate.e_score_correction_bias")
        yield interleaved(
            f"{own}query.weight", f"{theirs}{query}.weight", heads, turning, skip=nope
        )
        for kind in ("weight", "bias"):
            name = f"{theirs}kv_a_proj_with_mqa.{kind}"
            yield interleaved(f"{own}down.{kind}", name, 1, turning, skip=config.latent_rank)
        yield _key_value_rule(own, theirs, heads, nope)


def _key_value_rule(own: str, theirs: str, heads: int, nope: int) -> Rule:
    import torch

    def join(parts: list[Any]) -> list[Any]:
        rows = [part.view(heads, -1, part.shape[-1]) for part in parts]
        return [torch.cat(rows, dim=1).flatten(0, 1)]

    def part(tensors: list[Any]) -> list[Any]:
        rows = tensors[0].view(heads, -1, tensors[0].shape[-1])
        return [rows[:, :nope].flatten(0, 1), rows[:, nope:].flatten(0, 1)]

    own_names = (f"{own}key.weight", f"{own}value.weight")
    return Rule(own_names, (f"{theirs}kv_b_proj.weight",), join, part)


def _deepseek_values(config: ModelConfig) -> dict[str, Any]:
    values = common_values(config)
    values["rope_parameters"] |= _deepseek_magnitudes(config)
    return values | {
        "head_dim": config.latent_rope_dim,
        "qk_nope_head_dim": config.head_dim,
        "qk_rope_head_dim": config.latent_rope_dim,
        "qk_head_dim": config.head_dim + config.latent_rope_dim,
        "v_head_dim": config.latent_value_dim,
        "kv_lora_rank": config.latent_rank,
        "q_lora_rank": config.latent_query_rank or None,
        "moe_intermediate_size": config.d_ff_expert or config.d_ff,
        "n_routed_experts": config.n_experts,
        "n_shared_experts": config.n_shared_experts,
        "num_experts_per_tok": config.experts_per_token,
        "first_k_dense_replace": config.first_dense_layers,
        "n_group": config.router_groups,
        "topk_group": config.router_top_groups,
        "topk_method": _method(config),
        "scoring_func": config.router,
        "norm_topk_prob": config.router_normalise,
        "routed_scaling_factor": config.router_scale,
        "rope_interleave": True,
        "num_nextn_predict_layers": 0,
        "aux_loss_alpha": config.router_balance_loss,
    }


def _method(config: ModelConfig) -> str:
    if config.router_selection_bias:
        return "noaux_tc"
    return "group_limited_greedy" if config.router_groups > 1 else "greedy"


def _deepseek_magnitudes(config: ModelConfig) -> dict[str, Any]:
    """`mscale_all_dim` for the scores' scale, since these classes have no field for it."""
    natural = (config.head_dim + config.latent_rope_dim) ** -0.5
    if config.rope_scaling != "yarn" or config.attention_scale is None or config.rope_factor <= 1:
        return {}
    grown = (config.attention_scale / natural) ** 0.5
    return {"mscale_all_dim": (grown - 1) / (yarn_magnitude(config.rope_factor) - 1)}


def _deepseek_fields(values: Mapping[str, Any], *, sigmoid: bool) -> dict[str, Any]:
    nope, rope = values["qk_nope_head_dim"], values["qk_rope_head_dim"]
    table = values.get("rope_parameters") or values.get("rope_scaling") or {}
    scale = None
    if table.get("mscale_all_dim"):
        grown = yarn_magnitude(float(table["factor"]), table["mscale_all_dim"])
        scale = (nope + rope) ** -0.5 * grown**2
    heads = values["num_attention_heads"]
    grouped = sigmoid or values.get("topk_method") == "group_limited_greedy"
    return common_fields(values) | {
        "n_kv_heads": heads,
        "head_dim": nope,
        "rope_fraction": 1.0,
        "latent_rope_dim": rope,
        "latent_value_dim": values["v_head_dim"],
        "latent_rank": values["kv_lora_rank"],
        "latent_query_rank": values.get("q_lora_rank") or 0,
        "attention_scale": scale,
        "n_experts": values["n_routed_experts"],
        "n_shared_experts": values.get("n_shared_experts") or 0,
        "experts_per_token": values["num_experts_per_tok"],
        "d_ff_expert": values["moe_intermediate_size"],
        "first_dense_layers": values.get("first_k_dense_replace", 0),
        "router": "sigmoid" if sigmoid else "softmax",
        "router_selection_bias": sigmoid,
        "router_group_score": "top2_sum" if sigmoid else "max",
        "router_normalise": bool(values.get("norm_topk_prob")) and sigmoid,
        "router_scale": float(values.get("routed_scaling_factor", 1.0)),
        "router_groups": (values.get("n_group") or 1) if grouped else 1,
        "router_top_groups": (values.get("topk_group") or 1) if grouped else 1,
        "router_balance_loss": values.get("aux_loss_alpha", 0.0),
        "qkv_bias": bool(values.get("attention_bias")),
    }


_EXPERTS = {"n_experts": "num_local_experts", "experts_per_token": "num_experts_per_tok"}

CLASSES = (
    ForeignClass("mixtral", "MixtralForCausalLM", "mixtral",
                 partial(_separate_experts, names=PRE_NORMS | ATTENTION,
                         place="block_sparse_moe", router="block_sparse_moe.gate"),
                 FIELDS | _EXPERTS, {}, _mixtral_values, _mixtral_fields),
    ForeignClass("olmoe", "OlmoeForCausalLM", "olmoe",
                 partial(_separate_experts, names=PRE_NORMS | ATTENTION | _ACROSS,
                         place="mlp", router="mlp.gate"),
                 FIELDS | _EXPERTS | {"n_experts": "num_experts"}, {"qk_norm": "full"},
                 _olmoe_values, _olmoe_fields),
    ForeignClass("qwen3_moe", "Qwen3MoeForCausalLM", "qwen3-moe",
                 partial(_separate_experts, names=NAMES, place="mlp", router="mlp.gate"),
                 FIELDS | _EXPERTS | {"d_ff_expert": "moe_intermediate_size"},
                 {"qk_norm": "head"}, _qwen3_moe_values, _qwen3_moe_fields),
    ForeignClass("gpt_oss", "GptOssForCausalLM", "gpt-oss", _gpt_oss_rules, FIELDS | _EXPERTS,
                 {"attention_sinks": True, "router_bias": True}, _gpt_oss_values, _gpt_oss_fields),
    ForeignClass("llama4_text", "Llama4ForCausalLM", "llama4", _llama4_rules, FIELDS | _EXPERTS,
                 {"n_shared_experts": 1, "router": "sigmoid", "router_normalise": False,
                  "router_scales_input": True}, _llama4_values, _llama4_fields),
    ForeignClass("deepseek_v2", "DeepseekV2ForCausalLM", "deepseek-v2", _deepseek_rules, FIELDS,
                 {}, _deepseek_values, partial(_deepseek_fields, sigmoid=False)),
    ForeignClass("deepseek_v3", "DeepseekV3ForCausalLM", "deepseek-v3", _deepseek_rules, FIELDS,
                 {}, _deepseek_values, partial(_deepseek_fields, sigmoid=True)),
)  # fmt: skip
