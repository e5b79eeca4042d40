"""The families that are no decoders: what each is, and a drawing of any of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import groupby
from typing import Any

import torch

from lilliput.errors import UserError
from lilliput.model import SIZES, Family
from lilliput.model import drawing_facts as facts
from lilliput.model.folder import becomes
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.retro.config import RETRIEVAL_FIELDS, RetroConfig
from lilliput.model.t5.config import T5_SWITCHES, T5Config
from lilliput.model.trunks import TrunkConfig, build, shape_of
from lilliput.report.diagram import (
    Box,
    Column,
    Diagram,
    Kind,
    Repeat,
    Residual,
    Weights,
    span,
)

Own = MambaConfig | T5Config | RetroConfig
Counts = Mapping[str, int]

TRUNK_ROWS = {
    row.name: row
    for row in (
        Family(name="mamba", year=2023, paper="arXiv 2312.00752", model_type="mamba", switches={},
               distinctive="a selective state space instead of attention: memory of one size, "
               "however long the text"),
        Family(name="retro", year=2021, paper="arXiv 2112.04426", model_type=None, switches={},
               distinctive="a decoder that looks up neighbours of each chunk in its own corpus "
               "and reads them by chunked cross-attention"),
        Family(name="t5", year=2020, paper="T5 v1.1, arXiv 2002.05202", model_type="t5",
               switches=T5_SWITCHES["t5"],
               distinctive="encoder and decoder, trained to fill gaps; gated feed-forward, "
               "relative biases"),
        Family(name="t5-v1.0", year=2019, paper="arXiv 1910.10683", model_type="t5",
               switches=T5_SWITCHES["t5-v1.0"],
               distinctive="encoder and decoder, trained to fill gaps; plain ReLU, tied head"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """A box of a layer: its weights are those whose names begin with `prefix`."""

    prefix: str
    title: str
    kind: Kind
    facts: tuple[str, ...] = ()


_Groups = Sequence[Sequence[_Part]]


def trunk_shape(name: str, size: str, vocabulary_size: int) -> Own:
    """The configuration of such a family at a named size. Raises UserError for an unknown size."""
    if size not in SIZES:
        raise UserError(f"model.size {size!r} is unknown: choose {', '.join(SIZES)}")
    found = shape_of(name, vocabulary_size=vocabulary_size, end_of_text=0, size=size)
    assert isinstance(found, Own)
    return found


def transformers_class(config: Own) -> str | None:
    """The class of transformers that loads a trained model's folder, if there is one."""
    return None if isinstance(config, RetroConfig) else becomes(config)


def own_fields(config: Own) -> Iterator[tuple[Any, Any]]:
    """The fields, and their values, that say what such a model is besides its plain sizes."""
    for item in fields(config):
        of_decoder = isinstance(config, RetroConfig) and item.name not in RETRIEVAL_FIELDS
        if item.name != "family" and not of_decoder:
            yield item, getattr(config, item.name)


def trunk_diagram(config: Own, title: str) -> Diagram:
    """The model of this configuration, with the parameters of every part."""
    counts = _counts(config)
    if isinstance(config, MambaConfig):
        column = _mamba(config, counts)
    elif isinstance(config, RetroConfig):
        column = _retro(config, counts)
    else:
        column = _t5(config, counts)
    headline = (
        f"{sum(counts.values()):,} parameters, {config.n_layers} layers, "
        f"width {config.d_model:,}, context {config.context_length:,} tokens"
    )
    return Diagram(title, (headline,), "ids of tokens", column, "logits of the next token")


@lru_cache(maxsize=64)
def _counts(config: TrunkConfig) -> Counts:
    """Parameters of every tensor, by name."""
    with torch.device("meta"):
        model = build(config)
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


def _box(counts: Counts, title: str, kind: Kind, said: tuple[str, ...], *prefixes: str) -> Box:
    names = [name for name in counts if name.startswith(prefixes)] if prefixes else []
    weights = tuple(Weights(name.removesuffix(".weight"), (counts[name],)) for name in names)
    return Box(title, kind, said, weights, itemised=False)


def _ends(config: Own, counts: Counts) -> tuple[Box, Box]:
    """The embedding and the output head."""
    size = f"{config.vocabulary_size:,} tokens × {config.d_model:,}"
    embedding = _box(counts, "Token embedding", "ends", (size,), "embedding.")
    said = f"{config.d_model:,} → {config.vocabulary_size:,}"
    if config.tied:
        said = "tied: the embedding's own matrix"
    return embedding, _box(counts, "Output head", "ends", (said,), "head.")


def _layers(
    counts: Counts, places: Sequence[Sequence[str]], groups: _Groups, *, word: str = "layer"
) -> Column:
    """The layers under these prefixes (several where a layer is in parts), like ones together."""
    found = [
        {
            name.removeprefix(place): count
            for place in layer
            for name, count in counts.items()
            if name.startswith(place)
        }
        for layer in places
    ]
    column: list[Repeat] = []
    first = 1
    for _, run in groupby(found, key=lambda one: tuple(one.items())):
        layers = list(run)
        last = first + len(layers) - 1
        sizes = [sum(layer.values()) for layer in layers]
        label = f"{word} {first}: {sizes[0]:,} parameters"
        if len(layers) > 1:
            label = (
                f"{len(layers)} × ({word}s {first} to {last}): {span(sizes)} parameters each, "
                f"{sum(sizes):,} in all"
            )
        inside = tuple(_residual(group, layers) for group in groups if _has(group, layers[0]))
        column.append(Repeat(len(layers), label, inside))
        first = last + 1
    return tuple(column)


def _has(group: Sequence[_Part], layer: Counts) -> bool:
    return all(any(name.startswith(part.prefix) for name in layer) for part in group)


def _residual(group: Sequence[_Part], layers: Sequence[Counts]) -> Residual:
    """The parts of a group in a row, past which the stream goes."""
    column: list[Box] = []
    for part in group:
        names = [name for name in layers[0] if name.startswith(part.prefix)]
        weights = tuple(
            Weights(
                name.removesuffix(".weight"),
                tuple(layer[name] for layer in layers),
                _label(name.removeprefix(part.prefix)),
            )
            for name in names
        )
        column.append(Box(part.title, part.kind, part.facts, weights))
    return Residual(tuple(column))


def _label(name: str) -> str:
    """What a drawing calls a tensor of a part."""
    return name.removesuffix("weight").removesuffix(".").replace(".", " ").replace("_", " ")


def _mamba(config: MambaConfig, counts: Counts) -> Column:
    space = _Part(
        "space.",
        "Selective state space",
        "attention",
        (
            f"{config.d_inner} channels of {config.d_state} states, gated",
            f"behind a causal convolution of {config.d_conv} taps",
            f"step of rank {config.dt_rank}, reading and writing chosen by the token",
            "sees all tokens before, through its states",
        ),
    )
    renamed = {_inside(name): count for name, count in counts.items()}
    places = [[f"blocks.{layer}."] for layer in range(config.n_layers)]
    embedding, head = _ends(config, counts)
    norm = _Part("norm.", "RMSNorm", "norm")
    return (
        embedding,
        *_layers(renamed, places, [[norm, space]]),
        _box(counts, "RMSNorm", "norm", (), "final_norm."),
        head,
    )


def _inside(name: str) -> str:
    """The name of a tensor, those of Mamba's layers but their norms under one head."""
    if ".norm." in name or not name.startswith("blocks."):
        return name
    _, layer, part = name.split(".", 2)
    return f"blocks.{layer}.space.{part}"


def _t5(config: T5Config, counts: Counts) -> Column:
    heads = f"{config.n_heads} heads, {config.head_dim} wide"
    plain = "ReLU" if config.activation == "relu" else "GELU (tanh)"
    kind = f"gated {plain}" if config.gated else plain
    attention_norm = _Part("attention_norm.", "RMSNorm", "norm")
    forward = [
        _Part("feed_forward_norm.", "RMSNorm", "norm"),
        _Part(
            "feed_forward.",
            "Feed-forward",
            "feed_forward",
            (f"{kind}, {config.d_model:,} → {config.d_ff:,} → {config.d_model:,}",),
        ),
    ]
    cross = [
        _Part("cross_attention_norm.", "RMSNorm", "norm"),
        _Part(
            "cross_attention.", "Cross-attention", "attention", (heads, "sees the whole question")
        ),
    ]

    def attention(sight: str) -> list[_Part]:
        said = (heads, sight, "plus the bias of the distance")
        return [attention_norm, _Part("attention.", "Multi-head attention", "attention", said)]

    buckets = (f"{config.relative_buckets} distances for each head, shared by all layers",)
    embedding, head = _ends(config, counts)
    read = [[f"blocks.encoder.{layer}."] for layer in range(config.n_encoder_layers)]
    written = [[f"blocks.decoder.{layer}."] for layer in range(config.n_layers)]
    return (
        embedding,
        _box(counts, "Encoder's relative biases", "attention", buckets, "encoder_bias."),
        *_layers(counts, read, [attention("sees all tokens"), forward], word="encoder layer"),
        _box(counts, "RMSNorm", "norm", ("what the decoder's layers read",), "encoder_norm."),
        _box(counts, "Token embedding", "ends", ("of the answer so far: the same matrix",)),
        _box(counts, "Decoder's relative biases", "attention", buckets, "decoder_bias."),
        *_layers(
            counts,
            written,
            [attention("sees all tokens before"), cross, forward],
            word="decoder layer",
        ),
        _box(counts, "RMSNorm", "norm", (), "final_norm."),
        head,
    )


def _retro(config: RetroConfig, counts: Counts) -> Column:
    encoder, every = config.encoder, range(config.n_layers)
    norm = facts.norm_title(config)

    def halves(of: Any, layers: Sequence[int], sight: tuple[str, ...]) -> list[list[_Part]]:
        title = facts.attention_title(of, layers)
        return [
            [
                _Part("attention_norm.", norm, "norm"),
                _Part("attention.", title, "attention", sight),
            ],
            [
                _Part("feed_forward_norm.", norm, "norm"),
                _Part(
                    "feed_forward.",
                    "Feed-forward",
                    "feed_forward",
                    facts.feed_forward(of, range(layers[0], layers[0] + 1)),
                ),
            ],
        ]

    own = halves(config.base, every, facts.attention(config.base, every, own_keys=True))
    heads = f"{encoder.n_heads} heads, {encoder.head_dim} wide"
    reading = halves(
        encoder, range(encoder.n_layers), (heads, f"sees all {config.neighbour_length} tokens")
    )
    chunked = _Part(
        "chunk.",
        "Chunked cross-attention",
        "attention",
        (
            f"{config.n_heads} heads, {config.head_dim} wide, and a gate",
            f"sees {config.n_neighbours} neighbours of the chunk of {config.chunk_length} before",
        ),
    )
    to_text = _Part(
        "cross_attention.",
        "Cross-attention",
        "attention",
        ("sees the state of the chunk that the neighbours are for",),
    )
    renamed = {_chunk(name): count for name, count in counts.items()}
    layers = [[f"blocks.{layer}.", f"retrieval.{layer}."] for layer in every]
    encoders = [[f"encoder.layers.{layer}."] for layer in range(encoder.n_layers)]
    entrance = "encoder.states_norm.", "encoder.input."
    neighbours = f"{config.n_neighbours} a chunk of {config.chunk_length}, with what follows each"
    embedding, head = _ends(config, counts)
    return (
        embedding,
        _box(counts, "Neighbours", "ends", (neighbours, "the same embedding"), *entrance),
        *_layers(renamed, encoders, [reading[0], [to_text], reading[1]], word="encoder layer"),
        _box(counts, norm, "norm", ("what chunked cross-attention reads",), "encoder.final_norm."),
        *_layers(renamed, layers, [own[0], [chunked], own[1]]),
        _box(counts, norm, "norm", (), "final_norm."),
        head,
    )


def _chunk(name: str) -> str:
    """The name of a tensor with those of chunked cross-attention under one head."""
    if not name.startswith("retrieval."):
        return name
    _, layer, part = name.split(".", 2)
    return f"retrieval.{layer}.chunk.{part}"
