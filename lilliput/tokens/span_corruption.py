"""Span corruption: a window of tokens becomes a text with gaps and what filled them.

As in T5 (arXiv 1910.10683, section 3.1.4): random spans are cut out and each replaced by a sentinel
of its own; the target lists every sentinel followed by the tokens it stands for, then the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError

Ids = npt.NDArray[np.int64]


class Corrupted(NamedTuple):
    """Ids for an encoder, ids for a decoder, and what the decoder should say at each; int64."""

    encoder_ids: Ids
    decoder_ids: Ids
    targets: Ids


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """How to corrupt, and with which ids: sentinel k is `first_sentinel` - k.

    Raises UserError when a number makes no sense.
    """

    first_sentinel: int
    n_sentinels: int
    start_token: int
    end_token: int
    share: float = 0.15
    mean_span: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(f"the corrupted share is {self.share}: it must be between 0 and 1")
        if not self.mean_span >= 1:
            raise UserError(f"the mean span is {self.mean_span}: it must be at least 1")
        if not 1 <= self.n_sentinels <= self.first_sentinel + 1:
            raise UserError(
                f"{self.n_sentinels} sentinels do not fit in the ids from {self.first_sentinel} "
                "down to 0, or are too few"
            )

    def is_sentinel(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """For each id whether it is a sentinel."""
        return (ids <= self.first_sentinel) & (ids > self.first_sentinel - self.n_sentinels)


def corrupted_counts(length: int, share: float = 0.15, mean_span: float = 3.0) -> tuple[int, int]:
    """How many tokens of a window are cut out, and in how many spans: the same for every window.

    Raises UserError if the window has fewer than 2 tokens, one to keep and one to cut.
    """
    if length < 2:
        raise UserError(f"a window of {length} tokens is too short to corrupt: 2 at least")
    noise = min(max(1, round(length * share)), length - 1)
    # Between two spans a token is kept, and one before the first.
    return noise, min(max(1, round(noise / mean_span)), noise, length - noise)


def corrupted_lengths(length: int, share: float = 0.15, mean_span: float = 3.0) -> tuple[int, int]:
    """Lengths of encoder ids and of targets that a window of `length` tokens becomes."""
    noise, spans = corrupted_counts(length, share, mean_span)
    return length - noise + spans, noise + spans + 1


def corrupt(window: Ids, settings: SpanCorruption, seed: int | Sequence[int]) -> Corrupted:
    """Corrupt one window [L]; the same for the same seed.

    The first token is always kept, since a window mostly begins with the end-of-text that begins a
    document; the last may be cut out or not. Raises UserError if there are too few sentinels, and
    ValueError if the window holds one.
    """
    noise, spans = corrupted_counts(len(window), settings.share, settings.mean_span)
    if spans > settings.n_sentinels:
        raise UserError(
            f"a window of {len(window)} tokens is corrupted in {spans} spans, and there are "
            f"{settings.n_sentinels} sentinels: use shorter windows, or a model with more"
        )
    if settings.is_sentinel(window).any():
        raise ValueError("the window holds a sentinel: its gaps could not be told from the text")
    generator = np.random.default_rng(seed)
    cut = _noise_mask(len(window), noise, spans, generator)
    begins = cut & ~np.concatenate(([False], cut[:-1]))
    sentinels = settings.first_sentinel - np.arange(spans)
    encoder_ids = window.astype(np.int64)
    encoder_ids[begins] = sentinels
    targets = np.insert(window[cut].astype(np.int64), np.flatnonzero(begins[cut]), sentinels)
    targets = np.append(targets, settings.end_token)
    decoder_ids = np.concatenate(([settings.start_token], targets[:-1]))
    return Corrupted(encoder_ids[~cut | begins], decoder_ids, targets)


def corrupt_rows(
    windows: Ids, settings: SpanCorruption, seeds: Iterable[int | Sequence[int]]
) -> Corrupted:
    """Corrupt windows [B, L], a seed for each: arrays [B, ·], for all become equally long."""
    rows = [corrupt(*row) for row in zip(windows, [settings] * len(windows), seeds, strict=True)]
    return Corrupted(*map(np.stack, zip(*rows, strict=True)))


def fill_gaps(encoder_ids: Ids, answer: Ids, settings: SpanCorruption) -> Ids:
    """Put what an answer says of each gap where its sentinel stands; the inverse of `corrupt`.

    A gap that the answer leaves out keeps its sentinel, and what comes before the answer's first
    sentinel belongs nowhere. One end token at the answer's end is not part of it.
    """
    if len(answer) and answer[-1] == settings.end_token:
        answer = answer[:-1]
    begins = np.flatnonzero(settings.is_sentinel(answer))
    pieces = np.split(answer, begins)[1:]
    said = {int(piece[0]): piece[1:] for piece in reversed(pieces)}
    whole = [
        said.get(token, np.array([token])) if gap else np.array([token])
        for token, gap in zip(
            encoder_ids.tolist(), settings.is_sentinel(encoder_ids).tolist(), strict=True
        )
    ]
    return np.concatenate([np.empty(0, np.int64), *whole]).astype(np.int64)


def _noise_mask(
    length: int, noise: int, spans: int, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Boolean [length], true where cut out: `noise` tokens in `spans` runs that do not touch.

    The last token is cut out as often as any other: T5 always cuts it.
    """
    ends_cut = length - noise == spans or generator.random() < noise / length
    cut = _random_parts(noise, spans, generator)
    kept = _random_parts(length - noise, spans if ends_cut else spans + 1, generator)
    lengths = np.empty(len(cut) + len(kept), dtype=np.int64)
    lengths[0::2], lengths[1::2] = kept, cut
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def _random_parts(total: int, parts: int, generator: np.random.Generator) -> Ids:
    """`total` as a sum of `parts` numbers of at least 1, every such sum equally likely."""
    borders = np.sort(generator.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(borders, prepend=0, append=total).astype(np.int64)
