"""Prompts being read, some at a time, before their texts join the engine's batch."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.generate.prefixes import PrefixCache
from lilliput.generate.texts import Text
from lilliput.model.cache import Piece

_MOST_PASSED_OVER = 64
_SHORT = 16


@dataclass(eq=False)
class Reading:
    """Prompts as rows of a cache of their own."""

    prompts: list[tuple[int, ...]]
    texts: list[list[Text]]
    """Those that each prompt is for."""
    cache: Any
    ids: list[list[int]]
    """What is still to read of each prompt, padded on the left to one length."""
    starts: list[int]
    """The column with which each prompt begins."""
    tokens: int
    reused: int
    """Of all texts' prompt tokens, those that are not read."""

    @property
    def all_texts(self) -> list[Text]:
        """Everything that these prompts are for."""
        return [text for texts in self.texts for text in texts]

    @property
    def done(self) -> bool:
        """Whether everything is read."""
        return not self.ids[0]

    def take(self, width: int) -> list[list[int]]:
        """The next `width` tokens of each prompt, which are then no more to be read."""
        taken = [ids[:width] for ids in self.ids]
        self.ids = [ids[width:] for ids in self.ids]
        return taken

    def forget(self, ticket: int) -> bool:
        """Leave a text out; whether it was here."""
        for texts in self.texts:
            for text in texts:
                if text.ticket == ticket:
                    texts.remove(text)
                    return True
        return False


def begin_reading(
    waiting: deque[Text],
    may_join: Callable[[Text, Sequence[Text]], bool],
    make_cache: Callable[[int, int], Any],
    prefixes: PrefixCache | None,
    *,
    most_tokens: int,
    alone: bool,
) -> Reading | None:
    """Take texts from the queue that can be read together; None if the first must wait.

    Those are the first, all with the same prompt, and others that have about as much to read, in at
    most `most_tokens` together. `alone`: the batch that they join is empty.
    """
    if not waiting or not may_join(waiting[0], []):
        return None
    known: dict[tuple[int, ...], list[Piece]] = {}
    chosen: dict[tuple[int, ...], list[Text]] = {}
    taken: list[Text] = []
    longest = passed_over = 0
    for text in waiting:
        prompt = text.request.ids
        if prompt not in chosen:
            pieces = known[prompt] = prefixes.find(prompt) if prefixes else []
            rest = len(prompt) - _columns(pieces)
            divisible = all(piece.cache.divisible for piece in (*pieces, *_first(known, chosen)))
            fits = _goes_with(rest, longest, len(chosen) + 1, most_tokens) and divisible
            if chosen and not fits:
                passed_over += 1
                if passed_over > _MOST_PASSED_OVER:
                    break
                continue
            longest = max(longest, rest)
        if not may_join(text, taken):
            break
        chosen.setdefault(prompt, []).append(text)
        taken.append(text)
    for text in taken:
        waiting.remove(text)
    return _begun(chosen, known, make_cache, longest, room=max(t.room for t in taken) * alone)


def _goes_with(rest: int, longest: int, rows: int, most_tokens: int) -> bool:
    """Whether a prompt with `rest` tokens to read wastes little beside others with `longest`."""
    return longest // 2 <= rest <= max(longest, _SHORT) and rows * max(rest, longest) <= most_tokens


def _first(
    known: dict[tuple[int, ...], list[Piece]], chosen: dict[tuple[int, ...], list[Text]]
) -> list[Piece]:
    """What is known of the prompt that was taken first."""
    return known[next(iter(chosen))] if chosen else []


def _begun(
    chosen: dict[tuple[int, ...], list[Text]],
    known: dict[tuple[int, ...], list[Piece]],
    make_cache: Callable[[int, int], Any],
    width: int,
    room: int,
) -> Reading:
    """Lay the prompts out: what is known of each, but for its last `width` tokens, and the rest."""
    prompts = list(chosen)
    beginnings = [_shortened(known[prompt], len(prompt) - width) for prompt in prompts]
    counts = [_columns(pieces) for pieces in beginnings]
    length = max(counts) + width
    if any(counts):
        cache = make_cache(0, length + room)
        source = next(pieces[0].cache for pieces in beginnings if pieces)
        for pieces in beginnings:
            cache.adopt(pieces or [Piece(source, 0, 0, 0)])
    else:
        cache = make_cache(len(prompts), length + room)
    rests = [prompt[count:] for prompt, count in zip(prompts, counts, strict=True)]
    texts = list(chosen.values())
    return Reading(
        prompts,
        texts,
        cache,
        [[0] * (width - len(rest)) + list(rest) for rest in rests],
        [length - len(prompt) for prompt in prompts],
        tokens=sum(len(text.request.ids) for row in texts for text in row),
        reused=sum(
            len(rest) * (len(row) - 1) + count * len(row)
            for rest, row, count in zip(rests, texts, counts, strict=True)
        ),
    )


def _columns(pieces: Sequence[Piece]) -> int:
    return sum(piece.stop - piece.start for piece in pieces)


def _shortened(pieces: Sequence[Piece], most: int) -> list[Piece]:
    """The first `most` columns of the pieces."""
    kept = []
    for piece in pieces:
        count = min(piece.stop - piece.start, most)
        if count > 0:
            kept.append(piece._replace(stop=piece.start + count))
        most -= count
    return kept
