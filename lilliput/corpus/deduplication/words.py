"""Texts as sequences of words, and a 64-bit hash of any span of them, for many documents at once.

Everything works on the code points of a block of documents laid end to end, so that NumPy does in
a handful of passes what a loop over words would do.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

BLOCK_CHARACTERS = 1 << 18

_BASE = 0x9E6C63D0876A9A35  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 1 << 64)
_CACHED_POWERS = 1 << 20

_SEPARATOR = 0
_ALONE = np.uint32(1 << 24)  # this bit marks a character that is a word of its own
_IGNORED = np.uint32(0xFFFF_FFFE)
_UNKNOWN = np.uint32(0xFFFF_FFFF)
_PAGE = 256

# Scripts written without spaces: Thai to Lao, Myanmar, Khmer, kana, Han with its extensions.
_SPACELESS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True)
class Words:
    """The words of several documents, in order.

    `hashes` has one hash a word; document d has the words `offsets[d]:offsets[d + 1]`. `starts` and
    `stops` are half-open spans of characters in the word's own document. `codes`, with
    `code_starts` and `code_stops`, are the code points the hashes were made of.
    """

    hashes: Hashes
    offsets: Numbers
    starts: Numbers
    stops: Numbers
    codes: npt.NDArray[np.unsignedinteger]
    code_starts: Numbers
    code_stops: Numbers

    def spelled(self, start: int, stop: int) -> str:
        """The words `start:stop` as they are compared, with single spaces between them."""
        if start >= stop:
            return ""
        first = int(self.code_starts[start])
        codes = self.codes[first : int(self.code_stops[stop - 1])].astype("<u4") & 0xFF_FFFF
        letters = codes.tobytes().decode("utf-32-le", "surrogatepass")
        starts, stops = self.code_starts[start:stop] - first, self.code_stops[start:stop] - first
        spans = zip(starts.tolist(), stops.tolist(), strict=True)
        return " ".join([letters[begin:end] for begin, end in spans])


def blocks(
    texts: Sequence[str], characters: int = BLOCK_CHARACTERS
) -> Iterator[tuple[int, Sequence[str]]]:
    """Runs of documents of about that many characters, which a processor's cache holds.

    Yields the number of the first and the texts; a longer document is a run of its own.
    """
    start = held = 0
    for number, text in enumerate(texts):
        if held and held + len(text) > characters:
            yield start, texts[start:number]
            start, held = number, 0
        held += len(text)
    if start < len(texts):
        yield start, texts[start:]


def simplified_words(texts: Sequence[str], *, numbers: bool = True) -> Words:
    """Words in FineWeb's sense (arXiv 2406.17557, datatrove's `simplify_text`).

    Lower case, without diacritics and invisible characters; everything but letters, digits and
    vowel signs separates words; with `numbers`, a number (digits, with points and commas between
    them) counts as 0. A character of a script written without spaces is a word of its own.
    """
    return _words(texts, _table("numbers as 0" if numbers else "simplified"), numbers)


def exact_words(texts: Sequence[str]) -> Words:
    """Words as `str.split` cuts them, as they are written."""
    return _words(texts, _table("exact"), numbers=False)


def characters(texts: Sequence[str]) -> Words:
    """Every character as it is written is a word."""
    codes, begins = _code_points(texts)
    lengths = np.diff(begins) - 1
    inside = np.ones(len(codes), bool)
    inside[begins[1:-1] - 1] = False
    codes = codes[inside]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    every = np.arange(len(codes))
    starts = every - np.repeat(offsets[:-1], lengths)
    hashes = _mixed(codes.astype(np.uint64) + np.uint64(1))
    return Words(hashes, offsets, starts, starts + 1, codes, every, every + 1)


def ngrams(hashes: Hashes, offsets: Numbers, length: int) -> tuple[Hashes, Numbers]:
    """The hashes of every run of `length` words inside a document, and their offsets by document.

    A document of fewer words, but not of none, counts as a single run of all its words.
    """
    lengths = np.diff(offsets)
    first = np.arange(len(hashes))
    end = np.repeat(offsets[1:], lengths)
    starts = np.flatnonzero((first + length <= end) | (first == np.repeat(offsets[:-1], lengths)))
    runs = span_hashes(hashes, starts, np.minimum(starts + length, end[starts]))
    counts = np.where(lengths == 0, 0, np.maximum(lengths - length + 1, 1))
    return runs, np.concatenate(([0], np.cumsum(counts)))


def span_hashes(values: npt.NDArray[np.unsignedinteger], starts: Numbers, stops: Numbers) -> Hashes:
    """A hash of `values[start:stop]` for every span, equal for equal contents wherever they lie.

    A polynomial modulo 2^64, read off prefix sums (the base is odd: it can be divided by again).
    """
    powers, inverses = _powers(len(values))
    total = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(np.multiply(values, powers, dtype=np.uint64), out=total[1:])
    return _mixed((total[stops] - total[starts]) * inverses[starts])


def _mixed(values: Hashes) -> Hashes:
    """Each value through splitmix64's finalizer, so that near values end far apart."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _powers(count: int) -> tuple[Hashes, Hashes]:
    """At least powers 0 … count of the base and of its inverse, modulo 2^64."""
    size = 1 << max(count, 1).bit_length()
    powers, inverses = _cached_powers(size) if size <= _CACHED_POWERS else _made_powers(size)
    return powers[:count], inverses[: count + 1]


@cache
def _cached_powers(size: int) -> tuple[Hashes, Hashes]:
    return _made_powers(size)


def _made_powers(size: int) -> tuple[Hashes, Hashes]:
    def made(base: int) -> Hashes:
        factors = np.full(size, base, np.uint64)
        factors[0] = 1
        return np.cumprod(factors)

    return made(_BASE), made(_INVERSE)


def _code_points(texts: Sequence[str]) -> tuple[npt.NDArray[np.unsignedinteger], Numbers]:
    """The code points of the texts, a line break after each but the last, and where each begins."""
    joined = "\n".join(texts)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    begins = np.concatenate(([0], np.cumsum(lengths + 1)))
    if joined.isascii():
        return np.frombuffer(joined.encode("ascii"), np.uint8), begins
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4"), begins


def _words(texts: Sequence[str], table: "_CodeTable", numbers: bool) -> Words:
    points, begins = _code_points(texts)
    codes = table.of(points)
    codes, kept = _without_ignored(codes, points, numbers)
    starts, stops = _edges(codes)
    if kept is None:
        first, last = starts, stops
    else:
        # What was left out just after a word still belongs to it: marks, a number's digits.
        first, last = kept[starts], np.append(kept, len(points))[stops]
    offsets = np.searchsorted(first, begins)
    begin = np.repeat(begins[:-1], np.diff(offsets))
    hashes = span_hashes(codes, starts, stops)
    return Words(hashes, offsets, first - begin, last - begin, codes, starts, stops)


def _without_ignored(
    codes: npt.NDArray[np.unsignedinteger], points: npt.NDArray[np.unsignedinteger], numbers: bool
) -> tuple[npt.NDArray[np.unsignedinteger], Numbers | None]:
    """The codes without ignored ones and without a number's further digits, and their places."""
    ignored = codes == _IGNORED if codes.dtype == np.uint32 else None
    if numbers:
        digit = codes == ord("0")
        if digit.any():
            point = (points[1:-1] == ord(".")) | (points[1:-1] == ord(","))
            digit[1:-1] |= point & digit[:-2] & digit[2:]
            again = np.append(False, digit[1:] & digit[:-1])
            ignored = again if ignored is None else ignored | again
    if ignored is None or not ignored.any():
        return codes, None
    kept = np.flatnonzero(~ignored)
    return codes[kept], kept


def _edges(codes: npt.NDArray[np.unsignedinteger]) -> tuple[Numbers, Numbers]:
    """Where words begin and end in the codes."""
    word = np.zeros(len(codes) + 2, bool)
    np.not_equal(codes, _SEPARATOR, out=word[1:-1])
    if codes.dtype == np.uint32:
        alone = np.zeros(len(word), bool)
        np.greater_equal(codes, _ALONE, out=alone[1:-1])
        if alone.any():
            cut = ~word[:-1] | ~word[1:] | alone[:-1] | alone[1:]
            return np.flatnonzero(word[1:] & cut), np.flatnonzero(word[:-1] & cut)
    edges = np.flatnonzero(word[1:] != word[:-1])
    return edges[::2], edges[1::2]


class _CodeTable:
    """What each code point counts as: a separator, nothing at all, or a letter.

    Filled page by page as characters are met, for asking `unicodedata` for all takes a second.
    """

    def __init__(self, form: str) -> None:
        self._form = form
        self._codes = np.full(0x110000, _UNKNOWN, np.uint32)
        self._fill(0)
        self._ascii = self._codes[:128].astype(np.uint8)

    def of(self, points: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
        if points.dtype == np.uint8:
            short: npt.NDArray[np.unsignedinteger] = self._ascii[points]
            return short
        codes: npt.NDArray[np.unsignedinteger] = self._codes[points]
        unknown = codes == _UNKNOWN
        if unknown.any():
            for page in np.unique(points[unknown] // _PAGE):
                self._fill(int(page))
            codes = self._codes[points]
        return codes

    def _fill(self, page: int) -> None:
        one = _exact if self._form == "exact" else _simplified
        first = page * _PAGE
        self._codes[first : first + _PAGE] = [one(point) for point in range(first, first + _PAGE)]
        if self._form == "numbers as 0":
            for point in range(first, first + _PAGE):
                if unicodedata.category(chr(point)) == "Nd":
                    self._codes[point] = ord("0")


@cache
def _table(form: str) -> _CodeTable:
    return _CodeTable(form)


def _exact(point: int) -> int:
    return _SEPARATOR if chr(point).isspace() else point


def _simplified(point: int) -> int:
    character = chr(point)
    category = unicodedata.category(character)
    if category == "Nd":
        return ord(str(unicodedata.digit(character)))
    if category in ("Mn", "Me", "Cf"):
        return int(_IGNORED)
    if category[0] not in "LNM":
        return _SEPARATOR
    lowered = unicodedata.normalize("NFD", character.lower())
    bare = [one for one in lowered if unicodedata.category(one) != "Mn"]
    code = ord(bare[0]) if len(bare) == 1 else point
    alone = any(first <= point <= last for first, last in _SPACELESS)
    return code | int(_ALONE) if alone else code
