"""Beam search: the likeliest whole texts, not the likeliest next tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.generate.engine import decoding_threads, room_for
from lilliput.generate.requests import FinishReason, Written
from lilliput.model import Trunk


@dataclass(frozen=True, slots=True)
class Beam:
    """A text that a search found."""

    written: tuple[Written, ...]
    score: float
    """Log-probability in nats divided by (number of tokens)^length_penalty."""
    finish: FinishReason

    @property
    def ids(self) -> tuple[int, ...]:
        """Its tokens, with the end token where one ended it."""
        return tuple(one.id for one in self.written)


@torch.inference_mode()
def beam_search(
    trunk: Trunk,
    ids: Sequence[int],
    beams: int,
    *,
    max_tokens: int,
    end_tokens: Sequence[int],
    vocabulary_size: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """The `beams` best texts found after a prompt, best first, keeping as many unfinished ones.

    A search ends when the best unfinished text, were it to end now, scores below all the finished
    ones: transformers' `early_stopping=False`. Raises UserError as `Engine.submit` does, and if
    there are fewer tokens than beams.
    """
    size = min(vocabulary_size, trunk.config.vocabulary_size)
    if not 1 <= beams <= size:
        raise UserError(f"beams is {beams}: it must be 1 to {size}, the number of tokens")
    room = room_for(trunk.config, ids)
    most = min(max_tokens, room)
    reason: FinishReason = "length" if max_tokens <= room else "context"
    ends, device = frozenset(end_tokens), trunk.device
    cache: Any = trunk.make_cache(1, len(ids))
    hidden = trunk.hidden(torch.tensor([list(ids)], device=device), cache=cache)[:, -1]
    running: list[tuple[Written, ...]] = [()]
    sums = torch.zeros(1, dtype=torch.float64, device=device)
    finished: list[Beam] = []
    for length in range(1, most + 1):
        scores = trunk.logits_of(hidden)[:, :size].log_softmax(dim=-1).double()
        found = _likeliest(sums[:, None] + scores, (1 + max(1, len(ends))) * beams)
        goes_on: list[tuple[float, int, Written]] = []
        for rank, (total, row, token) in enumerate(found):
            written = Written(token, float(scores[row, token]))
            ended = token in ends
            if not ended and length < most:
                goes_on.append((total, row, written))
            elif rank < beams:
                text = (*running[row], written)
                finish = "end" if ended else reason
                finished.append(Beam(text, total / length**length_penalty, finish))
        # Sorting is stable: of equal scores the one found first stays in front.
        finished = sorted(finished, key=lambda one: -one.score)[:beams]
        goes_on = goes_on[:beams]
        if not goes_on:
            break
        best = goes_on[0][0] / length**length_penalty
        if len(finished) == beams and best <= finished[-1].score:
            break
        running = [(*running[row], written) for _, row, written in goes_on]
        sums = torch.tensor([total for total, _, _ in goes_on], dtype=torch.float64, device=device)
        cache.reorder(torch.tensor([row for _, row, _ in goes_on], device=device))
        tokens = torch.tensor([[written.id] for _, _, written in goes_on], device=device)
        with decoding_threads(device, len(goes_on) * trunk.config.parameters):
            hidden = trunk.hidden(tokens, cache=cache)[:, -1]
    return finished


def _likeliest(totals: Tensor, count: int) -> list[tuple[float, int, int]]:
    """The largest of totals [B, V], largest first, with their rows and columns."""
    best = totals.flatten().topk(min(count, totals.numel()))
    places = [divmod(place, totals.shape[1]) for place in best.indices.tolist()]
    return [(total, *place) for total, place in zip(best.values.tolist(), places, strict=True)]
