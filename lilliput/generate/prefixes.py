"""Keys and values of texts that were read before, for those that begin alike."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lilliput.model.cache import Piece

SHORTEST_PREFIX = 16
"""A shorter beginning is quicker to read again than to look up and copy."""


@dataclass(eq=False)
class _Node:
    """A stretch of tokens after those of its parent, with what a trunk made of them."""

    ids: tuple[int, ...]
    cache: Any
    parent: "_Node | None" = None
    children: dict[int, "_Node"] = field(default_factory=dict)


class PrefixCache:
    """What a trunk remembers of texts, as a tree of their tokens, in at most `most_bytes`.

    Texts share the memory of what they begin with. Where a cache cannot be divided (windows,
    states), only whole texts are kept, and found by those that go on from them. What was not used
    for the longest time is forgotten first.
    """

    def __init__(self, make_cache: Callable[[int, int], Any], most_bytes: int) -> None:
        self._make_cache, self._most_bytes = make_cache, most_bytes
        self._divisible: bool = make_cache(0, 0).divisible
        self._root = _Node((), None)
        # Least recently used first; a node comes after its children, so the first is a leaf.
        self._used: OrderedDict[_Node, None] = OrderedDict()
        self._whole: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._bytes = 0

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        return self._bytes

    def find(self, ids: Sequence[int]) -> list[Piece]:
        """Columns for the longest known beginning of a text, but for its last token at least."""
        if self._divisible:
            found = self._descend(ids[:-1])[0]
        else:
            found = self._find_whole(ids)
        enough = sum(piece.stop for piece in found) >= SHORTEST_PREFIX
        return found if enough else []

    def keep(self, ids: Sequence[int], cache: Any, row: int) -> None:
        """Remember a text from the row of a cache that has read it last."""
        if len(ids) < SHORTEST_PREFIX or not self._most_bytes:
            return
        if not self._divisible:
            self._keep_whole(tuple(ids), cache, row)
            return
        found, node = self._descend(ids, split=True)
        known = sum(piece.stop for piece in found)
        if known == len(ids):
            return
        end = cache.length
        columns = Piece(cache, row, end - len(ids) + known, end)
        leaf = _Node(tuple(ids[known:]), self._copied([columns]), node)
        node.children[leaf.ids[0]] = leaf
        self._bytes += leaf.cache.memory_bytes
        self._touch(leaf)
        while self._bytes > self._most_bytes and self._used:
            self._forget(next(iter(self._used)))

    def _descend(self, ids: Sequence[int], *, split: bool = False) -> tuple[list[Piece], _Node]:
        """The known beginning of `ids` and the last node of it, cut in two if it goes on apart."""
        node, place, pieces = self._root, 0, []
        while place < len(ids) and (child := node.children.get(ids[place])) is not None:
            common = common_length(child.ids, ids[place : place + len(child.ids)])
            if split and common < len(child.ids):
                child = self._split(child, common)
            pieces.append(Piece(child.cache, 0, 0, common))
            node, place = child, place + common
            if common < len(child.ids):
                break
        self._touch(node)
        return pieces, node

    def _split(self, node: _Node, count: int) -> _Node:
        """Make the first `count` tokens of a node a node of their own, and give that."""
        assert node.parent is not None
        cache = node.cache
        first = _Node(node.ids[:count], self._copied([Piece(cache, 0, 0, count)]), node.parent)
        first.children[node.ids[count]] = node
        node.parent.children[node.ids[0]] = first
        rest = self._copied([Piece(cache, 0, count, len(node.ids))])
        self._bytes += first.cache.memory_bytes + rest.memory_bytes - cache.memory_bytes
        node.ids, node.cache, node.parent = node.ids[count:], rest, first
        self._touch(first)
        return first

    def _touch(self, node: _Node) -> None:
        """Count a node, and all it builds on, as used last."""
        step: _Node | None = node
        while step is not None and step is not self._root:
            self._used[step] = None
            self._used.move_to_end(step)
            step = step.parent

    def _forget(self, node: _Node) -> None:
        assert node.parent is not None
        del self._used[node], node.parent.children[node.ids[0]]
        self._bytes -= node.cache.memory_bytes

    def _find_whole(self, ids: Sequence[int]) -> list[Piece]:
        lengths = sorted({len(one) for one in self._whole if len(one) < len(ids)}, reverse=True)
        for length in lengths:
            beginning = tuple(ids[:length])
            if (cache := self._whole.get(beginning)) is not None:
                self._whole.move_to_end(beginning)
                return [Piece(cache, 0, 0, length)]
        return []

    def _keep_whole(self, ids: tuple[int, ...], cache: Any, row: int) -> None:
        if ids in self._whole:
            self._whole.move_to_end(ids)
            return
        copy = self._copied([Piece(cache, row, cache.length - len(ids), cache.length)])
        self._whole[ids] = copy
        self._bytes += copy.memory_bytes
        while self._bytes > self._most_bytes and self._whole:
            self._bytes -= self._whole.popitem(last=False)[1].memory_bytes

    def _copied(self, pieces: Sequence[Piece]) -> Any:
        """A cache of one row that holds the pieces and no more memory than they need."""
        cache = self._make_cache(0, 0)
        cache.adopt(pieces)
        return cache


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading items two sequences share."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
