"""What happens inside a model as it reads a text: for people who want to see it.

Everything is recorded while the model's own code runs, so that it holds for every decoder family.
Shapes are named by letters: L layers, T tokens, D width of the residual stream, H query heads,
K experts a token goes through, V vocabulary, N most probable tokens kept.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.model import Decoder, Trunk
from lilliput.model.kernels import attention, attention_weights
from lilliput.model.mamba.trunk import Mamba
from lilliput.model.retro.trunk import Retro


@dataclass(frozen=True)
class LayerRecord:
    """What one layer did. A field is None where the layer has no such part.

    The stream after a layer is the stream before it plus `attention_added` plus
    `feed_forward_added`, except in families that normalise the sum itself (GPT-1).
    """

    attention: Tensor | None
    """[H, T, T], float32: how much each token (row) takes from each before it (column). Rows sum
    to 1, or to less where a head may spend its attention on nothing (sinks)."""
    attention_added: Tensor | None
    """[T, D]: what attention added to the residual stream."""
    feed_forward_added: Tensor | None
    """[T, D]: what the feed-forward added."""
    experts: Tensor | None
    """[T, K], int64: the experts that each token went through."""
    expert_weights: Tensor | None
    """[T, K], float32."""
    worked_on: Tensor | None
    """[T], bool: the tokens that a layer of a mixture of depths worked on."""


@dataclass(frozen=True)
class Lens:
    """The residual stream read through the output head after every layer ("logit lens").

    Row 0 is the embedding, row L what the model says. Log-probabilities in nats.
    """

    ids: Tensor
    """[L + 1, T, N], int64: the most probable next tokens, most probable first."""
    log_probabilities: Tensor
    """[L + 1, T, N], float32."""
    following: Tensor
    """[L + 1, T - 1], float32: log-probability of the token that does follow."""
    entropy: Tensor
    """[L + 1, T], float32, nats: how undecided the reading is."""


@dataclass(frozen=True)
class Inspection:
    """A text's way through a model."""

    ids: tuple[int, ...]
    residual: Tensor
    """[L + 1, T, D]: the stream before the first layer and after each."""
    layers: tuple[LayerRecord, ...]
    lens: Lens
    next_log_probabilities: Tensor
    """[V], float32: the model's distribution of the token after the text."""
    not_shown: tuple[str, ...]
    """What this kind of model does that is not recorded, in sentences."""


@torch.inference_mode()
def inspect(trunk: Trunk, ids: Sequence[int], *, most_probable: int = 10) -> Inspection:
    """Read a text of token ids and record what every layer does; `trunk` is left as it is.

    Raises UserError for an empty or too long text, and for models that are no stack of layers over
    one stream of tokens (T5).
    """
    if not can_inspect(trunk):
        raise UserError(_T5)
    if not ids:
        raise UserError("the text holds no token: write something")
    if len(ids) > trunk.config.context_length:
        raise UserError(
            f"the text is {len(ids)} tokens long and the model's context holds "
            f"{trunk.config.context_length}: shorten it"
        )
    observed = _shallow_copy(trunk)
    notes = [_observe(block) for block in observed.blocks]
    stream: list[Tensor] = []
    for module in (*observed.blocks, observed.final_norm):
        module.register_forward_pre_hook(lambda _, inputs: stream.append(inputs[0][0]))
    hidden = observed.hidden(torch.tensor([ids], device=trunk.head_weight.device))[0]
    scale = getattr(trunk.config, "residual_scale", 1.0)
    return Inspection(
        ids=tuple(ids),
        residual=torch.stack(stream),
        layers=tuple(
            note.record(scale, before, after)
            for note, (before, after) in zip(notes, pairwise(stream), strict=True)
        ),
        lens=_lens(trunk, stream, ids, most_probable),
        next_log_probabilities=trunk.logits_of(hidden[-1]).log_softmax(-1),
        not_shown=not_shown(trunk),
    )


_T5 = (
    "this model is an encoder-decoder (T5): it reads one text with its encoder and writes another "
    "with its decoder, so there is no single stream of tokens to look through"
)


def can_inspect(trunk: Trunk) -> bool:
    """Whether `inspect` can look into this kind of model."""
    return isinstance(trunk, Decoder | Mamba)


def not_shown(trunk: Trunk) -> tuple[str, ...]:
    """What `inspect` cannot show of this model, in sentences; all it does if it raises."""
    if isinstance(trunk, Retro):
        return (
            "This model looks up similar texts in a database and reads them with an encoder of "
            "its own. What that adds to the stream before a layer's attention is part of the "
            "stream here, but is not drawn apart.",
        )
    if isinstance(trunk, Mamba):
        return (
            "A state-space model (Mamba) has no attention: each layer carries what it has read in "
            "a state of fixed size, so there is no map of which token looks where. The stream, "
            "what each layer adds and the lens are shown.",
        )
    return () if isinstance(trunk, Decoder) else (f"{_T5[0].upper()}{_T5[1:]}.",)


def _shallow_copy(trunk: Any) -> Any:
    """The same modules over the same weights: hooks on it are unseen by whoever else uses it."""
    shared: list[Any] = [*trunk.parameters(), *trunk.buffers()]
    shared.append(getattr(trunk, "retriever", None))
    return copy.deepcopy(trunk, {id(one): one for one in shared if one is not None})


@dataclass
class _Notes:
    """What a layer's hooks saw."""

    seen: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        self.seen[name] = output

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> Tensor:
        self.seen["weights"] = attention_weights(query, key, *rest, **named)[0].float()
        return attention(query, key, value, *rest, **named)

    def record(self, scale: float, before: Tensor, after: Tensor) -> LayerRecord:
        """The record of a layer whose stream [T, D] was `before` and `after`."""
        share, worked_on = 1.0, None
        if "depth" in self.seen:
            scores = self.seen["depth"][0]
            worked_on = scores > 0
            share = (scores.sigmoid() * worked_on)[:, None].to(before.dtype)
        mixed, inner = self.seen.get("attention"), self.seen.get("feed_forward")
        experts, weights = self.seen.get("router", (None, None))
        whole_layer = after - before if mixed is None else None
        return LayerRecord(
            attention=self.seen.get("weights"),
            attention_added=None if mixed is None else mixed[0] * scale * share,
            feed_forward_added=whole_layer if inner is None else inner[0] * scale * share,
            experts=experts,
            expert_weights=weights,
            worked_on=worked_on,
        )


def _observe(block: nn.Module) -> _Notes:
    """Hooks on a layer's parts; where an output is normed before it is added, the norm's counts."""
    notes = _Notes()
    parts = {
        "attention": "attention",
        "attention_out_norm": "attention",
        "feed_forward": "feed_forward",
        "feed_forward_out_norm": "feed_forward",
        "feed_forward.router": "router",
        "depth_router": "depth",
    }
    for name, module in block.named_modules():
        if name in parts:
            module.register_forward_hook(partial(notes.keep, parts[name]))
        if name == "attention":
            module.attend = notes.attend
    return notes


def _lens(trunk: Any, stream: Sequence[Tensor], ids: Sequence[int], most_probable: int) -> Lens:
    following = torch.tensor(ids[1:], device=stream[0].device)[:, None]
    rows: list[tuple[Tensor, ...]] = []
    for residual in stream:
        scores = trunk.logits_of(trunk.final_norm(residual)).log_softmax(-1)
        best = scores.topk(min(most_probable, scores.shape[-1]), dim=-1)
        entropy = -(scores.exp() * scores).sum(-1)
        rows.append((best.indices, best.values, scores[:-1].gather(1, following)[:, 0], entropy))
    return Lens(*(torch.stack(column) for column in zip(*rows, strict=True)))
