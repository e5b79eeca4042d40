"""Decoders with random weights, norms' gains and biases too: nothing is checked at zero or one."""

import torch

from lilliput.model import Decoder, ModelConfig


def random_decoder(config: ModelConfig, *, deviation: float = 0.1, gains: float = 1.0) -> Decoder:
    """A decoder to take gradients of; norms' gains lie around `gains`."""
    torch.manual_seed(3)
    model = Decoder(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, deviation)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(gains)
    return model


def frozen_decoder(config: ModelConfig) -> Decoder:
    """The same to compute with alone."""
    return random_decoder(config).requires_grad_(False).eval()
