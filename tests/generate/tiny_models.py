"""Decoders of the families that differ most in what a cache and padding mean, small and random."""

import torch

from lilliput.model import FAMILIES, Decoder

CONTEXT_LENGTH = 64
TRIED = (
    "lilliput", "llama", "gpt2", "bloom", "gopher", "gemma2", "gpt-oss", "llama4", "deepseek-v3",
    "apple", "mistral",
)  # fmt: skip

EXCHANGED = tuple(family for family in TRIED if FAMILIES[family].model_type)


def random_decoder(family: str, vocabulary_size: int) -> Decoder:
    config = FAMILIES[family].shape(
        n_layers=4, d_model=48, vocabulary_size=vocabulary_size, context_length=CONTEXT_LENGTH
    )
    torch.manual_seed(7)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return decoder.eval().requires_grad_(False)
