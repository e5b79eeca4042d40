"""Families with experts: few of many feed-forwards for each token."""

from collections.abc import Mapping
from typing import Any

from lilliput.model.families.family import Family

_EXPERTS = {"n_experts": 8, "experts_per_token": 2, "router_balance_loss": 0.01}
_MIXTURE = {"norm_eps": 1e-5, "tied": False} | _EXPERTS
_DEEPSEEK = _MIXTURE | {"norm_eps": 1e-6, "n_shared_experts": 1, "first_dense_layers": 1}
_V3 = {
    "router": "sigmoid", "router_selection_bias": True, "router_group_score": "top2_sum",
    "router_scale": 2.5, "router_balance_loss": 0.0, "n_future_tokens": 1, "future_loss": 0.1,
}  # fmt: skip


def _latent(query_share: float) -> Any:
    """Ranks and dimensions of latent attention, in DeepSeek's proportions."""

    def derived(values: Mapping[str, Any]) -> dict[str, Any]:
        width, head_dim = values["d_model"], values["head_dim"]
        return {
            "latent_rank": max(8, width // 4),
            "latent_query_rank": int(width * query_share),
            "latent_rope_dim": max(2, head_dim // 2),
            "latent_value_dim": head_dim,
        }

    return derived


FAMILIES = (
    Family(
        name="mixtral", year=2024, paper="arXiv 2401.04088", model_type="mixtral",
        distinctive="two of eight experts a token, their weights normalised",
        switches=_MIXTURE | {"rope_theta": 1e6}, feed_forward=3.5, queries_per_key=4,
    ),
    Family(
        name="grok1", year=2024, paper="xAI 2024", model_type=None,
        distinctive="eight GeGLU experts, norms before and after, scores capped, scaled ends",
        switches=_MIXTURE | {"norm_placement": "sandwich", "attention_softcap": 30.0,
                             "router_normalise": False, "activation": "gelu_tanh", "tied": True,
                             "logit_scale": 3**-0.5},
        feed_forward=16 / 3, queries_per_key=6,
        derived=lambda values: {"embedding_scale": values["d_model"] ** 0.5},
    ),
    Family(
        name="gpt-oss", year=2025, paper="arXiv 2508.10925", model_type="gpt_oss",
        distinctive="attention sinks, every second layer local, biased router, clamped swish",
        switches=_MIXTURE | {"layer_pattern": "LG", "attention_sinks": True, "qkv_bias": True,
                             "output_bias": True, "router_bias": True, "feed_forward_bias": True,
                             "activation": "clamped_swish", "rope_theta": 150_000.0},
        feed_forward=1, queries_per_key=8,
    ),
    Family(
        name="llama4", year=2025, paper="Meta 2025", model_type="llama4_text",
        distinctive="chunked layers, every fourth without positions; one expert and one shared",
        switches=_MIXTURE | {"layer_pattern": "CCCN", "qk_norm": "unit", "experts_per_token": 1,
                             "n_shared_experts": 1, "router": "sigmoid",
                             "router_normalise": False, "router_scales_input": True,
                             "attention_temperature": 0.1, "rope_theta": 5e5},
        feed_forward=3.2, queries_per_key=5, expert=0.5,
    ),
    Family(
        name="llama4-maverick", year=2025, paper="Meta 2025", model_type="llama4_text",
        distinctive="Llama 4 with experts in every second layer and no QK-norm",
        switches=_MIXTURE | {"layer_pattern": "CCCN", "experts_per_token": 1, "experts_every": 2,
                             "n_shared_experts": 1, "router": "sigmoid",
                             "router_normalise": False, "router_scales_input": True,
                             "attention_temperature": 0.1, "rope_theta": 5e5},
        feed_forward=3.2, queries_per_key=5, expert=0.5,
    ),
    Family(
        name="qwen3-moe", year=2025, paper="arXiv 2505.09388", model_type="qwen3_moe",
        distinctive="Qwen 3 with many small experts",
        switches=_MIXTURE | {"norm_eps": 1e-6, "qk_norm": "head", "rope_theta": 1e6,
                             "n_experts": 16, "experts_per_token": 4},
        feed_forward=3, queries_per_key=8, expert=0.125,
    ),
    Family(
        name="olmoe", year=2024, paper="arXiv 2409.02060", model_type="olmoe",
        distinctive="many small experts, weights not normalised, QK-norm over all heads",
        switches=_MIXTURE | {"qk_norm": "full", "router_normalise": False, "n_experts": 16,
                             "experts_per_token": 4, "router_z_loss": 0.001},
        feed_forward=0.5,
    ),
    Family(
        name="deepseek-v2", year=2024, paper="arXiv 2405.04434", model_type="deepseek_v2",
        distinctive="latent attention, shared experts, groups of experts",
        switches=_DEEPSEEK | {"router_normalise": False, "router_groups": 4,
                              "router_top_groups": 2, "n_shared_experts": 2},
        feed_forward=2.4, expert=0.125, derived=_latent(0.0),
    ),
    Family(
        name="deepseek-v3", year=2024, paper="arXiv 2412.19437", model_type="deepseek_v3",
        distinctive="latent attention, load balanced by a bias, a further token predicted",
        switches=_DEEPSEEK | _V3 | {"router_groups": 4, "router_top_groups": 2},
        feed_forward=2.57, expert=0.111, derived=_latent(1 / 4),
    ),
    Family(
        name="kimi-k2", year=2025, paper="arXiv 2507.20534", model_type="deepseek_v3",
        distinctive="DeepSeek-V3's net with more experts, fewer heads, no groups",
        switches=_DEEPSEEK | _V3 | {"n_experts": 16, "router_scale": 2.827,
                                    "n_future_tokens": 0},
        feed_forward=2.57, expert=0.111, derived=_latent(1 / 4), fewest_heads=2,
    ),
)  # fmt: skip
