"""Comparing tokenizers on a text of the user's own."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lilliput.tokens.definition import UNKNOWN
from lilliput.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Comparison:
    """How one tokenizer does on a text.

    `unknown_share` is the share of tokens that stand for something unknown (0 for byte-level
    tokenizers); `encode_mb_s` megabytes of UTF-8 a second through `encoder`, in this process.
    """

    name: str
    vocabulary_size: int
    tokens: int
    bytes_per_token: float
    tokens_per_word: float
    unknown_share: float
    encode_mb_s: float
    encoder: str


def take_sample(texts: Iterable[str], sample_bytes: int) -> list[str]:
    """The first texts, up to about that many bytes of UTF-8, at least one."""
    sample, held = [], 0
    for text in texts:
        sample.append(text)
        held += len(text.encode("utf-8"))
        if held >= sample_bytes:
            break
    return sample


def compare_tokenizer(name: str, tokenizer: Tokenizer, texts: Sequence[str]) -> Comparison:
    """Encode `texts` and measure; words are what white space separates."""
    encoder = tokenizer.encoder_name
    started = time.perf_counter()
    encoded = tokenizer.encode_batch(texts)
    seconds = time.perf_counter() - started
    size = sum(len(text.encode("utf-8")) for text in texts)
    tokens = sum(len(ids) for ids in encoded)
    unknown = tokenizer.token_of.index(UNKNOWN) if UNKNOWN in tokenizer.token_of else None
    unknowns = sum(int((ids == unknown).sum()) for ids in encoded) if unknown is not None else 0
    return Comparison(
        name=name,
        vocabulary_size=tokenizer.vocabulary_size,
        tokens=tokens,
        bytes_per_token=size / max(tokens, 1),
        tokens_per_word=tokens / max(sum(len(text.split()) for text in texts), 1),
        unknown_share=unknowns / max(tokens, 1),
        encode_mb_s=size / 1e6 / max(seconds, 1e-9),
        encoder=encoder,
    )
