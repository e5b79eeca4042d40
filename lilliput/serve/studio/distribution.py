"""The next token's distribution before and after the sampling settings."""

from collections.abc import Sequence
from typing import Any

import torch

from lilliput.generate import LanguageModel, Sampling
from lilliput.generate.sampling import SMALLEST_TEMPERATURE, filtered_logits, penalise_repetition


def candidates(
    model: LanguageModel, ids: Sequence[int], sampling: Sampling, count: int
) -> list[dict[str, Any]]:
    """The `count` likeliest tokens after `ids`, likeliest first.

    `log_probability` (nats) is the model's own, `sampled` the probability that the settings leave.
    Presence and frequency penalties count tokens that were written; of `ids` none is taken as
    written, so they do not show here.
    """
    device = model.decoder.head_weight.device
    hidden = model.decoder.hidden(torch.tensor([ids], device=device))
    logits = model.decoder.logits_of(hidden[:, -1])[:, : model.tokenizer.vocabulary_size].cpu()
    scores = logits[0].log_softmax(-1)
    chosen = _sampled(logits, ids, sampling, model)
    best = scores.topk(min(count, len(scores))).indices.tolist()
    return [
        {
            "id": token,
            "bytes": model.tokenizer.bytes_of[token].hex(),
            "log_probability": float(scores[token]),
            "sampled": float(chosen[token]),
        }
        for token in best
    ]


def _sampled(
    logits: torch.Tensor, ids: Sequence[int], sampling: Sampling, model: LanguageModel
) -> torch.Tensor:
    """The probabilities [V] that a token is drawn from."""
    if sampling.repetition_penalty != 1:
        seen = torch.zeros_like(logits, dtype=torch.bool)
        seen[0, list(ids)] = True
        seen[0, list(model.end_tokens)] = False
        logits = penalise_repetition(logits, seen, sampling.repetition_penalty)
    if sampling.temperature < SMALLEST_TEMPERATURE:
        return torch.zeros_like(logits[0]).index_fill(0, logits[0].argmax(), 1.0)
    return filtered_logits(logits, sampling)[0].softmax(-1)
