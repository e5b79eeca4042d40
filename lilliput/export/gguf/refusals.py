"""What llama.cpp would compute otherwise than transformers, with the reasons."""

from typing import Any

Values = dict[str, Any]

_TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
NO_ROPE_STEP = 4  # llama.cpp's SmolLM3: every fourth layer has no rotary positions
_GEMMA_PATTERN = 6  # llama.cpp's Gemma 3: every sixth layer sees everything


def refusals(kind: str, values: Values) -> list[tuple[bool, str]]:
    """Pairs of (does it hold?, why llama.cpp would be wrong), for a completed config.json.

    `kind` is its `model_type`.
    """
    layers, rope = values.get("num_hidden_layers", 0), values.get("rope_parameters", {})
    activation = values.get(
        "hidden_act", values.get("hidden_activation", values.get("activation_function"))
    )
    gelu = kind in ("gpt2", "starcoder2", "gemma3_text")
    window = _window_matters(values) and kind != "gemma3_text"
    found = [
        (
            window,
            "llama.cpp would attend to everything where this model has a sliding window of "
            f"{values.get('sliding_window')} tokens",
        ),
        (
            bool(values.get("partial_rotary_factor", 1.0) != 1.0)
            or rope.get("partial_rotary_factor", 1.0) != 1.0,
            "its rotary positions turn a part of each head (partial_rotary_factor)",
        ),
        (
            gelu and activation not in _TANH_GELU,
            f"llama.cpp computes GELU by its tanh formula, this model has {activation!r}",
        ),
        (
            not gelu and kind not in ("bloom", "falcon") and activation not in ("silu", None),
            f"llama.cpp computes SiLU here, this model has {activation!r}",
        ),
    ]
    if kind == "smollm3":
        expected = [int((layer + 1) % NO_ROPE_STEP != 0) for layer in range(layers)]
        wrong = values.get("no_rope_layers", expected) != expected
        reason = "llama.cpp's SmolLM3 leaves rotary positions out of every fourth layer, no other"
        found.append((wrong, reason))
    if kind == "gemma3_text":
        found += _gemma_refusals(values, layers)
    if kind in ("qwen3_moe", "olmoe"):
        found += _mixture_refusals(kind, values)
    if kind == "gpt2":
        scaled = values.get("scale_attn_by_inverse_layer_idx") or not values.get(
            "scale_attn_weights", True
        )
        found.append((bool(scaled), "llama.cpp's GPT-2 knows one scale of attention"))
    if kind == "bloom":
        after = bool(values.get("apply_residual_connection_post_layernorm"))
        found.append((after, "llama.cpp's Bloom takes the residual before the norm"))
    if kind == "falcon":
        found += [
            (bool(values.get("alibi")), "llama.cpp's Falcon has rotary positions, not ALiBi"),
            (not values.get("parallel_attn", True), "llama.cpp's Falcon is parallel"),
            (bool(values.get("bias")), "llama.cpp's Falcon has no biases"),
        ]
    return found


def _mixture_refusals(kind: str, values: Values) -> list[tuple[bool, str]]:
    grouped = values.get("num_key_value_heads") != values.get("num_attention_heads")
    dense = values.get("mlp_only_layers") or values.get("decoder_sparse_step", 1) != 1
    scaled = kind == "qwen3_moe"
    return [
        (bool(dense), "llama.cpp takes every layer for a mixture, this model has dense ones"),
        (
            bool(values.get("norm_topk_prob", False)) != scaled,
            f"llama.cpp {'scales' if scaled else 'does not scale'} the chosen experts' weights to "
            "a sum of 1 (norm_topk_prob)",
        ),
        (kind == "olmoe" and grouped, "llama.cpp's OLMoE has as many key/value heads as heads"),
        (bool(values.get("clip_qkv")), "llama.cpp clips no queries, keys and values (clip_qkv)"),
    ]


def _gemma_refusals(values: Values, layers: int) -> list[tuple[bool, str]]:
    pattern = [
        "sliding_attention" if (layer + 1) % _GEMMA_PATTERN else "full_attention"
        for layer in range(layers)
    ]
    capped = values.get("final_logit_softcapping") or values.get("attn_logit_softcapping")
    other_scale = values.get("query_pre_attn_scalar", 256) != values.get("head_dim")
    return [
        (bool(capped), "llama.cpp's Gemma 3 caps no logits"),
        (
            values.get("layer_types", pattern) != pattern,
            "llama.cpp's Gemma 3 lets every sixth layer see everything, no other",
        ),
        (
            other_scale,
            "llama.cpp's Gemma 3 scales queries by head_dim, this model by another "
            "query_pre_attn_scalar",
        ),
        (bool(values.get("use_bidirectional_attention")), "its attention looks ahead"),
    ]


def _window_matters(values: Values) -> bool:
    window = values.get("sliding_window")
    if not window or not values.get("use_sliding_window", True):
        return False
    if "sliding_attention" not in values.get("layer_types", ["sliding_attention"]):
        return False
    return bool(window < values.get("max_position_embeddings", window + 1))
