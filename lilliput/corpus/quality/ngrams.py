"""Texts as bags of hashed words and word n-grams, many texts at a time.

A word is a run of letters, digits and other characters beyond ASCII, or a run of punctuation; each
Chinese or Japanese character is a word of its own. Case is ignored and all digits are alike. Words
are hashed where they stand in the UTF-8 bytes, by differences of one running sum, so no string is
made for any of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_CHUNK_BYTES = 1 << 18  # what a chunk needs stays in the processor's cache
_SPACE, _LETTER, _MARK = 0, 1, 2
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_STEP = np.uint64(0xA0761D6478BD642F)


@dataclass(frozen=True)
class Words:
    """The words of some texts, in order.

    `hashes` uint64, `starts` and `stops` (bytes in `text`, all texts one after the other in lower
    case) and `documents` (which text, from 0) int64; all of one length.
    """

    text: Bytes
    hashes: Hashes
    starts: Places
    stops: Places
    documents: Places


@dataclass(frozen=True)
class Grams:
    """The n-grams of some words: their bucket, text and length in words, and the first word."""

    buckets: Places
    documents: Places
    first_words: Places
    length: int


def chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Texts in portions of about 256 kB, each with the number of its first text."""
    portion: list[str] = []
    held = first = 0
    for number, text in enumerate(texts):
        portion.append(text)
        held += len(text)
        if held >= _CHUNK_BYTES:
            yield first, portion
            portion, held, first = [], 0, number + 1
    if portion:
        yield first, portion


def words_of(texts: Sequence[str]) -> Words:
    """The words of the texts."""
    lowered = pc.utf8_lower(pa.array(texts, pa.large_string()))
    edges = np.frombuffer(lowered.buffers()[1], np.int64)[: len(texts) + 1]
    buffer = lowered.buffers()[2]
    text = np.frombuffer(buffer, np.uint8)[: edges[-1]] if buffer else np.zeros(0, np.uint8)
    if not len(text):
        nothing = np.zeros(0, np.int64)
        return Words(text, np.zeros(0, np.uint64), nothing, nothing, nothing)
    kinds, turns = _kinds(text)
    turns[edges[:-1][edges[:-1] < len(text)]] = True
    starts = np.flatnonzero(turns)
    stops = np.append(starts[1:], len(text))
    is_word = kinds[starts] != _SPACE
    starts, stops = starts[is_word], stops[is_word]
    # Texts without a byte are passed over: of equal edges the last one counts.
    documents = np.searchsorted(edges, starts, side="right") - 1
    return Words(text, _hashes(text, starts, stops), starts, stops, documents)


def _kinds(text: Bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Each byte's kind, and where a run of one kind begins."""
    kinds = _KIND_OF_BYTE[text]
    following = np.append(text[1:], np.uint8(0))
    quotes = np.flatnonzero((text == 0xE2) & (following == 0x80))  # U+2000 to U+203F
    for step in range(3):
        kinds[quotes + step] = _MARK
    no_break = np.flatnonzero((text == 0xC2) & (following == 0xA0))
    kinds[no_break] = kinds[no_break + 1] = _SPACE
    turns = np.ones(len(text), np.bool_)
    np.not_equal(kinds[1:], kinds[:-1], out=turns[1:])
    ideographs = np.flatnonzero(_IS_IDEOGRAPH_LEAD[text])
    turns[ideographs] = True
    after = ideographs + 3
    turns[after[after < len(text)]] = True
    return kinds, turns


def _hashes(text: Bytes, starts: Places, stops: Places) -> Hashes:
    """A hash of each stretch: the sum of value(byte)·base^place, moved to place 0."""
    powers, inverses = _powers(1 << max(18, (len(text) + 1).bit_length()))
    sums = np.zeros(len(text) + 1, np.uint64)
    np.cumsum(_VALUE_OF_BYTE[text] * powers[: len(text)], out=sums[1:])
    return (sums[stops] - sums[starts]) * inverses[starts]


@cache
def _powers(count: int) -> tuple[Hashes, Hashes]:
    tables = []
    for base in (_BASE, _INVERSE):
        table = np.full(count, base, np.uint64)
        table[0] = 1
        tables.append(np.cumprod(table, dtype=np.uint64))
    return tables[0], tables[1]


def grams_of(words: Words, longest: int, bits: int) -> list[Grams]:
    """The n-grams of 1 to `longest` words within each text, in 2^bits buckets."""
    grams = []
    hashes = words.hashes
    first = np.arange(len(hashes))
    for length in range(1, longest + 1):
        if length > 1:
            together = words.documents[length - 1 :] == words.documents[: 1 - length]
            hashes = hashes[:-1] * _STEP + words.hashes[length - 1 :]
            found, places = hashes[together], first[: 1 - length][together]
        else:
            found, places = hashes, first
        mixed = (found ^ (found >> np.uint64(32))) * _MIX
        buckets = (mixed >> np.uint64(64 - bits)).astype(np.int64)
        grams.append(Grams(buckets, words.documents[places], places, length))
    return grams


def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], Hashes]:
    kinds = np.full(256, _MARK, np.uint8)
    kinds[0x80:] = _LETTER
    for character in range(128):
        if chr(character).isalnum():
            kinds[character] = _LETTER
        elif chr(character).isspace() or character < 32:
            kinds[character] = _SPACE
    leads = np.zeros(256, np.bool_)
    leads[0xE3:0xEA] = True  # U+3000 to U+9FFF, three bytes each
    values = np.random.Generator(np.random.PCG64(1607_01759)).integers(
        0, 1 << 64, 256, dtype=np.uint64
    )
    values[ord("0") : ord("9") + 1] = values[ord("0")]
    return kinds, leads, values


_KIND_OF_BYTE, _IS_IDEOGRAPH_LEAD, _VALUE_OF_BYTE = _tables()
