"""Validation in bits per byte, so that different tokenizers compare."""

import math
from dataclasses import dataclass

import torch

from lilliput.model import Trunk
from lilliput.tokens import ValidationWindows
from lilliput.training.method import Method


@dataclass(frozen=True)
class Validation:
    """Mean loss in nats a token, and bits a byte of the text they stand for.

    For an encoder-decoder, of the gaps it fills, markers included.
    """

    loss: float
    bits_per_byte: float
    tokens: int


def validate(
    model: Trunk, windows: ValidationWindows, device: torch.device, method: Method
) -> Validation:
    """Score every target of the windows once. The model keeps its number format."""
    nats, tokens = 0.0, 0
    with torch.no_grad():
        for inputs, targets in windows:
            batch = tuple(part.to(device) for part in method.held_out(inputs, targets))
            total, count = method.objective(model, batch)
            nats, tokens = nats + float(total), tokens + count
    scored_bytes = max(1.0, windows.bytes * tokens / max(1, windows.tokens))
    return Validation(nats / max(1, tokens), nats / math.log(2) / scored_bytes, tokens)
