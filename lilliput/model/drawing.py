"""A configuration as a diagram: which parts it has, how they hang together, what each weighs.

Everything is read from the configuration and from the decoder's own blocks, so that any
configuration draws right, not only a family's. The sentences are in `drawing_facts`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lilliput.model import drawing_facts as facts
from lilliput.model.config import ModelConfig
from lilliput.model.counting import count_parts, weights_by_layer
from lilliput.report.diagram import (
    Beside,
    Box,
    Column,
    Diagram,
    Repeat,
    Residual,
    Weights,
    span,
)

Counts = Mapping[str, int]


def model_diagram(config: ModelConfig, title: str = "") -> Diagram:
    """The decoder of this configuration, with the parameters of every part."""
    outside = {
        part.name: count
        for part, count in count_parts(config).items()
        if part.group in ("embedding", "norm")
    }
    blocks = weights_by_layer(config)
    column = (
        *_entrance(config, outside),
        *_layers(config, blocks),
        *_exit(config, outside),
    )
    return Diagram(
        title=title or config.family,
        facts=(_headline(config, outside, blocks),),
        start="ids of tokens",
        column=column,
        end="logits of the next token",
        training_only=_predictors(config),
    )


def active_parameters(config: ModelConfig) -> int:
    """Parameters that one token meets: of all experts, those it goes through."""
    blocks = weights_by_layer(config)
    experts = sum(counts.get("feed_forward.experts", 0) for counts in blocks)
    idle = experts * (config.n_experts - config.experts_per_token) // max(1, config.n_experts)
    return config.parameters - idle


def _makes_keys(config: ModelConfig, layer: int) -> bool:
    return layer < config.n_layers - config.shared_kv_layers


def _headline(config: ModelConfig, outside: Counts, blocks: Sequence[Counts]) -> str:
    parameters = sum(outside.values()) + sum(sum(counts.values()) for counts in blocks)
    active = active_parameters(config)
    used = f" ({active:,} in use for a token)" if active != parameters else ""
    return (
        f"{parameters:,} parameters{used}, {config.n_layers} layers, width {config.d_model:,}, "
        f"context {config.context_length:,} tokens"
    )


def _entrance(config: ModelConfig, outside: Counts) -> Column:
    column = [
        Box(
            "Token embedding",
            "ends",
            facts.embedding(config),
            (Weights("embedding", (outside["embedding"],)),),
        )
    ]
    if config.positions == "learned":
        size = f"{config.context_length:,} positions × {config.d_model:,}, added"
        weights = (Weights("position_embedding", (outside["position_embedding"],)),)
        column.append(Box("Learned positions", "ends", (size,), weights))
    elif config.positions == "sinusoidal":
        column.append(Box("Sinusoidal positions", "ends", ("added; nothing to learn",)))
    if config.embedding_norm:
        column.append(_norm(config, "embedding_norm", [outside]))
    return tuple(column)


def _exit(config: ModelConfig, outside: Counts) -> Column:
    head = tuple(Weights(name, (outside[name],)) for name in ("head",) if name in outside)
    box = Box("Output head", "ends", facts.head(config), head)
    return (_norm(config, "final_norm", [outside]), box) if config.final_norm else (box,)


def _predictors(config: ModelConfig) -> Column:
    if not config.n_future_tokens:
        return ()
    counts = [(part, n) for part, n in count_parts(config).items() if part.group == "future"]
    weights = tuple(Weights(part.name, (count,)) for part, count in counts)
    plural = "s" if config.n_future_tokens > 1 else ""
    title = f"{config.n_future_tokens} predictor{plural} of further tokens"
    return (Box(title, "training", facts.predictors(config), weights, itemised=False),)


def _norm(config: ModelConfig, name: str, layers: Iterable[Counts]) -> Box:
    return Box(facts.norm_title(config), "norm", facts.norm(config), _weights([name], layers))


def _weights(
    names: Iterable[str], layers: Iterable[Counts], *, label: str = ""
) -> tuple[Weights, ...]:
    found = list(layers)
    return tuple(
        Weights(name, tuple(counts.get(name, 0) for counts in found), label)
        for name in names
        if any(name in counts for counts in found)
    )


@dataclass(frozen=True)
class _Run:
    """Layers whose blocks are alike: `first`, and so many times `period` of them."""

    first: int
    period: int
    times: int


def _runs(kinds: Sequence[Hashable]) -> list[_Run]:
    """The shortest periods that repeat and reach farthest, from the first layer on."""
    runs, first = [], 0
    while first < len(kinds):
        best = _Run(first, 1, 1)
        for period in range(1, (len(kinds) - first) // 2 + 1):
            motif, times = kinds[first : first + period], 1
            while kinds[first + times * period :][:period] == motif:
                times += 1
            if times > 1 and times * period > best.times * best.period:
                best = _Run(first, period, times)
        runs.append(best)
        first += best.period * best.times
    return runs


def _layers(config: ModelConfig, blocks: Sequence[Counts]) -> Column:
    kinds = [
        (config.is_mixture(layer), _makes_keys(config, layer), config.is_routed(layer))
        for layer in range(config.n_layers)
    ]
    return tuple(_repeat(config, blocks, run) for run in _runs(kinds))


def _repeat(config: ModelConfig, blocks: Sequence[Counts], run: _Run) -> Repeat:
    inside: Column = ()
    for offset in range(run.period):
        layers = range(run.first + offset, run.first + run.period * run.times, run.period)
        inside += _block(config, layers, blocks)
    last = run.first + run.period * run.times
    motifs = [
        sum(sum(blocks[start + offset].values()) for offset in range(run.period))
        for start in range(run.first, last, run.period)
    ]
    return Repeat(run.times, _repeat_label(run, motifs), inside)


def _repeat_label(run: _Run, motifs: list[int]) -> str:
    last = run.first + run.period * run.times
    places = f"layer {last}" if last - run.first == 1 else f"layers {run.first + 1} to {last}"
    if run.times == 1:
        return f"{places}: {sum(motifs):,} parameters"
    each = f"{span(motifs)} parameters each, {sum(motifs):,} in all"
    if run.period > 1:
        return f"{run.times} × {run.period} layers ({run.first + 1} to {last}): {each}"
    return f"{run.times} × ({places}): {each}"


def _block(config: ModelConfig, layers: range, blocks: Sequence[Counts]) -> Column:
    """The parts of layers that are alike, behind their router of depths if they have one."""
    if not config.is_routed(layers[0]):
        return _whole_block(config, layers, blocks)
    weights = _weights(["depth_router"], [blocks[layer] for layer in layers])
    router = Box("Depth router", "router", facts.depth_router(config), weights)
    return (router, *_whole_block(config, layers, blocks))


def _whole_block(config: ModelConfig, layers: range, blocks: Sequence[Counts]) -> Column:
    """The parts of layers that are alike, their norms where `norm_placement` says."""
    counts = [blocks[layer] for layer in layers]
    placement = config.norm_placement

    def norm(name: str, *placements: str) -> Column:
        return (_norm(config, name, counts),) if placement in placements else ()

    before = norm("attention_norm", "pre", "sandwich")
    attention: Column = (_attention(config, layers, counts),)
    forward = _feed_forward(config, layers, counts)
    if config.parallel == "one_norm":
        both = Beside((attention, *_flat(forward)))
        return (Residual((*before, both), config.residual_scale),)
    second = norm("feed_forward_norm", "pre", "sandwich")
    if config.parallel == "two_norms":
        both = Beside(((*before, *attention), (*second, *forward)))
        return (Residual((both,), config.residual_scale),)
    after = norm("attention_out_norm", "sandwich", "out")
    last = norm("feed_forward_out_norm", "sandwich", "out")
    return (
        Residual((*before, *attention, *after), config.residual_scale),
        *norm("attention_sum_norm", "post"),
        Residual((*second, *forward, *last), config.residual_scale),
        *norm("feed_forward_sum_norm", "post"),
    )


def _flat(column: Column) -> tuple[Column, ...]:
    """The branches of a column that is nothing but branches: side by side with its neighbours."""
    only = column[0]
    return only.branches if len(column) == 1 and isinstance(only, Beside) else (column,)


def _attention(config: ModelConfig, layers: range, counts: Sequence[Counts]) -> Box:
    own_keys = _makes_keys(config, layers[0])
    names = [name for name in counts[0] if name.startswith("attention.")]
    extras = _weights(["attention"], counts, label=facts.attention_extras(config))
    return Box(
        facts.attention_title(config, layers),
        "attention",
        facts.attention(config, layers, own_keys=own_keys),
        _weights(names, counts) + extras,
    )


def _feed_forward(config: ModelConfig, layers: range, counts: Sequence[Counts]) -> Column:
    names = [name for name in counts[0] if name.split(".")[0] == "feed_forward"]
    if not config.is_mixture(layers[0]):
        sentences = facts.feed_forward(config, layers)
        return (Box("Feed-forward", "feed_forward", sentences, _weights(names, counts)),)
    router = Box(
        "Router", "router", facts.router(config), _weights(["feed_forward.router"], counts)
    )
    experts = Box(
        f"{config.n_experts} experts",
        "feed_forward",
        facts.experts(config),
        _weights(["feed_forward.experts"], counts),
    )
    if not config.n_shared_experts:
        return router, experts
    shared = Box(
        f"{config.n_shared_experts} shared expert{'s' if config.n_shared_experts > 1 else ''}",
        "feed_forward",
        facts.shared_experts(config),
        _weights([name for name in names if ".shared." in name], counts),
    )
    return (Beside(((router, experts), (shared,))),)
