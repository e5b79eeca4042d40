"""Speculative decoding: a cheap draft is written ahead and checked in one pass.

Greedy texts are those without a draft, and sampled texts have the same distribution: a drafted
token is kept with probability min(1, p / q) and else replaced by one drawn from what p has more
than q (arXiv 2211.17192, algorithm 1).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.generate.engine import decoding_threads, room_for
from lilliput.generate.requests import FinishReason, Request, Written
from lilliput.generate.sampling import SMALLEST_TEMPERATURE, Sampling, filtered_logits
from lilliput.model import Decoder, Trunk

_LOOK_BACK = 32
"""How many states the model's own predictors look back at; more would cost more than they bring."""


@dataclass
class Acceptance:
    """How many tokens were drafted, and how many of them were kept."""

    drafted: int = 0
    accepted: int = 0
    passes: int = 0
    """How often the model itself was asked."""

    @property
    def share(self) -> float:
        """Of the drafted tokens, those kept; 0 if none was drafted."""
        return self.accepted / self.drafted if self.drafted else 0.0


class Chooser:
    """Draws from logits as a sampling says, with draws of its own."""

    def __init__(self, sampling: Sampling, seed: int, sample: int) -> None:
        self._sampling = sampling
        self.greedy = sampling.temperature < SMALLEST_TEMPERATURE
        key = np.array([seed, sample], dtype=np.uint64)
        self._random = np.random.Generator(np.random.Philox(key=key))

    def probabilities(self, logits: Tensor) -> Tensor:
        """What the sampling makes of logits [N, V]: float64, each row summing to 1."""
        if self.greedy:
            chosen = torch.zeros(logits.shape, dtype=torch.float64, device=logits.device)
            return chosen.scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
        return filtered_logits(logits, self._sampling).softmax(dim=-1, dtype=torch.float64)

    def draw(self, probabilities: Tensor) -> int:
        """A token with probability in proportion to [V]."""
        if self.greedy:
            return int(probabilities.argmax())
        cumulative = probabilities.cumsum(dim=-1)
        total = cumulative[-1:]
        point = torch.minimum(self._random.random() * total, total.nextafter(total.new_zeros(1)))
        return int(torch.searchsorted(cumulative, point, right=True))

    def agrees(self, share: float) -> bool:
        """True with probability `share`."""
        return share >= 1 or self._random.random() < share


class Drafter(Protocol):
    """What guesses the next tokens of a text."""

    def begin(self, ids: Sequence[int]) -> None:
        """A new text begins with these."""

    def propose(
        self, ids: Sequence[int], states: Tensor, count: int, chooser: Chooser
    ) -> tuple[list[int], list[Tensor]]:
        """At most `count` tokens after `ids`, and the probabilities [V] that each was drawn with.

        `states` [1, T, D] are the model's at the last T of `ids` but the last one, T at least 1.
        """


class ModelDrafter:
    """A smaller model with the same tokens."""

    def __init__(self, trunk: Trunk, vocabulary_size: int) -> None:
        self._trunk: Any = trunk
        self._vocabulary_size = vocabulary_size
        _check_takes_back(trunk)

    def begin(self, ids: Sequence[int]) -> None:
        """A new text begins with these."""
        self._cache: Any = self._trunk.make_cache(1, len(ids) + 64)
        self._read: list[int] = []
        self._certain = 0

    def propose(
        self, ids: Sequence[int], states: Tensor, count: int, chooser: Chooser
    ) -> tuple[list[int], list[Tensor]]:
        """See `Drafter`: nothing where the draft model's context is full."""
        count = min(count, self._trunk.config.context_length - len(ids))
        known = self._certain
        while known < min(len(self._read), len(ids) - 1) and self._read[known] == ids[known]:
            known += 1
        self._certain = known
        self._cache.cut(known)
        self._read, tokens = list(ids), list(ids[known:])
        proposed: list[int] = []
        probabilities: list[Tensor] = []
        for _ in range(count):
            given = torch.tensor([tokens], device=self._trunk.device)
            with decoding_threads(self._trunk.device, len(tokens) * self._trunk.config.parameters):
                hidden = self._trunk.hidden(given, cache=self._cache)[:, -1]
            logits = self._trunk.logits_of(hidden)[:, : self._vocabulary_size]
            probabilities.append(chooser.probabilities(logits)[0])
            tokens = [chooser.draw(probabilities[-1])]
            proposed += tokens
        self._read += proposed[:-1]
        return proposed, probabilities


class OwnDrafter:
    """The model's own predictors of further tokens (multi-token prediction, arXiv 2412.19437)."""

    def __init__(self, decoder: Decoder, vocabulary_size: int) -> None:
        self._decoder, self._vocabulary_size = decoder, vocabulary_size
        if not decoder.future:
            raise UserError(
                "the model has no predictors of further tokens (model.n_future_tokens is 0): give "
                "a smaller model as the draft"
            )

    def begin(self, ids: Sequence[int]) -> None:
        """A new text begins."""

    def propose(
        self, ids: Sequence[int], states: Tensor, count: int, chooser: Chooser
    ) -> tuple[list[int], list[Tensor]]:
        """See `Drafter`: at most as many tokens as there are predictors."""
        states = states[:, -_LOOK_BACK:]
        following = torch.tensor([ids[-states.shape[1] :]], device=states.device)
        proposed: list[int] = []
        probabilities: list[Tensor] = []
        ahead = self._decoder.ahead(states, following)
        token: Tensor | None = None
        for _ in range(min(count, len(self._decoder.future))):
            state = ahead.send(token)
            logits = self._decoder.logits_of(state[:, -1])[:, : self._vocabulary_size]
            probabilities.append(chooser.probabilities(logits)[0])
            proposed.append(chooser.draw(probabilities[-1]))
            token = torch.tensor(proposed[-1:], device=states.device)
        return proposed, probabilities


class Speculation:
    """Writes one text at a time with a trunk and a drafter of `ahead` tokens."""

    def __init__(
        self,
        trunk: Trunk,
        drafter: Drafter,
        *,
        end_tokens: Sequence[int],
        vocabulary_size: int,
        ahead: int = 4,
    ) -> None:
        _check_takes_back(trunk)
        self.acceptance = Acceptance()
        self._trunk: Any = trunk
        self._drafter, self._ahead = drafter, ahead
        self._end_tokens = frozenset(end_tokens)
        self._vocabulary_size = min(vocabulary_size, trunk.config.vocabulary_size)

    def write(self, request: Request) -> Generator[Written, None, FinishReason]:
        """Write the text of a request token by token; the generator returns why it ended.

        Raises UserError as `Engine.submit` does, and for penalties, biases and constraints.
        """
        _check_plain(request)
        room = room_for(self._trunk.config, request.ids)
        return self._write(request, room)

    def _write(self, request: Request, room: int) -> Generator[Written, None, FinishReason]:
        sampling = request.sampling
        most = min(sampling.max_tokens, room)
        chooser = Chooser(sampling, request.seed, request.sample)
        ids = list(request.ids)
        cache: Any = self._trunk.make_cache(1, len(ids) + most + self._ahead)
        self._drafter.begin(ids)
        states = logits = None
        drafted: tuple[list[int], list[Tensor]] = ([], [])
        given, count = ids, 0
        while True:
            with torch.inference_mode():
                hidden, logits = self._ask([*given, *drafted[0]], cache, len(drafted[0]) + 1)
                written = self._kept(logits, drafted, chooser, most - count, request)
                unread = len(drafted[0]) - (len(written) - 1)
                hidden = hidden[:, : hidden.shape[1] - unread]
                cache.cut(cache.length - unread)
                states = hidden if states is None else torch.cat((states, hidden), dim=1)
                states = states[:, -_LOOK_BACK:]
            for one in written:
                ids.append(one.id)
                count += 1
                yield one
                if one.id in self._end_tokens:
                    return "end"
            if count == most:
                return "length" if sampling.max_tokens <= room else "context"
            with torch.inference_mode():
                ahead = min(self._ahead, most - count - 1)
                drafted = self._drafter.propose(ids, states, ahead, chooser) if ahead else ([], [])
            given = ids[-1:]

    def _ask(self, tokens: Sequence[int], cache: Any, wanted: int) -> tuple[Tensor, Tensor]:
        """States [1, T, D] after tokens, and the logits [wanted, V] of the last of them."""
        ids = torch.tensor([list(tokens)], device=self._trunk.device)
        self.acceptance.passes += 1
        with decoding_threads(self._trunk.device, len(tokens) * self._trunk.config.parameters):
            hidden = self._trunk.hidden(ids, cache=cache)
            logits = self._trunk.logits_of(hidden[0, -wanted:])[:, : self._vocabulary_size]
        return hidden, logits

    def _kept(
        self,
        logits: Tensor,
        drafted: tuple[list[int], list[Tensor]],
        chooser: Chooser,
        most: int,
        request: Request,
    ) -> list[Written]:
        """The drafted tokens that are kept, and the one the model itself chooses after them."""
        scores = logits.log_softmax(dim=-1)
        probabilities = chooser.probabilities(logits)
        tokens: list[int] = []
        for place, (token, guessed) in enumerate(zip(*drafted, strict=True)):
            own = probabilities[place]
            if not chooser.agrees(float(own[token] / guessed[token])):
                tokens.append(chooser.draw((own - guessed).clamp_min(0)))
                break
            tokens.append(token)
            if token in self._end_tokens:
                break
        else:
            tokens.append(chooser.draw(probabilities[len(tokens)]))
        self.acceptance.drafted += len(drafted[0])
        kept = [one == token for one, token in zip(tokens, drafted[0], strict=False)]
        self.acceptance.accepted += sum(kept)
        return [
            Written(token, float(scores[place, token]), _best(scores[place], request.alternatives))
            for place, token in enumerate(tokens[:most])
        ]


def _best(scores: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    if not count:
        return ()
    best = scores.topk(min(count, len(scores)))
    return tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def _check_takes_back(trunk: Any) -> None:
    if not trunk.make_cache(0, 0).takes_back:
        raise UserError(
            f"a {type(trunk).__name__} model cannot take tokens back that it has read, which "
            "writing with a draft needs: leave the draft out"
        )


def _check_plain(request: Request) -> None:
    sampling = request.sampling
    steered = (
        sampling.repetition_penalty != 1
        or sampling.presence_penalty
        or sampling.frequency_penalty
        or sampling.logit_bias
        or request.constraint is not None
    )
    if steered:
        raise UserError(
            "a draft goes with temperature, top-k, top-p, min-p and typical-p alone: leave out "
            "penalties, biases and constraints, or the draft"
        )
