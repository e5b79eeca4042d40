"""A model's inside: its drawing, and what happens in it as it reads a text."""

import base64
import math
from typing import Annotated, Any

import torch
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from lilliput.generate import LanguageModel
from lilliput.generate.inspection import (
    Inspection,
    LayerRecord,
    can_inspect,
    inspect,
    not_shown,
)
from lilliput.model import ModelConfig, TrunkConfig
from lilliput.model.counting import count_parts, weights_by_layer
from lilliput.model.drawing import active_parameters, model_diagram
from lilliput.report.diagram import column_values
from lilliput.serve.models import find_model

xray = APIRouter()

_MOST_CHARACTERS, _MOST_TOKENS = 20_000, 96
_MOST_WEIGHTS = 2_000_000
"""Attention weights sent at once: two bytes each."""
_MOST_COLUMNS = 64
_LENS, _NEXT = 8, 16


class TextToRead(BaseModel):
    """A text for a model to read while it is looked at."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = None
    text: Annotated[str, Field(max_length=_MOST_CHARACTERS)]


@xray.get("/studio/data/drawing")
def drawing(request: Request, model: str | None = None) -> dict[str, Any]:
    """The model's parts in the order of computation, with the parameters of each."""
    served = find_model(request, model)
    trunk = served.model.decoder
    config = trunk.config
    told: dict[str, Any] = {
        "title": served.name,
        "facts": [_size(config)],
        "parameters": config.parameters,
        "column": [],
        "places": [],
        "can_look": can_inspect(trunk),
        "not_shown": list(not_shown(trunk)),
    }
    if isinstance(config, ModelConfig):
        diagram = model_diagram(config, served.name)
        told |= {
            "start": diagram.start,
            "column": column_values(diagram.column),
            "end": diagram.end,
            "places": _places(config),
        }
    return told


@xray.post("/studio/data/xray")
async def look_inside(order: TextToRead, request: Request) -> dict[str, Any]:
    """What each part of the model does with a text.

    Attention is little-endian uint16, 65535 for all, row by row of [heads, tokens, tokens], base64.
    """
    served = find_model(request, order.model)
    model = served.model
    ids = list(model.prompt_ids(order.text))
    kept = ids[: min(_room(model), model.context_length)]
    seen = await served.run(lambda: inspect(model.decoder, kept, most_probable=_LENS))
    return {"left_out": len(ids) - len(kept), **_values(model, seen)}


def _size(config: TrunkConfig) -> str:
    used = ""
    if (
        isinstance(config, ModelConfig)
        and (active := active_parameters(config)) < config.parameters
    ):
        used = f" ({active:,} in use for a token)"
    return (
        f"{config.parameters:,} parameters{used}, {config.n_layers} layers, "
        f"width {config.d_model:,}, context {config.context_length:,} tokens"
    )


def _places(config: ModelConfig) -> list[dict[str, Any]]:
    """Where the parameters live: what they do, and how many do it."""
    kinds = {"attention": 0, "feed-forward": 0, "norms": 0, "routers": 0}
    for layer in weights_by_layer(config):
        for name, count in layer.items():
            kinds[_kind(name)] += count
    outside = {
        part.name: n
        for part, n in count_parts(config).items()
        if part.group not in ("block", "future")
    }
    places = {
        "token embedding": outside.get("embedding", 0),
        "positions": outside.get("position_embedding", 0),
        "attention": kinds["attention"],
        "feed-forward": kinds["feed-forward"],
        "routers": kinds["routers"],
        "norms": kinds["norms"] + sum(n for name, n in outside.items() if name.endswith("norm")),
        "output head": outside.get("head", 0),
    }
    places["retrieval"] = config.parameters - sum(places.values())  # RETRO's alone has any left
    return [{"name": name, "parameters": count} for name, count in places.items() if count]


def _kind(name: str) -> str:
    if name.endswith("norm") and "." not in name:
        return "norms"
    if "router" in name:
        return "routers"
    return "attention" if name.startswith("attention") else "feed-forward"


def _room(model: LanguageModel) -> int:
    """How many tokens can be shown: attention grows with their square."""
    config = model.decoder.config
    heads = config.n_layers * getattr(config, "n_heads", 1)
    return max(8, min(_MOST_TOKENS, math.isqrt(_MOST_WEIGHTS // heads)))


def _values(model: LanguageModel, seen: Inspection) -> dict[str, Any]:
    best = seen.next_log_probabilities[: model.tokenizer.vocabulary_size].topk(
        min(_NEXT, model.tokenizer.vocabulary_size)
    )
    tokens = sorted({*seen.ids, *seen.lens.ids.flatten().tolist(), *best.indices.tolist()})
    return {
        "ids": list(seen.ids),
        "token_bytes": {token: _bytes_of(model, token) for token in tokens},
        "embeddings": _columns(seen.residual[0]),
        "norms": _norms(seen.residual).tolist(),
        "layers": [_layer(record) for record in seen.layers],
        "lens": {
            "ids": seen.lens.ids.tolist(),
            "log_probabilities": _rounded(seen.lens.log_probabilities),
            "following": _rounded(seen.lens.following),
            "entropy": _rounded(seen.lens.entropy),
        },
        "next": [
            {"id": token, "log_probability": score}
            for token, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
        "not_shown": list(seen.not_shown),
    }


def _bytes_of(model: LanguageModel, token: int) -> str:
    """A token's bytes in hexadecimal; the head may have more rows than there are tokens."""
    table = model.tokenizer.bytes_of
    return table[token].hex() if token < len(table) else ""


def _layer(record: LayerRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        "heads": 0 if record.attention is None else len(record.attention),
        "attention": None if record.attention is None else _packed(record.attention),
        "attention_norms": _optional_norms(record.attention_added),
        "feed_forward_norms": _optional_norms(record.feed_forward_added),
    }
    if record.experts is not None and record.expert_weights is not None:
        values["experts"] = record.experts.tolist()
        values["expert_weights"] = _rounded(record.expert_weights)
    if record.worked_on is not None:
        values["worked_on"] = record.worked_on.tolist()
    return values


def _packed(weights: Tensor) -> str:
    scaled = (weights.clamp(0, 1) * 65535).round().to(torch.int32).cpu().numpy().astype("<u2")
    return base64.b64encode(scaled.tobytes()).decode("ascii")


def _norms(rows: Tensor) -> Tensor:
    """Root mean squares of rows [..., D], which compare between widths."""
    return rows.float().square().mean(-1).sqrt()


def _optional_norms(rows: Tensor | None) -> list[float] | None:
    return None if rows is None else _rounded(_norms(rows))


def _columns(rows: Tensor) -> list[list[float]]:
    """Rows [T, D] with at most so many columns as a screen shows: the first ones."""
    columns: list[list[float]] = _rounded(rows[:, :_MOST_COLUMNS].float())
    return columns


def _rounded(values: Tensor) -> Any:
    return torch.nan_to_num(values.float()).mul(1e4).round().div(1e4).tolist()
