"""Span corruption through the one loop, and the batches of windows and pairs."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import T5ForConditionalGeneration

from lilliput.model import save_model
from lilliput.model.t5.config import T5_SWITCHES, t5_of_depth
from lilliput.model.t5.trunk import T5, initialise_t5
from lilliput.tokens import Position
from lilliput.training.budget import Budget
from lilliput.training.loop import Hooks, Loop, LoopState, run_loop
from lilliput.training.optimizers import Optimizer, OptimizerSettings
from lilliput.training.pair_batches import Pair, PairBatches, continued_pairs, encoded_pairs
from lilliput.training.precision import MasterWeights
from lilliput.training.recipe import RunSettings
from lilliput.training.schedule import Schedule
from lilliput.training.text_to_text import CorruptedBatches, span_corruption, text_to_text

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

    weights = MasterWeights(model, torch.float32)
    loop = Loop(
        weights=weights,
        objective=text_to_text,
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
        collate = partial(encoded_pairs, start=START, end=END, padding=1)
        return PairBatches(pairs, collate, batch_size=batch_size, seed=4, position=position)

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


IDS = st.lists(st.integers(2, 89), max_size=6)
PAIRS = st.lists(st.builds(Pair, IDS.filter(bool), IDS), min_size=1, max_size=5)


@given(PAIRS)
def test_every_pair_can_be_read_back_from_its_batch(pairs: list[Pair]) -> None:
    read, written, targets, starts = encoded_pairs(pairs, start=START, end=END, padding=0)
    inputs, wanted = continued_pairs(pairs, end=END, padding=0)
    for row, pair in enumerate(pairs):
        answer = [*pair.written, END]
        assert read[row, int(starts[row]) :].tolist() == pair.read
        assert written[row, : len(answer)].tolist() == [START, *pair.written]
        assert targets[row][targets[row] >= 0].tolist() == answer
        assert wanted[row][wanted[row] >= 0].tolist() == answer
        whole = [*pair.read, *answer]
        assert inputs[row, : len(whole) - 1].tolist() == whole[:-1]
        first = int((wanted[row] >= 0).nonzero()[0])  # what predicts the answer's first token
        assert inputs[row, : first + 1].tolist() == pair.read


def test_padding_pairs_does_not_change_the_loss(tmp_path: Path) -> None:
    """Against each alone, and the T5 of transformers."""
    model = T5(CONFIG).requires_grad_(False)
    initialise_t5(model, seed=0)
    pairs = [Pair([5, 6, 7, 8, 9], [10, 11]), Pair([12], [13, 14, 15, 16]), Pair([3, 4], [])]
    collate = partial(encoded_pairs, start=START, end=END, padding=2)
    total, count = text_to_text(model, collate(pairs))
    alone = [text_to_text(model, collate([pair])) for pair in pairs]
    assert count == sum(number for _, number in alone) == 9
    assert float(total) == pytest.approx(sum(float(loss) for loss, _ in alone), rel=1e-5)
    save_model(model, tmp_path, end_of_text=END, padding=2)
    theirs = T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    for pair, (loss, number) in zip(pairs, alone, strict=True):
        with torch.no_grad():
            expected = theirs(
                input_ids=torch.tensor([pair.read]),
                decoder_input_ids=torch.tensor([[START, *pair.written]]),
                labels=torch.tensor([[*pair.written, END]]),
            ).loss
        assert float(loss) / number == pytest.approx(float(expected), rel=1e-4)
