"""Validation in bits per byte, so that different tokenizers compare."""

import math
from dataclasses import dataclass

import torch

from lilliput.model import Decoder
from lilliput.tokens import ValidationWindows
from lilliput.training.objective import next_token


@dataclass(frozen=True)
class Validation:
    """Mean loss in nats a token, and bits a byte of the text they stand for."""

    loss: float
    bits_per_byte: float
    tokens: int


def validate(model: Decoder, windows: ValidationWindows, device: torch.device) -> Validation:
    """Score every target of the windows once. The model keeps its number format."""
    nats = 0.0
    with torch.no_grad():
        for inputs, targets in windows:
            total, _ = next_token(model, (inputs.to(device), targets.to(device)))
            nats += float(total)
    return Validation(
        nats / windows.tokens, nats / math.log(2) / max(1, windows.bytes), windows.tokens
    )
