"""The classes of model that GGUF and transformers both know: names of numbers and of tensors.

One row an architecture. `numbers` pairs llama.cpp's metadata keys with fields of `config.json`;
`top` and `layer` pair tensors. What each row needs beyond that stands in `gguf_config`.
"""

from dataclasses import replace

from lilliput.export.gguf.layouts import (
    EXPERTS,
    FUSED,
    KEY,
    ONE_ADDED,
    QUERY,
    SAME,
    TRANSPOSED,
    Layout,
)
from lilliput.export.gguf.rows import Architecture, Row

# Numbers: llama.cpp's key after the architecture's name → the field of config.json.
_COMMON_NUMBERS = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "rope.dimension_count": "head_dim",
}
_ROTARY_NUMBERS = _COMMON_NUMBERS | {
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}

_TOP = (
    Row("token_embd", "model.embed_tokens"),
    Row("output_norm", "model.norm"),
    Row("output", "lm_head"),
)
_NORMS = (Row("attn_norm", "input_layernorm"), Row("ffn_norm", "post_attention_layernorm"))
_FEED_FORWARD = (
    Row("ffn_gate", "mlp.gate_proj", bias=True),
    Row("ffn_up", "mlp.up_proj", bias=True),
    Row("ffn_down", "mlp.down_proj", bias=True),
)


def _attention(query: Layout = SAME, key: Layout = SAME, *, bias: bool = False) -> tuple[Row, ...]:
    return (
        Row("attn_q", "self_attn.q_proj", query, bias=bias),
        Row("attn_k", "self_attn.k_proj", key, bias=bias),
        Row("attn_v", "self_attn.v_proj", bias=bias),
        Row("attn_output", "self_attn.o_proj", bias=bias),
    )


def _without_bias(rows: tuple[Row, ...], *names: str) -> tuple[Row, ...]:
    """The rows, those of these names (all, if none is named) without their biases."""
    return tuple(replace(r, bias=r.bias and bool(names) and r.file not in names) for r in rows)


_QK_NORMS = (Row("attn_q_norm", "self_attn.q_norm"), Row("attn_k_norm", "self_attn.k_norm"))
_PLAIN_FEED_FORWARD = _without_bias(_FEED_FORWARD)
_LLAMA_LAYER = (*_NORMS, *_attention(QUERY, KEY, bias=True), *_FEED_FORWARD)

_LLAMA = Architecture("llama", "llama", "LlamaForCausalLM", _ROTARY_NUMBERS, _TOP, _LLAMA_LAYER)
_MIXTRAL = replace(
    _LLAMA,
    model_type="mixtral",
    hf_class="MixtralForCausalLM",
    numbers=_ROTARY_NUMBERS
    | {"expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok"},
    layer=(
        *_NORMS,
        *_attention(QUERY, KEY),
        Row("ffn_gate_inp", "block_sparse_moe.gate"),
        Row("ffn_gate_exps", "block_sparse_moe.experts.{expert}.w1", EXPERTS),
        Row("ffn_down_exps", "block_sparse_moe.experts.{expert}.w2", EXPERTS),
        Row("ffn_up_exps", "block_sparse_moe.experts.{expert}.w3", EXPERTS),
    ),
)
_QWEN2 = Architecture(
    "qwen2",
    "qwen2",
    "Qwen2ForCausalLM",
    _ROTARY_NUMBERS,
    _TOP,
    (*_NORMS, *_without_bias(_attention(bias=True), "attn_output"), *_PLAIN_FEED_FORWARD),
)
_QWEN3 = replace(
    _QWEN2,
    name="qwen3",
    model_type="qwen3",
    hf_class="Qwen3ForCausalLM",
    layer=(*_NORMS, *_attention(), *_QK_NORMS, *_PLAIN_FEED_FORWARD),
)
_EXPERTS = (
    Row("ffn_gate_inp", "mlp.gate"),
    Row("ffn_gate_exps", "mlp.experts.{expert}.gate_proj", EXPERTS),
    Row("ffn_down_exps", "mlp.experts.{expert}.down_proj", EXPERTS),
    Row("ffn_up_exps", "mlp.experts.{expert}.up_proj", EXPERTS),
)
_EXPERT_NUMBERS = {"expert_count": "num_experts", "expert_used_count": "num_experts_per_tok"}
_QWEN3_MOE = replace(
    _QWEN3,
    name="qwen3moe",
    model_type="qwen3_moe",
    hf_class="Qwen3MoeForCausalLM",
    numbers=_ROTARY_NUMBERS
    | _EXPERT_NUMBERS
    | {
        "expert_count": "num_local_experts",
        "expert_feed_forward_length": "moe_intermediate_size",
    },
    layer=(*_NORMS, *_attention(), *_QK_NORMS, *_EXPERTS),
)
_OLMOE = replace(
    _QWEN3_MOE,
    name="olmoe",
    model_type="olmoe",
    hf_class="OlmoeForCausalLM",
    numbers=_ROTARY_NUMBERS | _EXPERT_NUMBERS,
)
_GRANITE = replace(
    _LLAMA,
    name="granite",
    model_type="granite",
    hf_class="GraniteForCausalLM",
    numbers=_ROTARY_NUMBERS
    | {
        "attention.scale": "attention_multiplier",
        "embedding_scale": "embedding_multiplier",
        "residual_scale": "residual_multiplier",
        "logit_scale": "logits_scaling",
    },
)
_SMOLLM3 = replace(_LLAMA, name="smollm3", model_type="smollm3", hf_class="SmolLM3ForCausalLM")
_OLMO2 = replace(
    _QWEN2,
    name="olmo2",
    model_type="olmo2",
    hf_class="Olmo2ForCausalLM",
    layer=(
        *_attention(),
        *_QK_NORMS,
        Row("post_attention_norm", "post_attention_layernorm"),
        *_PLAIN_FEED_FORWARD,
        Row("post_ffw_norm", "post_feedforward_layernorm"),
    ),
    separate_head=True,
)
_GEMMA3 = Architecture(
    "gemma3",
    "gemma3_text",
    "Gemma3ForCausalLM",
    _ROTARY_NUMBERS | {"attention.sliding_window": "sliding_window"},
    (_TOP[0], replace(_TOP[1], layout=ONE_ADDED), _TOP[2]),
    (
        Row("attn_norm", "input_layernorm", ONE_ADDED),
        *_attention(),
        *(replace(row, layout=ONE_ADDED) for row in _QK_NORMS),
        Row("post_attention_norm", "post_attention_layernorm", ONE_ADDED),
        Row("ffn_norm", "pre_feedforward_layernorm", ONE_ADDED),
        *_PLAIN_FEED_FORWARD,
        Row("post_ffw_norm", "post_feedforward_layernorm", ONE_ADDED),
    ),
)
_STARCODER2 = Architecture(
    "starcoder2",
    "starcoder2",
    "Starcoder2ForCausalLM",
    _COMMON_NUMBERS
    | {"attention.layer_norm_epsilon": "norm_epsilon", "rope.freq_base": "rope_theta"},
    (_TOP[0], replace(_TOP[1], bias=True), _TOP[2]),
    (
        *(replace(row, bias=True) for row in _NORMS),
        *_attention(bias=True),
        Row("ffn_up", "mlp.c_fc", bias=True),
        Row("ffn_down", "mlp.c_proj", bias=True),
    ),
)
_GPT2 = Architecture(
    "gpt2",
    "gpt2",
    "GPT2LMHeadModel",
    {
        "vocab_size": "vocab_size",
        "context_length": "n_positions",
        "embedding_length": "n_embd",
        "block_count": "n_layer",
        "feed_forward_length": "n_inner",
        "attention.head_count": "n_head",
        "attention.layer_norm_epsilon": "layer_norm_epsilon",
    },
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
    numbers={
        "vocab_size": "vocab_size",
        "context_length": "seq_length",
        "embedding_length": "hidden_size",
        "block_count": "n_layer",
        "feed_forward_length": "n_inner",
        "attention.head_count": "n_head",
        "attention.layer_norm_epsilon": "layer_norm_epsilon",
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
    layer=(Row("attn_norm", "input_layernorm", bias=True), *_without_bias(_FUSED_LAYER)),
)
FALCON_TWO_NORMS = replace(
    _FALCON,
    layer=(
        Row("attn_norm", "ln_mlp", bias=True),
        Row("attn_norm_2", "ln_attn", bias=True),
        *_without_bias(_FUSED_LAYER),
    ),
)

ARCHITECTURES = (
    _LLAMA, _MIXTRAL, _QWEN2, _QWEN3, _QWEN3_MOE, _GRANITE, _SMOLLM3, _OLMO2, _OLMOE,
    _GEMMA3, _STARCODER2, _GPT2, _BLOOM, _FALCON,
)  # fmt: skip
OF_MODEL_TYPE = {row.model_type: row for row in ARCHITECTURES} | {"mistral": _LLAMA}


def architecture_of_file(name: str, experts: int, tensors: set[str]) -> Architecture | None:
    """The row that a file's architecture, number of experts and tensors mean, if there is one."""
    if name == "llama" and experts:
        return _MIXTRAL
    if name == "falcon" and "blk.0.attn_norm_2.weight" in tensors:
        return FALCON_TWO_NORMS
    return next((row for row in ARCHITECTURES if row.name == name), None)
