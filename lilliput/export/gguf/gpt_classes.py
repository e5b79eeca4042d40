"""Classes with the names of GPT-2's time: what they are in llama.cpp and in transformers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lilliput.export.gguf.layouts import FUSED, HALF_SPLIT, SAME, TRANSPOSED, ZEROS
from lilliput.export.gguf.llama_classes import (
    COMMON_NUMBERS,
    NORMS,
    PHI,
    TANH,
    TOP,
    attention,
    without_bias,
)
from lilliput.export.gguf.rows import Architecture, Row

_BLOOM_CONTEXT = 2048  # BloomConfig names no length: ALiBi has none


def _inner_width(values: Mapping[str, Any]) -> dict[str, Any]:
    """The width of the feed-forward layer, which these configurations may leave out."""
    width = values.get("n_embd", values.get("hidden_size", 0))
    return {"n_inner": values.get("n_inner") or 4 * width}


def _starcoder_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    heads = values.get("n_head", 1)
    return _inner_width(values) | {"kv_heads": 1 if values.get("multi_query", True) else heads}


def _starcoder_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "multi_query": values["kv_heads"] == 1,
        "num_key_value_heads": values["kv_heads"],
    }


def _gptj_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    heads = values.get("n_head") or 1
    return _inner_width(values) | {
        "head_dim": values.get("n_embd", 0) // heads,
        "rotary_dim": values.get("rotary_dim") or values.get("n_embd", 0),
        "rope_theta": 10_000.0,
    }


def _two_norms(values: Mapping[str, Any]) -> bool:
    if not values.get("new_decoder_architecture"):
        return False
    return values.get("num_ln_in_parallel_attn") in (None, 2)


def _falcon_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Falcon's config means key/value heads by three fields."""
    heads = int(values.get("num_attention_heads", 1))
    groups = int(values.get("num_kv_heads") or heads)
    if not values.get("new_decoder_architecture"):
        groups = 1 if values.get("multi_query", True) else heads
    inner = values.get("ffn_hidden_size") or 4 * values.get("hidden_size", 0)
    return {"num_kv_heads": groups, "ffn_hidden_size": inner}


def _falcon_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    grouped = 1 < values["num_kv_heads"] < values["num_attention_heads"]
    return {
        "new_decoder_architecture": grouped,
        "num_ln_in_parallel_attn": 1,
        "multi_query": values["num_kv_heads"] == 1,
    }


def _two_norms_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    found = _falcon_fields(values)
    return found | {"new_decoder_architecture": True, "num_ln_in_parallel_attn": 2}


_STARCODER2 = Architecture(
    "starcoder2",
    "starcoder2",
    "Starcoder2ForCausalLM",
    COMMON_NUMBERS
    | {"attention.layer_norm_epsilon": "norm_epsilon", "rope.freq_base": "rope_theta"},
    (TOP[0], replace(TOP[1], bias=True), TOP[2]),
    (
        *(replace(row, bias=True) for row in NORMS),
        *attention(bias=True),
        Row("ffn_up", "mlp.c_fc", bias=True),
        Row("ffn_down", "mlp.c_proj", bias=True),
    ),
    gelu=True,
    defaults={"norm_epsilon": 1e-5, "hidden_act": TANH},
    fixed={"hidden_act": TANH, "use_bias": True, "sliding_window": None},
)
_GPT2_NUMBERS = {
    "vocab_size": "vocab_size",
    "context_length": "n_positions",
    "embedding_length": "n_embd",
    "block_count": "n_layer",
    "feed_forward_length": "n_inner",
    "attention.head_count": "n_head",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
}
_GPT2 = Architecture(
    "gpt2",
    "gpt2",
    "GPT2LMHeadModel",
    _GPT2_NUMBERS,
    (
        Row("token_embd", "transformer.wte"),
        Row("position_embd", "transformer.wpe"),
        Row("output_norm", "transformer.ln_f", bias=True),
        Row("output", "lm_head"),
    ),
    (
        Row("attn_norm", "ln_1", bias=True),
        Row("attn_qkv", "attn.c_attn", TRANSPOSED, bias=True),
        Row("attn_output", "attn.c_proj", TRANSPOSED, bias=True),
        Row("ffn_norm", "ln_2", bias=True),
        Row("ffn_up", "mlp.c_fc", TRANSPOSED, bias=True),
        Row("ffn_down", "mlp.c_proj", TRANSPOSED, bias=True),
    ),
    layer_prefix="transformer.h.{layer}.",
    base_prefix="transformer.",
    gelu=True,
    defaults={"layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"},
    fixed={"activation_function": "gelu_new"},
    complete=_inner_width,
)
_STARCODER = replace(
    _GPT2,
    name="starcoder",
    model_type="gpt_bigcode",
    hf_class="GPTBigCodeForCausalLM",
    numbers=_GPT2_NUMBERS | {"attention.head_count_kv": "kv_heads"},
    layer=(
        _GPT2.layer[0],
        Row("attn_qkv", "attn.c_attn", FUSED, bias=True),
        *(replace(row, layout=SAME) for row in _GPT2.layer[2:]),
    ),
    defaults={"layer_norm_epsilon": 1e-5, "activation_function": TANH},
    fixed={"activation_function": TANH},
    complete=_starcoder_sizes,
    restore=_starcoder_fields,
)
_GPTJ = replace(
    PHI,
    model_type="gptj",
    hf_class="GPTJForCausalLM",
    numbers=_GPT2_NUMBERS
    | {
        "attention.head_count_kv": "n_head",
        "rope.dimension_count": "rotary_dim",
        "rope.freq_base": "rope_theta",
    },
    top=(
        _GPT2.top[0],
        _GPT2.top[2],
        replace(_GPT2.top[3], bias=True),
    ),
    layer=(
        _GPT2.layer[0],
        Row("attn_q", "attn.q_proj", HALF_SPLIT),
        Row("attn_k", "attn.k_proj", HALF_SPLIT),
        Row("attn_v", "attn.v_proj"),
        Row("attn_output", "attn.out_proj"),
        *(Row(f"attn_{part}.bias.", "", ZEROS) for part in ("q", "k", "v", "output")),
        Row("ffn_up", "mlp.fc_in", bias=True),
        Row("ffn_down", "mlp.fc_out", bias=True),
    ),
    layer_prefix=_GPT2.layer_prefix,
    base_prefix=_GPT2.base_prefix,
    another_class=True,
    defaults={"layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "rotary_dim": 64},
    fixed={},
    complete=_gptj_sizes,
)
_FUSED_LAYER = (
    Row("attn_qkv", "self_attention.query_key_value", FUSED, bias=True),
    Row("attn_output", "self_attention.dense", bias=True),
    Row("ffn_up", "mlp.dense_h_to_4h", bias=True),
    Row("ffn_down", "mlp.dense_4h_to_h", bias=True),
)
_BLOOM = replace(
    _GPT2,
    name="bloom",
    model_type="bloom",
    hf_class="BloomForCausalLM",
    numbers=_GPT2_NUMBERS
    | {
        "context_length": "seq_length",
        "embedding_length": "hidden_size",
    },
    top=(
        Row("token_embd", "transformer.word_embeddings"),
        Row("token_embd_norm", "transformer.word_embeddings_layernorm", bias=True),
        *_GPT2.top[2:],
    ),
    layer=(
        Row("attn_norm", "input_layernorm", bias=True),
        Row("ffn_norm", "post_attention_layernorm", bias=True),
        *_FUSED_LAYER,
    ),
    defaults={"layer_norm_epsilon": 1e-5, "seq_length": _BLOOM_CONTEXT},
    fixed={"apply_residual_connection_post_layernorm": False},
)
_FALCON = replace(
    _BLOOM,
    name="falcon",
    model_type="falcon",
    hf_class="FalconForCausalLM",
    numbers={
        "vocab_size": "vocab_size",
        "context_length": "max_position_embeddings",
        "embedding_length": "hidden_size",
        "block_count": "num_hidden_layers",
        "feed_forward_length": "ffn_hidden_size",
        "attention.head_count": "num_attention_heads",
        "attention.head_count_kv": "num_kv_heads",
        "attention.layer_norm_epsilon": "layer_norm_epsilon",
        "rope.freq_base": "rope_theta",
    },
    top=(_BLOOM.top[0], *_GPT2.top[2:]),
    layer=(Row("attn_norm", "input_layernorm", bias=True), *without_bias(_FUSED_LAYER)),
    defaults={"layer_norm_epsilon": 1e-5, "max_position_embeddings": 2048},
    fixed={"alibi": False, "bias": False, "parallel_attn": True, "activation": "gelu"},
    complete=_falcon_sizes,
    restore=_falcon_fields,
)
_FALCON_TWO_NORMS = replace(
    _FALCON,
    layer=(
        Row("attn_norm", "ln_mlp", bias=True),
        Row("attn_norm_2", "ln_attn", bias=True),
        *without_bias(_FUSED_LAYER),
    ),
    restore=_two_norms_fields,
    when=_two_norms,
    markers=("attn_norm_2.weight",),
)

GPT_CLASSES = (_STARCODER2, _GPT2, _STARCODER, _GPTJ, _BLOOM, _FALCON_TWO_NORMS, _FALCON)
