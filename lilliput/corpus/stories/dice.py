"""Chance that is the same everywhere: a stream of numbers fixed by its key.

Only `Random.random()` is used, the one method whose sequence Python promises never to change;
`choice` and `shuffle` make no such promise, so ours are built from it.
"""

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """All the chance that one story, (seed, index, attempt), or one casting of a plot uses."""

    __slots__ = ("random",)

    def __init__(self, *key: int | str) -> None:
        digest = blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
        self.random = Random(int.from_bytes(digest, "big")).random

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.random() * len(items))]

    def favour(self, items: Sequence[Item]) -> Item:
        """One of the items, the earlier ones oftener: the first tenth nearly a third of the time.

        Names are spread like this among real children too, and a small model that meets some names
        often learns sooner to keep to the one a story began with.
        """
        number = self.random()
        return items[int(number * number * len(items))]

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items, in random order."""
        left = list(items)
        return [left.pop(int(self.random() * len(left))) for _ in range(count)]
