"""What could come next in a text: the model's own probabilities, and those that settings leave."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from lilliput.generate.engine import room_for
from lilliput.generate.requests import Request
from lilliput.generate.sampling import SMALLEST_TEMPERATURE, Sampling, filtered_logits
from lilliput.generate.steering import Steering
from lilliput.generate.texts import Text
from lilliput.generate.writing import Writer


class Candidate(NamedTuple):
    """A token that could come next."""

    id: int
    probability: float
    """The model's own."""
    sampled: float
    """With what probability it is drawn under the settings."""


@torch.inference_mode()
def candidates(
    model: Writer, prompt: Sequence[int], written: Sequence[int], sampling: Sampling, count: int
) -> list[Candidate]:
    """The `count` likeliest tokens after a prompt and what was written after it, likeliest first.

    Raises UserError if the two fill the context.
    """
    trunk: Any = model.decoder
    room = room_for(trunk.config, (*prompt, *written))
    cache = trunk.make_cache(1, len(prompt) + len(written))
    hidden = trunk.hidden(torch.tensor([prompt], device=trunk.device), cache=cache)
    if written:
        hidden = trunk.hidden(torch.tensor([written], device=trunk.device), cache=cache)
    logits = trunk.logits_of(hidden[:, -1])[:, : model.tokenizer.vocabulary_size].float().cpu()
    own = logits[0].softmax(-1)
    request = Request(tuple(prompt), sampling, seed=0)
    text = Text(0, request, room, "length", frozenset(model.end_tokens), ids=list(written))
    logits = Steering([text], logits.shape[-1]).steered(logits)
    if sampling.temperature < SMALLEST_TEMPERATURE:
        sampled = torch.zeros_like(own).index_fill(0, logits[0].argmax(), 1.0)
    else:
        sampled = filtered_logits(logits, sampling)[0].softmax(-1)
    best = own.topk(min(count, len(own))).indices.tolist()
    return [Candidate(token, float(own[token]), float(sampled[token])) for token in best]
