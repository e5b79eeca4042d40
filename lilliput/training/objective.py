"""Objectives: what a batch's loss is. A new training method is a new one of these."""

from collections.abc import Callable

from torch import Tensor

from lilliput.model import Decoder, linear_cross_entropy

Objective = Callable[[Decoder, tuple[Tensor, ...]], tuple[Tensor, int]]
"""(model, batch) → the sum of its losses in nats, a scalar with a graph, and how many it summed."""


def next_token(model: Decoder, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
    """Cross-entropy of every next token. Batch: inputs and targets, int64 [batch, time].

    Targets of -100 are not scored.
    """
    inputs, targets = batch
    hidden = model.hidden(inputs)
    total = linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, targets.flatten())
    return total, int((targets != -100).sum())
