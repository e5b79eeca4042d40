"""Training batches and evaluation windows: every token, the right target, exact positions."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_samples import make_corpus, make_texts

from lilliput.errors import UserError
from lilliput.tokens import (
    Batches,
    Position,
    Tokenizer,
    TokenSplit,
    open_tokens,
    tokenize_corpus,
    validation_windows,
)
from lilliput.tokens import layout as layout_module
from lilliput.tokens.layout import DocumentLayout, RandomLayout

END = 0


def numbered_split(lengths: list[int], shards: int = 1) -> TokenSplit:
    """Documents of those lengths whose ids, but for end-of-text, are their places in the stream."""
    stream = np.arange(sum(lengths) + 1, dtype=np.uint32)
    starts = np.cumsum([0, *lengths])
    stream[starts] = END
    # Place 0 is an end-of-text anyway, so every other id is its place.
    pieces = [piece for piece in np.array_split(stream, shards) if len(piece)]
    return TokenSplit("train", pieces, END, text_bytes=10 * sum(lengths))


document_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@settings(deadline=None)
@given(lengths=document_lengths, shards=st.integers(1, 5), data=st.data())
def test_a_split_reads_across_shards(lengths: list[int], shards: int, data: st.DataObject) -> None:
    split = numbered_split(lengths, shards)
    whole = np.concatenate(split.shards)
    start = data.draw(st.integers(0, split.tokens))
    stop = data.draw(st.integers(start, split.tokens))
    assert split.read(start, stop).tolist() == whole[start:stop].tolist()
    assert split.document_lengths.tolist() == lengths
    assert split.document_starts.tolist() == np.cumsum([0, *lengths[:-1]]).tolist()
    with pytest.raises(IndexError):
        split.read(0, split.tokens + 1)


def counts_of_epoch(layout: Any, epoch: int, inputs: int, context_length: int) -> Any:
    """How often each position of the stream is an input in one epoch."""
    counts = np.zeros(inputs, dtype=int)
    for window in range(layout.windows(epoch)):
        starts, lengths = layout.pieces(epoch, window)
        assert lengths.sum() == context_length
        assert lengths.min() > 0
        for start, length in zip(starts, lengths, strict=True):
            counts[start : start + length] += 1
    return counts


@settings(deadline=None)
@given(
    lengths=document_lengths,
    context_length=st.integers(1, 20),
    seed=st.integers(0, 5),
    block=st.sampled_from([3, 4096]),
)
def test_packed_windows_cover_every_input_once_an_epoch(
    lengths: list[int], context_length: int, seed: int, block: int
) -> None:
    split = numbered_split(lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_module, "BLOCK_DOCUMENTS", block)
        layout = DocumentLayout(split.document_starts, split.document_lengths, context_length, seed)
        for epoch in (0, 1):
            counts = counts_of_epoch(layout, epoch, sum(lengths), context_length)
            assert counts.min() >= 1
            # Only the last window of a block is filled up with what was there already.
            blocks = max(1, round(len(lengths) / block))
            assert counts.sum() - len(counts) <= blocks * (context_length - 1)


@settings(deadline=None)
@given(inputs=st.integers(1, 200), context_length=st.integers(1, 20), epoch=st.integers(0, 3))
def test_plain_windows_cover_every_input_at_most_once(
    inputs: int, context_length: int, epoch: int
) -> None:
    context_length = min(context_length, inputs)
    layout = RandomLayout(inputs, context_length, seed=1)
    counts = counts_of_epoch(layout, epoch, inputs, context_length)
    assert counts.max() == 1
    assert (counts == 0).sum() < context_length


def test_documents_that_fit_are_never_cut() -> None:
    split = numbered_split([5, 3, 8, 2, 6, 8, 4, 4, 7, 1] * 20)
    layout = DocumentLayout(split.document_starts, split.document_lengths, 8, seed=0)
    starts = set(split.document_starts.tolist())
    for window in range(layout.windows(0)):
        assert set(layout.pieces(0, window)[0].tolist()) <= starts


def test_a_document_longer_than_the_context_is_cut_elsewhere_each_epoch() -> None:
    split = numbered_split([1000])
    layout = DocumentLayout(split.document_starts, split.document_lengths, 16, seed=0)
    cuts = [
        {int(layout.pieces(epoch, window)[0][0]) % 16 for window in range(layout.windows(epoch))}
        for epoch in range(8)
    ]
    assert len(set(map(frozenset, cuts))) > 3


def test_a_continuation_comes_first_in_its_window() -> None:
    split = numbered_split([20, 3, 2, 4, 9, 1, 30, 2, 2] * 10)
    layout = DocumentLayout(split.document_starts, split.document_lengths, 16, seed=0)
    heads = set(split.document_starts.tolist())
    for window in range(layout.windows(0)):
        begun = [int(start) in heads for start in layout.pieces(0, window)[0]]
        assert begun == sorted(begun)


@pytest.mark.parametrize("align", ["document", "random"])
@pytest.mark.parametrize("prefetch", [False, True])
def test_targets_follow_inputs_and_any_position_resumes(align: Any, prefetch: bool) -> None:
    split = numbered_split([7, 30, 12, 3, 25, 9] * 4, shards=3)
    whole = np.concatenate(split.shards)
    known = {"context_length": 10, "batch_size": 5, "seed": 3, "align": align}
    batches = Batches(split, **known, prefetch=prefetch)
    seen: list[tuple[Position, torch.Tensor, torch.Tensor]] = []
    for _ in range(30):
        position = batches.position
        inputs, targets, starts = batches.next()
        seen.append((position, inputs, targets))
        assert inputs.shape == targets.shape == (5, 10)
        assert inputs.dtype == targets.dtype == torch.int64
        places = inputs[inputs != END].numpy()
        assert (whole[places + 1] == targets[inputs != END].numpy()).all()
        for row, row_starts in zip(inputs.tolist(), starts.tolist(), strict=True):
            ends = [place for place, token in enumerate(row) if token == END]
            for place, start in enumerate(row_starts):
                assert start == max((end for end in ends if end <= place), default=0)
    batches.close()
    assert [seen[0][0], batches.position.epoch > 1] == [Position(0, 0), True]
    assert all(
        (one.epoch, one.window) < (two.epoch, two.window) for (one, *_), (two, *_) in pairwise(seen)
    )
    for start in (1, 8, 17):
        resumed = Batches(split, **known, position=seen[start][0])
        for position, inputs, targets in seen[start:]:
            assert resumed.position == position
            again = resumed.next()
            assert torch.equal(again[0], inputs)
            assert torch.equal(again[1], targets)


@pytest.mark.parametrize("align", ["document", "random"])
def test_epochs_and_seeds_differ(align: Any) -> None:
    split = numbered_split([9, 14, 5, 21] * 10)

    def epoch_of(seed: int, epoch: int) -> list[int]:
        batches = Batches(
            split,
            context_length=8,
            batch_size=20,
            seed=seed,
            align=align,
            position=Position(epoch, 0),
        )
        flat: list[int] = batches.next()[0].flatten().tolist()
        return flat

    assert epoch_of(1, 0) == epoch_of(1, 0)
    assert len({tuple(epoch_of(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


@pytest.mark.parametrize("align", ["document", "random"])
def test_a_split_smaller_than_a_batch_goes_round(align: Any) -> None:
    split = numbered_split([6, 6])
    batches = Batches(
        split, context_length=4, batch_size=8, seed=0, align=align, across_documents=True
    )
    inputs, _ = batches.next()
    assert inputs.shape == (8, 4)
    assert batches.position.epoch == 2


def test_impossible_requests_are_refused() -> None:
    split = numbered_split([6, 6])
    with pytest.raises(UserError, match=r"13 tokens, too few for a context of 13: .* at most 12"):
        Batches(split, context_length=13, batch_size=1, seed=0)
    with pytest.raises(UserError, match="align 'sideways'"):
        Batches(split, context_length=4, batch_size=1, seed=0, align="sideways")  # type: ignore[arg-type]


# Evaluation windows


@settings(deadline=None)
@given(
    lengths=document_lengths,
    context_length=st.integers(1, 20),
    batch_tokens=st.sampled_from([1, 50, 10_000]),
)
def test_every_target_is_scored_once_with_its_own_context(
    lengths: list[int], context_length: int, batch_tokens: int
) -> None:
    split = numbered_split(lengths)
    whole = np.concatenate(split.shards)
    windows = validation_windows(split, context_length, batch_tokens=batch_tokens)
    scored = np.zeros(split.tokens, dtype=int)
    closings = 0
    starts = split.document_starts
    for inputs, targets in windows:
        assert inputs.shape == targets.shape
        assert inputs.shape[1] <= context_length
        assert inputs.shape[0] == 1 or inputs.numel() <= batch_tokens
        for row, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
            place = row[0] if row[0] != END else None
            for offset, target in enumerate(wanted):
                if target == -100:
                    continue
                if target == END:
                    closings += 1
                    continue
                scored[target] += 1
                assert row[offset] in (target - 1, END)
                # Context: half a window before it, or everything since the document's start.
                begin = target - 1 - offset if place is None else place
                document = starts[np.searchsorted(starts, target - 1, side="right") - 1]
                assert begin == document or target - begin > context_length // 2
    ordinary = whole != END
    assert scored[ordinary].tolist() == [1] * int(ordinary.sum())
    assert closings == len(lengths)
    assert windows.tokens == split.tokens - 1 == sum(lengths)
    assert (windows.bytes, windows.documents) == (split.bytes, len(lengths))


def test_a_subset_is_whole_documents_and_stays_when_the_split_grows(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    texts = make_texts(400, seed=5)

    def evaluated(name: str, used: list[str], max_tokens: int) -> set[str]:
        corpus = make_corpus(tmp_path / f"c-{name}", used)
        tokenize_corpus(corpus, tokenizer, tmp_path / name, validation_share=0.5)
        tokens = open_tokens(tmp_path / name)
        windows = validation_windows(tokens.split("val"), 4096, max_tokens)
        assert 0 < windows.tokens <= max_tokens
        found = [
            tokens.tokenizer.decode([i for i, t in zip(row, wanted, strict=True) if t != -100])
            for inputs, targets in windows
            for row, wanted in zip(inputs.tolist(), targets.tolist(), strict=True)
        ]
        assert len(found) == windows.documents
        assert windows.bytes == pytest.approx(sum(len(text.encode()) for text in found), rel=0.1)
        return set(found)

    small = evaluated("small", texts[:200], 2000)
    assert small <= set(texts)
    grown = evaluated("grown", texts, 2000)
    # The documents with the smallest hashes: those that stay were in the smaller subset.
    assert grown & set(texts[:200]) <= small
    assert evaluated("all", texts[:10], 10**6) <= set(texts[:10])
