"""How probable a model finds the tokens of a prompt: what `echo` with `logprobs` answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.generate import LanguageModel, Target
from lilliput.generate.scoring import LOGITS_PER_CHUNK, windows
from lilliput.model import Trunk
from lilliput.model.t5.trunk import T5

TOKENS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Scored:
    """A token's log-probability given all before it, and the likeliest there (nats)."""

    log_probability: float
    alternatives: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Ids that fit in the context; those from `first` are scored, as `place` on of a target."""

    target: int
    ids: Sequence[int]
    first: int
    place: int


def in_batches(model: LanguageModel, targets: Sequence[Target]) -> Iterator[list[_Stretch]]:
    """Stretches that cover the targets, in batches that go through the decoder together.

    Raises UserError for an encoder-decoder, which reads prompts and does not predict them.
    """
    if isinstance(model.decoder, T5):
        raise UserError("echo with logprobs: this model reads its prompt and does not predict it")
    stretches = [
        _Stretch(number, target.ids[one.start : one.stop], one.first - one.start, one.first)
        for number, target in enumerate(targets)
        if target.first < len(target.ids)
        for one in windows(len(target.ids), target.first, model.context_length)
    ]
    stretches.sort(key=lambda one: -len(one.ids))
    while stretches:
        count = max(1, TOKENS_AT_ONCE // len(stretches[0].ids))
        yield stretches[:count]
        stretches = stretches[count:]


@torch.inference_mode()
def score_batch(
    model: LanguageModel, batch: Sequence[_Stretch], alternatives: int
) -> list[tuple[int, int, list[Scored]]]:
    """For each stretch its target, the place of its first scored token there, and the scores."""
    decoder = model.decoder
    device = decoder.head_weight.device
    width = max(len(one.ids) for one in batch) - 1
    # Padding on the right needs no mask: what comes later is never attended to.
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids) - 1] = torch.tensor(one.ids[:-1])
    hidden = decoder.hidden(ids.to(device))
    found = []
    for row, one in enumerate(batch):
        predicting = hidden[row, one.first - 1 : len(one.ids) - 1]
        answers = torch.tensor(one.ids[one.first :], device=device)
        top = min(alternatives, model.tokenizer.vocabulary_size)
        scores = _scores(decoder, predicting, answers, top, model.tokenizer.vocabulary_size)
        found.append((one.target, one.place, scores))
    return found


def _scores(
    decoder: Trunk, hidden: Tensor, answers: Tensor, top: int, vocabulary_size: int
) -> list[Scored]:
    """Scores of answers [N] from hidden [N, D], in chunks that bound the logits' memory."""
    chunk = max(1, LOGITS_PER_CHUNK // decoder.config.vocabulary_size)
    found = []
    for part, chosen in zip(torch.split(hidden, chunk), torch.split(answers, chunk), strict=True):
        scores = decoder.logits_of(part).log_softmax(dim=-1)
        own = scores.gather(-1, chosen[:, None]).squeeze(-1).tolist()
        best = scores[:, :vocabulary_size].topk(top, dim=-1)
        pairs = zip(own, best.indices.tolist(), best.values.tolist(), strict=True)
        found += [Scored(score, tuple(zip(ids, of, strict=True))) for score, ids, of in pairs]
    return found
