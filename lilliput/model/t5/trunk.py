"""T5, the encoder-decoder: a prompt is read whole, then its answer written token by token."""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.kernels import linear_cross_entropy
from lilliput.model.t5.cache import EncoderMemory, T5Cache
from lilliput.model.t5.config import T5Config
from lilliput.model.t5.layers import (
    DecoderBlock,
    EncoderBlock,
    RelativeBias,
    ScaleNorm,
    T5Attention,
    T5FeedForward,
)


class T5(nn.Module):
    """The encoder-decoder of arXiv 1910.10683, or its version 1.1, behind the Decoder's interface.

    What a decoder-only model reads as the beginning of its text, the prompt, this one encodes; the
    tokens after it are the decoder's. `hidden` and `forward` are called as the Decoder's are.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.d_model)
        # Both stacks under one name, by which the optimiser knows matrices inside blocks.
        self.blocks = nn.ModuleDict(
            {
                "encoder": nn.ModuleList(
                    EncoderBlock(config) for _ in range(config.n_encoder_layers)
                ),
                "decoder": nn.ModuleList(
                    DecoderBlock(config, layer) for layer in range(config.n_layers)
                ),
            }
        )
        self.encoder_bias = RelativeBias(config, bidirectional=True)
        self.decoder_bias = RelativeBias(config, bidirectional=False)
        self.encoder_norm = ScaleNorm(config)
        self.final_norm = ScaleNorm(config)
        if not config.tied:
            self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head's matrix [V, D]: the embedding's own when tied."""
        return self.embedding.weight if self.config.tied else self.head.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    @property
    def output_scale(self) -> float:
        """What hidden states are multiplied by before the head: not 1 where that is tied."""
        return self.config.d_model**-0.5 if self.config.tied else 1.0

    def make_cache(self, rows: int, capacity: int) -> T5Cache:
        """An empty cache for so many rows, whose answers have at most `capacity` tokens."""
        return T5Cache(rows, capacity)

    def forward(
        self,
        ids: Tensor,
        answers: Tensor | None = None,
        *,
        cache: T5Cache | None = None,
        document_starts: Tensor | None = None,
    ) -> Tensor:
        """Logits, float32: see `hidden`; with `answers` (and no cache), see `answer_hidden`."""
        if answers is None:
            hidden = self.hidden(ids, cache=cache, document_starts=document_starts)
        else:
            hidden = self.answer_hidden(ids, answers, document_starts=document_starts)
        return self.logits_of(hidden)

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The output head: hidden [..., D] → logits [..., V], float32."""
        return F.linear(hidden * self.output_scale, self.head_weight).float()

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Sum of the losses in nats of targets [...], int64, -100 where none is wanted, float32."""
        rows = hidden.flatten(0, -2) * self.output_scale
        return linear_cross_entropy(rows, self.head_weight, targets.flatten())

    def hidden(
        self, ids: Tensor, *, cache: T5Cache | None = None, document_starts: Tensor | None = None
    ) -> Tensor:
        """The decoder's residual stream after the final norm, [B, 1 or T, D].

        Without a cache, or with an empty one, ids [B, T] are prompts: they are encoded, and the
        result [B, 1, D] is that of the start token, which predicts the answer's first. Later ids
        are T tokens of the answer, and the result is [B, T, D].
        `document_starts` [B, 1], int64: how much padding each prompt has on its left, which the
        cache remembers; with later ids, how many of the cache's columns are before each answer.
        """
        if cache is None or cache.length == 0:
            memory = self.memory_of(ids, present_after(document_starts, ids.shape[1]))
            if cache is not None:
                cache.remember(memory)
            ids = ids.new_full((ids.shape[0], 1), self.config.start_token)
            document_starts = None
        else:
            assert cache.memory is not None
            memory = cache.memory
        return self.decode(ids, memory, cache=cache, starts=document_starts)

    def answer_hidden(
        self, ids: Tensor, answers: Tensor, *, document_starts: Tensor | None = None
    ) -> Tensor:
        """Teacher forcing: prompts [B, S] and the decoder's ids [B, T] → hidden [B, T, D].

        The answers begin with the start token. `document_starts` as in `hidden`.
        """
        memory = self.memory_of(ids, present_after(document_starts, ids.shape[1]))
        return self.decode(answers, memory)

    def encode(self, ids: Tensor, present: Tensor | None = None) -> Tensor:
        """ids [B, S], int64 → the encoder's output [B, S, D].

        `present`, boolean [B, S], is false at padding, wherever in the row that is.
        """
        bias = self.encoder_bias(ids.shape[1], ids.shape[1])
        if present is not None:
            bias = bias.masked_fill(~present[:, None, None], float("-inf"))
        residual = self.embedding(ids)
        for block in cast(Iterable[EncoderBlock], self.blocks["encoder"]):
            residual = block(residual, bias)
        return self.encoder_norm(residual)  # type: ignore[no-any-return]

    def memory_of(self, ids: Tensor, present: Tensor | None = None) -> EncoderMemory:
        """Encode prompts, and make of them what each decoder layer attends to."""
        encoded = self.encode(ids, present)
        pairs = [
            block.cross_attention.keys_and_values(encoded)
            for block in cast(Iterable[DecoderBlock], self.blocks["decoder"])
        ]
        keys, values = zip(*pairs, strict=True)
        return EncoderMemory(keys, values, present)

    def decode(
        self,
        ids: Tensor,
        memory: EncoderMemory,
        *,
        cache: T5Cache | None = None,
        starts: Tensor | None = None,
    ) -> Tensor:
        """Decoder ids [B, T], those after the `cache.length` stored, → hidden [B, T, D].

        `starts` [B, 1], int64: how many of the cache's columns are before each row's first.
        """
        past, time = cache.length if cache is not None else 0, ids.shape[1]
        bias = self.decoder_bias(time, past + time)
        if starts is not None:
            before = torch.arange(past + time, device=ids.device) < starts
            bias = bias.masked_fill(before[:, None, None], float("-inf"))
        mask = None if memory.present is None else memory.present[:, None, None]
        residual = self.embedding(ids)
        blocks = cast(Iterable[DecoderBlock], self.blocks["decoder"])
        for block, keys, values in zip(blocks, memory.keys, memory.values, strict=True):
            residual = block(residual, bias, (keys, values), mask, cache)
        if cache is not None:
            cache.advance(time)
        return self.final_norm(residual)  # type: ignore[no-any-return]


def present_after(document_starts: Tensor | None, length: int) -> Tensor | None:
    """Boolean [B, length], true from each row's start [B, 1] on; None if nothing is padded."""
    if document_starts is None:
        return None
    if document_starts.shape[1] != 1:
        raise ValueError("T5 reads one document a row: document_starts must be [B, 1]")
    return torch.arange(length, device=document_starts.device) >= document_starts


def initialise_t5(model: T5, seed: int) -> None:
    """Fill `model` in place as T5 does, the same on every machine for the same seed.

    Normal with standard deviation fan-in^-1/2; the queries' times head_dim^-1/2 more, in place of
    scaling attention; the relative biases' is d_model^-1/2. The embedding's is 1; an untied head,
    whose input has unit scale, has its fan-in's as in T5X (transformers leaves it at 1).
    """
    generator = torch.Generator().manual_seed(seed)
    config = model.config

    def fill(weight: Tensor, deviation: float) -> None:
        weight.copy_(torch.randn(weight.shape, generator=generator) * deviation)

    with torch.no_grad():
        fill(model.embedding.weight, 1.0)
        for module in model.modules():
            if isinstance(module, T5Attention):
                fill(module.query.weight, (config.d_model * config.head_dim) ** -0.5)
                fill(module.key.weight, config.d_model**-0.5)
                fill(module.value.weight, config.d_model**-0.5)
                fill(module.output.weight, (config.n_heads * config.head_dim) ** -0.5)
            elif isinstance(module, T5FeedForward):
                for matrix in module.children():
                    assert isinstance(matrix, nn.Linear)
                    fill(matrix.weight, matrix.in_features**-0.5)
            elif isinstance(module, RelativeBias):
                fill(module.weight, config.d_model**-0.5)
            elif isinstance(module, ScaleNorm):
                nn.init.ones_(module.weight)
        if not config.tied:
            fill(model.head.weight, config.d_model**-0.5)
