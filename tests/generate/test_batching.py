"""The engine as the server uses it: requests come and go while others are being written."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import CONTEXT_LENGTH, TRIED, random_decoder

from lilliput.errors import UserError
from lilliput.generate import Engine, Event, Request, Sampling, Written
from lilliput.generate.scoring import Target, log_probabilities
from lilliput.model import Trunk
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.trunk import Mamba
from lilliput.model.t5.config import t5_of_depth
from lilliput.model.t5.trunk import T5

SIZE = 300
SAMPLINGS = (
    Sampling(temperature=0, max_tokens=30),
    Sampling(temperature=1.3, max_tokens=200, top_p=0.9),
    Sampling(temperature=0.9, top_k=20, max_tokens=9),
    Sampling(repetition_penalty=1.3, temperature=1, min_p=0.01, max_tokens=40),
    Sampling(presence_penalty=0.7, frequency_penalty=0.4, typical_p=0.95, max_tokens=40),
    Sampling(logit_bias={17: 4.0, 23: -50.0}, max_tokens=25),
)


def trunk_of(name: str) -> Trunk:
    if name in TRIED:
        return random_decoder(name, SIZE)
    torch.manual_seed(4)
    trunk: Trunk
    if name == "mamba":
        trunk = Mamba(
            MambaConfig(vocabulary_size=SIZE, d_model=32, n_layers=2, context_length=CONTEXT_LENGTH)
        )
    else:
        config = t5_of_depth(
            2, tokenizer_vocabulary_size=SIZE, start_token=1, context_length=CONTEXT_LENGTH
        )
        trunk = T5(config)
    for parameter in trunk.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return trunk.eval().requires_grad_(False)


def engine_of(trunk: Trunk, **options: int) -> Engine:
    return Engine(trunk, end_tokens=[3], vocabulary_size=SIZE, **options)


def some_requests(count: int, seed: int = 0) -> list[Request]:
    """Prompts of many lengths, some that begin alike, some the same."""
    random = np.random.default_rng(seed)
    shared = tuple(random.integers(4, SIZE, 30).tolist())
    requests = []
    for number in range(count):
        own = tuple(random.integers(4, SIZE, random.integers(1, 25)).tolist())
        ids = [own, shared + own[:8], shared[: 5 + len(own)], shared][number % 4]
        sampling = SAMPLINGS[number % len(SAMPLINGS)]
        requests.append(Request(ids, sampling, seed=number // 2, sample=number % 2))
    return requests


def written_by(
    engine: Engine, requests: list[Request], steps_between: int = 0
) -> list[tuple[tuple[int, ...], str | None]]:
    """What each request becomes, when a new one comes every few steps."""
    texts: dict[int, list[int]] = {}
    finish: dict[int, str | None] = {}
    tickets = []

    def note(events: list[Event]) -> None:
        for event in events:
            assert event.ticket not in finish
            texts[event.ticket] += [one.id for one in event.written]
            if event.finish:
                finish[event.ticket] = event.finish

    for request in requests:
        tickets.append(engine.submit(request))
        texts[tickets[-1]] = []
        for _ in range(steps_between):
            note(engine.step())
    while not engine.idle:
        note(engine.step())
    return [(tuple(texts[ticket]), finish[ticket]) for ticket in tickets]


@pytest.mark.parametrize("name", [*TRIED, "mamba", "t5"])
def test_a_text_is_the_same_alone_and_in_a_crowd(name: str) -> None:
    trunk, requests = trunk_of(name), some_requests(14)
    alone = [written_by(engine_of(trunk), [request])[0] for request in requests]
    assert len({text for text, _ in alone}) > 10
    assert {reason for _, reason in alone} >= {"length", "context"}
    for options in ({}, {"prefill_chunk": 7}, {"most_rows": 3}, {"cache_bytes": 100_000}):
        for steps_between in (0, 2):
            together = written_by(engine_of(trunk, **options), requests, steps_between)
            assert together == alone


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "gemma2", "deepseek-v3", "mamba"])
def test_what_was_read_before_is_not_read_again(name: str) -> None:
    trunk = trunk_of(name)
    engine = engine_of(trunk)
    first = Request(tuple(range(10, 40)), replace(SAMPLINGS[0], max_tokens=12), seed=1)
    [(text, _)] = written_by(engine, [first])
    turn = Request((*first.ids, *text, 50, 51), SAMPLINGS[1], seed=2)
    reused = engine.statistics.prompt_tokens_reused
    again = written_by(engine, [turn])
    # All but the last token of the first text, which the trunk was never given.
    assert engine.statistics.prompt_tokens_reused - reused == len(first.ids) + len(text) - 1
    assert again == written_by(engine_of(trunk, prefix_cache_bytes=0), [turn])


def test_the_prefix_cache_keeps_to_its_bytes() -> None:
    trunk, budget = trunk_of("llama"), 200_000
    engine = engine_of(trunk, prefix_cache_bytes=budget)
    written_by(engine, some_requests(60))
    assert 0 < engine.statistics.prefix_cache_bytes <= budget
    assert engine.statistics.prompt_tokens_reused > 0
    assert engine.statistics.cache_bytes == 0


def test_texts_wait_where_memory_is_short() -> None:
    engine = engine_of(trunk_of("llama"), most_rows=2)
    for request in some_requests(5):
        engine.submit(request)
    seen = []
    while not engine.idle:
        engine.step()
        seen.append((engine.statistics.rows, engine.statistics.waiting))
    assert max(rows for rows, _ in seen) == 2
    assert seen[0][1] >= 3
    assert seen[-1] == (0, 0)


def test_a_cancelled_request_frees_its_row() -> None:
    trunk, requests = trunk_of("llama"), some_requests(4)
    alone = [written_by(engine_of(trunk), [request])[0] for request in requests]
    engine = engine_of(trunk, prefill_chunk=8)
    tickets = [engine.submit(request) for request in requests]
    engine.cancel(tickets[3])  # waiting
    texts: dict[int, list[int]] = {ticket: [] for ticket in tickets}
    for step in range(200):
        for event in engine.step():
            texts[event.ticket] += [one.id for one in event.written]
        if step == 2:  # being read, or written
            engine.cancel(tickets[0], "stop")
            left = len(texts[tickets[0]])
            assert engine.statistics.rows <= 2
    assert engine.idle
    engine.cancel(tickets[0])  # no matter
    assert len(texts[tickets[0]]) == left
    assert texts[tickets[3]] == []
    for number in (1, 2):
        assert tuple(texts[tickets[number]]) == alone[number][0]


def test_log_probabilities_are_those_of_the_scorer() -> None:
    trunk = trunk_of("gemma2")
    requests = [replace(one, alternatives=number) for number, one in enumerate(some_requests(6))]
    requests[2] = replace(requests[2], log_probabilities=False)
    engine = engine_of(trunk)
    tickets = [engine.submit(request) for request in requests]
    written: dict[int, list[Written]] = {ticket: [] for ticket in tickets}
    while not engine.idle:
        for event in engine.step():
            written[event.ticket] += event.written
    for ticket, request in zip(tickets, requests, strict=True):
        ids = (*request.ids, *(one.id for one in written[ticket]))
        [scores] = log_probabilities(trunk, [Target(ids, len(request.ids))])
        if not request.log_probabilities:
            assert all(one.log_probability == 0 for one in written[ticket])
            continue
        told = torch.tensor([one.log_probability for one in written[ticket]]).double()
        torch.testing.assert_close(told, scores, rtol=1e-4, atol=1e-4)
        for one in written[ticket]:
            assert len(one.alternatives) == request.alternatives
            assert [*one.alternatives] == sorted(one.alternatives, key=lambda pair: -pair[1])
            best = max((score for _, score in one.alternatives), default=0)
            assert one.log_probability <= best + 1e-6


class Pattern:
    """Tokens a, b, c … forced, any of `free` between, a number of times, then the end."""

    def __init__(self, forced: list[int], free: list[int], times: int) -> None:
        self.plan: list[int | None] = [*forced, None] * times
        self.free, self.place, self.told, self.said = free, 0, -1, [0]

    def allowed(self) -> np.ndarray:
        assert self.plan[self.place] is None
        bits = np.zeros(-(-SIZE // 32), dtype=np.uint32)
        for token in self.free:
            bits[token // 32] |= np.uint32(1 << token % 32)
        return bits.view(np.int32)

    def forced(self) -> list[int]:
        ahead = []
        for token in self.plan[self.place :][: self.told]:
            if token is None:
                break
            ahead.append(token)
        return ahead

    def accept(self, token: int) -> None:
        expected = self.plan[self.place]
        assert token == expected or (expected is None and token in self.free)
        self.place += 1

    @property
    def finished(self) -> bool:
        return self.place == len(self.plan)

    def limit(self, remaining: int) -> None:
        if remaining < 2:
            raise UserError("too short")
        self.told = remaining


def test_constraints_are_kept_and_forced_tokens_are_not_asked_for() -> None:
    trunk = trunk_of("llama")
    asked = 0
    logits_of = trunk.logits_of

    def counting(hidden: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += len(hidden)
        return logits_of(hidden)

    trunk.logits_of = counting  # type: ignore[method-assign]

    def constrained(number: int) -> Request:
        pattern = Pattern([40 + number, 41, 42], [7, 8, 9], times=3)
        sampling = Sampling(temperature=1.5, max_tokens=20)
        return Request((5, 6, 7 + number), sampling, seed=number, constraint=pattern)

    [(text, finish)] = written_by(engine_of(trunk), [constrained(0)])
    assert (len(text), finish, asked) == (12, "end", 3)
    assert text[:3] == text[4:7] == text[8:11] == (40, 41, 42)
    assert {text[3], text[7], text[11]} <= {7, 8, 9}
    alone = [written_by(engine_of(trunk), [constrained(number)])[0] for number in range(6)]
    free = some_requests(6)
    plain = [written_by(engine_of(trunk), [one])[0] for one in free]
    mixed = [one for pair in zip(free, map(constrained, range(6)), strict=True) for one in pair]
    together = written_by(engine_of(trunk), mixed, steps_between=1)
    assert together[1::2] == alone
    assert together[::2] == plain


@pytest.mark.parametrize("name", ["llama", "gemma2", "deepseek-v3", "mamba", "t5"])
def test_many_forced_tokens_are_read_in_one_pass(name: str) -> None:
    trunk = trunk_of(name)
    long = list(range(100, 112))
    free = some_requests(5)

    def constrained() -> Request:
        return Request((5, 6, 7), Sampling(max_tokens=40), 1, constraint=Pattern(long, [9, 8], 2))

    alone = written_by(engine_of(trunk), [constrained()])
    plain = [written_by(engine_of(trunk), [one])[0] for one in free]
    passes = []
    hidden = trunk.hidden

    def counting(ids: torch.Tensor, **rest: object) -> torch.Tensor:
        passes.append(tuple(ids.shape))
        return hidden(ids, **rest)  # type: ignore[arg-type]

    trunk.hidden = counting  # type: ignore[method-assign, assignment]
    assert written_by(engine_of(trunk), [*free, constrained()], steps_between=1) == plain + alone
    # The first run follows the prompt, the second the token chosen after it.
    assert {(1, 11), (1, 12)} <= set(passes)


def test_forced_tokens_are_told_at_once_and_marked() -> None:
    engine = engine_of(trunk_of("llama"))
    constraint = Pattern([40, 41], [9], times=2)
    ticket = engine.submit(Request((5,), Sampling(max_tokens=9), 0, constraint=constraint))
    events = []
    while not engine.idle:
        events += engine.step()
    told = [[(one.id, one.forced) for one in event.written] for event in events]
    assert told == [
        [(40, True), (41, True)],
        [(9, False), (40, True), (41, True)],
        [(9, False)],
    ]
    assert [event.finish for event in events] == [None, None, "end"]
    assert {event.ticket for event in events} == {ticket}


def test_a_constraint_that_does_not_fit_is_refused_at_once() -> None:
    engine = engine_of(trunk_of("llama"))
    with pytest.raises(UserError, match="too short"):
        engine.submit(
            Request((5,), Sampling(max_tokens=1), 0, constraint=Pattern([40], [9], times=1))
        )
    assert engine.idle


def test_prompts_that_no_model_could_read() -> None:
    engine = engine_of(trunk_of("llama"))
    for ids in ((SIZE,), (-1,), ()):
        with pytest.raises(UserError, match="token"):
            engine.submit(Request(ids, SAMPLINGS[0], 0))
    with pytest.raises(UserError, match="tokens long"):
        engine.submit(Request((5,) * CONTEXT_LENGTH, SAMPLINGS[0], 0))
    assert engine.step() == []
