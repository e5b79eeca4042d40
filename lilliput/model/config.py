"""The shape of a model: one frozen table of orthogonal switches."""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lilliput.errors import UserError
from lilliput.model.fields import PlainFields, option

LAYER_KINDS = {
    "G": "global: all that came before",
    "L": "local: the last `window` tokens",
    "C": "chunked: the tokens of the same chunk of `window`",
    "N": "global, without rotary positions",
}


@dataclass(frozen=True, kw_only=True)
class ModelConfig(PlainFields):
    """Everything that defines a decoder's computation.

    Sizes count units, never bytes. `d_model` is the width of the residual stream, `d_ff` the inner
    width of the feed-forward. The defaults are Llama's. Raises UserError when a value is illegal or
    two fields conflict (see `lilliput.model.conflicts`).
    """

    # Sizes
    family: str = option("name of the row in the table of families", "lilliput")
    vocabulary_size: int = option("number of tokens")
    context_length: int = option("longest sequence in tokens", 512)
    n_layers: int = option("number of layers")
    d_model: int = option("width of the residual stream")
    n_heads: int = option("number of query heads")
    n_kv_heads: int = option(
        "number of key/value heads: fewer than n_heads groups queries (arXiv 2305.13245), "
        "1 is multi-query (arXiv 1911.02150)"
    )
    head_dim: int = option("width of one head")
    d_ff: int = option("inner width of the feed-forward")
    layer_heads: tuple[int, ...] = option("n_heads layer by layer (OpenELM, arXiv 2404.14619)", ())
    layer_kv_heads: tuple[int, ...] = option("n_kv_heads layer by layer", ())
    layer_d_ff: tuple[int, ...] = option("d_ff layer by layer", ())

    # Norms
    norm: Literal["rmsnorm", "layernorm"] = option(
        "RMSNorm (arXiv 1910.07467) or LayerNorm (arXiv 1607.06450)", "rmsnorm"
    )
    norm_gain: Literal["weight", "weight_bias", "none"] = option(
        "learned gain of the norms, gain and bias, or neither", "weight"
    )
    norm_eps: float = option("added to the variance in every norm", 1e-6)
    norm_placement: Literal["pre", "post", "sandwich", "out"] = option(
        "before attention and feed-forward; after their sum with the residual (GPT-1); before and "
        "after them (Gemma 2, arXiv 2408.00118); after them alone (OLMo 2, arXiv 2501.00656)",
        "pre",
    )
    parallel: Literal["none", "one_norm", "two_norms"] = option(
        "attention and feed-forward side by side, behind one norm (GPT-J) or two (Falcon-40B)",
        "none",
    )
    embedding_norm: bool = option("a norm right after the embedding (BLOOM, nanochat)", False)
    final_norm: bool = option("a norm before the output head (not in GPT-1)", True)
    sub_norm: bool = option(
        "a norm before attention's and the feed-forward's last matrix (BitNet, arXiv 2504.12285)",
        False,
    )

    # Positions
    positions: Literal["rotary", "learned", "sinusoidal", "alibi", "relative", "none"] = option(
        "rotary (arXiv 2104.09864), learned absolute, sinusoidal (arXiv 1706.03762), ALiBi (arXiv "
        "2108.12409), Transformer-XL's relative ones (arXiv 1901.02860, Gopher), or none",
        "rotary",
    )
    rope_theta: float = option("base of the rotary wavelengths", 10_000.0)
    rope_local_theta: float | None = option("base in local layers, unscaled (Gemma 3)", None)
    rope_fraction: float = option("share of a head's dimensions that turn (GPT-J, Phi)", 1.0)
    rope_scaling: Literal["none", "linear", "dynamic", "yarn", "llama3", "longrope"] = option(
        "stretch of the wavelengths to longer contexts: linear (arXiv 2306.15595); dynamic (NTK), "
        "as much as the text is longer, and YaRN (arXiv 2309.00071); Llama 3.1's (arXiv "
        "2407.21783); LongRoPE (arXiv 2402.13753)",
        "none",
    )
    rope_factor: float = option("how many times longer the context is than it was", 1.0)
    rope_original_context: int = option("the context length before it was stretched", 0)
    rope_low_factor: float = option("llama3: wavelengths above context / this are stretched", 1.0)
    rope_high_factor: float = option("llama3: wavelengths below context / this are kept", 4.0)
    rope_beta_fast: float = option("yarn: turns in the old context from which they are kept", 32.0)
    rope_beta_slow: float = option("yarn: turns below which wavelengths are stretched", 1.0)
    rope_truncate: bool = option("yarn: its two bounds are whole dimensions", True)
    rope_magnitude: float = option("yarn, longrope: factor of rotated queries and keys", 1.0)
    rope_short_factors: tuple[float, ...] = option("longrope: up to the original context", ())
    rope_long_factors: tuple[float, ...] = option("longrope: beyond it", ())
    alibi_scale: float = option("factor of ALiBi's slopes (Falcon-RW: head_dim^-1/2)", 1.0)

    # Attention
    layer_pattern: str = option(
        "kinds of layers, repeated: G global, L local, C chunked, N global without positions", "G"
    )
    window: int = option("tokens that a local layer sees, or a chunk holds", 0)
    latent_rank: int = option(
        "rank of the latent that keys and values are made from (MLA, arXiv 2405.04434); 0: none", 0
    )
    latent_query_rank: int = option("rank of the latent of queries; 0: none", 0)
    latent_rope_dim: int = option("dimensions of a latent head that turn, besides head_dim", 0)
    latent_value_dim: int = option("dimensions of a latent head's values", 0)
    qkv_bias: bool = option("biases of queries, keys and values (Qwen 2)", False)
    output_bias: bool = option("bias of attention's last matrix", False)
    qk_norm: Literal["none", "head", "head_weights", "full", "unit"] = option(
        "norm of queries and keys (arXiv 2302.05442): of each head, with one gain for all (Qwen 3) "
        "or its own (Command-R+); of all heads together (OLMo 2); of each head without gain, "
        "in layers with positions (Llama 4)",
        "none",
    )
    attention_scale: float | None = option("factor of the scores; head_dim^-1/2 if not set", None)
    attention_softcap: float = option("scores s become cap·tanh(s / cap) (Gemma 2); 0: none", 0.0)
    attention_sinks: bool = option(
        "a learned score each head may spend on nothing (gpt-oss)", False
    )
    attention_temperature: float = option(
        "N layers: queries grow with the logarithm of their position (Llama 4); 0: not", 0.0
    )
    attention_temperature_from: int = option("position from which they grow", 8192)
    shared_kv_layers: int = option(
        "last layers that reuse keys and values of the layer before them (arXiv 2507.13575)", 0
    )

    # Feed-forward
    gated: bool = option("gated feed-forward (GLU variants, arXiv 2002.05202)", True)
    activation: Literal["silu", "gelu", "gelu_tanh", "relu", "relu2", "clamped_swish"] = option(
        "non-linearity of the feed-forward; relu2 is relu squared (arXiv 2109.08668), "
        "clamped_swish gpt-oss's",
        "silu",
    )
    feed_forward_bias: bool = option("biases of the feed-forward", False)

    # Mixture of experts
    n_experts: int = option("experts of a mixture layer (arXiv 2101.03961); 0: dense", 0)
    experts_per_token: int = option("experts that a token goes through", 2)
    n_shared_experts: int = option("experts every token goes through (arXiv 2401.06066)", 0)
    d_ff_expert: int = option("inner width of one expert; d_ff if 0", 0)
    first_dense_layers: int = option("layers before the first mixture", 0)
    experts_every: int = option("every how many layers there is a mixture (Llama 4)", 1)
    router: Literal["softmax", "sigmoid"] = option(
        "what turns router logits into weights", "softmax"
    )
    router_normalise: bool = option("the chosen experts' weights sum to 1 (Mixtral)", True)
    router_bias: bool = option("bias of the router's logits (gpt-oss)", False)
    router_scale: float = option("factor of the experts' weights (DeepSeek)", 1.0)
    router_scales_input: bool = option("weights multiply an expert's input (Llama 4)", False)
    router_selection_bias: bool = option(
        "load balanced by a bias that only chooses (arXiv 2408.15664)", False
    )
    router_groups: int = option("groups of experts; 1: none (DeepSeek)", 1)
    router_top_groups: int = option("groups that a token may choose from", 1)
    router_group_score: Literal["max", "top2_sum"] = option(
        "a group's score: its best expert's, or the sum of its two best", "max"
    )
    router_balance_loss: float = option("weight of the load-balancing loss (arXiv 2101.03961)", 0.0)
    router_z_loss: float = option("weight of the router z-loss (arXiv 2202.08906)", 0.0)

    # Mixture of depths
    depth_capacity: float = option(
        "share of the tokens that a routed layer works on (arXiv 2404.02258); 0: all, everywhere",
        0.0,
    )
    depth_every: int = option("every how many layers one is routed", 2)

    # Input and output
    tied: bool = option("output head shares the embedding's weights (arXiv 1608.05859)", True)
    head_bias: bool = option("bias of the output head (GPT-J, Phi)", False)
    embedding_scale: float = option("factor of the embedding (Gemma: d_model^1/2)", 1.0)
    residual_scale: float = option("factor of what a layer adds to the residual (Granite)", 1.0)
    logit_scale: float = option("factor of the logits (Command-R, Grok-1)", 1.0)
    logit_softcap: float = option("logits l become cap·tanh(l / cap) (Gemma 2); 0: none", 0.0)
    n_future_tokens: int = option(
        "further tokens predicted in training (multi-token prediction, arXiv 2412.19437)", 0
    )
    future_loss: float = option("weight of their loss", 0.3)

    # Arithmetic
    linear: Literal["full", "ternary", "int8", "int4", "int2"] = option(
        "matrices as they are, ternary with 8-bit activations (BitNet b1.58, arXiv 2402.17764), or "
        "rounded to so many bits in training (straight-through, arXiv 1712.05877)",
        "full",
    )

    def __post_init__(self) -> None:
        from lilliput.model.conflicts import check

        for item in fields(self):
            if isinstance(getattr(self, item.name), list):
                object.__setattr__(self, item.name, tuple(getattr(self, item.name)))
        _check_choices(self)
        check(self)

    def kind(self, layer: int) -> str:
        """The letter of a layer in the pattern; see LAYER_KINDS."""
        return self.layer_pattern[layer % len(self.layer_pattern)]

    def heads(self, layer: int) -> tuple[int, int]:
        """Query heads and key/value heads of a layer."""
        queries = self.layer_heads[layer] if self.layer_heads else self.n_heads
        return queries, self.layer_kv_heads[layer] if self.layer_kv_heads else self.n_kv_heads

    def feed_forward_width(self, layer: int) -> int:
        """d_ff of a dense layer."""
        return self.layer_d_ff[layer] if self.layer_d_ff else self.d_ff

    def is_mixture(self, layer: int) -> bool:
        """Whether a layer's feed-forward is a mixture of experts."""
        chosen = self.n_experts > 0 and layer >= self.first_dense_layers
        return chosen and (layer + 1) % self.experts_every == 0

    def is_routed(self, layer: int) -> bool:
        """Whether a layer works on some tokens only."""
        return self.depth_capacity > 0 and (layer + 1) % self.depth_every == 0

    @property
    def windows(self) -> tuple[int, ...]:
        """How many tokens, itself counted, each layer needs a cache to remember; 0: all.

        All of them where layers that see all may reuse the keys of one that does not.
        """
        kinds = [self.kind(layer) for layer in range(self.n_layers)]
        if self.shared_kv_layers and not set(kinds) <= set("LC"):
            return (0,) * self.n_layers
        return tuple(self.window if kind in "LC" else 0 for kind in kinds)

    @property
    def plain_scores(self) -> bool:
        """Whether attention's scores are neither capped nor shared with sinks."""
        return not (self.attention_softcap or self.attention_sinks)

    @property
    def rope_follows_length(self) -> bool:
        """Whether rotary angles depend on how long the text is, not on the position alone."""
        return self.positions == "rotary" and self.rope_scaling in ("dynamic", "longrope")

    @property
    def rope_dim(self) -> int:
        """Dimensions of a head that turn."""
        return self.latent_rope_dim or int(self.head_dim * self.rope_fraction)

    @property
    def parameters(self) -> int:
        """Number of distinct parameters used in generation (a tied head counts once)."""
        return self.block_parameters + self.embedding_parameters

    @property
    def block_parameters(self) -> int:
        """Parameters of all layers and of norms outside them."""
        from lilliput.model.counting import count_parts

        return sum(
            count for part, count in count_parts(self).items() if part.group in ("block", "norm")
        )

    @property
    def embedding_parameters(self) -> int:
        """Parameters of token embedding, learned positions and an untied head."""
        from lilliput.model.counting import count_parts

        return sum(count for part, count in count_parts(self).items() if part.group == "embedding")

    @property
    def cached_per_token(self) -> int:
        """Numbers that a key-value cache holds for each token, over all layers."""
        if self.latent_rank:
            return self.n_layers * (self.latent_rank + self.latent_rope_dim)
        layers = range(self.n_layers - self.shared_kv_layers)
        return sum(2 * self.heads(layer)[1] * self.head_dim for layer in layers)

    def flops_per_token(self, sequence_length: int | None = None) -> float:
        """Training FLOPs a token, forward and backward; see `counting.flops_per_token`."""
        from lilliput.model.counting import flops_per_token

        return flops_per_token(self, sequence_length or self.context_length)


@lru_cache
def field_types() -> dict[str, Any]:
    """The type of every field of ModelConfig."""
    return get_type_hints(ModelConfig)


def _check_choices(config: ModelConfig) -> None:
    for name, kind in field_types().items():
        value = getattr(config, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise UserError(
                f"model.{name} is {value!r}: choose one of {', '.join(map(repr, get_args(kind)))}"
            )
