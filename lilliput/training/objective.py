"""Objectives: what a batch's loss is. A new training method is a new one of these."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lilliput.model import Decoder, Trunk

Objective = Callable[[Any, tuple[Tensor, ...]], tuple[Tensor, int]]
"""(model, batch) → the sum of its losses in nats, a scalar with a graph, and how many it summed."""


def next_token(model: Trunk, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
    """Cross-entropy of every next token.

    Batch: inputs and targets, int64 [batch, time], and if attention is to stay inside documents
    their `document_starts` (see `Decoder.hidden`). Targets of -100 are not scored.
    """
    starts = _starts(batch)
    return _scored(model, model.hidden(batch[0], document_starts=starts), batch[1], starts)


def compiled_next_token() -> Objective:
    """`next_token` with the decoder's layers compiled by torch.compile.

    The loss stays as it is: it works in chunks already, and compiling it gains nothing.
    """
    hidden: Any = torch.compile(Decoder.hidden, dynamic=False)

    def objective(model: Trunk, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
        starts = _starts(batch)
        return _scored(model, hidden(model, batch[0], document_starts=starts), batch[1], starts)

    return objective


def _starts(batch: tuple[Tensor, ...]) -> Tensor | None:
    return batch[2] if len(batch) > 2 else None


def _scored(
    model: Trunk, hidden: Tensor, targets: Tensor, starts: Tensor | None
) -> tuple[Tensor, int]:
    total = model.loss(hidden, targets)
    if isinstance(model, Decoder) and model.config.n_future_tokens and torch.is_grad_enabled():
        further = _future_loss(model, hidden, targets, starts)
        total = total + further - further.detach()  # what is reported stays the next token's loss
    return total, int((targets != -100).sum())


def _future_loss(model: Decoder, hidden: Tensor, targets: Tensor, starts: Tensor | None) -> Tensor:
    """The weighted loss of the tokens after the next (arXiv 2412.19437, equation 25)."""
    losses, time = [], targets.shape[1]
    for distance, ahead in enumerate(model.ahead(hidden, targets.clamp_min(0), starts), start=1):
        wanted = torch.full_like(targets, -100)
        wanted[:, : time - distance] = targets[:, distance:]
        if starts is not None:  # what another document says is not to be foreseen
            other = starts[:, distance:] != starts[:, : time - distance]
            wanted[:, : time - distance].masked_fill_(other, -100)
        losses.append(model.loss(ahead, wanted))
    return torch.stack(losses).mean() * model.config.future_loss
