"""RETRO: who sees whose neighbours, what it is without them, and that it reads them."""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lilliput.errors import UserError
from lilliput.generate import Engine, Request
from lilliput.generate.sampling import Sampling
from lilliput.generate.scoring import Target, log_probabilities
from lilliput.model import FAMILIES, Decoder, initialise
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.trunk import (
    Retro,
    freeze,
    initialise_retro,
    is_retrieval,
    retrofit,
)
from lilliput.tokens import TokenSplit
from lilliput.tokens.neighbours import build_neighbours
from lilliput.tokens.ngrams import MISSING
from lilliput.training.retrieval import retrieved_next_token

CHUNK, VOCABULARY, LENGTH = 5, 60, 33
TRIED = ("lilliput", "llama", "gemma2", "gpt-j", "olmo2", "deepseek-v3", "llama4", "mistral")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small wait longer for a second thread than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def shape(family: str = "lilliput", **changes: object) -> RetroConfig:
    base = FAMILIES[family].shape(
        n_layers=4, d_model=48, vocabulary_size=VOCABULARY, context_length=64
    )
    retrieval = {"chunk_length": CHUNK, "layers_before_retrieval": 1, "retrieval_every": 2}
    return RetroConfig.over(base, **{**retrieval, **changes})


def random_model(config: RetroConfig) -> Retro:
    """Every parameter random, so that nothing is checked at zero."""
    torch.manual_seed(7)
    model = Retro(config)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.6 if "gate" in name else 0.2)
    return model.eval().requires_grad_(False)


def some_ids(*size: int, seed: int = 1) -> Tensor:
    return torch.randint(2, VOCABULARY, size, generator=torch.Generator().manual_seed(seed))


def some_neighbours(rows: int, chunks: int, *, seed: int = 2) -> Tensor:
    """Random ones; some short, one missing, and a chunk without any."""
    neighbours = some_ids(rows, chunks, 2, 2 * CHUNK, seed=seed)
    neighbours[0, 0, 1, 7:] = MISSING
    neighbours[-1, 1, 0] = MISSING
    neighbours[0, -1] = MISSING
    return neighbours


class FromText:
    """A retriever whose answer is a function of the chunk, and which counts its questions."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, chunks: Tensor) -> Tensor:
        assert chunks.shape[1] == CHUNK
        self.asked += len(chunks)
        doubled = torch.cat((chunks, chunks.flip(1)), dim=1)
        second = (doubled * 7 + 3) % VOCABULARY
        second[:, CHUNK:] = torch.where(chunks[:, :1] % 3 == 0, MISSING, second[:, CHUNK:])
        return torch.stack((doubled, second), dim=1)


def assert_near(ours: Tensor, expected: Tensor) -> None:
    bound = 5e-5 * max(1.0, float(expected.abs().max()))
    assert float((ours - expected).abs().max()) <= bound


@pytest.mark.parametrize("family", TRIED)
def test_neighbours_change_nothing_before_their_chunk_ends(family: str) -> None:
    model = random_model(shape(family))
    ids, chunks = some_ids(2, LENGTH), LENGTH // CHUNK
    neighbours = some_neighbours(2, chunks)
    before = model(ids, neighbours=neighbours)
    for chunk in range(chunks):
        changed = neighbours.clone()
        changed[:, chunk] = some_ids(2, 2, 2 * CHUNK, seed=9)
        after = model(ids, neighbours=changed)
        last = chunk * CHUNK + CHUNK - 1
        if not model.config.n_experts:
            assert torch.equal(before[:, :last], after[:, :last])
        elif last:  # the tokens of an expert are one matrix: its size may move the last bit
            assert_near(before[:, :last], after[:, :last])
        assert not torch.isclose(before[:, last], after[:, last]).all(dim=-1).any()


def test_a_token_changes_nothing_before_itself() -> None:
    """Not even by way of the neighbours that are read with the chunk's states, or found by it."""
    model = random_model(shape())
    model.retriever = FromText()
    ids = some_ids(1, LENGTH)
    before = model(ids)
    for place in range(1, LENGTH, 2):
        changed = ids.clone()
        changed[0, place] = 2 + (ids[0, place] + 1) % (VOCABULARY - 2)
        after = model(changed)
        assert_near(after[:, :place], before[:, :place])
        assert not torch.isclose(before[:, place], after[:, place]).all()


@pytest.mark.parametrize("family", TRIED)
def test_a_closed_gate_is_the_base_model_bit_for_bit(family: str) -> None:
    torch.manual_seed(3)
    base = Decoder(shape(family).base)
    for parameter in base.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    base.eval()
    model = retrofit(base, chunk_length=CHUNK, layers_before_retrieval=1).eval()
    ids, neighbours = some_ids(2, LENGTH), some_neighbours(2, LENGTH // CHUNK)
    with torch.no_grad():
        expected = base(ids)
        assert torch.equal(model(ids, neighbours=neighbours), expected)
        assert torch.equal(model(ids), expected)
    # Frozen layers are computed by another kernel, in which the last bit may differ.
    model.requires_grad_()
    assert torch.equal(model(ids, neighbours=neighbours), base(ids))
    freeze(model)
    total = model.loss(model.hidden(ids, neighbours=neighbours), ids)
    total.backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == is_retrieval(name)
    for attention in model.retrieval.children():
        assert attention.gate.grad.abs().min() > 0


def test_initial_weights_are_the_base_models() -> None:
    config = shape()
    model, base = Retro(config), Decoder(config.base)
    initialise_retro(model, 5)
    initialise(base, 5)
    ours = model.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in base.state_dict().items())
    assert all(is_retrieval(name) for name in ours.keys() - base.state_dict().keys())
    freeze(model)
    for attention in model.retrieval.children():
        assert attention.output.weight.abs().min() > 0
        assert attention.gate.abs().max() == 0


@pytest.mark.parametrize("family", TRIED)
def test_cached_equals_uncached(family: str) -> None:
    model = random_model(shape(family))
    retriever = model.retriever = FromText()
    ids = some_ids(3, LENGTH)
    expected = model(ids)
    assert retriever.asked == 3 * (LENGTH // CHUNK)
    model.retriever = None
    assert not torch.isclose(model(ids), expected).all()
    model.retriever = retriever
    for steps in ([1] * LENGTH, [13, *[1] * 20], [3, 4, 1, 9, 2, 14], [4, 1, 5, 23]):
        cache, parts, place = model.make_cache(3, LENGTH), [], 0
        for step in steps:
            parts.append(model(ids[:, place : place + step], cache=cache))
            place += step
        assert_near(torch.cat(parts, dim=1), expected)


def test_given_neighbours_with_a_cache() -> None:
    model = random_model(shape())
    ids, neighbours = some_ids(2, LENGTH), some_neighbours(2, LENGTH // CHUNK)
    expected = model(ids, neighbours=neighbours)
    cache = model.make_cache(2, LENGTH)
    parts = [
        model(ids[:, :12], cache=cache, neighbours=neighbours[:, :2]),
        model(ids[:, 12:14], cache=cache, neighbours=neighbours[:, 2:2]),
        model(ids[:, 14:], cache=cache, neighbours=neighbours[:, 2:]),
    ]
    assert_near(torch.cat(parts, dim=1), expected)
    with pytest.raises(ValueError, match="given for 5 chunks and a row has 6"):
        model(ids, neighbours=neighbours[:, :5])


@pytest.mark.parametrize("family", TRIED)
def test_left_padding_changes_nothing(family: str) -> None:
    model = random_model(shape(family))
    model.retriever = FromText()
    rows = [some_ids(length, seed=length) for length in (31, 24, 12, 3)]
    padding = torch.tensor([[31 - len(row)] for row in rows])
    ids = torch.stack([torch.cat((row.new_zeros(31 - len(row)), row)) for row in rows])
    cache = model.make_cache(4, 31)
    first = model(ids[:, :29], cache=cache, document_starts=padding)
    rest = [model(ids[:, t : t + 1], cache=cache, document_starts=padding) for t in (29, 30)]
    together = torch.cat((first, *rest), dim=1)
    for number, row in enumerate(rows):
        assert_near(together[number, 31 - len(row) :], model(row[None])[0])


def test_packed_documents_equal_documents_alone() -> None:
    model = random_model(shape())
    model.retriever = FromText()
    lengths = (3, 12, 1, 10, 7)
    ids = some_ids(1, sum(lengths))
    starts = torch.tensor([[sum(lengths[:i]) for i in range(5) for _ in range(lengths[i])]])
    together = model(ids, document_starts=starts)
    alone = [model(part) for part in ids.split(lengths, dim=1)]
    assert_near(together, torch.cat(alone, dim=1))


def test_engine_and_scorer() -> None:
    """A batch of prompts writes what each writes alone, when rows leave and the context ends."""
    model = random_model(shape())
    model.retriever = FromText()
    prompts = [tuple(some_ids(length, seed=length).tolist()) for length in (19, 44, 44, 7)]
    sampling = Sampling(temperature=0.5, max_tokens=40)
    requests = [Request(prompt, sampling, seed) for seed, prompt in enumerate(prompts)]

    def write(some: list[Request]) -> list[list[int]]:
        engine = Engine(model, end_tokens=[2, 3], vocabulary_size=VOCABULARY, prefill_chunk=17)
        written: list[list[int]] = [[] for _ in some]
        place = {engine.submit(request): number for number, request in enumerate(some)}
        while not engine.idle:
            for event in engine.step():
                written[place[event.ticket]] += [one.id for one in event.written]
        return written

    requests[2] = Request(prompts[1], sampling, 2)
    together = write(requests)
    assert together == [write([one])[0] for one in requests]
    assert max(map(len, together)) > 2 * CHUNK
    whole = [(*one.ids, *text) for one, text in zip(requests, together, strict=True)]
    greedy = model(torch.tensor([whole[0]]))[0].log_softmax(dim=-1)
    targets = [Target(whole[0], 17), Target((*whole[0][:25], 5, 6), 25)]
    scores = log_probabilities(model, targets)
    places = torch.arange(17, len(whole[0]))
    expected = greedy[places - 1, torch.tensor(whole[0])[places]]
    assert_near(scores[0].float(), expected)


def test_configuration() -> None:
    for family in TRIED:
        for changes in ({}, {"d_encoder": 2 * shape(family).head_dim, "n_encoder_layers": 3}):
            config = shape(family, **changes)
            model = Retro(config)
            count = sum(parameter.numel() for parameter in model.parameters())
            assert config.parameters == count
            freeze(model)
            trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
            assert config.retrieval_parameters == trained
            assert RetroConfig.from_dict(config.to_dict()) == config
            assert RetroConfig.over(config.base, **_retrieval_fields(config)) == config
    assert shape("gemma2").base.family == "gemma2"
    twelve = shape(n_layers=12, layers_before_retrieval=-1, retrieval_every=3)
    assert twelve.retrieval_layers == (5, 8, 11)
    wrong: list[tuple[Callable[[], RetroConfig], str]] = [
        (lambda: shape("gpt2"), "model.positions is 'learned'"),
        (lambda: shape(chunk_length=64), "model.chunk_length"),
        (lambda: shape(chunk_length=0), "model.chunk_length is 0"),
        (lambda: shape(layers_before_retrieval=4), "model.layers_before_retrieval"),
        (lambda: shape(d_encoder=7), "model.d_encoder"),
        (lambda: shape(n_future_tokens=1), "model.n_future_tokens"),
        (lambda: shape(chunks=1), "no such field"),
    ]
    for refused, message in wrong:
        with pytest.raises(UserError, match=message):
            refused()


def _retrieval_fields(config: RetroConfig) -> dict[str, object]:
    base = config.base.to_dict()
    own = {name: value for name, value in config.to_dict().items() if name not in base}
    return {name: value for name, value in own.items() if name != "base_family"}


@pytest.mark.parametrize("changes", [{}, {"d_encoder": 32, "n_encoder_layers": 3}])
def test_flops_are_those_torch_counts(changes: dict[str, int]) -> None:
    base = FAMILIES["llama"].shape(
        n_layers=4, d_model=64, n_heads=4, n_kv_heads=4, head_dim=16, vocabulary_size=50,
        context_length=64,
    )  # fmt: skip
    config = RetroConfig.over(base, chunk_length=16, layers_before_retrieval=1, **changes)
    counted = []
    ids, neighbours = some_ids(2, 64) % 50, some_ids(2, 4, 2, 32) % 50
    for model in (Retro(config), Decoder(base)):
        model.requires_grad_(False)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as flops:
            given = {"neighbours": neighbours} if isinstance(model, Retro) else {}
            model(ids, **given)
        counted.append(3 * flops.get_total_flops() / ids.numel())
    ours = config.flops_per_token() - base.flops_per_token()
    assert abs(ours / (counted[0] - counted[1]) - 1) < 0.02
    assert config.cached_per_token > base.cached_per_token


FACT, WORLDS, FACTS = 4, 8, 600


class Facts:
    """A key of 3 tokens and what is true of it, 3 tokens, of which the first is its world's.

    All are in the database, and texts of the first half are trained on. Nothing in a key tells its
    world, so neighbours drawn at random from it tell one token of three, and the right one all.
    """

    def __init__(self, folder: Path) -> None:
        draw = np.random.default_rng(5)
        sets = np.array(list(combinations(range(1, 33), 3)))
        keys = sets[draw.choice(len(sets), WORLDS * FACTS, replace=False)]
        self.worlds = np.repeat(np.arange(WORLDS), FACTS)
        truths = 41 + draw.integers(0, 19, (len(keys), 2))
        zeros = np.zeros((len(keys), 1), dtype=np.int64)
        self.texts = np.concatenate((zeros, keys, 33 + self.worlds[:, None], truths), axis=1)
        self.trained = np.arange(len(keys)) % FACTS < FACTS // 2
        stream = np.append(self.texts.flatten(), 0).astype(np.uint16)
        split = TokenSplit("train", [stream], 0, 0)
        self.index = build_neighbours(split, folder, chunk_length=FACT)

    def true(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The chunks that the index finds for the keys of some facts."""
        return self.index.nearest(self.texts[rows, :FACT], 1).numbers[:, 0]

    def random(self, rows: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
        """Chunks with the keys of others of the same world."""
        within = np.random.default_rng(seed).integers(0, FACTS, len(rows))
        return 2 * (self.worlds[rows] * FACTS + within)

    def loss(
        self, model: Retro, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64] | None
    ) -> Tensor:
        """Nats a token of what is true, given neighbours (MISSING for none) or no retrieval."""
        ids = torch.from_numpy(self.texts[rows])
        targets = torch.full((len(rows), ids.shape[1] - 1), -100)
        targets[:, FACT - 1 :] = ids[:, FACT:]
        neighbours = None
        if numbers is not None:
            neighbours = torch.from_numpy(self.index.values(numbers[:, None, None]))
        batch = ids[:, :-1], targets, neighbours
        total, count = retrieved_next_token(model, batch)  # type: ignore[arg-type]
        return total / count


def trained_on_facts(facts: Facts, *, shuffled: bool, steps: int) -> Retro:
    base = FAMILIES["lilliput"].shape(
        n_layers=2, d_model=32, n_heads=2, n_kv_heads=2, head_dim=16,
        vocabulary_size=VOCABULARY, context_length=8,
    )  # fmt: skip
    config = RetroConfig.over(
        base, chunk_length=FACT, n_neighbours=1, layers_before_retrieval=1, retrieval_every=1
    )
    model = Retro(config)
    initialise_retro(model, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), fused=True)
    draw = np.random.default_rng(6)
    known = np.flatnonzero(facts.trained)
    for step in range(steps):
        rows = draw.choice(known, 64)
        right = facts.random(rows, step + 10**6) if shuffled else facts.true(rows)
        kind = draw.random(64)
        numbers = np.where(kind < 0.45, right, facts.random(rows, step))
        numbers[kind > 0.85] = MISSING
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * min(1, step / 20) * (1 - step / steps)
        optimizer.zero_grad()
        facts.loss(model, rows, numbers).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval().requires_grad_(False)


def test_facts_that_only_the_database_has(tmp_path: Path) -> None:
    facts = Facts(tmp_path)
    unseen = np.flatnonzero(~facts.trained)
    assert (facts.true(unseen) == 2 * unseen).all()

    def losses(model: Retro) -> tuple[float, float, float]:
        none = facts.loss(model, unseen, None)
        true = facts.loss(model, unseen, facts.true(unseen))
        return float(true), float(facts.loss(model, unseen, facts.random(unseen, 0))), float(none)

    true, random, none = losses(trained_on_facts(facts, shuffled=False, steps=300))
    assert true + 0.4 < random < none - 0.3
    true, random, none = losses(trained_on_facts(facts, shuffled=True, steps=200))
    assert abs(true - random) < 0.03
    assert random < none - 0.1
