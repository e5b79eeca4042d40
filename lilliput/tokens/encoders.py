"""Encoders: several libraries that turn text into the same ids, the fastest first.

The stored `tokenizer.json` defines the ids. Every other encoder is used only after its ids were
compared with it on texts chosen to be difficult. All of them read text as plain text: a special
token spelled out in a document is not recognised.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lilliput.tokens.definition import BYTE_OF_LETTER, UNKNOWN
from lilliput.tokens.pattern import SPLIT_PATTERNS

Ids = npt.NDArray[np.uint32]

DIFFICULT_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "Once upon a time, there was a little girl who didn't like 12345.678 apples. WE'LL SEE!",
    "a <|endoftext|> b<|padding|><|user|>x<|end|> <|reserved_0|>\n<|endoftext|>",
    "spaces:      many   \t tabs\t\t\n\n\n   lines \r\n\r\n end   ",
    "👩‍👩‍👧‍👦 🇫🇷 🏳️‍🌈 naïve café, e\u0301 \u200b\ufeff\u00a0\u2028\u3000 \u0000\u0001\x7f",
    "Привет, мир! 你好，世界。こんにちは ১২৩ مرحبا ١٢٣ שלום नमस्ते ไทย 한국어 Ⅳ ½ ²",
    "def f(x):\n    return {'a': x**2}  # don't\n\t\treturn f'{x:>10}'\n",
    "=========---->>>>////\\\\\\\\((([[[{{{'''\"\"\"```...…!!!???",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "I'm I'M i'LL ſ's 'S 'ſ it's'd'Re \U0001d4d7\U0001d4f2 \U00020000 \U0010ffff \ue000",
)


class Encoder(Protocol):
    """Turns texts into ids, in one way."""

    name: str

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text, uint32."""
        ...


class HuggingFaceEncoder:
    """The reference: Hugging Face's `tokenizers` reading the stored definition."""

    name = "tokenizers"

    def __init__(self, definition: Mapping[str, Any]) -> None:
        import tokenizers

        self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(definition))
        self._tokenizer.encode_special_tokens = True

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(text.ids, dtype=np.uint32) for text in encoded]


class GigatokenEncoder:
    """gigatoken: byte-level BPE with one of the split patterns it knows."""

    name = "gigatoken"

    def __init__(self, definition: Mapping[str, Any]) -> None:
        from gigatoken.gigatoken_rs import load_hf_json

        # Without the list of special tokens it takes them for plain text.
        plain = {**definition, "added_tokens": []}
        self._tokenizer = load_hf_json(json.dumps(plain).encode("utf-8"))

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        return [self._tokenizer.encode(text) for text in texts]


class TiktokenEncoder:
    """tiktoken: byte-level BPE whose ids grow with the rank of the merge."""

    name = "tiktoken"

    def __init__(self, definition: Mapping[str, Any]) -> None:
        import tiktoken

        special = {token["content"] for token in definition["added_tokens"]}
        ranks = {
            bytes(BYTE_OF_LETTER[letter] for letter in token): number
            for token, number in definition["model"]["vocab"].items()
            if token not in special
        }
        self._tokenizer = tiktoken.Encoding(
            "lilliput",
            pat_str=split_expression(definition),
            mergeable_ranks=ranks,
            special_tokens={},
        )

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        return [
            np.array(ids, dtype=np.uint32)
            for ids in self._tokenizer.encode_ordinary_batch(list(texts))
        ]


class TableEncoder:
    """A table lookup in NumPy, for byte and character tokenizers."""

    name = "numpy"

    def __init__(self, definition: Mapping[str, Any]) -> None:
        model = definition["model"]
        special = {token["content"] for token in definition["added_tokens"]}
        ordinary = {t: number for t, number in model["vocab"].items() if t not in special}
        if any(len(token) != 1 for token in ordinary):
            raise ValueError("a token longer than one byte or character")
        if model["type"] == "BPE":
            self._codec = "utf-8"
            self._unit: type[np.unsignedinteger[Any]] = np.uint8
            codes = {BYTE_OF_LETTER[token]: number for token, number in ordinary.items()}
            self._table = np.zeros(256, dtype=np.uint32)
        else:
            self._codec = "utf-32-le"
            self._unit = np.uint32
            codes = {ord(token): number for token, number in ordinary.items()}
            self._table = np.full(0x110000, ordinary[UNKNOWN], dtype=np.uint32)
        self._table[list(codes)] = list(codes.values())

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        return [
            self._table[np.frombuffer(text.encode(self._codec), dtype=self._unit)] for text in texts
        ]


def choose_encoder(
    definition: Mapping[str, Any], samples: Sequence[str] = (), *, first: str | None = None
) -> Encoder:
    """The fastest encoder whose ids equal the definition's on the difficult texts and `samples`.

    `first` names an encoder to begin with (faster ones were already tried).
    """
    texts = [*DIFFICULT_TEXTS, *samples]
    reference = HuggingFaceEncoder(definition)
    expected = reference.encode_batch(texts)
    for candidate in _candidates(definition, first):
        try:
            encoder = candidate(definition)
            ids = encoder.encode_batch(texts)
        except (ImportError, RuntimeError, ValueError, KeyError):
            continue
        if all(np.array_equal(own, right) for own, right in zip(ids, expected, strict=True)):
            return encoder
    return reference


def split_expression(definition: Mapping[str, Any]) -> str:
    """The split pattern of a byte-level BPE. Raises ValueError if it is not one of that form."""
    if definition["model"]["type"] != "BPE" or definition["normalizer"] is not None:
        raise ValueError("not a byte-level BPE without normalizer")
    stages = definition["pre_tokenizer"]
    stages = stages["pretokenizers"] if stages["type"] == "Sequence" else [stages]
    *splits, last = stages
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        raise ValueError("not a byte-level BPE")
    if not splits and last["use_regex"]:
        return SPLIT_PATTERNS["gpt2"]
    if len(splits) == 1 and splits[0]["type"] == "Split" and not last["use_regex"]:
        return str(splits[0]["pattern"]["Regex"])
    raise ValueError("more than one split")


def _candidates(
    definition: Mapping[str, Any], first: str | None
) -> Iterator[Callable[[Mapping[str, Any]], Encoder]]:
    by_speed = (TableEncoder, GigatokenEncoder, TiktokenEncoder)
    names = [encoder.name for encoder in by_speed]
    start = names.index(first) if first in names else (len(names) if first else 0)
    yield from by_speed[start:]
