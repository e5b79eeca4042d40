"""How a trunk is pre-trained: its objective, and what its batches are made of."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lilliput.generate.retrieval import index_of
from lilliput.model import TrunkConfig
from lilliput.model.retro.config import RetroConfig
from lilliput.model.t5.config import T5Config
from lilliput.tokens import Batches, Tokens
from lilliput.tokens.batches import Align
from lilliput.tokens.neighbours import LeakageControl
from lilliput.tokens.span_corruption import corrupt_rows
from lilliput.training.loop import BatchSource
from lilliput.training.objective import Objective, compiled_next_token, next_token
from lilliput.training.retrieval import (
    RetrievedBatches,
    neighbours_of_rows,
    retrieved_next_token,
)
from lilliput.training.text_to_text import CorruptedBatches, span_corruption, text_to_text


@dataclass(frozen=True)
class Method:
    """A way of pre-training.

    `batches` turns plain batches into what the objective takes, given the run's seed and device;
    `held_out` does the same with the inputs and targets of a validation window batch.
    """

    objective: Objective
    batches: Callable[[Batches, int, torch.device], BatchSource]
    held_out: Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def method_for(config: TrunkConfig, tokens: Tokens, align: Align, compiled: bool) -> Method:
    """Span corruption for encoder-decoders (arXiv 1910.10683), the next token for all others.

    With the neighbours of the tokens' training split where the model retrieves.
    """
    if isinstance(config, T5Config):
        return _corrupting(config, tokens.manifest.end_of_text)
    if isinstance(config, RetroConfig):
        return _retrieving(config, tokens, align)
    objective = compiled_next_token() if compiled else next_token
    return Method(objective, lambda plain, *_: plain, lambda inputs, targets: (inputs, targets))


def _retrieving(config: RetroConfig, tokens: Tokens, align: Align) -> Method:
    index = index_of(tokens, config.chunk_length)

    def batches(plain: Batches, seed: int, device: torch.device) -> BatchSource:
        return RetrievedBatches(plain, index, config, seed=seed, align=align, device=device)

    def held_out(inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        found = neighbours_of_rows(
            index, inputs.numpy(), targets.numpy(), None, None,
            count=config.n_neighbours, control=LeakageControl(),
        )  # fmt: skip
        return inputs, targets, torch.from_numpy(found)

    return Method(retrieved_next_token, batches, held_out)


def _corrupting(config: T5Config, end_of_text: int) -> Method:
    settings = span_corruption(config, end_of_text)

    def batches(plain: Batches, seed: int, device: torch.device) -> BatchSource:
        return CorruptedBatches(plain, settings, seed=seed, device=device)

    def held_out(inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        windows = torch.where(targets == -100, end_of_text, inputs).numpy()
        parts = corrupt_rows(windows, settings, [(row,) for row in range(len(windows))])
        return tuple(map(torch.from_numpy, parts))

    return Method(text_to_text, batches, held_out)
