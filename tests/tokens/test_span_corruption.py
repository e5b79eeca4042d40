"""Span corruption loses nothing, keeps to its settings, and is the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.tokens.span_corruption import (
    Corrupted,
    SpanCorruption,
    corrupt,
    corrupt_rows,
    corrupted_counts,
    corrupted_lengths,
    fill_gaps,
)

START, END, FIRST_SENTINEL = 1, 0, 999


def settings_of(
    share: float = 0.15, mean_span: float = 3.0, sentinels: int = 500
) -> SpanCorruption:
    return SpanCorruption(
        first_sentinel=FIRST_SENTINEL,
        n_sentinels=sentinels,
        start_token=START,
        end_token=END,
        share=share,
        mean_span=mean_span,
    )


any_settings = st.builds(settings_of, st.floats(0.01, 0.9), st.floats(1, 10))
# End-of-text is an ordinary token of a window: documents are packed.
windows = st.lists(st.integers(0, 400), min_size=2, max_size=300).map(np.array)


@settings(max_examples=200, deadline=None)
@given(windows, any_settings, st.integers(0, 2**40))
def test_nothing_is_lost(window: np.ndarray, how: SpanCorruption, seed: int) -> None:
    encoder_ids, decoder_ids, targets = corrupt(window, how, seed)
    assert fill_gaps(encoder_ids, targets, how).tolist() == window.tolist()
    noise, spans = corrupted_counts(len(window), how.share, how.mean_span)
    expected = list(range(FIRST_SENTINEL, FIRST_SENTINEL - spans, -1))
    for ids in (encoder_ids, targets):
        assert ids[how.is_sentinel(ids)].tolist() == expected
    assert (len(encoder_ids), len(targets)) == corrupted_lengths(
        len(window), how.share, how.mean_span
    )
    assert len(targets) == noise + spans + 1
    assert how.is_sentinel(targets[:1])[0]
    assert targets[-1] == END
    assert decoder_ids.tolist() == [START, *targets[:-1]]
    # Spans never touch, for then the sentinels would tell no more than one.
    gaps = np.flatnonzero(how.is_sentinel(encoder_ids))
    assert gaps[0] > 0
    assert (np.diff(gaps) > 1).all()
    again = corrupt(window, how, seed)
    assert np.array_equal(again.encoder_ids, encoder_ids)
    assert np.array_equal(again.targets, targets)


@given(st.integers(30, 5000), st.floats(0.05, 0.5), st.floats(1, 8))
def test_share_and_mean_span_are_near_the_settings(
    length: int, share: float, mean_span: float
) -> None:
    noise, spans = corrupted_counts(length, share, mean_span)
    assert abs(noise - share * length) <= 0.5
    # Rounded to whole spans, and never so many that two must touch.
    assert min(abs(spans - noise / mean_span), length - noise - spans) <= 0.5 or spans == 1


def test_every_place_but_the_first_is_cut_about_as_often() -> None:
    window, how = np.arange(100, 164), settings_of()
    rows = corrupt_rows(np.tile(window, (4000, 1)), how, [(7, row) for row in range(4000)])
    cut = np.bincount(rows.targets[(rows.targets >= 100) & (rows.targets < 164)] - 100) / 4000
    assert cut[0] == 0
    assert abs(cut.mean() - 10 / 64) < 1e-9
    assert cut[8:].min() > 0.12
    assert cut[8:].max() < 0.20


def test_spans_vary_in_length() -> None:
    how = settings_of()
    _, _, targets = corrupt(np.arange(400), how, 3)
    borders = np.append(np.flatnonzero(how.is_sentinel(targets)), len(targets) - 1)
    lengths = np.diff(borders) - 1
    assert lengths.mean() == 3
    assert len(set(lengths.tolist())) > 3


def test_the_papers_example() -> None:
    """The layout of figure 2 of arXiv 1910.10683, by hand: two gaps and what fills them."""
    how = settings_of()
    encoder_ids = np.array([5, 6, 999, 9, 998, 11])
    assert fill_gaps(encoder_ids, np.array([999, 7, 8, 998, 10, END]), how).tolist() == [
        5, 6, 7, 8, 9, 10, 11,
    ]  # fmt: skip
    # What a model may say instead: something before the first gap, a gap left out, one twice.
    assert fill_gaps(encoder_ids, np.array([4, 998, 10, 998, 3]), how).tolist() == [
        5, 6, 999, 9, 10, 11,
    ]  # fmt: skip
    assert fill_gaps(encoder_ids, np.array([END]), how).tolist() == encoder_ids.tolist()


def test_rows_depend_on_their_own_seeds_alone() -> None:
    windows, how = np.arange(240).reshape(4, 60), settings_of()
    together = corrupt_rows(windows, how, [5, 6, 5, 8])
    alone = corrupt_rows(windows[2:3], how, [5])
    assert isinstance(together, Corrupted)
    for part, row in zip(together, alone, strict=True):
        assert np.array_equal(part[2:3], row)
    assert not np.array_equal(together.encoder_ids[0] + 60, together.encoder_ids[1])


def test_refusals() -> None:
    with pytest.raises(UserError, match="too short"):
        corrupt(np.array([3]), settings_of(), 0)
    with pytest.raises(UserError, match="5 spans, and there are 4"):
        corrupt(np.arange(100), settings_of(sentinels=4), 0)
    with pytest.raises(ValueError, match="holds a sentinel"):
        corrupt(np.array([3, FIRST_SENTINEL]), settings_of(), 0)
    with pytest.raises(UserError, match="share is 1"):
        settings_of(share=1)
    with pytest.raises(UserError, match="mean span"):
        settings_of(mean_span=0.5)
    with pytest.raises(UserError, match="sentinels"):
        settings_of(sentinels=0)
