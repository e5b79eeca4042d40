"""The tokens folder, opened: memory-mapped shards and what the manifest says of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError
from lilliput.files import read_shard
from lilliput.tokens.manifest import (
    MANIFEST_NAME,
    SPLITS,
    SplitFacts,
    TokensManifest,
    read_manifest,
)
from lilliput.tokens.tokenizer import Tokenizer

TokenIds = npt.NDArray[np.unsignedinteger[Any]]
_SCANNED_AT_ONCE = 1 << 24


class TokenSplit:
    """The tokens of one split as one stream, memory-mapped.

    A document is its end-of-text token and its ids; the stream ends with one more end-of-text.
    """

    def __init__(
        self, name: str, shards: list[TokenIds], end_of_text: int, text_bytes: int
    ) -> None:
        self.name = name
        self.shards = shards
        self.end_of_text = end_of_text
        self.bytes = text_bytes
        self._ends = np.cumsum([len(shard) for shard in shards], dtype=np.int64)
        self.tokens = int(self._ends[-1]) if shards else 0

    def read(self, start: int, stop: int) -> TokenIds:
        """Ids [start, stop) of the stream, uint16 or uint32; a view where one shard holds them."""
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens [{start}, {stop}) of {self.tokens}")
        number = int(np.searchsorted(self._ends, start, side="right"))
        pieces = []
        while start < stop:
            base = int(self._ends[number]) - len(self.shards[number])
            pieces.append(self.shards[number][start - base : stop - base])
            start += len(pieces[-1])
            number += 1
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else self.shards[0][:0]

    @cached_property
    def document_starts(self) -> npt.NDArray[np.int64]:
        """Position in the stream of each document's leading end-of-text, int64."""
        found = []
        for start in range(0, self.tokens, _SCANNED_AT_ONCE):
            ids = self.read(start, min(start + _SCANNED_AT_ONCE, self.tokens))
            found.append(np.flatnonzero(ids == self.end_of_text) + start)
        return np.concatenate(found)[:-1].astype(np.int64)

    @cached_property
    def document_lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each document with its leading end-of-text, int64."""
        return np.diff(self.document_starts, append=self.tokens - 1)


@dataclass(frozen=True)
class Tokens:
    """An opened tokens folder."""

    folder: Path
    manifest: TokensManifest

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer the shards were made with."""
        tokenizer = Tokenizer.load(self.folder)
        if tokenizer.hash != self.manifest.tokenizer_hash:
            raise UserError(
                f"{self.folder / 'tokenizer.json'}: not the tokenizer the shards were made with"
            )
        return tokenizer

    def split(self, name: str) -> TokenSplit:
        """The split "train" or "val"."""
        if name not in SPLITS:
            raise UserError(f"split {name!r} is unknown; there are {', '.join(SPLITS)}")
        facts = self.manifest.splits[name]
        return TokenSplit(
            name, _map_shards(self.folder, facts), self.manifest.end_of_text, facts.bytes
        )


def open_tokens(folder: Path | str) -> Tokens:
    """Open a finished tokens folder; every shard is checked against the manifest.

    Raises UserError if the folder is none, unfinished, or a shard is missing or cut off.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if not manifest.finished:
        raise UserError(f"{folder}: tokenizing was stopped; run the same `lilliput tokenize` again")
    for facts in manifest.splits.values():
        _map_shards(folder, facts)
    return Tokens(folder, manifest)


def _map_shards(folder: Path, facts: SplitFacts) -> list[TokenIds]:
    shards = []
    for shard in facts.shards:
        path = folder / shard.name
        if not path.is_file():
            raise UserError(f"{path}: missing; tokenize again with --overwrite")
        ids = read_shard(path)
        if len(ids) != shard.tokens:
            raise UserError(
                f"{path}: {len(ids):,} tokens where {MANIFEST_NAME} says {shard.tokens:,}; "
                "tokenize again with --overwrite"
            )
        shards.append(ids)
    return shards
