"""Training tokenizers: byte-level BPE by rustbpe, and byte, character and word vocabularies."""

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import regex
import rustbpe

from lilliput.errors import UserError
from lilliput.tokens.definition import (
    FIRST_ORDINARY_ID,
    UNKNOWN,
    byte_pair_definition,
    tokenizer_config,
    whole_piece_definition,
)
from lilliput.tokens.pattern import DEFAULT_PATTERN, split_pattern
from lilliput.tokens.tokenizer import Tokenizer

Kind = Literal["bpe", "byte", "character", "word"]
KINDS: tuple[Kind, ...] = ("bpe", "byte", "character", "word")
SAMPLE_BYTES = 200_000_000
BYTE_VOCABULARY = FIRST_ORDINARY_ID + 256
_ANY_CHARACTER = r"[\s\S]"


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocabulary_size: int | None = None,
    kind: Kind = "bpe",
    pattern: str = DEFAULT_PATTERN,
    sample_bytes: int = SAMPLE_BYTES,
) -> Tokenizer:
    """Train a tokenizer on the first `sample_bytes` (UTF-8, about) of `texts`, streaming.

    `vocabulary_size` counts everything: 16 special tokens, the 256 bytes (or the unknown token of
    a character or word tokenizer) and what is learned; None takes `suggested_vocabulary_size`.
    `kind` is "bpe", "byte" (no learning), "character" or "word" (a piece of the split pattern);
    `pattern` is "qwen2", "gpt4" or "gpt2". The same texts give the same tokenizer.

    If the texts do not yield as many tokens as asked, the vocabulary is smaller and a UserWarning
    says so.
    Raises UserError if the size cannot hold the tokens every vocabulary has, or no text is given.
    """
    expression = split_pattern(pattern)
    if kind not in KINDS:
        raise UserError(f"tokenizer kind {kind!r} is unknown; there are {', '.join(KINDS)}")
    least = BYTE_VOCABULARY if kind in ("bpe", "byte") else FIRST_ORDINARY_ID + 2
    if vocabulary_size is not None and vocabulary_size < least:
        raise UserError(
            f"vocabulary size {vocabulary_size:,}: a {kind} tokenizer needs at least {least:,} "
            f"({FIRST_ORDINARY_ID} special tokens and {least - FIRST_ORDINARY_ID} more)"
        )
    if kind == "byte":
        if vocabulary_size not in (None, BYTE_VOCABULARY):
            raise UserError(f"a byte tokenizer has always {BYTE_VOCABULARY} tokens; leave the size")
        return _tokenizer(byte_pair_definition([], expression))
    sample = _Sample(texts, sample_bytes)
    if kind == "bpe":
        tokenizer = _train_byte_pairs(sample, vocabulary_size, expression)
    else:
        cut = expression if kind == "word" else _ANY_CHARACTER
        tokenizer = _count_pieces(sample, vocabulary_size, cut)
    if sample.read == 0:
        raise UserError("there is no text to train a tokenizer on")
    if vocabulary_size is not None and tokenizer.vocabulary_size < vocabulary_size:
        warnings.warn(
            f"the text ({sample.read:,} bytes) yields only {tokenizer.vocabulary_size:,} of "
            f"{vocabulary_size:,} tokens; the vocabulary is that much smaller",
            stacklevel=2,
        )
    return tokenizer


def suggested_vocabulary_size(text_bytes: int) -> int:
    """A vocabulary that suits a small model on that much text: a power of two, 512 to 32,768.

    It grows with the 0.4th power of the text: 4,096 at 6 MB, 8,192 at 60 MB, 32,768 from 1 GB.
    """
    size = 2048 * (max(text_bytes, 1) / 2e6) ** 0.4
    return 1 << min(15, max(9, round(math.log2(size))))


def merges_of_ranks(ranks: Sequence[tuple[Sequence[int], int]]) -> list[tuple[bytes, bytes]]:
    """The merges, in order, behind tiktoken-style ranks (token bytes, rank; bytes are 0 to 255).

    A merged token is the pair left when its bytes are merged by the ranks below its own.
    """
    rank_of = {bytes(token): rank for token, rank in ranks}
    never = len(rank_of)
    merges = []
    for token in sorted((token for token in rank_of if len(token) > 1), key=rank_of.__getitem__):
        parts = [token[place : place + 1] for place in range(len(token))]
        while len(parts) > 2:
            joined = [rank_of.get(left + right, never) for left, right in itertools.pairwise(parts)]
            best = joined.index(min(joined))
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        merges.append((parts[0], parts[1]))
    return merges


class _Sample:
    """Texts up to a number of bytes, counting what was read; a text beyond it is cut short."""

    def __init__(self, texts: Iterable[str], limit: int) -> None:
        self._texts, self._limit = texts, limit
        self.read = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            left = self._limit - self.read
            if left <= 0:
                return
            piece = text if len(text) <= left else text[:left]
            self.read += len(piece.encode("utf-8"))
            yield piece


def _train_byte_pairs(sample: _Sample, vocabulary_size: int | None, expression: str) -> Tokenizer:
    texts: Iterable[str] = sample
    if vocabulary_size is None:
        texts = list(sample)
        vocabulary_size = suggested_vocabulary_size(sample.read)
    trained = rustbpe.Tokenizer()
    trained.train_from_iterator(
        iter(texts), vocabulary_size - FIRST_ORDINARY_ID, pattern=expression
    )
    merges = merges_of_ranks(trained.get_mergeable_ranks())
    return _tokenizer(byte_pair_definition(merges, expression))


def _count_pieces(sample: _Sample, vocabulary_size: int | None, expression: str) -> Tokenizer:
    counts: Counter[str] = Counter()
    cut = regex.compile(expression)
    for text in sample:
        counts.update(text if expression == _ANY_CHARACTER else cut.findall(text))
    counts.pop(UNKNOWN, None)
    most_frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))
    everything = FIRST_ORDINARY_ID + 1 + len(most_frequent)
    if vocabulary_size is None:
        vocabulary_size = min(everything, max(suggested_vocabulary_size(sample.read), 8192))
    pieces = most_frequent[: vocabulary_size - FIRST_ORDINARY_ID - 1]
    return _tokenizer(whole_piece_definition(pieces, expression))


def _tokenizer(definition: dict[str, object]) -> Tokenizer:
    return Tokenizer(definition, tokenizer_config())
