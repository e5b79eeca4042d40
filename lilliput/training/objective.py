"""Objectives: what a batch's loss is. A new training method is a new one of these."""

from collections.abc import Callable

import torch
from torch import Tensor

from lilliput.model import Decoder, linear_cross_entropy

Objective = Callable[[Decoder, tuple[Tensor, ...]], tuple[Tensor, int]]
"""(model, batch) → the sum of its losses in nats, a scalar with a graph, and how many it summed."""


def next_token(model: Decoder, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
    """Cross-entropy of every next token.

    Batch: inputs and targets, int64 [batch, time], and if attention is to stay inside documents
    their `document_starts` (see `Decoder.hidden`). Targets of -100 are not scored.
    """
    return _scored(model, model.hidden(batch[0], document_starts=_starts(batch)), batch[1])


def compiled_next_token() -> Objective:
    """`next_token` with the decoder's layers compiled by torch.compile.

    The loss stays as it is: it works in chunks already, and compiling it gains nothing.
    """
    hidden = torch.compile(Decoder.hidden, dynamic=False)

    def objective(model: Decoder, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
        return _scored(model, hidden(model, batch[0], document_starts=_starts(batch)), batch[1])

    return objective


def _starts(batch: tuple[Tensor, ...]) -> Tensor | None:
    return batch[2] if len(batch) > 2 else None


def _scored(model: Decoder, hidden: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    total = linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, targets.flatten())
    return total, int((targets != -100).sum())
