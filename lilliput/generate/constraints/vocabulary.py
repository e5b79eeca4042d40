"""A tokenizer as llguidance sees it, and what the search for short completions knows of it."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from llguidance import LLTokenizer
from numpy.typing import NDArray

from lilliput.tokens.definition import UNKNOWN
from lilliput.tokens.tokenizer import Tokenizer

MOST_CANDIDATES = 48
"""Of how many kinds of token the search tries one, where more are allowed."""
_CLOSERS, _OPENERS = frozenset(b"\"'}])>;"), frozenset(b"([{<")
_SEPARATORS, _DIGITS = frozenset(b",:"), frozenset(b"0123456789")
_LETTERS = {
    **dict.fromkeys(b"abcdefghijklmnopqrstuvwxyz", "a"),
    **dict.fromkeys(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "A"),
    **dict.fromkeys(b"0123456789", "0"),
    **dict.fromkeys(range(128, 256), "é"),
}


class Vocabulary:
    """The tokens of a tokenizer; `end_tokens` end a text (the end of text where none is given).

    `complete`: every byte is a token, so that whatever a grammar allows can be written.
    """

    def __init__(self, tokenizer: Tokenizer, end_tokens: Sequence[int] = ()) -> None:
        self.size = tokenizer.vocabulary_size
        self.words = -(-self.size // 32)
        self.end_tokens = tuple(end_tokens) or (tokenizer.end_of_text,)
        self.spelling = tokenizer.bytes_of
        self._id_of = {spelled: number for number, spelled in enumerate(self.spelling) if spelled}
        self.complete = all(bytes([byte]) in self._id_of for byte in range(256))
        self.llguidance = _llguidance_tokenizer(tokenizer, self)
        shapes = [_shape(spelled) for spelled in self.spelling]
        self._shape_of = np.unique(shapes, return_inverse=True)[1]
        ranks = [(*_rank(spelled), number) for number, spelled in enumerate(self.spelling)]
        self._order = np.array([rank[-1] for rank in sorted(ranks)], dtype=np.int64)

    def ids(self, mask: NDArray[np.int32]) -> NDArray[np.int64]:
        """The tokens of a mask, the likeliest to lead to an end first."""
        bits = np.unpackbits(mask.view(np.uint8), bitorder="little")[: self.size]
        bits[list(self.end_tokens)] = 0
        ordered: NDArray[np.int64] = self._order[bits[self._order] != 0]
        return ordered

    def candidates(self, ids: NDArray[np.int64]) -> list[int]:
        """Of many tokens the first of each shape, in order; few stay as they are."""
        if len(ids) > MOST_CANDIDATES:
            first = np.unique(self._shape_of[ids], return_index=True)[1]
            ids = ids[np.sort(first)[:MOST_CANDIDATES]]
        chosen: list[int] = ids.tolist()
        return chosen

    def encode_greedily(self, text: bytes) -> list[int]:
        """The longest token first; stops before bytes that no token begins with."""
        ids, start = [], 0
        while start < len(text):
            end = next(
                (
                    end
                    for end in range(min(len(text), start + 64), start, -1)
                    if text[start:end] in self._id_of
                ),
                None,
            )
            if end is None:
                break
            ids.append(self._id_of[text[start:end]])
            start = end
        return ids


_KNOWN: "weakref.WeakKeyDictionary[Tokenizer, dict[tuple[int, ...], Vocabulary]]" = (
    weakref.WeakKeyDictionary()
)


def vocabulary_of(tokenizer: Tokenizer, end_tokens: Sequence[int] = ()) -> Vocabulary:
    """The vocabulary of a tokenizer, made once."""
    known = _KNOWN.setdefault(tokenizer, {})
    key = tuple(end_tokens)
    if key not in known:
        known[key] = Vocabulary(tokenizer, end_tokens)
    return known[key]


class _Wrapped:
    """Our tokenizer in the form that `LLTokenizer` takes."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._encode, self._vocabulary = tokenizer.encode, vocabulary
        self.eos_token_id = vocabulary.end_tokens[0]
        unusable = [number for number, spelled in enumerate(vocabulary.spelling) if not spelled]
        unknown = [
            number
            for number, token in enumerate(tokenizer.token_of)
            if token == UNKNOWN and tokenizer.definition["model"].get("unk_token") == UNKNOWN
        ]
        self.special_token_ids = [*unusable, *unknown]
        self.tokens = [
            spelled or str(number).encode() for number, spelled in enumerate(vocabulary.spelling)
        ]

    def __call__(self, text: str) -> list[int]:
        ids = self._encode(text)
        spelled = b"".join(self._vocabulary.spelling[number] for number in ids)
        if spelled == text.encode():
            return ids
        return self._vocabulary.encode_greedily(text.encode())


def _llguidance_tokenizer(tokenizer: Tokenizer, vocabulary: Vocabulary) -> LLTokenizer:
    wrapped: Any = _Wrapped(tokenizer, vocabulary)
    return LLTokenizer(wrapped, eos_token=list(vocabulary.end_tokens))


def _shape(spelled: bytes) -> str:
    """A token with each run of letters, capitals, digits and bytes above ASCII cut to one."""
    shape = ""
    for byte in spelled:
        kind = _LETTERS.get(byte, chr(byte))
        if not shape.endswith(kind):
            shape += kind
    return shape


def _rank(spelled: bytes) -> tuple[int, int, bool]:
    """Closing marks, then letters, separators and digits; openers and white space come last.

    Of each kind the longer come first, and zeros last: a number that must be above 0 would not end.
    """
    kinds = set(spelled)
    if kinds & _OPENERS or max(kinds, default=128) > 127:
        kind = 5
    elif kinds <= _CLOSERS:
        kind = 0
    elif kinds <= _LETTERS.keys():
        kind = 3 if kinds <= _DIGITS else 1
    else:
        kind = 2 if kinds <= _SEPARATORS else 4
    return kind, -len(spelled), kinds == {ord("0")}
