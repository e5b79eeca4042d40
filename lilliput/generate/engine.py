"""The decoding loop: a batch of prompts grows by one token a step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.sampling import Sampling, choose, penalise_repetition, uniform_draws
from lilliput.model import Trunk, TrunkConfig, cached_numbers

MOST_ROWS = 256
MOST_CACHE_BYTES = 1 << 30
MOST_PROMPT_TOKENS = 1 << 15
# A second CPU thread pays only where one operation lasts far longer than waking the thread, which
# on a busy machine takes a scheduler quantum each time and makes small models 10 times slower.
MULTIPLY_ADDS_WORTH_THREADS = 500_000_000

FinishReason = Literal["end", "stop", "length", "context"]


@dataclass(frozen=True, slots=True)
class Request:
    """One text to write: the prompt's ids, and the seed and sample index that own its draws."""

    ids: tuple[int, ...]
    seed: int
    sample: int = 0


class Sampled(NamedTuple):
    """A token that a step chose for a request (an index into the requests)."""

    request: int
    token: int


class Generation:
    """A batch of requests being written.

    `step` chooses one token for every active request; a request leaves the batch when it samples
    an end token, has its `max_tokens`, reaches the end of the context, or is told to `finish`.
    What a request draws depends on nothing but itself.

    Raises UserError if a prompt is empty or leaves no room in the context.
    """

    def __init__(
        self,
        decoder: Trunk,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        end_tokens: Sequence[int],
        vocabulary_size: int,
    ) -> None:
        self.finished: dict[int, FinishReason] = {}
        self.sampling = sampling
        self._decoder = decoder
        self._end_tokens = frozenset(end_tokens)
        self._vocabulary_size = min(vocabulary_size, decoder.config.vocabulary_size)
        self._room = [_room(decoder.config, request.ids) for request in requests]
        self._slots = list(range(len(requests)))  # the request in each row of the cache
        self._steps = 0
        self._tokens: Tensor | None = None  # chosen by the last step, not yet given to the decoder
        self._device = decoder.head_weight.device
        limit = min(sampling.max_tokens, max(self._room))
        draws = np.stack([uniform_draws(one.seed, one.sample, limit) for one in requests])
        # Apple's MPS has no float64; the draw is made on the CPU there.
        self._draw_device = torch.device("cpu") if self._device.type == "mps" else self._device
        self._draws = torch.from_numpy(draws).to(self._draw_device)
        self._seen = self._seen_tokens(requests) if sampling.repetition_penalty != 1 else None
        self._prefill(requests, limit)

    @property
    def active(self) -> bool:
        """Whether any request is unfinished."""
        return bool(self._slots)

    def step(self) -> list[Sampled]:
        """Choose the next token of every active request."""
        with decoding_threads(self._decoder, len(self._slots)):
            sampled = self._step()
        for request, token in sampled:
            if token in self._end_tokens:
                self.finish(request, "end")
            elif self._steps == self.sampling.max_tokens:
                self.finish(request, "length")
            elif self._steps == self._room[request]:
                self.finish(request, "context")
        return sampled

    @torch.inference_mode()
    def finish(self, request: int, reason: FinishReason) -> None:
        """Take a request out of the batch; no-op if it is out already."""
        if request in self.finished:
            return
        self.finished[request] = reason
        slot = self._slots.index(request)
        self._slots[slot] = self._slots[-1]
        self._slots.pop()
        self._cache.drop_row(slot)
        assert self._tokens is not None
        for rows in (self._tokens, self._padding):
            rows[slot] = rows[len(self._slots)]

    @torch.inference_mode()
    def _step(self) -> list[Sampled]:
        if self._tokens is not None:
            self._advance(self._tokens[: len(self._slots)])
        slots = torch.tensor(self._slots, device=self._draw_device)
        logits = self._decoder.logits_of(self._hidden)[:, : self._vocabulary_size]
        logits = logits.to(self._draw_device)
        if self._seen is not None:
            seen, penalty = self._seen[slots], self.sampling.repetition_penalty
            logits = penalise_repetition(logits, seen, penalty)
        chosen = choose(logits, self.sampling, self._draws[slots, self._steps])
        if self._seen is not None:
            self._seen[slots, chosen] = True
            self._seen[:, list(self._end_tokens)] = False
        tokens = chosen.tolist()
        if max(tokens) >= self._vocabulary_size:
            raise WorkFailed("the model's logits are not finite: its weights are damaged")
        self._steps += 1
        self._tokens = chosen.to(self._device)
        return [Sampled(*pair) for pair in zip(self._slots, tokens, strict=True)]

    def _advance(self, tokens: Tensor) -> None:
        padding = self._padding[: len(self._slots)]
        if self._cache.length == self._cache.capacity:
            unused = int(padding.min())  # above 0: the longest request left at the context's end
            self._cache.drop_first(unused)
            padding -= unused
        # Without padding the decoder needs no mask.
        starts = padding[:, None] if self._padded else None
        hidden = self._decoder.hidden(tokens[:, None], cache=self._cache, document_starts=starts)
        self._hidden = hidden[:, -1]

    @torch.inference_mode()
    def _prefill(self, requests: Sequence[Request], limit: int) -> None:
        """Run every distinct prompt through the decoder once, padded on the left."""
        prompts = list(dict.fromkeys(request.ids for request in requests))
        longest = max(map(len, prompts))
        config = self._decoder.config
        capacity = min(config.context_length, longest + limit)
        rows = {prompt: row for row, prompt in enumerate(prompts)}
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self._device)
        padding = longest - lengths
        self._padded = bool(padding.any())
        ids = torch.tensor(
            [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts],
            device=self._device,
        )
        alone = len(prompts) == len(requests)
        cache: Any = self._decoder.make_cache(len(prompts), capacity if alone else longest)
        starts = padding[:, None] if self._padded else None
        hidden = self._decoder.hidden(ids, cache=cache, document_starts=starts)[:, -1]
        if not alone:
            prompt_cache = cache
            chosen = torch.tensor([rows[one.ids] for one in requests], device=self._device)
            cache = self._decoder.make_cache(len(requests), capacity)
            cache.fill_from(prompt_cache, chosen)
            hidden, padding = hidden[chosen], padding[chosen]
        self._cache: Any = cache  # each trunk has its own kind
        self._hidden = hidden
        self._padding: Tensor = padding

    def _seen_tokens(self, requests: Sequence[Request]) -> Tensor:
        seen = torch.zeros(
            len(requests), self._vocabulary_size, dtype=torch.bool, device=self._draw_device
        )
        for row, request in enumerate(requests):
            seen[row, list(request.ids)] = True
        # Documents begin with the end token; penalising it would keep a text from ever ending.
        seen[:, list(self._end_tokens)] = False
        return seen


def _room(config: TrunkConfig, ids: Sequence[int]) -> int:
    """How many tokens may follow these in the context. Raises UserError if none."""
    if not ids:
        raise UserError("the prompt holds no token: give it some text")
    room: int = config.context_length - len(ids)
    if room < 1:
        raise UserError(
            f"the prompt is {len(ids)} tokens long and the model's context holds "
            f"{config.context_length}, of which one must be left for the answer: shorten it"
        )
    return room


def batches_of(
    config: TrunkConfig, requests: Sequence[Request], max_tokens: int
) -> list[list[int]]:
    """Indices of the requests in batches of similar length whose caches fit in memory."""
    order = sorted(range(len(requests)), key=lambda index: (-len(requests[index].ids), index))
    batches: list[list[int]] = []
    while order:
        longest = len(requests[order[0]].ids)
        cache_bytes = 4 * cached_numbers(config, min(config.context_length, longest + max_tokens))
        rows = min(
            MOST_ROWS, MOST_CACHE_BYTES // cache_bytes, MOST_PROMPT_TOKENS // max(1, longest)
        )
        batches.append(order[: max(1, rows)])
        order = order[max(1, rows) :]
    return batches


@contextmanager
def decoding_threads(decoder: Trunk, rows: int) -> Iterator[None]:
    """Run a step of `rows` with one CPU thread where more would not pay, then as before."""
    threads = torch.get_num_threads()
    work = rows * decoder.config.parameters
    on_cpu = decoder.head_weight.device.type == "cpu"
    if threads == 1 or not on_cpu or work >= MULTIPLY_ADDS_WORTH_THREADS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
