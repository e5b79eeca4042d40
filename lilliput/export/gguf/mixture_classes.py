"""Classes with mixtures of experts: what they are in llama.cpp and in transformers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lilliput.export.gguf.layouts import (
    ALTERNATE_BIASES,
    ALTERNATE_EXPERTS,
    EXPERTS,
    HALVED_EXPERTS,
    KEY,
    LATENT,
    QUERY,
    TRANSPOSED_EXPERTS,
)
from lilliput.export.gguf.llama_classes import (
    LLAMA,
    NO_ROPE_STEP,
    NORMS,
    PLAIN_FEED_FORWARD,
    QK_NORMS,
    QWEN3,
    RMS,
    ROTARY_NUMBERS,
    SILU,
    TOP,
    alternate,
    attention,
)
from lilliput.export.gguf.rows import Architecture, Row

SOFTMAX, SIGMOID = 1, 2
"""llama.cpp's numbers for what a router makes of its logits."""

_MIXTRAL_NUMBERS = {
    "expert_count": "num_local_experts",
    "expert_used_count": "num_experts_per_tok",
}
_MIXTRAL = replace(
    LLAMA,
    model_type="mixtral",
    hf_class="MixtralForCausalLM",
    numbers=ROTARY_NUMBERS | _MIXTRAL_NUMBERS,
    layer=(
        *NORMS,
        *attention(QUERY, KEY),
        Row("ffn_gate_inp", "block_sparse_moe.gate"),
        Row("ffn_gate_exps", "block_sparse_moe.experts.{expert}.w1", EXPERTS),
        Row("ffn_down_exps", "block_sparse_moe.experts.{expert}.w2", EXPERTS),
        Row("ffn_up_exps", "block_sparse_moe.experts.{expert}.w3", EXPERTS),
    ),
    fixed=SILU | {"sliding_window": None},
    markers=("ffn_gate_inp.weight",),
)
_EXPERTS = (
    Row("ffn_gate_inp", "mlp.gate", layers="mixture"),
    Row("ffn_gate_exps", "mlp.experts.{expert}.gate_proj", EXPERTS, layers="mixture"),
    Row("ffn_down_exps", "mlp.experts.{expert}.down_proj", EXPERTS, layers="mixture"),
    Row("ffn_up_exps", "mlp.experts.{expert}.up_proj", EXPERTS, layers="mixture"),
)
_EXPERT_NUMBERS = {"expert_count": "num_experts", "expert_used_count": "num_experts_per_tok"}
_QWEN3_MOE = replace(
    QWEN3,
    name="qwen3moe",
    model_type="qwen3_moe",
    hf_class="Qwen3MoeForCausalLM",
    numbers=ROTARY_NUMBERS
    | _MIXTRAL_NUMBERS
    | {"expert_feed_forward_length": "moe_intermediate_size"},
    layer=(*NORMS, *attention(), *QK_NORMS, *_EXPERTS),
    fixed=SILU | {"norm_topk_prob": True, "decoder_sparse_step": 1},
    # its name until transformers 5
    complete=lambda values: {
        "num_local_experts": values.get("num_local_experts", values.get("num_experts"))
    },
)
_OLMOE = replace(
    _QWEN3_MOE,
    name="olmoe",
    model_type="olmoe",
    hf_class="OlmoeForCausalLM",
    numbers=ROTARY_NUMBERS | _EXPERT_NUMBERS,
    fixed=SILU | {"norm_topk_prob": False, "clip_qkv": None},
    complete=LLAMA.complete,
)
_GPT_OSS = Architecture(
    "gpt-oss",
    "gpt_oss",
    "GptOssForCausalLM",
    ROTARY_NUMBERS
    | _MIXTRAL_NUMBERS
    | {
        "expert_feed_forward_length": "intermediate_size",
        "attention.sliding_window": "sliding_window",
    },
    TOP,
    (
        NORMS[0],
        *attention(bias=True),
        Row("attn_sinks", "self_attn.sinks."),
        Row("post_attention_norm", "post_attention_layernorm"),
        Row("ffn_gate_inp", "mlp.router", bias=True),
        Row("ffn_gate_exps ffn_up_exps", "mlp.experts.gate_up_proj.", ALTERNATE_EXPERTS),
        Row(
            "ffn_gate_exps.bias. ffn_up_exps.bias.",
            "mlp.experts.gate_up_proj_bias.",
            ALTERNATE_BIASES,
        ),
        Row("ffn_down_exps", "mlp.experts.down_proj.", TRANSPOSED_EXPERTS),
        Row("ffn_down_exps.bias.", "mlp.experts.down_proj_bias."),
    ),
    separate_head=True,
    defaults={"rms_norm_eps": 1e-5, "sliding_window": 128},
    fixed=SILU | {"attention_bias": True},
    restore=lambda values: {"layer_types": alternate(values, 2)},
)


def _llama4_layers(values: Mapping[str, Any]) -> dict[str, Any]:
    layers = values["num_hidden_layers"]
    turning = [int((layer + 1) % NO_ROPE_STEP != 0) for layer in range(layers)]
    return {
        "no_rope_layers": turning,
        "layer_types": ["chunked_attention" if one else "full_attention" for one in turning],
        "use_qk_norm": values["num_local_experts"] != LLAMA4_EXPERTS_WITHOUT_NORM,
    }


LLAMA4_CHUNK = 8192
"""llama.cpp's Llama 4 has this chunk, and begins to scale its scores here, whatever a file says."""
LLAMA4_EXPERTS_WITHOUT_NORM = 128
"""llama.cpp's Llama 4 takes this many experts for the variant without QK-norm."""
_LLAMA4 = Architecture(
    "llama4",
    "llama4_text",
    "Llama4ForCausalLM",
    ROTARY_NUMBERS
    | _MIXTRAL_NUMBERS
    | {
        "feed_forward_length": "intermediate_size_mlp",
        "expert_feed_forward_length": "intermediate_size",
        "interleave_moe_layer_step": "interleave_moe_layer_step",
    },
    TOP,
    (
        *NORMS,
        *attention(),
        Row("ffn_gate", "feed_forward.gate_proj", layers="dense"),
        Row("ffn_up", "feed_forward.up_proj", layers="dense"),
        Row("ffn_down", "feed_forward.down_proj", layers="dense"),
        Row("ffn_gate_inp", "feed_forward.router", layers="mixture"),
        Row("ffn_gate_exps ffn_up_exps", "feed_forward.experts.gate_up_proj.", HALVED_EXPERTS,
            layers="mixture"),
        Row("ffn_down_exps", "feed_forward.experts.down_proj.", TRANSPOSED_EXPERTS,
            layers="mixture"),
        Row("ffn_gate_shexp", "feed_forward.shared_expert.gate_proj", layers="mixture"),
        Row("ffn_up_shexp", "feed_forward.shared_expert.up_proj", layers="mixture"),
        Row("ffn_down_shexp", "feed_forward.shared_expert.down_proj", layers="mixture"),
    ),
    defaults={"rms_norm_eps": 1e-5, "interleave_moe_layer_step": 1},
    fixed=SILU
    | {
        "attention_bias": False,
        "attention_chunk_size": LLAMA4_CHUNK,
        "attn_temperature_tuning": True,
        "floor_scale": LLAMA4_CHUNK,
        "attn_scale": 0.1,
    },
    restore=_llama4_layers,
)  # fmt: skip


def _latent_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    turned = values.get("qk_rope_head_dim", 0)
    return {
        # Keys and values are one latent vector, as for a single head.
        "latent_kv_heads": 1,
        "latent_key_length": values.get("kv_lora_rank", 0) + turned,
        "qk_head_dim": values.get("qk_nope_head_dim", 0) + turned,
        "n_group": values.get("n_group") or 1,
        "topk_group": values.get("topk_group") or 1,
        "norm_topk_prob": bool(values.get("norm_topk_prob")),
        "n_shared_experts": values.get("n_shared_experts") or 0,
    }


def _latent_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    turned = values["qk_rope_head_dim"]
    return {
        "num_key_value_heads": values["num_attention_heads"],
        "head_dim": turned,
        "qk_nope_head_dim": values["qk_head_dim"] - turned,
    }


_ROUTED = (
    *(Row(row.file, row.folder, row.layout, layers="dense") for row in PLAIN_FEED_FORWARD),
    *_EXPERTS,
    Row("ffn_gate_shexp", "mlp.shared_experts.gate_proj", layers="mixture"),
    Row("ffn_up_shexp", "mlp.shared_experts.up_proj", layers="mixture"),
    Row("ffn_down_shexp", "mlp.shared_experts.down_proj", layers="mixture"),
)
_LATENT = (
    *NORMS,
    Row("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
    Row("attn_kv_a_norm", "self_attn.kv_a_layernorm"),
    Row("attn_k_b attn_v_b", "self_attn.kv_b_proj", LATENT),
    Row("attn_output", "self_attn.o_proj"),
)
_WHOLE_QUERY = (Row("attn_q", "self_attn.q_proj"),)
_LATENT_QUERY = (
    Row("attn_q_a", "self_attn.q_a_proj"),
    Row("attn_q_a_norm", "self_attn.q_a_layernorm"),
    Row("attn_q_b", "self_attn.q_b_proj"),
)
_LATENT_QUERY_NUMBERS = {"attention.q_lora_rank": "q_lora_rank"}
_SELECTION_BIAS = Row("exp_probs_b.bias.", "mlp.gate.e_score_correction_bias.", layers="mixture")
_DEEPSEEK_NUMBERS = ROTARY_NUMBERS | {
    "attention.head_count_kv": "latent_kv_heads",
    "attention.key_length": "latent_key_length",
    "attention.value_length": "kv_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.key_length_mla": "qk_head_dim",
    "attention.value_length_mla": "v_head_dim",
    "rope.dimension_count": "qk_rope_head_dim",
    "leading_dense_block_count": "first_k_dense_replace",
    "expert_count": "n_routed_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_shared_count": "n_shared_experts",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_weights_scale": "routed_scaling_factor",
    "expert_weights_norm": "norm_topk_prob",
    "expert_gating_func": "gating_func",
    "expert_group_count": "n_group",
    "expert_group_used_count": "topk_group",
}
_DEEPSEEK2 = Architecture(
    "deepseek2",
    "deepseek_v2",
    "DeepseekV2ForCausalLM",
    _DEEPSEEK_NUMBERS | _LATENT_QUERY_NUMBERS,
    TOP,
    (*_LATENT_QUERY, *_LATENT, *_ROUTED),
    defaults=RMS | {"first_k_dense_replace": 0, "routed_scaling_factor": 1.0},
    fixed=SILU | {"attention_bias": False, "topk_method": "greedy"},
    file_defaults={
        "expert_weights_scale": 1.0,
        "expert_weights_norm": False,
        "expert_gating_func": SOFTMAX,
        "expert_group_count": 1,
        "expert_group_used_count": 1,
    },
    complete=lambda values: _latent_sizes(values) | {"gating_func": SOFTMAX},
    restore=_latent_fields,
    when=lambda values: values.get("q_lora_rank") is not None,
    markers=("attn_q_a.weight",),
)
_DEEPSEEK2_WHOLE_QUERY = replace(
    _DEEPSEEK2,
    numbers=_DEEPSEEK_NUMBERS,
    layer=(*_WHOLE_QUERY, *_LATENT, *_ROUTED),
    restore=lambda values: _latent_fields(values) | {"q_lora_rank": None},
    when=lambda values: values.get("q_lora_rank") is None,
    markers=(),
)


def _with_selection_bias(architecture: Architecture) -> Architecture:
    """DeepSeek-V3: its router adds a bias to sigmoids before it chooses."""
    return replace(
        architecture,
        model_type="deepseek_v3",
        hf_class="DeepseekV3ForCausalLM",
        layer=(*architecture.layer, _SELECTION_BIAS),
        fixed=SILU | {"attention_bias": False, "rope_interleave": True},
        file_defaults={**architecture.file_defaults, "expert_gating_func": SIGMOID},
        complete=lambda values: _latent_sizes(values) | {"gating_func": SIGMOID},
        markers=(*architecture.markers, "exp_probs_b.bias"),
    )


MIXTURE_CLASSES = (
    _MIXTRAL, _QWEN3_MOE, _OLMOE, _GPT_OSS, _LLAMA4,
    _with_selection_bias(_DEEPSEEK2), _with_selection_bias(_DEEPSEEK2_WHOLE_QUERY),
    _DEEPSEEK2, _DEEPSEEK2_WHOLE_QUERY,
)  # fmt: skip
