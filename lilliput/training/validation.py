"""Validation in bits per byte, so that different tokenizers compare."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from lilliput.model import Trunk
from lilliput.training.method import HeldOut
from lilliput.training.objective import Objective


@dataclass(frozen=True)
class Validation:
    """Mean loss in nats a token, and bits a byte of the text they stand for.

    For an encoder-decoder, of the gaps it fills, markers included. `measures` are those of the text
    it writes, by name.
    """

    loss: float
    bits_per_byte: float
    tokens: int
    measures: Mapping[str, float] = field(default_factory=dict)


def validate(
    model: Trunk, held_out: HeldOut, device: torch.device, objective: Objective
) -> Validation:
    """Score every target that is held out once. The model keeps its number format."""
    nats, tokens = 0.0, 0
    with torch.no_grad():
        for batch in held_out:
            total, count = objective(model, tuple(part.to(device) for part in batch))
            nats, tokens = nats + float(total), tokens + count
    scored_bytes = max(1.0, held_out.bytes * tokens / max(1, held_out.tokens))
    return Validation(nats / max(1, tokens), nats / math.log(2) / scored_bytes, tokens)
