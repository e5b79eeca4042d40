"""Random weights to start from."""

import torch
from torch import nn

from lilliput.model.decoder import Decoder


def initialise(model: Decoder, seed: int) -> None:
    """Fill `model` in place, the same on every machine for the same seed.

    Matrices are uniform with standard deviation d_model^-1/2 and the two that write to the residual
    stream start at zero, so that every block starts as the identity (the recipe of nanochat and
    modded-nanogpt). So does an untied head, above an embedding of standard deviation 0.5; one that
    is shared with the head has GPT-2's 0.02.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = (3.0 / model.config.d_model) ** 0.5
    deviation = 0.02 if model.config.tied else 0.5
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding):
                module.weight.copy_(
                    torch.randn(module.weight.shape, generator=generator) * deviation
                )
            elif isinstance(module, nn.Linear):
                if name.endswith((".output", ".down", "head")):
                    module.weight.zero_()
                else:
                    draw = torch.rand(module.weight.shape, generator=generator)
                    module.weight.copy_((2 * draw - 1) * spread)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
                nn.init.ones_(module.weight)
                if isinstance(module, nn.LayerNorm):
                    nn.init.zeros_(module.bias)
