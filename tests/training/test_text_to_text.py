"""Span corruption and pairs through the one loop, and the batches they are fed."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.errors import UserError
from lilliput.model.t5.config import T5_SWITCHES, t5_of_depth
from lilliput.model.t5.trunk import T5, initialise_t5
from lilliput.tokens import Position
from lilliput.training.budget import Budget
from lilliput.training.loop import Hooks, Loop, LoopState, run_loop
from lilliput.training.optimizers import Optimizer, OptimizerSettings
from lilliput.training.precision import MasterWeights
from lilliput.training.recipe import RunSettings
from lilliput.training.schedule import Schedule
from lilliput.training.text_to_text import (
    CorruptedBatches,
    Pair,
    PairBatches,
    span_corruption,
    text_to_text,
)

START, END = 1, 0
CONFIG = t5_of_depth(
    2, tokenizer_vocabulary_size=90, start_token=START, d_model=48, head_dim=12, context_length=200
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small wait longer for a second thread than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Motifs:
    """Windows that say one random motif over and over: what is cut out is said elsewhere."""

    def __init__(self, seed: int) -> None:
        self.position, self._seed = Position(), seed

    def windows(self, epoch: int) -> int:
        return 100

    def next(self) -> tuple[torch.Tensor, ...]:
        place = self.position
        generator = np.random.default_rng([self._seed, place.epoch, place.window])
        self.position = Position(
            place.epoch + (place.window + 32) // 100, (place.window + 32) % 100
        )
        return (torch.from_numpy(np.tile(generator.integers(2, 22, (32, 8)), (1, 5))),)

    def close(self) -> None: ...


def train(model: T5, batches: Any, steps: int, optimizer: OptimizerSettings) -> None:
    """A few steps of the one loop."""

    def ignore(*_: Any) -> None: ...

    weights = MasterWeights(model, torch.float32)  # type: ignore[arg-type]
    loop = Loop(
        weights=weights,
        objective=text_to_text,  # type: ignore[arg-type]
        batches=batches,
        optimizer=Optimizer(weights.weights, optimizer),
        schedule=Schedule(),
        budget=Budget("steps", steps),
        settings=RunSettings(),
        micro_batches=1,
        flops_per_token=model.config.flops_per_token(40),
        hooks=Hooks(ignore, ignore, ignore),
    )
    assert run_loop(loop, LoopState())


RATES: dict[str, OptimizerSettings] = {
    "t5": OptimizerSettings(learning_rate=0.005, embedding_learning_rate=0.1),
    "t5-v1.0": OptimizerSettings(name="adamw", learning_rate=0.005, embedding_learning_rate=0.005),
}


@pytest.mark.parametrize("name", T5_SWITCHES)
def test_span_corruption_is_learnt(name: str) -> None:
    config = t5_of_depth(
        2, tokenizer_vocabulary_size=22, start_token=START, family=name,
        d_model=64, head_dim=16, context_length=40,
    )  # fmt: skip
    model = T5(config)
    initialise_t5(model, seed=0)
    how = span_corruption(config, END)
    train(model, CorruptedBatches(Motifs(1), how, seed=1), 100, RATES[name])
    batch = CorruptedBatches(Motifs(2), how, seed=2).next()
    said = (batch[2] >= 2) & ~torch.from_numpy(how.is_sentinel(batch[2].numpy()))
    targets = torch.where(said, batch[2], -100)  # sentinels and ends would be too easy
    with torch.no_grad():
        loss, count = text_to_text(model, (*batch[:2], targets))
        apart, _ = text_to_text(model, (batch[0].roll(1, 0), batch[1], targets))
    assert count == said.sum()
    assert loss / count < math.log(20) - 0.4  # the symbols' entropy: it is in the encoder
    assert apart / count > loss / count + 0.4


@pytest.mark.parametrize("kind", ["corrupted", "pairs"])
def test_batches_do_not_depend_on_their_size_or_where_one_stopped(kind: str) -> None:
    config = CONFIG

    def make(batch_size: int, position: Position) -> Any:
        if kind == "corrupted":
            source = Lines(batch_size, position)
            return CorruptedBatches(source, span_corruption(config, END), seed=4)
        pairs = [Pair([number + 2] * 5, [number + 3] * 4) for number in range(7)]
        return PairBatches(
            pairs, config, batch_size=batch_size, seed=4, end_token=END, padding=1,
            position=position,
        )  # fmt: skip

    small, large = make(2, Position()), make(4, Position())
    for _ in range(5):
        pieces = [small.next(), small.next()]
        for part, whole in enumerate(large.next()):
            assert torch.equal(torch.cat([piece[part] for piece in pieces]), whole)
    resumed = make(4, large.position)
    assert all(map(torch.equal, resumed.next(), large.next()))


class Lines:
    """The same seven windows every epoch."""

    def __init__(self, batch_size: int, position: Position) -> None:
        self.position, self._batch_size = position, batch_size

    def windows(self, epoch: int) -> int:
        return 7

    def next(self) -> tuple[torch.Tensor, ...]:
        epoch, window = self.position.epoch, self.position.window
        rows = []
        for _ in range(self._batch_size):
            if window == 7:
                epoch, window = epoch + 1, 0
            rows.append(torch.arange(40) + window)
            window += 1
        self.position = Position(epoch, window)
        return (torch.stack(rows),)

    def close(self) -> None: ...


def test_pairs_are_padded_without_changing_the_loss() -> None:
    model = T5(CONFIG).requires_grad_(False)
    initialise_t5(model, seed=0)
    pairs = [Pair([5, 6, 7, 8, 9], [10, 11]), Pair([12], [13, 14, 15, 16]), Pair([3, 4], [])]

    def loss_of(some: list[Pair]) -> tuple[float, int]:
        batches = PairBatches(
            some, model.config, batch_size=len(some), seed=0, end_token=END, padding=2
        )
        total, count = text_to_text(model, batches.next())
        return float(total), count

    total, count = loss_of(pairs)
    alone = [loss_of([pair]) for pair in pairs]
    assert count == sum(number for _, number in alone) == 9
    assert total == pytest.approx(sum(number for number, _ in alone), rel=1e-5)
    expected = model(torch.tensor([[12]]), torch.tensor([[START, 13, 14, 15, 16]])).log_softmax(-1)
    said = expected[0, range(5), [13, 14, 15, 16, END]].sum()
    assert alone[1][0] == pytest.approx(-float(said), rel=1e-5)
    with pytest.raises(UserError, match="pair 2: its written part is 201"):
        loss_of([pairs[0], Pair([3], [4] * 200)])
    with pytest.raises(UserError, match="no pair"):
        loss_of([])
