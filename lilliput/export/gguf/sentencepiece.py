"""SentencePiece BPE, which GGUF calls `llama` → a tokenizer.json.

GGUF keeps no merges, but a score a token: the pair whose union has the highest score merges first.
Ranking all pairs of tokens by that score gives the merges of a `tokenizer.json`; so does
transformers when it reads SentencePiece's own files.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SPACE = "\u2581"
_BYTES = 256


def sentencepiece_model(
    tokens: Mapping[str, int], scores: Sequence[float], mergeable: set[str], unknown: str | None
) -> dict[str, Any]:
    """The `model` of a tokenizer.json; `scores` are by id, `mergeable` the ordinary tokens.

    Raises ValueError if the 256 byte tokens are not there.
    """
    missing = [byte for byte in range(_BYTES) if f"<0x{byte:02X}>" not in tokens]
    if missing:
        raise ValueError(f"its vocabulary lacks the byte token <0x{missing[0]:02X}>")
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": dict(tokens),
        "merges": [f"{left} {right}" for left, right in _merges(tokens, scores, mergeable)],
    }


def sentencepiece_stages(*, space_first: bool) -> dict[str, Any]:
    """Normalizer, pre-tokenizer and decoder; `space_first`: texts begin as if after a space."""
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    prepend = [{"type": "Prepend", "prepend": _SPACE}] if space_first else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if space_first else []
    return {
        "normalizer": {"type": "Sequence", "normalizers": [*prepend, spaces]},
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *strip,
            ],
        },
    }


def _merges(
    tokens: Mapping[str, int], scores: Sequence[float], mergeable: set[str]
) -> list[tuple[str, str]]:
    ranked = sorted(
        _pairs(tokens, mergeable), key=lambda pair: (-scores[tokens[pair[0] + pair[1]]], pair)
    )
    return [pair for pair in ranked if " " not in pair[0] + pair[1]]


def _pairs(tokens: Mapping[str, int], mergeable: set[str]) -> Iterator[tuple[str, str]]:
    """Every way to make one ordinary token of two."""
    for token in mergeable:
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in mergeable and right in mergeable:
                yield left, right
