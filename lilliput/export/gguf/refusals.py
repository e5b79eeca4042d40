"""What llama.cpp would compute otherwise than transformers, with the reasons."""

from collections.abc import Callable
from typing import Any

from lilliput.export.gguf.llama_classes import NO_ROPE_STEP, TANH, alternate
from lilliput.export.gguf.mixture_classes import LLAMA4_CHUNK, LLAMA4_EXPERTS_WITHOUT_NORM
from lilliput.export.gguf.rows import Architecture

Values = dict[str, Any]
Refusals = list[tuple[bool, str]]

_TANH_GELU = ("gelu_new", TANH)
_ITS_OWN_ACTIVATION = ("bloom", "falcon")
_SQUARED_RELU = ("nemotron",)
_WHOLE_QUERY_LAYERS = (26, 27)  # by which llama.cpp tells DeepSeek's models with a plain query
_QUERY_NORM_LAYERS = 64  # llama.cpp reads Command-R's QK-norms from so many layers on
_GEMMA2_ODD_LAYERS = 46  # llama.cpp takes so many for the 27B model, which scales otherwise


def refusals(architecture: Architecture, values: Values) -> Refusals:
    """Pairs of (does it hold?, why llama.cpp would be wrong), for a completed config.json."""
    kind = architecture.model_type
    rope = values.get("rope_parameters", {})
    partial = values.get("partial_rotary_factor", 1.0) != 1.0
    heads = values.get("num_attention_heads", 0) * values.get("head_dim", 0)
    found = [
        (
            _window_matters(values) and "attention.sliding_window" not in architecture.numbers,
            "llama.cpp would attend to everything where this model has a sliding window of "
            f"{values.get('sliding_window')} tokens",
        ),
        (
            (partial or rope.get("partial_rotary_factor", 1.0) != 1.0)
            and "rotary_dim" not in architecture.numbers.values(),
            "its rotary positions turn a part of each head (partial_rotary_factor)",
        ),
        (
            architecture.always_tied and values.get("tie_word_embeddings") is False,
            f"llama.cpp's {architecture.name} has no output matrix but the embedding "
            "(tie_word_embeddings)",
        ),
        (
            architecture.square and heads not in (0, values.get("hidden_size")),
            f"llama.cpp's {architecture.name} wants heads as wide together as the model",
        ),
        *_activation_refusals(architecture, values),
    ]
    return found + _OF_KIND.get(kind, _no_refusals)(values)


def _activation_refusals(architecture: Architecture, values: Values) -> Refusals:
    kind = architecture.model_type
    names = ("hidden_activation", "hidden_act", "activation_function")
    activation = next((values[name] for name in names if name in values), None)
    if kind in _ITS_OWN_ACTIVATION:
        return []
    if architecture.gelu:
        reason = f"llama.cpp computes GELU by its tanh formula, this model has {activation!r}"
        return [(activation not in _TANH_GELU, reason)]
    if kind in _SQUARED_RELU:
        reason = f"llama.cpp computes squared ReLU here, this model has {activation!r}"
        return [(activation != "relu2", reason)]
    reason = f"llama.cpp computes SiLU here, this model has {activation!r}"
    return [(activation not in ("silu", None), reason)]


def _no_refusals(_: Values) -> Refusals:
    return []


def _smollm3_refusals(values: Values) -> Refusals:
    expected = _turning(values)
    wrong = values.get("no_rope_layers", expected) != expected
    return [
        (wrong, "llama.cpp's SmolLM3 leaves rotary positions out of every fourth layer, no other")
    ]


def _gpt2_refusals(values: Values) -> Refusals:
    scaled = values.get("scale_attn_by_inverse_layer_idx")
    unscaled = not values.get("scale_attn_weights", True)
    return [(bool(scaled or unscaled), "llama.cpp's GPT-2 knows one scale of attention")]


def _bloom_refusals(values: Values) -> Refusals:
    after = bool(values.get("apply_residual_connection_post_layernorm"))
    return [(after, "llama.cpp's Bloom takes the residual before the norm")]


def _falcon_refusals(values: Values) -> Refusals:
    return [
        (bool(values.get("alibi")), "llama.cpp's Falcon has rotary positions, not ALiBi"),
        (not values.get("parallel_attn", True), "llama.cpp's Falcon is parallel"),
        (bool(values.get("bias")), "llama.cpp's Falcon has no biases"),
    ]


def _mixture_refusals(values: Values, *, scaled: bool) -> Refusals:
    dense = values.get("mlp_only_layers") or values.get("decoder_sparse_step", 1) != 1
    return [
        (bool(dense), "llama.cpp takes every layer for a mixture, this model has dense ones"),
        (
            bool(values.get("norm_topk_prob", False)) != scaled,
            f"llama.cpp {'scales' if scaled else 'does not scale'} the chosen experts' weights to "
            "a sum of 1 (norm_topk_prob)",
        ),
        (bool(values.get("clip_qkv")), "llama.cpp clips no queries, keys and values (clip_qkv)"),
    ]


def _olmoe_refusals(values: Values) -> Refusals:
    grouped = values.get("num_key_value_heads") != values.get("num_attention_heads")
    reason = "llama.cpp's OLMoE has as many key/value heads as heads"
    return [*_mixture_refusals(values, scaled=False), (grouped, reason)]


def _pattern_refusal(values: Values, name: str, every: int, count: str) -> tuple[bool, str]:
    expected = alternate(values, every)
    return (
        values.get("layer_types", expected) != expected,
        f"llama.cpp's {name} lets every {count} layer see everything, no other",
    )


def _gemma_refusals(values: Values) -> Refusals:
    return [(bool(values.get("use_bidirectional_attention")), "its attention looks ahead")]


def _query_scale_refusal(values: Values, name: str) -> tuple[bool, str]:
    return (
        values.get("query_pre_attn_scalar", 256) != values.get("head_dim"),
        f"llama.cpp's {name} scales queries by head_dim, this model by another "
        "query_pre_attn_scalar",
    )


def _gemma2_refusals(values: Values) -> Refusals:
    uncapped = not values.get("final_logit_softcapping") or not values.get("attn_logit_softcapping")
    return [
        (uncapped, "llama.cpp's Gemma 2 caps logits and scores, this model does not cap both"),
        _pattern_refusal(values, "Gemma 2", 2, "second"),
        _query_scale_refusal(values, "Gemma 2"),
        (
            values.get("num_hidden_layers") == _GEMMA2_ODD_LAYERS
            and values.get("head_dim", 0) * values.get("num_attention_heads", 0)
            != values.get("hidden_size"),
            f"llama.cpp's Gemma 2 of {_GEMMA2_ODD_LAYERS} layers scales queries otherwise",
        ),
        *_gemma_refusals(values),
    ]


def _gemma3_refusals(values: Values) -> Refusals:
    capped = values.get("final_logit_softcapping") or values.get("attn_logit_softcapping")
    return [
        (bool(capped), "llama.cpp's Gemma 3 caps no logits"),
        _pattern_refusal(values, "Gemma 3", 6, "sixth"),
        _query_scale_refusal(values, "Gemma 3"),
        *_gemma_refusals(values),
    ]


def _command_r_refusals(values: Values) -> Refusals:
    deep = values.get("num_hidden_layers", 0) >= _QUERY_NORM_LAYERS
    return [
        (
            bool(values.get("use_qk_norm")) != deep,
            f"llama.cpp's Command-R has QK-norm from {_QUERY_NORM_LAYERS} layers on, and only then",
        ),
        (
            bool(values.get("use_qk_norm")),
            "QK-norm in Command-R is not written here",
        ),
        (bool(values.get("attention_bias")), "llama.cpp's Command-R has no biases"),
    ]


def _command_r7b_refusals(values: Values) -> Refusals:
    return [
        _pattern_refusal(values, "Command-R7B", 4, "fourth"),
        (bool(values.get("attention_bias")), "llama.cpp's Command-R7B has no biases"),
    ]


def _bitnet_refusals(values: Values) -> Refusals:
    return [
        (
            bool(values.get("quantization_config")),
            "llama.cpp rounds neither weights nor activations of a BitNet as its class does",
        )
    ]


def _phi_refusals(values: Values) -> Refusals:
    return [(bool(values.get("qk_layernorm")), "llama.cpp's Phi-2 has no QK-norm")]


def _gpt_oss_refusals(values: Values) -> Refusals:
    truncated = values.get("rope_parameters", {}).get("truncate", True)
    return [
        _pattern_refusal(values, "gpt-oss", 2, "second"),
        (not values.get("attention_bias", True), "llama.cpp's gpt-oss has biases in attention"),
        (
            not truncated,
            "llama.cpp rounds the bounds of YaRN's blend to whole dimensions, this model does not "
            "(truncate)",
        ),
        (
            values.get("swiglu_alpha", 1.702) != 1.702 or values.get("swiglu_limit", 7.0) != 7.0,
            "llama.cpp's gpt-oss has another swiglu_alpha or swiglu_limit",
        ),
    ]


def _llama4_refusals(values: Values) -> Refusals:
    turning, chunk = _turning(values), values.get("attention_chunk_size", LLAMA4_CHUNK)
    context = values.get("max_position_embeddings", 0)
    usual = ["chunked_attention" if one else "full_attention" for one in turning]
    normed = values.get("num_local_experts") != LLAMA4_EXPERTS_WITHOUT_NORM
    scale = (values.get("floor_scale", LLAMA4_CHUNK), values.get("attn_scale", 0.1))
    tuned = values.get("attn_temperature_tuning", True)
    first = min(LLAMA4_CHUNK, scale[0] if tuned else LLAMA4_CHUNK)
    other = not tuned or scale != (LLAMA4_CHUNK, 0.1)
    return [
        (
            chunk != LLAMA4_CHUNK and min(chunk, LLAMA4_CHUNK) < context,
            f"llama.cpp's Llama 4 has attention in chunks of {LLAMA4_CHUNK}, this model of {chunk}",
        ),
        (
            values.get("no_rope_layers", turning) != turning
            or values.get("layer_types", usual) != usual,
            "llama.cpp's Llama 4 leaves rotary positions and chunks out of every fourth layer, no "
            "other",
        ),
        (
            bool(values.get("use_qk_norm", True)) != normed,
            "llama.cpp's Llama 4 leaves QK-norm out with "
            f"{LLAMA4_EXPERTS_WITHOUT_NORM} experts, and only then",
        ),
        (other and first < context, "llama.cpp's Llama 4 scales scores far into a text otherwise"),
        (bool(values.get("attention_bias")), "llama.cpp's Llama 4 has no biases"),
    ]


def _deepseek_refusals(values: Values) -> Refusals:
    return [
        (bool(values.get("attention_bias")), "llama.cpp's DeepSeek has no biases in attention"),
        (
            values.get("rope_interleave") is False,
            "llama.cpp's DeepSeek turns neighbouring dimensions, this model halves "
            "(rope_interleave)",
        ),
        (
            (values.get("q_lora_rank") is None)
            != (values.get("num_hidden_layers") in _WHOLE_QUERY_LAYERS),
            "llama.cpp's DeepSeek has queries of one matrix (no q_lora_rank) with 26 or 27 layers, "
            "and only then",
        ),
        (not values["n_shared_experts"], "llama.cpp's DeepSeek has a shared expert"),
        (
            values.get("first_k_dense_replace") == values.get("num_hidden_layers"),
            "llama.cpp's DeepSeek has a mixture, this model has none",
        ),
    ]


def _deepseek2_refusals(values: Values) -> Refusals:
    grouped = values.get("topk_method") == "group_limited_greedy" and values["n_group"] > 1
    return [
        *_deepseek_refusals(values),
        (
            grouped and values["topk_group"] < values["n_group"],
            "llama.cpp scores a group of experts by its best two, this model by its best one "
            "(group_limited_greedy)",
        ),
    ]


def _turning(values: Values) -> list[int]:
    return [int((layer + 1) % NO_ROPE_STEP != 0) for layer in range(values["num_hidden_layers"])]


def _window_matters(values: Values) -> bool:
    window = values.get("sliding_window")
    if not window or not values.get("use_sliding_window", True):
        return False
    if "sliding_attention" not in values.get("layer_types", ["sliding_attention"]):
        return False
    return bool(window < values.get("max_position_embeddings", window + 1))


_OF_KIND: dict[str, Callable[[Values], Refusals]] = {
    "smollm3": _smollm3_refusals,
    "gpt2": _gpt2_refusals,
    "bloom": _bloom_refusals,
    "falcon": _falcon_refusals,
    "qwen3_moe": lambda values: _mixture_refusals(values, scaled=True),
    "olmoe": _olmoe_refusals,
    "gemma": _gemma_refusals,
    "gemma2": _gemma2_refusals,
    "gemma3_text": _gemma3_refusals,
    "cohere": _command_r_refusals,
    "cohere2": _command_r7b_refusals,
    "bitnet": _bitnet_refusals,
    "phi": _phi_refusals,
    "gpt_oss": _gpt_oss_refusals,
    "llama4_text": _llama4_refusals,
    "deepseek_v2": _deepseek2_refusals,
    "deepseek_v3": _deepseek_refusals,
}
