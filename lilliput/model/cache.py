"""Keys and values of the tokens a decoder has already seen.

All rows of a cache share one axis of columns, and each row's text ends at its last column: a text
that joins is copied to end there, with nothing in particular before it. Positions count from where
a row's text starts, so the copy is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

from torch import Tensor

SPARE_COLUMNS = 64
"""How many columns further back than its window a local layer remembers, so that its last tokens
can be taken back."""


class Cache(Protocol):
    """What attention needs of a key-value cache."""

    length: int

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store T new keys and values [B, K, T, E]; return those that matter, [B, K, S, E]."""

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored, once every layer has them."""


class Piece(NamedTuple):
    """Columns `start` to `stop` of one row of a trunk's cache."""

    cache: Any
    row: int
    start: int
    stop: int


@dataclass
class _Track:
    """The layers that remember equally far back, whose columns lie at the same places in memory."""

    window: int
    """How many columns a token looks back, itself counted; 0: all."""
    room: int
    stop: int = 0
    """The place in memory of the next column."""
    held: int = 0
    """How many columns before it are remembered."""
    stored: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def seen(self, length: int) -> int:
        """How many of `length` columns the next token looks back at."""
        return min(length, self.window - 1) if self.window else length

    def kept(self) -> int:
        """How many columns a move must keep."""
        return min(self.held, self.window - 1 + SPARE_COLUMNS) if self.window else self.held

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for pair in self.stored.values() for tensor in pair]

    def move(self, rows: int, room: int, stop: int, keep: int) -> None:
        """Lay out memory anew: `room` columns, the last `keep` of the remembered to end at `stop`.

        What lies before them is zero, for it is masked, and a mask does not hide what is not a
        number.
        """
        old = slice(self.stop - keep, self.stop)
        for layer, pair in self.stored.items():
            moved = []
            for tensor in pair:
                allocated, heads, _, width = tensor.shape
                new = tensor.new_zeros(allocated, heads, room, width)
                new[:rows, :, stop - keep : stop] = tensor[:rows, :, old]
                moved.append(new)
            self.stored[layer] = moved[0], moved[1]
        self.room, self.stop, self.held = room, stop, keep


class KeyValueCache:
    """Keys and values of every layer for a batch of rows that grow in step.

    A layer's memory is taken when it first stores something, for `capacity` tokens a row, so that a
    new token costs one small copy; a text that outgrows it moves to more. `windows` says how many
    tokens a layer looks back, 0 (or none said): all. A layer with a window remembers those alone
    (and a few more), and `extend` returns only them. Rows can join, leave and be put in another
    order. Latent attention stores its latents as keys and its rotary keys as values; a layer that
    reuses another's keys stores nothing.
    """

    takes_back = True
    """Whether `cut` can forget the last few tokens."""

    def __init__(self, rows: int, capacity: int, windows: Sequence[int] = ()) -> None:
        self.rows, self.capacity, self.length = rows, capacity, 0
        self._allocated = rows
        self._windows = tuple(windows)
        self._tracks: dict[int, _Track] = {}

    @property
    def memory_bytes(self) -> int:
        """Bytes reserved."""
        return sum(one.nbytes for track in self._tracks.values() for one in track.tensors)

    @property
    def divisible(self) -> bool:
        """Whether the beginning of a row can be copied without its rest."""
        return not any(self._windows)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [B, K, T, E] of a layer; return what its tokens may look at.

        That is [B, K, S, E] with S = length + T; in a layer with a window at most window - 1 + T,
        the last.
        """
        track, time = self._track(layer), keys.shape[2]
        if track.stop + time > track.room:
            self._make_room(track, time)
        if layer not in track.stored:
            track.stored[layer] = self._room_for(keys, track), self._room_for(values, track)
        start, stop = track.stop, track.stop + time
        stored_keys, stored_values = track.stored[layer]
        stored_keys[: self.rows, :, start:stop] = keys
        stored_values[: self.rows, :, start:stop] = values
        first = start - track.seen(self.length)
        return stored_keys[: self.rows, :, first:stop], stored_values[: self.rows, :, first:stop]

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored, once every layer has them."""
        self.length += count
        for track in self._tracks.values():
            track.stop += count
            track.held += count

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for track in self._tracks.values():
                columns = slice(track.stop - track.held, track.stop)
                for tensor in track.tensors:
                    tensor[row, :, columns] = tensor[last, :, columns]
        self.rows = last
        if not last:
            self._empty()

    def drop_first(self, count: int) -> None:
        """Forget the first `count` tokens of every row."""
        self.length -= count
        for track in self._tracks.values():
            track.held = min(track.held, self.length)

    def can_cut(self, length: int) -> bool:
        """Whether what came after the first `length` columns can be forgotten."""
        cut = self.length - length
        return all(track.held - cut >= track.seen(length) for track in self._tracks.values())

    def cut(self, length: int) -> None:
        """Forget what came after the first `length` columns of every row."""
        cut, self.length = self.length - length, length
        for track in self._tracks.values():
            track.stop -= cut
            track.held -= cut

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row rows[i] was; indices [B] may repeat."""
        self._reserve_rows(len(rows))
        for track in self._tracks.values():
            columns = slice(track.stop - track.held, track.stop)
            for tensor in track.tensors:
                tensor[: len(rows), :, columns] = tensor[rows, :, columns]
        self.rows = len(rows)

    def fill_from(self, source: Self, rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        self.length = source.length
        for window, theirs in source._tracks.items():
            kept = theirs.kept()
            track = _Track(window, self._room(window, kept), kept, kept)
            self._tracks[window] = track
            columns = slice(theirs.stop - kept, theirs.stop)
            for layer, pair in theirs.stored.items():
                copies = [tensor[rows, :, columns] for tensor in pair]
                rooms = [self._room_for(copy, track) for copy in copies]
                for room, copy in zip(rooms, copies, strict=True):
                    room[:, :, :kept] = copy
                track.stored[layer] = rooms[0], rooms[1]

    def adopt(self, pieces: Sequence[Piece]) -> None:
        """Add a row that holds these pieces one after the other, to end at the last column.

        Where the row is longer than the cache, the cache grows on its left. More than one piece, or
        one that ends before its cache does, needs `divisible`.
        """
        length = sum(piece.stop - piece.start for piece in pieces)
        if not self.rows:
            self._empty()
        row = self.rows
        self._reserve_rows(row + 1)
        self.rows += 1
        self._grow_left(max(0, length - self.length), pieces[0].cache)
        end = 0
        for piece in reversed(pieces):
            self._copy(piece, row, end)
            end += piece.stop - piece.start

    def _copy(self, piece: Piece, row: int, end: int) -> None:
        """Copy a piece into a row, to end `end` columns before the last."""
        cut = piece.cache.length - piece.stop
        for window, theirs in piece.cache._tracks.items():
            track = self._tracks[window]
            count = min(piece.stop - piece.start, theirs.held - cut, track.held - end)
            from_stop, to_stop = theirs.stop - cut, track.stop - end
            for layer, pair in theirs.stored.items():
                for source, target in zip(pair, track.stored[layer], strict=True):
                    target[row, :, to_stop - track.held + end : to_stop - count] = 0
                    columns = source[piece.row, :, from_stop - count : from_stop]
                    target[row, :, to_stop - count : to_stop] = columns

    def _grow_left(self, count: int, like: "KeyValueCache") -> None:
        """Put `count` columns before the first, and make a place for what `like` has stored."""
        self.length += count
        for window, theirs in like._tracks.items():
            if window not in self._tracks:
                held = min(self.length, theirs.kept()) if window else self.length
                self._tracks[window] = _Track(window, self._room(window, held), held, held)
            track = self._tracks[window]
            for layer, (keys, values) in theirs.stored.items():
                if layer not in track.stored:
                    pair = self._room_for(keys, track), self._room_for(values, track)
                    track.stored[layer] = pair
            needed = min(self.length, max(track.kept(), theirs.kept())) if window else self.length
            if not track.held and needed <= track.room:
                track.stop = needed
            elif needed > track.stop:
                # Half of the spare room is left before them: the next row may be longer still.
                spared = needed + needed // 4
                room = track.room if spared <= track.room else spared + needed // 4
                track.move(self.rows, room, needed + (room - needed) // 2, track.held)
            first = track.stop - needed
            for tensor in track.tensors:
                tensor[: self.rows, :, first : track.stop - track.held] = 0
            track.held = needed

    def _make_room(self, track: _Track, time: int) -> None:
        """Move what a track must keep to the start of its memory, or of more of it."""
        kept = track.kept()
        # Moving costs as much as it keeps, so it must not happen again before long.
        needed = kept + time + kept // 4
        room = track.room if needed <= track.room else max(needed, track.room * 3 // 2)
        track.move(self.rows, room, kept, kept)

    def _track(self, layer: int) -> _Track:
        window = self._windows[layer] if layer < len(self._windows) else 0
        if window not in self._tracks:
            self._tracks[window] = _Track(window, self._room(window, 0))
        return self._tracks[window]

    def _room(self, window: int, held: int) -> int:
        """Columns to reserve at first, where `held` are there already."""
        if not window:
            return max(self.capacity, held)
        return max(min(self.capacity, columns_of(window)), held)

    def _room_for(self, stored: Tensor, track: _Track) -> Tensor:
        """Memory for a layer: zero, for a mask does not hide what is not a number."""
        _, heads, _, width = stored.shape
        return stored.new_zeros(self._allocated, heads, track.room, width)

    def _reserve_rows(self, rows: int) -> None:
        """Have memory for so many rows."""
        if rows <= self._allocated:
            return
        self._allocated = max(rows, self._allocated * 3 // 2)
        for track in self._tracks.values():
            for layer, pair in track.stored.items():
                grown = []
                for tensor in pair:
                    new = tensor.new_zeros(self._allocated, *tensor.shape[1:])
                    new[: self.rows] = tensor[: self.rows]
                    grown.append(new)
                track.stored[layer] = grown[0], grown[1]

    def _empty(self) -> None:
        """Forget everything but the memory."""
        self.length = 0
        for track in self._tracks.values():
            track.stop = track.held = 0


def columns_of(window: int) -> int:
    """How many columns a layer with a window reserves for a long text."""
    return 2 * window + SPARE_COLUMNS


def piece_of(cache: Any, row: int, length: int) -> Piece:
    """The last `length` columns of a row: a text without the padding before it."""
    return Piece(cache, row, cache.length - length, cache.length)
