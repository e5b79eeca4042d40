"""The content of `tokenizer.json` and `tokenizer_config.json`, in Hugging Face's format.

Byte-level tokens are written with GPT-2's alphabet, one printable character a byte.
"""

from collections.abc import Sequence
from typing import Any

from lilliput.tokens.pattern import SPLIT_PATTERNS
from lilliput.tokens.special import END_OF_TEXT, PADDING, SPECIAL_TOKENS

FIRST_ORDINARY_ID = len(SPECIAL_TOKENS)
# Stands for what a character or word tokenizer does not know; also how such tokens decode.
UNKNOWN = "\ufffd"


def _byte_alphabet() -> dict[int, str]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters.update({byte: chr(256 + place) for place, byte in enumerate(others)})
    return letters


LETTER_OF_BYTE = _byte_alphabet()
BYTE_OF_LETTER = {letter: byte for byte, letter in LETTER_OF_BYTE.items()}


def spell(token: bytes) -> str:
    """A token's bytes in GPT-2's alphabet, as `tokenizer.json` holds them."""
    return "".join(LETTER_OF_BYTE[byte] for byte in token)


def byte_pair_definition(merges: Sequence[tuple[bytes, bytes]], pattern: str) -> dict[str, Any]:
    """Byte-level BPE: ids are special tokens, then the 256 bytes, then one a merge, in order."""
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    pre_tokenizer: dict[str, Any] = {
        "type": "Sequence",
        "pretokenizers": [_split(pattern), byte_level],
    }
    if pattern == SPLIT_PATTERNS["gpt2"]:  # ByteLevel's own, and faster so
        pre_tokenizer = {**byte_level, "use_regex": True}
    return _definition(
        pre_tokenizer=pre_tokenizer,
        decoder=byte_level,
        model={
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": _vocabulary([spell(token) for token in tokens]),
            "merges": [f"{spell(left)} {spell(right)}" for left, right in merges],
        },
    )


def whole_piece_definition(pieces: Sequence[str], pattern: str) -> dict[str, Any]:
    """One token for each piece the pattern cuts (a character, a word); others are unknown."""
    return _definition(
        pre_tokenizer=_split(pattern),
        decoder={"type": "Fuse"},
        model={
            "type": "WordLevel",
            "vocab": _vocabulary([UNKNOWN, *pieces]),
            "unk_token": UNKNOWN,
        },
    )


def tokenizer_config() -> dict[str, Any]:
    """The content of `tokenizer_config.json`; a document begins with the end of the one before."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": PADDING,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1 << 30,
    }


def _definition(
    pre_tokenizer: dict[str, Any], decoder: dict[str, Any], model: dict[str, Any]
) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number, token in enumerate(SPECIAL_TOKENS)
        ],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def _vocabulary(ordinary: Sequence[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate([*SPECIAL_TOKENS, *ordinary])}


def _split(pattern: str) -> dict[str, Any]:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
