"""How byte-pair encoding builds a word: the merges it makes, as a tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import regex

from lilliput.tokens import Tokenizer
from lilliput.tokens.definition import spell
from lilliput.tokens.encoders import split_expression


@dataclass(frozen=True)
class Merged:
    """A part of a word: a single byte, or two parts merged.

    `rank` is the place of the merge in the list that the tokenizer learned, the first 0.
    """

    content: bytes
    rank: int | None = None
    parts: tuple["Merged", ...] = ()


class Merger:
    """Replays the merges of a byte-level BPE. Raises ValueError for any other tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._pattern = regex.compile(split_expression(tokenizer.definition))
        listed = tokenizer.definition["model"]["merges"]
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in listed)
        self._ranks = {(left, right): rank for rank, (left, right) in enumerate(pairs)}

    def pieces(self, text: str) -> list[str]:
        """What the split pattern cuts a text into; no merge crosses a cut."""
        return [match.group() for match in self._pattern.finditer(text)]

    def trees(self, piece: str) -> tuple[Merged, ...]:
        """One tree for each token of a piece: the earliest learned merge is always made first.

        Takes time with the square of the piece's length.
        """
        parts = [Merged(bytes([byte])) for byte in piece.encode("utf-8")]
        while found := self._best(parts):
            rank, place = found
            left, right = parts[place : place + 2]
            parts[place : place + 2] = [Merged(left.content + right.content, rank, (left, right))]
        return tuple(parts)

    def _best(self, parts: Sequence[Merged]) -> tuple[int, int] | None:
        """The rank and the place of the next merge."""
        spelled = [spell(part.content) for part in parts]
        ranks = ((self._ranks.get(pair), place) for place, pair in enumerate(pairwise(spelled)))
        return min(((rank, place) for rank, place in ranks if rank is not None), default=None)
