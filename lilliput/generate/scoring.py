"""The one scorer: log-probabilities of given text, batched, in nats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lilliput.model import Trunk
from lilliput.model.t5.trunk import T5

TOKENS_PER_BATCH = 8192
LOGITS_PER_CHUNK = 1 << 24
# A shorter common beginning is cheaper to read again with each row than to copy into each.
SHORTEST_SHARED_PREFIX = 16


@dataclass(frozen=True, slots=True)
class Target:
    """The question: how probable are `ids[first:]`, each given all ids before it? `first` ≥ 1."""

    ids: Sequence[int]
    first: int


class DocumentScore(NamedTuple):
    """What a model makes of a whole text."""

    log_probability: float
    """Sum over its tokens, in nats: never above 0."""
    bytes: int
    """Length of the text in UTF-8."""

    @property
    def bits_per_byte(self) -> float:
        """The code length the model gives the text; 0 for an empty text."""
        return -self.log_probability / math.log(2) / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a target that the context holds: read from `start`, score `first` to `stop`.

    The last token is only predicted, never read, so a window is up to one token longer than the
    context.
    """

    start: int
    first: int
    stop: int


def windows(length: int, first: int, context_length: int) -> list[Window]:
    """Cover the tokens `first` to `length` so that each is scored once.

    A text longer than the context is read in windows that overlap by half: every token but the
    first window's is given at least half a context of what precedes it.
    """
    step = max(1, context_length // 2)
    stop = min(length, max(context_length + 1, first + step))
    covered = [Window(max(0, stop - 1 - context_length), first, stop)]
    while stop < length:
        first, stop = stop, min(length, stop + step)
        covered.append(Window(stop - 1 - context_length, first, stop))
    return covered


@torch.inference_mode()
def log_probabilities(decoder: Trunk, targets: Sequence[Target]) -> list[Tensor]:
    """For each target the log-probability in nats of each of its tokens, float64, on the CPU.

    Rows of similar length go through the decoder together, and what all rows of a batch begin
    with goes through it once.
    """
    context_length = decoder.config.context_length
    scores = [
        torch.zeros(len(target.ids) - target.first, dtype=torch.float64) for target in targets
    ]
    pieces = [
        (index, window)
        for index, target in enumerate(targets)
        if target.first < len(target.ids)
        for window in windows(len(target.ids), target.first, context_length)
    ]
    pieces.sort(key=lambda piece: piece[1].start - piece[1].stop)
    while pieces:
        longest = pieces[0][1].stop - pieces[0][1].start
        count = max(1, TOKENS_PER_BATCH // longest)
        batch, pieces = pieces[:count], pieces[count:]
        rows = [
            Target(targets[index].ids[window.start : window.stop], window.first - window.start)
            for index, window in batch
        ]
        for (index, window), row_scores in zip(batch, _score_rows(decoder, rows), strict=True):
            offset = targets[index].first
            scores[index][window.first - offset : window.stop - offset] = row_scores
    return scores


def _score_rows(decoder: Trunk, rows: Sequence[Target]) -> list[Tensor]:
    """Log-probabilities of rows that each fit in the context."""
    if isinstance(decoder, T5):
        return _score_answers(decoder, rows)
    device = decoder.head_weight.device
    shared = min(_common_prefix(rows), min(row.first for row in rows))
    # The last shared token is read with each row: its output predicts the row's own first token.
    done = shared - 1 if len(rows) > 1 and shared > SHORTEST_SHARED_PREFIX else 0
    width = max(len(row.ids) for row in rows) - 1
    # Padding on the right needs no mask: what comes later is never attended to.
    ids = torch.zeros(len(rows), width - done, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids) - 1 - done] = torch.tensor(row.ids[done:-1])
    ids = ids.to(device)
    cache = _shared_cache(decoder, rows[0].ids[:done], len(rows), width) if done else None
    hidden = decoder.hidden(ids, cache=cache)
    wanted = torch.cat(
        [
            hidden[number, row.first - 1 - done : len(row.ids) - 1 - done]
            for number, row in enumerate(rows)
        ]
    )
    answers = torch.tensor([token for row in rows for token in row.ids[row.first :]], device=device)
    scores = _log_softmax_at(decoder, wanted, answers)
    return list(torch.split(scores, [len(row.ids) - row.first for row in rows]))


def _score_answers(model: T5, rows: Sequence[Target]) -> list[Tensor]:
    """The same of an encoder-decoder: what comes before `first` is read, the rest written."""
    device = model.head_weight.device
    reads = max(row.first for row in rows)
    writes = max(len(row.ids) - row.first for row in rows)
    prompts = torch.zeros(len(rows), reads, dtype=torch.long)
    said = torch.full((len(rows), writes), model.config.start_token)
    for number, row in enumerate(rows):
        prompts[number, reads - row.first :] = torch.tensor(row.ids[: row.first])
        said[number, 1 : len(row.ids) - row.first] = torch.tensor(row.ids[row.first : -1])
    starts = torch.tensor([[reads - row.first] for row in rows], device=device)
    hidden = model.answer_hidden(prompts.to(device), said.to(device), document_starts=starts)
    wanted = torch.cat([hidden[n, : len(row.ids) - row.first] for n, row in enumerate(rows)])
    answers = torch.tensor([token for row in rows for token in row.ids[row.first :]], device=device)
    scores = _log_softmax_at(model, wanted, answers)
    return list(torch.split(scores, [len(row.ids) - row.first for row in rows]))


def _common_prefix(rows: Sequence[Target]) -> int:
    """How many leading ids all rows share; the least and the greatest row differ first."""
    least, greatest = min(list(row.ids) for row in rows), max(list(row.ids) for row in rows)
    pairs = zip(least, greatest, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _shared_cache(decoder: Trunk, prefix: Sequence[int], rows: int, capacity: int) -> Any:
    """A cache of `rows` rows that have all read `prefix`, which is run once."""
    device = decoder.head_weight.device
    once: Any = decoder.make_cache(1, len(prefix))
    decoder.hidden(torch.tensor([list(prefix)], device=device), cache=once)
    cache: Any = decoder.make_cache(rows, capacity)
    cache.fill_from(once, torch.zeros(rows, dtype=torch.long, device=device))
    return cache


def _log_softmax_at(decoder: Trunk, hidden: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of ids [N] from hidden [N, D], in chunks that bound the logits' memory."""
    chunk = max(1, LOGITS_PER_CHUNK // decoder.config.vocabulary_size)
    scores = []
    for part, answers in zip(torch.split(hidden, chunk), torch.split(ids, chunk), strict=True):
        logits = decoder.logits_of(part)
        chosen = logits.gather(-1, answers[:, None]).squeeze(-1)
        scores.append(chosen - logits.logsumexp(dim=-1))
    return torch.cat(scores).double().cpu()
