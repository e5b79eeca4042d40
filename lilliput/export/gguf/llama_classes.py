"""Dense classes with Llama's names: what they are in llama.cpp and in transformers.

`numbers` pairs llama.cpp's metadata keys with fields of `config.json`; `top` and `layer` pair
tensors.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lilliput.export.gguf.layouts import KEY, ONE_ADDED, QUERY, SAME, Layout
from lilliput.export.gguf.rows import Architecture, Row

SILU = {"hidden_act": "silu"}
TANH = "gelu_pytorch_tanh"
RMS = {"rms_norm_eps": 1e-6}
NO_ROPE_STEP = 4
"""llama.cpp's SmolLM3 and Llama 4: every fourth layer has no rotary positions."""

# Numbers: llama.cpp's key after the architecture's name → the field of config.json.
COMMON_NUMBERS = {
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
ROTARY_NUMBERS = COMMON_NUMBERS | {
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}

TOP = (
    Row("token_embd", "model.embed_tokens"),
    Row("output_norm", "model.norm"),
    Row("output", "lm_head"),
)
NORMS = (Row("attn_norm", "input_layernorm"), Row("ffn_norm", "post_attention_layernorm"))
FEED_FORWARD = (
    Row("ffn_gate", "mlp.gate_proj", bias=True),
    Row("ffn_up", "mlp.up_proj", bias=True),
    Row("ffn_down", "mlp.down_proj", bias=True),
)


def attention(query: Layout = SAME, key: Layout = SAME, *, bias: bool = False) -> tuple[Row, ...]:
    """Four matrices; queries and keys in these layouts."""
    return (
        Row("attn_q", "self_attn.q_proj", query, bias=bias),
        Row("attn_k", "self_attn.k_proj", key, bias=bias),
        Row("attn_v", "self_attn.v_proj", bias=bias),
        Row("attn_output", "self_attn.o_proj", bias=bias),
    )


def without_bias(rows: tuple[Row, ...], *names: str) -> tuple[Row, ...]:
    """The rows, those of these names (all, if none is named) without their biases."""
    return tuple(replace(r, bias=r.bias and bool(names) and r.file not in names) for r in rows)


QK_NORMS = (Row("attn_q_norm", "self_attn.q_norm"), Row("attn_k_norm", "self_attn.k_norm"))
PLAIN_FEED_FORWARD = without_bias(FEED_FORWARD)
_LLAMA_LAYER = (*NORMS, *attention(QUERY, KEY, bias=True), *FEED_FORWARD)


def _no_rope_layers(values: Mapping[str, Any]) -> dict[str, Any]:
    layers = range(values["num_hidden_layers"])
    return {"no_rope_layers": [int((layer + 1) % NO_ROPE_STEP != 0) for layer in layers]}


def alternate(values: Mapping[str, Any], every: int) -> list[str]:
    """`layer_types` of a model whose every n-th layer sees everything, the others a window."""
    return [
        "sliding_attention" if (layer + 1) % every else "full_attention"
        for layer in range(values["num_hidden_layers"])
    ]


LLAMA = Architecture(
    "llama", "llama", "LlamaForCausalLM", ROTARY_NUMBERS, TOP, _LLAMA_LAYER,
    defaults=RMS, fixed=SILU,
)  # fmt: skip
_HELIUM = replace(
    LLAMA,
    model_type="helium",
    hf_class="HeliumForCausalLM",
    layer=(*NORMS, *attention(), *PLAIN_FEED_FORWARD),
    another_class=True,
    defaults={"rms_norm_eps": 1e-8},
)
QWEN2 = Architecture(
    "qwen2",
    "qwen2",
    "Qwen2ForCausalLM",
    ROTARY_NUMBERS,
    TOP,
    (*NORMS, *without_bias(attention(bias=True), "attn_output"), *PLAIN_FEED_FORWARD),
    defaults=RMS,
    fixed=SILU,
)
QWEN3 = replace(
    QWEN2,
    name="qwen3",
    model_type="qwen3",
    hf_class="Qwen3ForCausalLM",
    layer=(*NORMS, *attention(), *QK_NORMS, *PLAIN_FEED_FORWARD),
)
_GRANITE = replace(
    LLAMA,
    name="granite",
    model_type="granite",
    hf_class="GraniteForCausalLM",
    numbers=ROTARY_NUMBERS
    | {
        "attention.scale": "attention_multiplier",
        "embedding_scale": "embedding_multiplier",
        "residual_scale": "residual_multiplier",
        "logit_scale": "logits_scaling",
    },
)
_SMOLLM3 = replace(
    LLAMA,
    name="smollm3",
    model_type="smollm3",
    hf_class="SmolLM3ForCausalLM",
    fixed=SILU | {"no_rope_layer_interval": NO_ROPE_STEP},
    restore=_no_rope_layers,
)
_OLMO2 = replace(
    QWEN2,
    name="olmo2",
    model_type="olmo2",
    hf_class="Olmo2ForCausalLM",
    layer=(
        *attention(),
        *QK_NORMS,
        Row("post_attention_norm", "post_attention_layernorm"),
        *PLAIN_FEED_FORWARD,
        Row("post_ffw_norm", "post_feedforward_layernorm"),
    ),
    separate_head=True,
)
_GEMMA = Architecture(
    "gemma",
    "gemma",
    "GemmaForCausalLM",
    ROTARY_NUMBERS,
    (TOP[0], replace(TOP[1], layout=ONE_ADDED), TOP[2]),
    (
        *(replace(row, layout=ONE_ADDED) for row in NORMS),
        *attention(),
        *PLAIN_FEED_FORWARD,
    ),
    always_tied=True,
    gelu=True,
    defaults={"hidden_activation": TANH} | RMS,
    fixed={"hidden_activation": TANH, "hidden_act": TANH},
)
_SANDWICH_NORMS = (
    Row("attn_norm", "input_layernorm", ONE_ADDED),
    Row("post_attention_norm", "post_attention_layernorm", ONE_ADDED),
    Row("ffn_norm", "pre_feedforward_layernorm", ONE_ADDED),
    Row("post_ffw_norm", "post_feedforward_layernorm", ONE_ADDED),
)
_GEMMA2 = replace(
    _GEMMA,
    name="gemma2",
    model_type="gemma2",
    hf_class="Gemma2ForCausalLM",
    numbers=ROTARY_NUMBERS
    | {
        "attention.sliding_window": "sliding_window",
        "attn_logit_softcapping": "attn_logit_softcapping",
        "final_logit_softcapping": "final_logit_softcapping",
    },
    layer=(*_SANDWICH_NORMS, *attention(), *PLAIN_FEED_FORWARD),
    defaults=_GEMMA.defaults | {"sliding_window": 4096, "query_pre_attn_scalar": 256},
    file_defaults={
        "attention.sliding_window": 4096,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    restore=lambda values: {
        "query_pre_attn_scalar": values["head_dim"],
        "layer_types": alternate(values, 2),
    },
)
_GEMMA3 = replace(
    _GEMMA,
    name="gemma3",
    model_type="gemma3_text",
    hf_class="Gemma3ForCausalLM",
    numbers=ROTARY_NUMBERS | {"attention.sliding_window": "sliding_window"},
    layer=(
        *_SANDWICH_NORMS,
        *attention(),
        *(replace(row, layout=ONE_ADDED) for row in QK_NORMS),
        *PLAIN_FEED_FORWARD,
    ),
    always_tied=False,
    fixed={"hidden_activation": TANH},
    restore=lambda values: {"query_pre_attn_scalar": values["head_dim"]},
)
_COMMAND_R = Architecture(
    "command-r",
    "cohere",
    "CohereForCausalLM",
    COMMON_NUMBERS
    | {
        "attention.layer_norm_epsilon": "layer_norm_eps",
        "rope.freq_base": "rope_theta",
        "logit_scale": "logit_scale",
    },
    TOP,
    (NORMS[0], *attention(), *PLAIN_FEED_FORWARD),
    always_tied=True,
    square=True,
    defaults={"layer_norm_eps": 1e-5, "logit_scale": 0.0625},
    fixed=SILU | {"use_qk_norm": False, "attention_bias": False},
)
_COMMAND_R7B = replace(
    _COMMAND_R,
    name="cohere2",
    model_type="cohere2",
    hf_class="Cohere2ForCausalLM",
    numbers=_COMMAND_R.numbers | {"attention.sliding_window": "sliding_window"},
    defaults=_COMMAND_R.defaults | {"sliding_window": 4096},
    fixed=SILU | {"attention_bias": False},
    restore=lambda values: {"layer_types": alternate(values, 4)},
)
_PARTLY_TURNED = COMMON_NUMBERS | {
    "rope.dimension_count": "rotary_dim",
    "rope.freq_base": "rope_theta",
}
_PHI3 = Architecture(
    "phi3",
    "phi3",
    "Phi3ForCausalLM",
    _PARTLY_TURNED | {"attention.layer_norm_rms_epsilon": "rms_norm_eps"},
    TOP,
    (
        *NORMS,
        Row("attn_qkv", "self_attn.qkv_proj"),
        Row("attn_output", "self_attn.o_proj"),
        Row("ffn_up", "mlp.gate_up_proj"),
        Row("ffn_down", "mlp.down_proj"),
    ),
    square=True,
    defaults=RMS,
    fixed=SILU | {"sliding_window": None},
    restore=lambda values: {"original_max_position_embeddings": values["max_position_embeddings"]},
)
PHI = Architecture(
    "phi2",
    "phi",
    "PhiForCausalLM",
    _PARTLY_TURNED | {"attention.layer_norm_epsilon": "layer_norm_eps"},
    (
        TOP[0],
        Row("output_norm", "model.final_layernorm", bias=True),
        replace(TOP[2], bias=True),
    ),
    (
        Row("attn_norm", "input_layernorm", bias=True),
        *attention(bias=True)[:3],
        Row("attn_output", "self_attn.dense", bias=True),
        Row("ffn_up", "mlp.fc1", bias=True),
        Row("ffn_down", "mlp.fc2", bias=True),
    ),
    separate_head=True,
    square=True,
    gelu=True,
    defaults={"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5, "hidden_act": "gelu_new"},
    fixed={"hidden_act": "gelu_new", "qk_layernorm": False},
)
_NEMOTRON = Architecture(
    "nemotron",
    "nemotron",
    "NemotronForCausalLM",
    _PARTLY_TURNED | {"attention.layer_norm_epsilon": "norm_eps"},
    (TOP[0], Row("output_norm", "model.norm", ONE_ADDED, bias=True, bias_layout=SAME), TOP[2]),
    (
        *(replace(row, layout=ONE_ADDED, bias=True, bias_layout=SAME) for row in NORMS),
        *attention(bias=True),
        *FEED_FORWARD[1:],
    ),
    separate_head=True,
    square=True,
    defaults={"norm_eps": 1e-5, "partial_rotary_factor": 0.5, "hidden_act": "relu2"},
    fixed={"hidden_act": "relu2"},
)
_BITNET = replace(
    QWEN3,
    name="bitnet",
    model_type="bitnet",
    hf_class="BitNetForCausalLM",
    layer=(
        *NORMS,
        *attention(),
        Row("attn_sub_norm", "self_attn.attn_sub_norm"),
        *PLAIN_FEED_FORWARD,
        Row("ffn_sub_norm", "mlp.ffn_sub_norm"),
    ),
    always_tied=True,
    square=True,
    defaults=RMS | {"hidden_act": "relu2"},
)

LLAMA_CLASSES = (
    LLAMA, _HELIUM, QWEN2, QWEN3, _GRANITE, _SMOLLM3, _OLMO2, _GEMMA, _GEMMA2, _GEMMA3,
    _COMMAND_R, _COMMAND_R7B, _PHI3, PHI, _NEMOTRON, _BITNET,
)  # fmt: skip
