"""Dense classes with Llama's names and something of their own: Gemma, Command-R, Phi, Nemotron…"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
from lilliput.model.exchange.classes import ForeignClass
from lilliput.model.exchange.llama_like import (
    ATTENTION,
    FIELDS,
    NAMES,
    OUT_NORMS,
    PRE_NORMS,
    SIZES,
    common_fields,
    common_values,
    layer_rules,
    letters_used,
    named,
)
from lilliput.model.exchange.rules import (
    Rule,
    backward_turning,
    interleaved,
    joined_by_group,
    same,
    shifted,
)
from lilliput.model.exchange.values import (
    layer_types,
    pattern_of,
    rope_fields,
    rope_values,
    scaling_fields,
)

_LAYER_NORM = {"norm": "layernorm", "norm_gain": "weight_bias"}
_SANDWICH = {
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "pre_feedforward_layernorm",
} | OUT_NORMS


def _less_one(rules: Iterator[Rule]) -> Iterator[Rule]:
    """The rules with every norm's gain kept less one."""
    for rule in rules:
        is_gain = "norm" in rule.own[0] and rule.own[0].endswith("weight")
        yield shifted(rule.own[0], rule.foreign[0]) if is_gain else rule


def _turned(config: ModelConfig, rules: Iterator[Rule], *, gains: bool = False) -> Iterator[Rule]:
    """The rules with queries' and keys' rotary pairs interleaved; `gains`: their norms' too."""
    heads = {"query": config.n_heads, "key": config.n_kv_heads}
    for rule in rules:
        for part, count in heads.items():
            whole = f"attention.{part}." in rule.own[0]
            if whole or (gains and f"attention.{part}_norm" in rule.own[0]):
                # A gain [H, E] is a row a head: turn it like a matrix's rows.
                yield _flat(interleaved(rule.own[0], rule.foreign[0], count, config.rope_dim))
                break
        else:
            yield rule


def _flat(rule: Rule) -> Rule:
    """The rule for a tensor [H, E] as for one [H·E]; other tensors as they are."""
    if "_norm" not in rule.own[0]:
        return rule

    def flattened(turn: Any) -> Any:
        return lambda t: [turn([t[0].flatten()])[0].view(t[0].shape)]

    return Rule(rule.own, rule.foreign, flattened(rule.to_foreign), flattened(rule.to_own))


def _gemma_rules(config: ModelConfig) -> Iterator[Rule]:
    names = NAMES if config.norm_placement == "pre" else NAMES | _SANDWICH
    return _less_one(named(names, config))


def _gemma_values(config: ModelConfig) -> dict[str, Any]:
    activation = {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
    return common_values(config) | activation


def _gemma_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return common_fields(values) | {
        "activation": "gelu_tanh",
        "embedding_scale": values["hidden_size"] ** 0.5,
        "tied": values.get("tie_word_embeddings", True),
    }


def _local_values(config: ModelConfig) -> dict[str, Any]:
    scale = config.attention_scale or config.head_dim**-0.5
    return _gemma_values(config) | {
        "query_pre_attn_scalar": round(scale**-2),
        "sliding_window": config.window or config.context_length,
        "layer_types": layer_types(config),
        "attn_logit_softcapping": config.attention_softcap or None,
        "final_logit_softcapping": config.logit_softcap or None,
    }


def _local_fields(values: Mapping[str, Any], *, every: int) -> dict[str, Any]:
    layers = values["num_hidden_layers"]
    usual = [
        "full_attention" if (layer + 1) % every == 0 else "sliding_attention"
        for layer in range(layers)
    ]
    pattern = pattern_of(values.get("layer_types") or usual)
    return _gemma_fields(values) | {
        "attention_scale": values.get("query_pre_attn_scalar", 256) ** -0.5,
        "layer_pattern": pattern,
        "window": values.get("sliding_window", 4096) if "L" in pattern else 0,
        "attention_softcap": values.get("attn_logit_softcapping") or 0.0,
        "logit_softcap": values.get("final_logit_softcapping") or 0.0,
    }


def _gemma3_values(config: ModelConfig) -> dict[str, Any]:
    rope = rope_values(config)["rope_parameters"]
    theta = config.rope_local_theta
    local = rope if theta is None else {"rope_type": "default", "rope_theta": theta}
    values = _local_values(config)
    del values["rope_theta"]
    return values | {"rope_parameters": {"full_attention": rope, "sliding_attention": local}}


def _gemma3_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    rope = values.get("rope_parameters") or {}
    fields = _local_fields({**values, "rope_parameters": None}, every=6)
    if "full_attention" not in rope:  # as the first Gemma 3 folders had it
        scaling = dict(values.get("rope_scaling") or {})
        theta = values.get("rope_theta", 1_000_000.0)
        rope = {
            "full_attention": {**scaling, "rope_theta": theta},
            "sliding_attention": {"rope_theta": values.get("rope_local_base_freq", 10_000.0)},
        }
    fields |= scaling_fields(rope["full_attention"], values)
    return fields | {"rope_local_theta": float(rope["sliding_attention"]["rope_theta"])}


def _cohere_rules(config: ModelConfig) -> Iterator[Rule]:
    names = {name: foreign for name, foreign in NAMES.items() if name != "feed_forward_norm"}
    yield from _turned(config, named(names, config), gains=True)


def _cohere_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "logit_scale": config.logit_scale,
        "use_qk_norm": config.qk_norm != "none",
    }


def _cohere2_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "logit_scale": config.logit_scale,
        "sliding_window": config.window or config.context_length,
        "layer_types": layer_types(config),
    }


def _cohere_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return common_fields(values) | {
        "logit_scale": float(values.get("logit_scale", 0.0625)),
        "qk_norm": "head_weights" if values.get("use_qk_norm") else "none",
        "tied": values.get("tie_word_embeddings", True),
    }


def _cohere2_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    layers = values["num_hidden_layers"]
    every = values.get("sliding_window_pattern", 4)
    usual = [
        "full_attention" if (n + 1) % every == 0 else "sliding_attention" for n in range(layers)
    ]
    pattern = pattern_of(values.get("layer_types") or usual).replace("G", "N")
    window = values.get("sliding_window", 4096) if "L" in pattern else 0
    fields = _cohere_fields(values) | {"layer_pattern": pattern, "window": window}
    return fields | {"qk_norm": "none"}


def _phi_rules(config: ModelConfig) -> Iterator[Rule]:
    yield same("embedding.weight", "model.embed_tokens.weight")
    for kind in ("weight", "bias"):
        yield same(f"final_norm.{kind}", f"model.final_layernorm.{kind}")
        yield same(f"head.{kind}", f"lm_head.{kind}")
    names = ATTENTION | {
        "attention_norm": "input_layernorm",
        "attention.output": "self_attn.dense",
        "feed_forward.up": "mlp.fc1",
        "feed_forward.down": "mlp.fc2",
    }
    yield from layer_rules(config, names)


def _phi_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "hidden_act": "gelu_new",
        "qk_layernorm": False,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "partial_rotary_factor": config.rope_fraction,
    }


def _phi_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    if values.get("qk_layernorm"):
        raise UserError("qk_layernorm in a Phi model is not something Lilliput computes")
    fields = common_fields({"partial_rotary_factor": 0.5, "hidden_act": "gelu_new", **values})
    return fields | {"qkv_bias": True, "output_bias": True, "feed_forward_bias": True}


def _persimmon_rules(config: ModelConfig) -> Iterator[Rule]:
    yield same("embedding.weight", "model.embed_tokens.weight")
    yield same("head.weight", "lm_head.weight")
    for kind in ("weight", "bias"):
        yield same(f"final_norm.{kind}", f"model.final_layernorm.{kind}")
        for layer in range(config.n_layers):
            parts = [
                f"blocks.{layer}.attention.{part}.{kind}" for part in ("query", "key", "value")
            ]
            name = f"model.layers.{layer}.self_attn.query_key_value.{kind}"
            yield joined_by_group(parts, name, config.n_heads, config.n_kv_heads)
    names = PRE_NORMS | {
        "attention.query_norm": "self_attn.q_layernorm",
        "attention.key_norm": "self_attn.k_layernorm",
        "attention.output": "self_attn.dense",
        "feed_forward.up": "mlp.dense_h_to_4h",
        "feed_forward.down": "mlp.dense_4h_to_h",
    }
    yield from layer_rules(config, names)


def _persimmon_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "hidden_act": "relu2",
        "qk_layernorm": config.qk_norm == "head",
        "partial_rotary_factor": config.rope_fraction,
        "hidden_dropout": 0.0,
    }


def _persimmon_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    fields = common_fields({"partial_rotary_factor": 0.5, "hidden_act": "relu2", **values})
    return fields | {
        "qk_norm": "head" if values.get("qk_layernorm", True) else "none",
        "qkv_bias": True,
        "output_bias": True,
        "feed_forward_bias": True,
    }


def _starcoder2_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {
        "use_bias": config.qkv_bias,
        "sliding_window": config.window if "L" in letters_used(config) else None,
        "residual_dropout": 0.0,
        "embedding_dropout": 0.0,
    }


def _starcoder2_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    bias = values.get("use_bias", True)
    window = values.get("sliding_window")
    fields = common_fields({"hidden_act": "gelu_pytorch_tanh", **values}) | {
        "qkv_bias": bias,
        "output_bias": bias,
        "feed_forward_bias": bias,
        "tied": values.get("tie_word_embeddings", True),
    }
    return fields | ({"window": window, "layer_pattern": "L"} if window else {})


def _nemotron_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return common_fields({"partial_rotary_factor": 0.5, "hidden_act": "relu2", **values})


def _nemotron_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {"partial_rotary_factor": config.rope_fraction}


def _helium_rules(config: ModelConfig) -> Iterator[Rule]:
    return _turned(config, named(NAMES, config))


def _nanochat_rules(config: ModelConfig) -> Iterator[Rule]:
    heads = {"query": config.n_heads, "key": config.n_kv_heads}
    names = NAMES | {"feed_forward.up": "mlp.fc1", "feed_forward.down": "mlp.fc2"}
    for rule in named(names, config):
        part = next((part for part in heads if f"attention.{part}.weight" in rule.own[0]), None)
        yield rule if part is None else backward_turning(rule.own[0], rule.foreign[0], heads[part])


def _nanochat_values(config: ModelConfig) -> dict[str, Any]:
    return common_values(config) | {"final_logit_softcapping": config.logit_softcap or None}


def _nanochat_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    heads, width = values["num_attention_heads"], values["hidden_size"]
    return rope_fields(values) | {
        "n_kv_heads": values.get("num_key_value_heads") or heads,
        "head_dim": values.get("head_dim") or width // heads,
        "logit_softcap": values.get("final_logit_softcapping") or 0.0,
        "tied": values.get("tie_word_embeddings", False),
    }


_COHERE = SIZES | {"norm_eps": "layer_norm_eps"}
_COHERE_FIXED = {"norm": "layernorm", "parallel": "one_norm"}

CLASSES = (
    ForeignClass("gemma", "GemmaForCausalLM", "gemma", _gemma_rules, FIELDS, {},
                 _gemma_values, _gemma_fields),
    ForeignClass("gemma2", "Gemma2ForCausalLM", "gemma2", _gemma_rules, FIELDS,
                 {"norm_placement": "sandwich"}, _local_values, partial(_local_fields, every=2)),
    ForeignClass("gemma3_text", "Gemma3ForCausalLM", "gemma3", _gemma_rules, FIELDS,
                 {"norm_placement": "sandwich", "qk_norm": "head"},
                 _gemma3_values, _gemma3_fields),
    ForeignClass("cohere", "CohereForCausalLM", "command-r", _cohere_rules, _COHERE,
                 _COHERE_FIXED, _cohere_values, _cohere_fields),
    ForeignClass("cohere2", "Cohere2ForCausalLM", "command-r7b", _cohere_rules, _COHERE,
                 _COHERE_FIXED, _cohere2_values, _cohere2_fields),
    ForeignClass("phi", "PhiForCausalLM", "phi2", _phi_rules,
                 SIZES | {"norm_eps": "layer_norm_eps"},
                 _LAYER_NORM | {"parallel": "one_norm", "gated": False, "head_bias": True},
                 _phi_values, _phi_fields),
    ForeignClass("persimmon", "PersimmonForCausalLM", "persimmon", _persimmon_rules,
                 SIZES | {"norm_eps": "layer_norm_eps"}, _LAYER_NORM | {"gated": False},
                 _persimmon_values, _persimmon_fields),
    ForeignClass("starcoder2", "Starcoder2ForCausalLM", "starcoder2",
                 partial(named, NAMES | {"feed_forward.up": "mlp.c_fc",
                                         "feed_forward.down": "mlp.c_proj"}),
                 SIZES | {"norm_eps": "norm_epsilon"}, _LAYER_NORM | {"gated": False},
                 _starcoder2_values, _starcoder2_fields),
    ForeignClass("nemotron", "NemotronForCausalLM", "nemotron",
                 lambda config: _less_one(named(NAMES, config)),
                 SIZES | {"norm_eps": "norm_eps"}, _LAYER_NORM | {"gated": False},
                 _nemotron_values, _nemotron_fields),
    ForeignClass("helium", "HeliumForCausalLM", "helium", _helium_rules, FIELDS, {},
                 common_values, common_fields),
    ForeignClass("nanochat", "NanoChatForCausalLM", "nanochat", _nanochat_rules, FIELDS,
                 {"norm_gain": "none", "embedding_norm": True, "qk_norm": "unit", "gated": False,
                  "activation": "relu2"},
                 _nanochat_values, _nanochat_fields),
)  # fmt: skip
