"""A decoder of any family, small and random."""

import torch

from lilliput.model import FAMILIES, Decoder, ModelConfig

CONTEXT_LENGTH = 64


def random_decoder(family: str, vocabulary_size: int) -> Decoder:
    config = ModelConfig(
        family=family,
        vocabulary_size=vocabulary_size,
        context_length=CONTEXT_LENGTH,
        n_layers=2,
        d_model=48,
        n_heads=4,
        n_kv_heads=4 if family == "gpt2" else 2,
        head_dim=12,
        d_ff=96,
        **FAMILIES[family].switches,
    )
    torch.manual_seed(7)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return decoder.eval().requires_grad_(False)
