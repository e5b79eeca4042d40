"""What a drawing says about each part of a model, in short sentences."""

from collections.abc import Iterable, Sequence

from lilliput.model.config import ModelConfig
from lilliput.quantities import number

Facts = tuple[str, ...]

_GATED = {
    "silu": "SwiGLU", "gelu": "GeGLU", "gelu_tanh": "GeGLU (tanh)", "relu": "ReGLU",
    "relu2": "gated squared ReLU", "clamped_swish": "gated clamped swish",
}  # fmt: skip
_PLAIN = {
    "silu": "SiLU", "gelu": "GELU", "gelu_tanh": "GELU (tanh)", "relu": "ReLU",
    "relu2": "squared ReLU", "clamped_swish": "clamped swish",
}  # fmt: skip
_QK_NORM = {
    "head": "norm of each query and key head",
    "head_weights": "norm of each query and key head, with gains of its own",
    "full": "norm of all query heads together, and of all key heads",
    "unit": "norm of each query and key head, without gain",
}
_LINEAR = {
    "ternary": "ternary matrices, 8-bit activations",
    "int8": "matrices rounded to 8 bits in training",
    "int4": "matrices rounded to 4 bits in training",
    "int2": "matrices rounded to 2 bits in training",
}
_MOST_LETTERS = 24
"""Layers whose kinds are written out; of more, the pattern that repeats."""


def embedding(config: ModelConfig) -> Facts:
    """Of the token embedding."""
    size = f"{config.vocabulary_size:,} tokens × {config.d_model:,}"
    scale = config.embedding_scale
    return (size,) if scale == 1 else (size, f"times {number(scale)}")


def head(config: ModelConfig) -> Facts:
    """Of the output head."""
    return tuple(
        _present(
            (config.tied, "tied: the embedding's own matrix"),
            (not config.tied, f"{config.d_model:,} → {config.vocabulary_size:,}"),
            (config.head_bias, "with a bias"),
            (config.logit_scale != 1, f"logits times {number(config.logit_scale)}"),
            (config.logit_softcap, f"logits capped softly at ±{number(config.logit_softcap)}"),
        )
    )


def predictors(config: ModelConfig) -> Facts:
    """Of what predicts further tokens in training."""
    return (
        "each: norms of the state and of the next token's embedding, a matrix that merges them, "
        "one more layer, a norm; embedding and head are the model's",
        f"weight of their loss: {number(config.future_loss)}",
    )


def norm_title(config: ModelConfig) -> str:
    """The kind of norm."""
    return "RMSNorm" if config.norm == "rmsnorm" else "LayerNorm"


def norm(config: ModelConfig) -> Facts:
    """Of a norm: what it learns, where that is not a gain alone."""
    return {"weight": (), "weight_bias": ("gain and bias",), "none": ("no gain",)}[config.norm_gain]


def attention_title(config: ModelConfig, layers: Sequence[int]) -> str:
    """The kind of attention by its heads."""
    if config.latent_rank:
        return "Latent attention"
    heads = [config.heads(layer) for layer in layers]
    if all(queries == keys for queries, keys in heads):
        return "Multi-head attention"
    if all(keys == 1 for _, keys in heads):
        return "Multi-query attention"
    return "Grouped-query attention"


def attention(config: ModelConfig, layers: Sequence[int], *, own_keys: bool) -> Facts:
    """Of the attention of these layers."""
    scale = config.attention_scale
    biased = [
        name
        for name, has in (
            ("queries, keys, values", config.qkv_bias),
            ("output", config.output_bias),
        )
        if has
    ]
    return (
        *(_latent_heads(config) if config.latent_rank else _heads(config, layers, own_keys)),
        *_sight(config, layers),
        *_positions(config, layers),
        *_present(
            *_qk_norm(config, layers),
            (scale is not None, f"scores times {number(scale or 0)}"),
            (config.attention_softcap, f"scores capped at ±{number(config.attention_softcap)}"),
            (config.attention_sinks, "a sink: a learned score for nothing, each head"),
            (
                config.attention_temperature and _kinds(config, layers) & {"N"},
                f"N: queries grow from position {config.attention_temperature_from:,} on",
            ),
            (biased, f"biases: {', '.join(biased)}"),
            (config.sub_norm, "a norm before the output matrix"),
            (config.linear != "full", _LINEAR.get(config.linear, "")),
        ),
    )


def _qk_norm(config: ModelConfig, layers: Sequence[int]) -> list[tuple[object, str]]:
    kinds = _kinds(config, layers)
    if config.qk_norm == "unit" and "N" in kinds:
        return [(kinds != {"N"}, f"{_QK_NORM['unit']}, but in N layers")]
    return [(config.qk_norm != "none", _QK_NORM.get(config.qk_norm, ""))]


def attention_extras(config: ModelConfig) -> str:
    """What attention learns besides its matrices and norms."""
    relative = "biases of scores" if config.positions == "relative" else ""
    return " and ".join(filter(None, (relative, "sinks" if config.attention_sinks else "")))


def _heads(config: ModelConfig, layers: Sequence[int], own_keys: bool) -> Facts:
    queries = [config.heads(layer)[0] for layer in layers]
    keys = [config.heads(layer)[1] for layer in layers]
    wide = f"{config.head_dim} wide"
    if not own_keys:
        return (f"{_range(queries)} query heads, {wide}", "keys and values: the layer's before it")
    if queries == keys:
        return (f"{_range(queries)} heads, {wide}",)
    plural = "s" if max(keys) > 1 else ""
    return (f"{_range(queries)} query heads on {_range(keys)} key/value head{plural}, {wide}",)


def _latent_heads(config: ModelConfig) -> Facts:
    queries = f"{config.n_heads} heads, {config.head_dim} wide, {config.latent_rope_dim} more turn"
    latent = f"keys and values from a latent of {config.latent_rank}"
    value = config.latent_value_dim
    return tuple(
        _present(
            (True, queries),
            (value != config.head_dim, f"values {value} wide"),
            (True, latent),
            (config.latent_query_rank, f"queries from one of {config.latent_query_rank}"),
        )
    )


def _kinds(config: ModelConfig, layers: Sequence[int]) -> set[str]:
    return {config.kind(layer) for layer in layers}


def _sight(config: ModelConfig, layers: Sequence[int]) -> Facts:
    """Which tokens the layers see."""
    sees = {
        "G": "all tokens before",
        "L": f"the last {config.window:,} tokens",
        "C": f"its chunk of {config.window:,} tokens",
        "N": "all tokens before, without positions",
    }
    letters = "".join(config.kind(layer) for layer in layers)
    kinds = [kind for kind in sees if kind in letters]
    if len(kinds) == 1:
        return (f"sees {sees[kinds[0]]}",)
    shown = letters if len(letters) <= _MOST_LETTERS else f"{config.layer_pattern}, repeated"
    return (f"layers {shown}", *(f"{kind} sees {sees[kind]}" for kind in kinds))


def _positions(config: ModelConfig, layers: Sequence[int]) -> Facts:
    kinds = _kinds(config, layers)
    if config.positions == "alibi":
        factor = f", times {number(config.alibi_scale)}" if config.alibi_scale != 1 else ""
        return (f"ALiBi: a penalty by distance, a slope each head{factor}",)
    if config.positions == "relative":
        return ("relative positions (Transformer-XL)",)
    if config.positions != "rotary" or kinds == {"N"}:
        return ()
    local = config.rope_local_theta
    return tuple(
        _present(
            (True, f"rotary positions, base {_base(config.rope_theta)}"),
            (local and "L" in kinds, f"local layers: base {_base(local or 0)}"),
            (
                config.rope_fraction != 1,
                f"{config.rope_dim} of a head's {config.head_dim} dimensions turn",
            ),
            (config.rope_scaling != "none", _stretch(config)),
        )
    )


def _stretch(config: ModelConfig) -> str:
    before = config.rope_original_context
    since = f" (from {before:,} tokens)" if before else ""
    factor = f" by {number(config.rope_factor)}" if config.rope_scaling != "longrope" else ""
    return f"stretched{factor}, {config.rope_scaling}{since}"


def _base(theta: float) -> str:
    return f"{theta:,.0f}" if theta >= 100 else number(theta)


def feed_forward(config: ModelConfig, layers: Sequence[int]) -> Facts:
    """Of dense feed-forwards."""
    widths = [config.feed_forward_width(layer) for layer in layers]
    return _forward(config, _range(widths), inside=config.sub_norm)


def router(config: ModelConfig) -> Facts:
    """Of the router of a mixture."""
    groups = f"from the best {config.router_top_groups} of {config.router_groups} groups"
    score = "by their two best" if config.router_group_score == "top2_sum" else "by their best"
    balance, z_loss = config.router_balance_loss, config.router_z_loss
    return tuple(
        _present(
            (True, f"{config.router}; best {config.experts_per_token} of {config.n_experts}"),
            (config.router_groups > 1, f"{groups}, {score}"),
            (config.router_normalise, "weights sum to 1"),
            (config.router_scale != 1, f"weights times {number(config.router_scale)}"),
            (config.router_scales_input, "weights multiply the experts' input"),
            (config.router_bias, "biased logits"),
            (config.router_selection_bias, "a bias that only chooses balances the load"),
            (balance, f"balance loss {number(balance)}"),
            (z_loss, f"z-loss {number(z_loss)}"),
        )
    )


def experts(config: ModelConfig) -> Facts:
    """Of the experts that the router chooses from."""
    width = config.d_ff_expert or config.d_ff
    chosen = config.experts_per_token
    through = f"a token goes through {'all' if chosen == config.n_experts else chosen}"
    return (*_forward(config, f"{width:,}", inside=False, rounded=False), through)


def shared_experts(config: ModelConfig) -> Facts:
    """Of the experts that every token goes through."""
    width = config.n_shared_experts * (config.d_ff_expert or config.d_ff)
    return (*_forward(config, f"{width:,}", inside=False), "every token goes through")


def _forward(config: ModelConfig, width: str, *, inside: bool, rounded: bool = True) -> Facts:
    kind = (_GATED if config.gated else _PLAIN)[config.activation]
    around = f"{config.d_model:,} → {width} → {config.d_model:,}"
    return tuple(
        _present(
            (True, f"{kind}, {around}"),
            (config.feed_forward_bias, "biases"),
            (inside, "a norm before the last matrix"),
            (rounded and config.linear != "full", _LINEAR.get(config.linear, "")),
        )
    )


def _range(counts: Sequence[int]) -> str:
    """Counts layer by layer, in words."""
    least, largest = min(counts), max(counts)
    return f"{least:,}" if least == largest else f"{least:,} to {largest:,}"


def _present(*sentences: tuple[object, str]) -> Iterable[str]:
    return (sentence for holds, sentence in sentences if holds)


def depth_router(config: ModelConfig) -> tuple[str, ...]:
    """Which tokens a routed layer works on."""
    return (
        f"the {config.depth_capacity:.3g} of the tokens that need it most",
        "go on; others pass",
    )
