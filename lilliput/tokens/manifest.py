"""The manifest of a tokens folder, `tokens.json`; unfinished, it is also the journal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.files import read_json, write_json

MANIFEST_NAME = "tokens.json"
SPLITS = ("train", "val")


@dataclass(frozen=True)
class ShardFacts:
    """One shard file. `bytes` is UTF-8 bytes of the text its tokens stand for."""

    name: str
    tokens: int
    documents: int
    bytes: int


@dataclass(frozen=True)
class SplitFacts:
    """The shards of one split, in order, and their sums."""

    shards: tuple[ShardFacts, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens, with every end-of-text."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def documents(self) -> int:
        """Documents."""
        return sum(shard.documents for shard in self.shards)

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of text."""
        return sum(shard.bytes for shard in self.shards)


@dataclass(frozen=True)
class Division:
    """How documents are divided into training and validation.

    A document whose 64-bit hash (of its cluster, else of its text) is below `below` is validation.
    With `tail` (a corpus of one distinct document) the last `share` of it is validation instead.
    """

    share: float
    below: int
    tail: bool = False


@dataclass(frozen=True)
class TokensManifest:
    """What `tokens.json` says. `done_units` counts the row groups written, of an unfinished one."""

    vocabulary_size: int
    end_of_text: int
    corpus_hash: str
    tokenizer_hash: str
    shard_tokens: int
    division: Division
    splits: Mapping[str, SplitFacts] = field(
        default_factory=lambda: {split: SplitFacts() for split in SPLITS}
    )
    smallest_hash: int = (1 << 64) - 1
    largest_hash: int = 0
    done_units: int = 0
    finished: bool = False

    def same_work(self, other: "TokensManifest") -> bool:
        """Whether both come from the same corpus, tokenizer and settings."""
        return (
            self.corpus_hash == other.corpus_hash
            and self.tokenizer_hash == other.tokenizer_hash
            and self.shard_tokens == other.shard_tokens
            and self.division.share == other.division.share
        )


def write_manifest(folder: Path, manifest: TokensManifest) -> None:
    """Write `tokens.json` atomically. Hashes are hexadecimal, for readers without 64-bit ints."""
    facts: dict[str, Any] = asdict(manifest)
    for split, sums in manifest.splits.items():
        totals = {"tokens": sums.tokens, "documents": sums.documents, "bytes": sums.bytes}
        facts["splits"][split] = {**totals, "shards": [asdict(shard) for shard in sums.shards]}
    for holder, name in (
        (facts, "smallest_hash"),
        (facts, "largest_hash"),
        (facts["division"], "below"),
    ):
        holder[name] = f"{holder[name]:016x}"
    write_json(folder / MANIFEST_NAME, facts)


def read_manifest(folder: Path) -> TokensManifest:
    """Read `tokens.json`. Raises UserError if it is missing or malformed."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise UserError(
            f"{folder}: not a tokens folder (no {MANIFEST_NAME}); make one with "
            f"`lilliput tokenize corpus/ tok.json -o {folder}`"
        )
    facts = read_json(path)
    try:
        division = {**facts["division"], "below": int(facts["division"]["below"], 16)}
        splits = {
            split: SplitFacts(
                tuple(ShardFacts(**shard) for shard in facts["splits"][split]["shards"])
            )
            for split in SPLITS
        }
        hashes = {name: int(facts[name], 16) for name in ("smallest_hash", "largest_hash")}
        return TokensManifest(
            **{**facts, **hashes, "division": Division(**division), "splits": splits}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a tokens manifest ({error!r}); tokenize again") from None
