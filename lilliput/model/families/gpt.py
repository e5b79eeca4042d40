"""GPT's line: LayerNorm with biases, learned positions or what came after them."""

from collections.abc import Mapping
from typing import Any

from lilliput.model.families.family import MULTI_QUERY, Family

_BIASES = {"qkv_bias": True, "output_bias": True, "feed_forward_bias": True}
_GPT = {
    "norm": "layernorm", "norm_gain": "weight_bias", "norm_eps": 1e-5, "gated": False,
    "activation": "gelu_tanh",
}  # fmt: skip
_LEARNED = _GPT | _BIASES | {"positions": "learned"}
_GOPHER = {"positions": "relative", "norm_eps": 1e-6, "gated": False, "activation": "gelu",
           "feed_forward_bias": True}  # fmt: skip
_FALCON = _GPT | {"activation": "gelu"}
_PHI = _GPT | _BIASES | {"parallel": "one_norm", "tied": False, "head_bias": True}


def _scaled_slopes(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"alibi_scale": values["head_dim"] ** -0.5}


FAMILIES = (
    Family(
        name="gpt1", year=2018, paper="Radford et al. 2018", model_type="openai-gpt",
        distinctive="norms after each sum, learned positions, no final norm",
        switches=_LEARNED | {"norm_placement": "post", "final_norm": False},
        feed_forward=4,
    ),
    Family(
        name="gpt2", year=2019, paper="Radford et al. 2019", model_type="gpt2",
        distinctive="LayerNorm before each part, learned positions, GELU, biases, tied",
        switches=_LEARNED, feed_forward=4,
    ),
    Family(
        name="gpt3", year=2020, paper="arXiv 2005.14165", model_type=None,
        distinctive="GPT-2 with every second layer local",
        switches=_LEARNED | {"layer_pattern": "GL"}, feed_forward=4,
    ),
    Family(
        name="gpt-neo", year=2021, paper="Black et al. 2021; TinyStories, arXiv 2305.07759",
        model_type="gpt_neo",
        distinctive="scores without scale, every second layer local; the TinyStories models",
        switches=_LEARNED | {"qkv_bias": False, "attention_scale": 1.0, "layer_pattern": "GL"},
        feed_forward=4,
    ),
    Family(
        name="gpt-j", year=2021, paper="Wang and Komatsuzaki 2021", model_type="gptj",
        distinctive="attention beside feed-forward, a quarter of each head turns, head bias",
        switches=_GPT | {"parallel": "one_norm", "feed_forward_bias": True, "rope_fraction": 0.25,
                         "tied": False, "head_bias": True},
        feed_forward=4,
    ),
    Family(
        name="gopher", year=2021, paper="arXiv 2112.11446", model_type=None,
        distinctive="RMSNorm, Transformer-XL's relative positions",
        switches=_GOPHER, feed_forward=4,
    ),
    Family(
        name="chinchilla", year=2022, paper="arXiv 2203.15556", model_type=None,
        distinctive="Gopher's net with fewer, wider heads",
        switches=_GOPHER, feed_forward=4, fewest_heads=2,
    ),
    Family(
        name="bloom", year=2022, paper="arXiv 2211.05100", model_type="bloom",
        distinctive="ALiBi, a norm after the embedding",
        switches=_GPT | _BIASES | {"positions": "alibi", "embedding_norm": True}, feed_forward=4,
    ),
    Family(
        name="falcon-7b", year=2023, paper="arXiv 2311.16867", model_type="falcon",
        distinctive="multi-query, attention beside feed-forward, rotary, no biases",
        switches=_FALCON | {"parallel": "one_norm"}, feed_forward=4,
        queries_per_key=MULTI_QUERY,
    ),
    Family(
        name="falcon-40b", year=2023, paper="arXiv 2311.16867", model_type="falcon",
        distinctive="grouped queries, two norms side by side",
        switches=_FALCON | {"parallel": "two_norms"}, feed_forward=4, queries_per_key=4,
    ),
    Family(
        name="falcon-180b", year=2023, paper="arXiv 2311.16867", model_type="falcon",
        distinctive="Falcon-40B with more queries a key head",
        switches=_FALCON | {"parallel": "two_norms"}, feed_forward=4, queries_per_key=8,
    ),
    Family(
        name="falcon-rw", year=2023, paper="arXiv 2306.01116", model_type="falcon",
        distinctive="ALiBi with slopes divided by the root of the head's width, biases",
        switches=_FALCON | _BIASES | {"positions": "alibi"}, feed_forward=4,
        derived=_scaled_slopes,
    ),
    Family(
        name="starcoder", year=2023, paper="arXiv 2305.06161", model_type="gpt_bigcode",
        distinctive="GPT-2 with multi-query attention",
        switches=_LEARNED, feed_forward=4, queries_per_key=MULTI_QUERY,
    ),
    Family(
        name="starcoder2", year=2024, paper="arXiv 2402.19173", model_type="starcoder2",
        distinctive="rotary, grouped queries, all layers local, biases",
        switches=_GPT | _BIASES | {"layer_pattern": "L", "rope_theta": 1e5},
        feed_forward=4, queries_per_key=12,
    ),
    Family(
        name="persimmon", year=2023, paper="Adept 2023", model_type="persimmon",
        distinctive="LayerNorm of query and key heads, squared ReLU, half of each head turns",
        switches=_GPT | _BIASES | {"qk_norm": "head", "activation": "relu2", "rope_fraction": 0.5,
                                   "tied": False, "rope_theta": 25_000.0},
        feed_forward=4,
    ),
    Family(
        name="phi1", year=2023, paper="arXiv 2306.11644", model_type="phi",
        distinctive="attention beside feed-forward, half of each head turns, head bias",
        switches=_PHI | {"rope_fraction": 0.5}, feed_forward=4,
    ),
    Family(
        name="phi1.5", year=2023, paper="arXiv 2309.05463", model_type="phi",
        distinctive="Phi-1's net on textbook-like text",
        switches=_PHI | {"rope_fraction": 0.5}, feed_forward=4,
    ),
    Family(
        name="phi2", year=2023, paper="Microsoft 2023", model_type="phi",
        distinctive="Phi-1.5 with less of each head turning",
        switches=_PHI | {"rope_fraction": 0.375}, feed_forward=4,
    ),
    Family(
        name="nemotron4", year=2024, paper="arXiv 2402.16819", model_type="nemotron",
        distinctive="LayerNorm, squared ReLU, half of each head turns, grouped queries",
        switches=_GPT | {"activation": "relu2", "rope_fraction": 0.5, "tied": False},
        feed_forward=4, queries_per_key=6,
    ),
)  # fmt: skip
