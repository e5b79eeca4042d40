"""Batches with neighbours: whose they are, where they stand, and that models take them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.errors import UserError
from lilliput.generate.retrieval import retriever_for
from lilliput.model import FAMILIES
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.trunk import Retro
from lilliput.tokens import Batches, Position, TokenSplit
from lilliput.tokens.neighbours import LeakageControl, NeighbourIndex, build_neighbours
from lilliput.tokens.ngrams import MISSING
from lilliput.training.retrieval import (
    RetrievedBatches,
    chunks_of_rows,
    neighbours_of_rows,
    retrieved_next_token,
)

END, COMMON, OWN, DOCUMENTS = 0, 10, 4, 40
CHUNK, TIME = 4, 18


@pytest.fixture
def index(tmp_path: Path) -> NeighbourIndex:
    """Documents of common tokens and, for each, 4 tokens that no other has."""
    draw = np.random.default_rng(3)
    stream = []
    for number in range(DOCUMENTS):
        size = int(draw.integers(1, 60))
        own = COMMON + OWN * number + draw.integers(0, OWN, size)
        common = draw.integers(1, COMMON, size)
        stream += [END, *np.where(draw.random(size) < 0.5, own, common).tolist()]
    split = TokenSplit("train", [np.array([*stream, END], dtype=np.uint16)], END, 0)
    return build_neighbours(split, tmp_path, chunk_length=CHUNK)


def shape(**changes: int) -> RetroConfig:
    base = FAMILIES["lilliput"].shape(
        n_layers=2, d_model=16, vocabulary_size=COMMON + OWN * DOCUMENTS, context_length=TIME
    )
    return RetroConfig.over(base, **{"chunk_length": CHUNK, **changes})


def owners(ids: np.ndarray) -> set[int]:
    """The documents of which there are tokens of their own."""
    return set(((ids[ids >= COMMON] - COMMON) // OWN).tolist())


@pytest.mark.parametrize("align", ["document", "random"])
@pytest.mark.parametrize("across", [False, True])
def test_no_neighbour_is_of_the_same_document(
    index: NeighbourIndex, align: str, across: bool
) -> None:
    settings = {"context_length": TIME, "batch_size": 5, "seed": 8, "align": align}
    plain = Batches(index.split, across_documents=across, **settings)
    source = Batches(index.split, across_documents=across, **settings)
    batches = RetrievedBatches(source, index, shape(), seed=8, align=align)
    seen = 0
    for step in range(40):
        position = batches.position
        inputs, targets, neighbours, *starts = batches.next()
        expected = plain.next()
        assert torch.equal(inputs, expected[0])
        assert torch.equal(targets, expected[1])
        assert len(starts) == (not across)
        assert neighbours.shape == (5, TIME // CHUNK, 2, 2 * CHUNK)
        grid = starts[0].numpy() if starts else np.zeros_like(inputs.numpy())
        chunks = chunks_of_rows(grid, CHUNK)
        for row, order, members, told in zip(*vars(chunks).values(), strict=True):
            own = owners(inputs.numpy()[row, members])
            own |= owners(targets.numpy()[row, told[told != MISSING]])
            found = neighbours.numpy()[row, order]
            assert not own & owners(found)
            seen += int((found[:, 0] != MISSING).sum())
        if step == 20:
            again = Batches(index.split, across_documents=across, position=position, **settings)
            resumed = RetrievedBatches(again, index, shape(), seed=8, align=align).next()
            assert torch.equal(resumed[2], neighbours)
    assert isinstance(batches.position, Position)
    assert seen > 1000


def test_where_chunks_end() -> None:
    starts = np.array([[0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6], [0] * 11])
    chunks = chunks_of_rows(starts, 4)
    assert chunks.rows.tolist() == [0, 0, 1, 1]
    assert chunks.order.tolist() == [0, 1, 0, 1]
    assert chunks.members.tolist() == [[0, 1, 2, 3], [6, 7, 8, 9], [0, 1, 2, 3], [4, 5, 6, 7]]
    assert chunks.told.tolist() == [
        [3, 4, 5, MISSING], [9, 10, MISSING, MISSING], [3, 4, 5, 6], [7, 8, 9, 10],
    ]  # fmt: skip


def test_leakage_control_reads_what_follows(index: NeighbourIndex) -> None:
    """A text that is in the index word for word is not given to a model that should write it."""
    places = index.places[(index.places[:, 1] - index.places[:, 0]) == 2 * CHUNK]
    values = np.stack([index.split.read(start, stop) for start, stop, _ in places[:9].tolist()])
    ids = values.astype(np.int64)

    def found(control: LeakageControl | None) -> np.ndarray:
        return neighbours_of_rows(
            index, ids[:, :-1], ids[:, 1:], None, None, count=2, control=control
        )

    assert all((found(None)[row, 0, 0] == ids[row]).all() for row in range(9))
    controlled = found(LeakageControl(ngram=3, most=0.0))
    assert not any((controlled[row, 0] == ids[row]).all(axis=-1).any() for row in range(9))


def test_a_model_takes_them_and_finds_the_same_itself(index: NeighbourIndex) -> None:
    config = shape(n_neighbours=3)
    torch.manual_seed(1)
    model = Retro(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    source = Batches(index.split, context_length=TIME, batch_size=3, seed=1)
    inputs, targets, starts = source.next()
    parts = (part.numpy() for part in (inputs, targets, starts))
    found = neighbours_of_rows(index, *parts, None, count=3, control=None)
    batch = inputs, targets, torch.from_numpy(found), starts
    total, count = retrieved_next_token(model, batch)
    total.backward()
    assert count == targets.numel()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.retriever = retriever_for(config, index)
    with torch.no_grad():
        again = model.loss(model.hidden(inputs, document_starts=starts), targets)
    assert float(again) == pytest.approx(total.item(), rel=1e-5)
    with pytest.raises(UserError, match="chunks of 4 tokens and the model of 5"):
        retriever_for(shape(chunk_length=5), index)
