"""Random weights to start from."""

import torch

from lilliput.model.decoder import Decoder


def initialise_decoder(model: Decoder, seed: int) -> None:
    """Fill `model` in place, the same on every machine for the same seed.

    Matrices are uniform with standard deviation fan-in^-1/2, and the two that write to the residual
    stream start at zero, so that every block starts as the identity (the recipe of nanochat and
    modded-nanogpt); not where a norm follows them, since a norm of zeros has no gradient worth the
    name. So does an untied head, above an embedding of standard deviation 0.5; one that is shared
    with the head has GPT-2's 0.02 over the factor of the logits. Gains of norms are 1; biases, and
    whatever else is a vector, 0.
    """
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    writers = ("output.weight", "down.weight", "feed_forward.down")
    zero = (*writers, "head.weight") if config.norm_placement == "pre" else ("head.weight",)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("embedding.weight"):
                deviation = 0.02 if config.tied or name != "embedding.weight" else 0.5
                deviation /= config.logit_scale if config.tied else 1.0
                draw = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(draw * deviation)
            elif "norm" in name and name.endswith("weight"):
                parameter.fill_(1)
            elif parameter.ndim < 2 or name.endswith(("bias", *zero)):
                parameter.zero_()
            else:
                spread = (3.0 / parameter.shape[-1]) ** 0.5
                draw = torch.rand(parameter.shape, generator=generator)
                parameter.copy_((2 * draw - 1) * spread)
