"""Classes with names of their own from GPT's line: GPT-1, 2, Neo, J, StarCoder, BLOOM, Falcon."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
from lilliput.model.exchange.classes import ForeignClass
from lilliput.model.exchange.rules import (
    Rule,
    interleaved,
    joined,
    joined_by_group,
    same,
    transposed,
)
from lilliput.model.exchange.values import (
    activation_of,
    foreign_activation,
    rope_fields,
    rope_values,
    shortest_pattern,
)

_QKV = ("attention.query", "attention.key", "attention.value")
_KINDS = ("weight", "bias")
_SIZES = {
    "vocabulary_size": "vocab_size",
    "context_length": "n_positions",
    "n_layers": "n_layer",
    "d_model": "n_embd",
    "n_heads": "n_head",
    "norm_eps": "layer_norm_epsilon",
}
_BIASED = {"qkv_bias": True, "output_bias": True, "feed_forward_bias": True}
_LAYER_NORMS = {"norm": "layernorm", "norm_gain": "weight_bias", "gated": False}
_NO_DROPOUT = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
_TOP = {
    "embedding": "transformer.wte",
    "position_embedding": "transformer.wpe",
    "final_norm": "transformer.ln_f",
    "head": "lm_head",
}


def _pairs(names: Mapping[str, str], own: str = "", foreign: str = "") -> Iterator[Rule]:
    for ours, theirs in names.items():
        for kind in _KINDS:
            yield same(f"{own}{ours}.{kind}", f"{foreign}{theirs}.{kind}")


def _layers(config: ModelConfig, prefix: str) -> Iterator[tuple[str, str]]:
    for layer in range(config.n_layers):
        yield f"blocks.{layer}.", f"{prefix}.{layer}."


def _square_heads(values: Mapping[str, Any], width: str, heads: str) -> dict[str, Any]:
    return {"n_kv_heads": values[heads], "head_dim": values[width] // values[heads]}


def _conv1d_rules(config: ModelConfig, *, norms: tuple[str, str], top: Mapping[str, str],
                  own_norms: tuple[str, str]) -> Iterator[Rule]:  # fmt: skip
    """GPT-1 and GPT-2: matrices transposed, query, key and value in one."""
    yield from _pairs(top)
    prefix = top["embedding"].split(".")[0] + ".h"
    width = config.n_heads * config.head_dim
    for own, theirs in _layers(config, prefix):
        yield from _pairs(dict(zip(own_norms, norms, strict=True)), own, theirs)
        for kind in _KINDS:
            fused = [f"{own}{part}.{kind}" for part in _QKV]
            yield joined(fused, f"{theirs}attn.c_attn.{kind}", [width] * 3, columns=True)
        for ours, other in (
            ("attention.output", "attn.c_proj"),
            ("feed_forward.up", "mlp.c_fc"),
            ("feed_forward.down", "mlp.c_proj"),
        ):
            yield transposed(f"{own}{ours}.weight", f"{theirs}{other}.weight")
            yield same(f"{own}{ours}.bias", f"{theirs}{other}.bias")


def _gpt1_values(config: ModelConfig) -> dict[str, Any]:
    return {"afn": "gelu", "tie_word_embeddings": config.tied} | _NO_DROPOUT


def _gpt1_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    # The class's "gelu" is the tanh approximation.
    names = {"gelu": "gelu_tanh", "silu": "silu", "relu": "relu"}
    return _square_heads(values, "n_embd", "n_head") | {
        "d_ff": 4 * values["n_embd"],
        "activation": names[values.get("afn", "gelu")],
        "tied": values.get("tie_word_embeddings", True),
    }


def _gpt2_values(config: ModelConfig) -> dict[str, Any]:
    return _NO_DROPOUT | {
        "n_inner": config.d_ff,
        "activation_function": foreign_activation(config),
        "tie_word_embeddings": config.tied,
    }


def _gpt2_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    if values.get("scale_attn_by_inverse_layer_idx"):
        raise UserError("scale_attn_by_inverse_layer_idx is not something Lilliput computes")
    return _square_heads(values, "n_embd", "n_head") | {
        "d_ff": values.get("n_inner") or 4 * values["n_embd"],
        "activation": activation_of(values.get("activation_function", "gelu_new")),
        "tied": values.get("tie_word_embeddings", True),
    }


def _neo_rules(config: ModelConfig) -> Iterator[Rule]:
    names = {
        "attention_norm": "ln_1",
        "attention.query": "attn.attention.q_proj",
        "attention.key": "attn.attention.k_proj",
        "attention.value": "attn.attention.v_proj",
        "attention.output": "attn.attention.out_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    yield from _pairs(_TOP)
    for own, theirs in _layers(config, "transformer.h"):
        yield from _pairs(names, own, theirs)


def _neo_values(config: ModelConfig) -> dict[str, Any]:
    kinds = ["local" if config.kind(layer) == "L" else "global" for layer in range(config.n_layers)]
    return {
        "intermediate_size": config.d_ff,
        "activation_function": foreign_activation(config),
        "attention_types": [[[kind], 1] for kind in kinds],
        "attention_layers": kinds,
        "window_size": config.window or config.context_length,
        "tie_word_embeddings": config.tied,
    } | dict.fromkeys(("attention_dropout", "embed_dropout", "resid_dropout"), 0.0)


def _neo_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    types = values.get("attention_types", [[["global", "local"], values["num_layers"] // 2]])
    kinds = [kind for group, times in types for kind in group * times]
    letters = "".join("L" if kind == "local" else "G" for kind in kinds)
    return _square_heads(values, "hidden_size", "num_heads") | {
        "d_ff": values.get("intermediate_size") or 4 * values["hidden_size"],
        "activation": activation_of(values.get("activation_function", "gelu_new")),
        "layer_pattern": shortest_pattern(letters),
        "window": values.get("window_size", 256) if "L" in letters else 0,
        "tied": values.get("tie_word_embeddings", True),
    }


def _gptj_rules(config: ModelConfig) -> Iterator[Rule]:
    names = {
        "attention_norm": "ln_1",
        "attention.value": "attn.v_proj",
        "attention.output": "attn.out_proj",
        "feed_forward.up": "mlp.fc_in",
        "feed_forward.down": "mlp.fc_out",
    }
    yield from _pairs(_TOP)
    for own, theirs in _layers(config, "transformer.h"):
        yield from _pairs(names, own, theirs)
        for ours, other in (("query", "q_proj"), ("key", "k_proj")):
            yield interleaved(
                f"{own}attention.{ours}.weight",
                f"{theirs}attn.{other}.weight",
                config.n_heads,
                config.rope_dim,
            )


def _gptj_values(config: ModelConfig) -> dict[str, Any]:
    return _gpt2_values(config) | {"rotary_dim": config.rope_dim}


def _gptj_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    fields = _gpt2_fields(values)
    share = (values.get("rotary_dim") or fields["head_dim"]) / fields["head_dim"]
    return fields | {
        "rope_fraction": share,
        "tied": values.get("tie_word_embeddings", False),
    }


def _bigcode_rules(config: ModelConfig) -> Iterator[Rule]:
    names = {
        "attention_norm": "ln_1",
        "attention.output": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    yield from _pairs(_TOP)
    for own, theirs in _layers(config, "transformer.h"):
        yield from _pairs(names, own, theirs)
        for kind in _KINDS:
            fused = [f"{own}{part}.{kind}" for part in _QKV]
            name = f"{theirs}attn.c_attn.{kind}"
            yield joined_by_group(fused, name, config.n_heads, config.n_kv_heads)


def _bigcode_values(config: ModelConfig) -> dict[str, Any]:
    return _gpt2_values(config) | {
        "multi_query": config.n_kv_heads == 1,
        "num_key_value_heads": config.n_kv_heads,
    }


def _bigcode_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    kv_heads = 1 if values.get("multi_query", True) else values["n_head"]
    return _gpt2_fields(values) | {
        "n_kv_heads": kv_heads,
        "activation": activation_of(values.get("activation_function", "gelu_pytorch_tanh")),
    }


def _bloom_rules(config: ModelConfig) -> Iterator[Rule]:
    top = {
        "embedding": "transformer.word_embeddings",
        "embedding_norm": "transformer.word_embeddings_layernorm",
        "final_norm": "transformer.ln_f",
        "head": "lm_head",
    }
    names = {
        "attention_norm": "input_layernorm",
        "attention.output": "self_attention.dense",
        "feed_forward_norm": "post_attention_layernorm",
        "feed_forward.up": "mlp.dense_h_to_4h",
        "feed_forward.down": "mlp.dense_4h_to_h",
    }
    yield from _pairs(top)
    for own, theirs in _layers(config, "transformer.h"):
        yield from _pairs(names, own, theirs)
        for kind in _KINDS:
            fused = [f"{own}{part}.{kind}" for part in _QKV]
            name = f"{theirs}self_attention.query_key_value.{kind}"
            yield joined_by_group(fused, name, config.n_heads, config.n_kv_heads)


def _bloom_values(config: ModelConfig) -> dict[str, Any]:
    # The class has no length of its own: ALiBi needs none. `seq_length` was BLOOM's name for it.
    return {
        "hidden_size": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "seq_length": config.context_length,
        "tie_word_embeddings": config.tied,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    }


def _bloom_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    width = values.get("hidden_size", values.get("n_embed"))
    heads = values.get("n_head", values.get("num_attention_heads"))
    if values.get("apply_residual_connection_post_layernorm"):
        raise UserError("apply_residual_connection_post_layernorm is not computed by Lilliput")
    return {
        "n_layers": values.get("n_layer", values.get("num_hidden_layers")),
        "d_model": width,
        "n_heads": heads,
        "n_kv_heads": heads,
        "head_dim": width // heads,
        "d_ff": 4 * width,
        "context_length": values.get("seq_length", 2048),
        "tied": values.get("tie_word_embeddings", True),
    }


def _falcon_rules(config: ModelConfig) -> Iterator[Rule]:
    yield from _pairs(
        {
            "embedding": "transformer.word_embeddings",
            "final_norm": "transformer.ln_f",
            "head": "lm_head",
        }
    )
    first = "ln_attn" if config.parallel == "two_norms" else "input_layernorm"
    second = "ln_mlp" if config.parallel == "two_norms" else "post_attention_layernorm"
    names = {
        "attention_norm": first,
        "feed_forward_norm": second,
        "attention.output": "self_attention.dense",
        "feed_forward.up": "mlp.dense_h_to_4h",
        "feed_forward.down": "mlp.dense_4h_to_h",
    }
    for own, theirs in _layers(config, "transformer.h"):
        yield from _pairs(names, own, theirs)
        for kind in _KINDS:
            fused = [f"{own}{part}.{kind}" for part in _QKV]
            name = f"{theirs}self_attention.query_key_value.{kind}"
            yield joined_by_group(fused, name, config.n_heads, config.n_kv_heads)


def _falcon_values(config: ModelConfig) -> dict[str, Any]:
    grouped = config.parallel == "two_norms"
    return rope_values(config) | {
        "num_kv_heads": config.n_kv_heads,
        "new_decoder_architecture": grouped,
        "multi_query": config.n_kv_heads == 1 and not grouped,
        "parallel_attn": config.parallel != "none",
        "num_ln_in_parallel_attn": 2 if grouped else None,
        "alibi": config.positions == "alibi",
        "bias": config.feed_forward_bias,
        "ffn_hidden_size": config.d_ff,
        "activation": "gelu",
        "tie_word_embeddings": config.tied,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    }


def _falcon_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    heads, width = values["num_attention_heads"], values["hidden_size"]
    grouped = bool(values.get("new_decoder_architecture"))
    one = values.get("multi_query", True) and not grouped
    side_by_side = "one_norm" if values.get("parallel_attn", True) else "none"
    alibi, bias = bool(values.get("alibi")), bool(values.get("bias"))
    kv_heads = (values.get("num_kv_heads") or heads) if grouped else (1 if one else heads)
    fields = {
        "n_kv_heads": kv_heads,
        "head_dim": width // heads,
        "d_ff": values.get("ffn_hidden_size") or 4 * width,
        "parallel": "two_norms" if grouped else side_by_side,
        "positions": "alibi" if alibi else "rotary",
        "alibi_scale": (width // heads) ** -0.5 if alibi else 1.0,
        "activation": activation_of(values.get("activation", "gelu")),
        "qkv_bias": bias,
        "output_bias": bias,
        "feed_forward_bias": bias,
        "tied": values.get("tie_word_embeddings", True),
    }
    return fields if alibi else fields | rope_fields(values)


_GPT1_TOP = {
    "embedding": "transformer.tokens_embed",
    "position_embedding": "transformer.positions_embed",
    "head": "lm_head",
}

CLASSES = (
    ForeignClass(
        "openai-gpt", "OpenAIGPTLMHeadModel", "gpt1",
        partial(_conv1d_rules, norms=("ln_1", "ln_2"), top=_GPT1_TOP,
                own_norms=("attention_sum_norm", "feed_forward_sum_norm")),
        _SIZES,
        _LAYER_NORMS | _BIASED
        | {"positions": "learned", "norm_placement": "post", "final_norm": False},
        _gpt1_values, _gpt1_fields,
    ),
    ForeignClass(
        "gpt2", "GPT2LMHeadModel", "gpt2",
        partial(_conv1d_rules, norms=("ln_1", "ln_2"), top=_TOP,
                own_norms=("attention_norm", "feed_forward_norm")),
        _SIZES, _LAYER_NORMS | _BIASED | {"positions": "learned"}, _gpt2_values, _gpt2_fields,
    ),
    ForeignClass(
        "gpt_neo", "GPTNeoForCausalLM", "gpt-neo", _neo_rules,
        {
            "vocabulary_size": "vocab_size",
            "context_length": "max_position_embeddings",
            "n_layers": "num_layers",
            "d_model": "hidden_size",
            "n_heads": "num_heads",
            "norm_eps": "layer_norm_epsilon",
        },
        _LAYER_NORMS | _BIASED
        | {"positions": "learned", "qkv_bias": False, "attention_scale": 1.0},
        _neo_values, _neo_fields,
    ),
    ForeignClass(
        "gptj", "GPTJForCausalLM", "gpt-j", _gptj_rules, _SIZES,
        _LAYER_NORMS | {"parallel": "one_norm", "feed_forward_bias": True, "head_bias": True},
        _gptj_values, _gptj_fields,
    ),
    ForeignClass(
        "gpt_bigcode", "GPTBigCodeForCausalLM", "starcoder", _bigcode_rules, _SIZES,
        _LAYER_NORMS | _BIASED | {"positions": "learned"}, _bigcode_values, _bigcode_fields,
    ),
    ForeignClass(
        "bloom", "BloomForCausalLM", "bloom", _bloom_rules,
        {"vocabulary_size": "vocab_size", "norm_eps": "layer_norm_epsilon"},
        _LAYER_NORMS | _BIASED
        | {"positions": "alibi", "embedding_norm": True, "activation": "gelu_tanh"},
        _bloom_values, _bloom_fields,
    ),
    ForeignClass(
        "falcon", "FalconForCausalLM", "falcon-7b", _falcon_rules,
        {
            "vocabulary_size": "vocab_size",
            "context_length": "max_position_embeddings",
            "n_layers": "num_hidden_layers",
            "d_model": "hidden_size",
            "n_heads": "num_attention_heads",
            "norm_eps": "layer_norm_epsilon",
        },
        _LAYER_NORMS, _falcon_values, _falcon_fields,
    ),
)  # fmt: skip
