"""Llama's line: RMSNorm, rotary positions, SwiGLU; and what each later family changed."""

from collections.abc import Mapping
from typing import Any

from lilliput.model.families.family import MULTI_QUERY, Family

_LLAMA = {"norm_eps": 1e-5, "tied": False}
_GEMMA = {"activation": "gelu_tanh", "norm_eps": 1e-6}
_COHERE = {
    "norm": "layernorm", "norm_eps": 1e-5, "parallel": "one_norm", "logit_scale": 0.0625,
}  # fmt: skip


def _longer(factor: float) -> Any:
    """Llama 3.1's scaling: a context `factor` times as long as the one trained on first."""

    def derived(values: Mapping[str, Any]) -> dict[str, Any]:
        return {"rope_original_context": max(1, int(values["context_length"] / factor))}

    return derived


def _gemma(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"embedding_scale": values["d_model"] ** 0.5}


def _gemma2(values: Mapping[str, Any]) -> dict[str, Any]:
    return _gemma(values) | {"attention_scale": values["head_dim"] ** -0.5}


def _openelm(values: Mapping[str, Any]) -> dict[str, Any]:
    """Heads from half to all, feed-forward from 0.5 to 4 widths, from the first layer to the last;
    arXiv 2404.14619, section 2.1.
    """
    layers, width, heads = values["n_layers"], values["d_model"], values["n_heads"]
    shares = [layer / max(1, layers - 1) for layer in range(layers)]
    queries = [max(1, round(heads * (0.5 + 0.5 * share) / 4)) * 4 for share in shares]
    queries = queries if heads >= 4 else [heads] * layers
    groups = 4 if heads >= 4 else 1
    return {
        "layer_heads": tuple(queries),
        "layer_kv_heads": tuple(count // groups for count in queries),
        "layer_d_ff": tuple(
            max(16, round(width * (0.5 + 3.5 * share) / 16) * 16) for share in shares
        ),
    }


def _apple(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"shared_kv_layers": int(values["n_layers"] * 0.375)}


def _granite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"attention_scale": 1 / values["head_dim"]}


FAMILIES = (
    Family(
        name="lilliput", year=2026, paper="Qwen3, arXiv 2505.09388", model_type="qwen3",
        distinctive="Lilliput's default: RMSNorm, rotary, QK-norm, SwiGLU, few wide heads",
        switches={"qk_norm": "head", "tied": False}, fewest_heads=1,
    ),
    Family(
        name="llama1", year=2023, paper="arXiv 2302.13971", model_type="llama",
        distinctive="RMSNorm, rotary, SwiGLU, no biases",
        switches={"norm_eps": 1e-6, "tied": False},
    ),
    Family(
        name="llama", year=2023, paper="Llama 2, arXiv 2307.09288", model_type="llama",
        distinctive="Llama 2: grouped queries in the largest",
        switches=_LLAMA, queries_per_key=2,
    ),
    Family(
        name="code-llama", year=2023, paper="arXiv 2308.12950", model_type="llama",
        distinctive="Llama 2 with a rotary base of a million, for long files",
        switches=_LLAMA | {"rope_theta": 1e6},
    ),
    Family(
        name="llama3", year=2024, paper="arXiv 2407.21783", model_type="llama",
        distinctive="grouped queries, rotary base 500,000",
        switches=_LLAMA | {"rope_theta": 5e5}, feed_forward=3.5, queries_per_key=4,
    ),
    Family(
        name="llama3.1", year=2024, paper="arXiv 2407.21783", model_type="llama",
        distinctive="Llama 3 with long waves stretched by 8",
        switches=_LLAMA | {"rope_theta": 5e5, "rope_scaling": "llama3", "rope_factor": 8.0},
        feed_forward=3.5, queries_per_key=4, derived=_longer(8),
    ),
    Family(
        name="llama3.2", year=2024, paper="Meta 2024", model_type="llama",
        distinctive="the 1B and 3B text models: tied, waves stretched by 32",
        switches=_LLAMA | {"tied": True, "rope_theta": 5e5, "rope_scaling": "llama3",
                           "rope_factor": 32.0},
        feed_forward=4, queries_per_key=4, derived=_longer(32),
    ),
    Family(
        name="smollm2", year=2025, paper="arXiv 2502.02737", model_type="llama",
        distinctive="a deep, narrow, tied Llama",
        switches=_LLAMA | {"tied": True, "rope_theta": 1e5}, queries_per_key=3,
    ),
    Family(
        name="smollm3", year=2025, paper="Hugging Face 2025", model_type="smollm3",
        distinctive="every fourth layer without positions, tied",
        switches={"tied": True, "layer_pattern": "GGGN", "rope_theta": 5e6, "norm_eps": 1e-6},
        feed_forward=5.375, queries_per_key=4,
    ),
    Family(
        name="mistral", year=2023, paper="arXiv 2310.06825", model_type="mistral",
        distinctive="all layers local, grouped queries",
        switches=_LLAMA | {"layer_pattern": "L"}, feed_forward=3.5, queries_per_key=4,
    ),
    Family(
        name="ministral", year=2024, paper="Mistral 2024", model_type="ministral",
        distinctive="three local layers, then a global one",
        switches=_LLAMA | {"layer_pattern": "LLLG", "rope_theta": 1e8}, feed_forward=3,
        queries_per_key=4,
    ),
    Family(
        name="magistral", year=2025, paper="arXiv 2506.10910", model_type="mistral",
        distinctive="Mistral without windows, heads narrower in sum than the stream",
        switches=_LLAMA | {"rope_theta": 1e9}, feed_forward=6.4, queries_per_key=4,
        heads_width=0.8,
    ),
    Family(
        name="qwen2", year=2024, paper="arXiv 2407.10671", model_type="qwen2",
        distinctive="biases of queries, keys and values; tied in the small ones",
        switches={"qkv_bias": True, "rope_theta": 1e6}, feed_forward=5.43, queries_per_key=7,
    ),
    Family(
        name="qwen2.5", year=2024, paper="arXiv 2412.15115", model_type="qwen2",
        distinctive="Qwen 2's net on more text",
        switches={"qkv_bias": True, "rope_theta": 1e6}, feed_forward=5.43, queries_per_key=7,
    ),
    Family(
        name="qwen3", year=2025, paper="arXiv 2505.09388", model_type="qwen3",
        distinctive="QK-norm instead of biases, heads wider in sum than the stream",
        switches={"qk_norm": "head", "rope_theta": 1e6}, feed_forward=3, queries_per_key=2,
        heads_width=2.0,
    ),
    Family(
        name="granite", year=2024, paper="IBM 2024", model_type="granite",
        distinctive="factors of embedding, residual, scores and logits (muP, arXiv 2203.03466)",
        switches={"norm_eps": 1e-5, "embedding_scale": 12.0, "residual_scale": 0.22,
                  "logit_scale": 0.125, "rope_theta": 10_000.0},
        feed_forward=4, queries_per_key=4, derived=_granite,
    ),
    Family(
        name="olmo2", year=2025, paper="arXiv 2501.00656", model_type="olmo2",
        distinctive="norms after attention and feed-forward, QK-norm over all heads",
        switches={"norm_placement": "out", "qk_norm": "full", "norm_eps": 1e-6, "tied": False,
                  "rope_theta": 5e5},
    ),
    Family(
        name="phi3", year=2024, paper="arXiv 2404.14219", model_type="phi3",
        distinctive="Llama's block, all layers local",
        switches=_LLAMA | {"layer_pattern": "L"},
    ),
    Family(
        name="phi4", year=2024, paper="arXiv 2412.08905", model_type="phi3",
        distinctive="Phi-3's block, grouped queries, no windows",
        switches=_LLAMA | {"rope_theta": 250_000.0}, feed_forward=3.5, queries_per_key=4,
    ),
    Family(
        name="gemma", year=2024, paper="arXiv 2403.08295", model_type="gemma",
        distinctive="GeGLU, embedding times root of width, one key head, tied",
        switches=_GEMMA, feed_forward=8, queries_per_key=MULTI_QUERY, derived=_gemma,
    ),
    Family(
        name="gemma2", year=2024, paper="arXiv 2408.00118", model_type="gemma2",
        distinctive="norms before and after, soft caps, every second layer local",
        switches=_GEMMA | {"norm_placement": "sandwich", "layer_pattern": "LG",
                           "attention_softcap": 50.0, "logit_softcap": 30.0},
        feed_forward=4, queries_per_key=2, derived=_gemma2,
    ),
    Family(
        name="gemma3", year=2025, paper="arXiv 2503.19786", model_type="gemma3_text",
        distinctive="five local layers, then a global one with another rotary base; QK-norm",
        switches=_GEMMA | {"norm_placement": "sandwich", "layer_pattern": "LLLLLG",
                           "qk_norm": "head", "rope_theta": 1e6, "rope_local_theta": 1e4},
        feed_forward=6, queries_per_key=4, derived=_gemma2,
    ),
    Family(
        name="command-r", year=2024, paper="Cohere 2024", model_type="cohere",
        distinctive="LayerNorm without bias, attention beside feed-forward, logits scaled, tied",
        switches=_COHERE | {"rope_theta": 8e6},
    ),
    Family(
        name="command-r-plus", year=2024, paper="Cohere 2024", model_type="cohere",
        distinctive="Command-R with grouped queries and a QK-norm for each head",
        switches=_COHERE | {"rope_theta": 75e6, "qk_norm": "head_weights"}, queries_per_key=12,
    ),
    Family(
        name="command-r7b", year=2024, paper="arXiv 2504.00698", model_type="cohere2",
        distinctive="three local layers, then a global one without positions",
        switches=_COHERE | {"rope_theta": 50_000.0, "layer_pattern": "LLLN"},
        feed_forward=3.5, queries_per_key=4,
    ),
    Family(
        name="helium", year=2025, paper="arXiv 2410.00037", model_type="helium",
        distinctive="Moshi's trunk: Llama's block with interleaved rotary pairs",
        switches={"norm_eps": 1e-8, "tied": False, "rope_theta": 1e5}, feed_forward=2.75,
    ),
    Family(
        name="bitnet", year=2025, paper="arXiv 2504.12285", model_type="bitnet",
        distinctive="ternary matrices, 8-bit activations, norms inside, squared ReLU",
        switches={"linear": "ternary", "sub_norm": True, "activation": "relu2", "norm_eps": 1e-5,
                  "rope_theta": 5e5},
        feed_forward=2.7, queries_per_key=4,
    ),
    Family(
        name="nanochat", year=2025, paper="Karpathy 2025", model_type="nanochat",
        distinctive="norms without gain, squared ReLU, logits capped, untied",
        switches={"norm_gain": "none", "embedding_norm": True, "qk_norm": "unit", "gated": False,
                  "activation": "relu2", "logit_softcap": 15.0, "tied": False},
        feed_forward=4,
    ),
    Family(
        name="openelm", year=2024, paper="arXiv 2404.14619", model_type=None,
        distinctive="heads and feed-forward grow from layer to layer, QK-norm",
        switches={"qk_norm": "head", "norm_eps": 1e-6}, feed_forward=4, queries_per_key=4,
        derived=_openelm,
    ),
    Family(
        name="mixture-of-depths", year=2024, paper="arXiv 2404.02258", model_type=None,
        distinctive="every second layer works on an eighth of the tokens, the rest pass it by",
        switches=_LLAMA | {"depth_capacity": 0.125},
    ),
    Family(
        name="apple", year=2025, paper="arXiv 2507.13575", model_type=None,
        distinctive="the on-device model: last layers reuse keys and values, 2-bit weights",
        switches={"qk_norm": "head", "layer_pattern": "LLLN", "norm_eps": 1e-5, "linear": "int2",
                  "rope_theta": 5e5},
        queries_per_key=8, derived=_apple,
    ),
)  # fmt: skip
