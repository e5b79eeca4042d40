"""The neighbour index of a tokens folder's split: every chunk's key, and the nearest to any other.

A chunk is `chunk_length` tokens of one document, counted from its beginning; a shorter rest counts
if it is at least half as long or the whole document. Its value is the chunk and its continuation,
read from the split's shards, which the index does not repeat.

The folder holds plain arrays in NumPy's format, memory-mapped: `ids.npy` uint16 or uint32 and
`weights.npy` uint8, both [chunks, chunk_length] (the keys, see `chunk_keys`); `places.npy` int64
[chunks, 3] (the chunk's beginning in the stream, its value's end, its document); `tokens.npy`
uint16 [vocabulary] (how much each token weighs); and, written last, `neighbours.json`.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lilliput.errors import UserError
from lilliput.files import atomic_path, read_json, shard_dtype, write_json
from lilliput.tokens.chunk_keys import (
    KEY_LENGTH,
    Chunks,
    Keys,
    Weights,
    chunks_with,
    keys_of,
    products,
    token_weights,
)
from lilliput.tokens.folder import TokenSplit
from lilliput.tokens.ngrams import MISSING, ngram_hashes

Numbers = npt.NDArray[np.int64]

MANIFEST_NAME = "neighbours.json"
_VERSION = 1
_CHUNKS_AT_ONCE = 4096
_SCORES_AT_ONCE = 1 << 22
_SAMPLES = 1024
_MOST_RANKED = 128
"""Neighbours are looked for no further down than this, where leakage control drops many."""
_SHIFT = float(1 << 32)


class Nearest(NamedTuple):
    """Numbers of the nearest chunks [Q, K], nearest first, MISSING where there are fewer; and how
    near, the cosine of their keys, float64 [Q, K].
    """

    numbers: Numbers
    similarities: npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LeakageControl:
    """Which neighbours would give away the text to be predicted.

    Those whose value has more than the share `most` of its n-grams of `ngram` tokens.
    """

    ngram: int = 8
    most: float = 0.25

    def __post_init__(self) -> None:
        if self.ngram < 1 or not 0 <= self.most <= 1:
            raise UserError(
                f"leakage control by {self.ngram}-grams with a share of {self.most}: n must be at "
                "least 1 and the share between 0 and 1"
            )


class NeighbourIndex:
    """An opened index: the arrays, and the split they index."""

    def __init__(
        self,
        split: TokenSplit,
        chunk_length: int,
        keys: Keys,
        places: Numbers,
        weights: Weights,
    ) -> None:
        self.split, self.chunk_length = split, chunk_length
        self.keys, self.places, self._weights = keys, places, weights

    def __len__(self) -> int:
        return len(self.places)

    def keys_of(self, chunks: Chunks) -> Keys:
        """The keys of chunks [Q, any length], MISSING where there is no token."""
        return keys_of(chunks, self._weights, self.keys.ids.dtype)

    def nearest(
        self,
        chunks: Chunks,
        count: int,
        *,
        excluded: Numbers | None = None,
        predicted: Chunks | None = None,
        control: LeakageControl | None = None,
    ) -> Nearest:
        """The `count` chunks nearest to each of chunks [Q, M]; of equally near ones the first.

        No chunk of a document in `excluded` [Q, X] (MISSING for none) is given, nor one that gives
        away `predicted` [Q, P] by `control`, under which only the nearest 128 are considered. The
        search is exact.
        """
        pool = min(len(self), count if control is None else max(count, _MOST_RANKED))
        ranked = self._ranked(self.keys_of(chunks), pool, excluded)
        kept = ranked.numbers != MISSING
        if control is not None and predicted is not None:
            kept = self._harmless(ranked.numbers, predicted, count, control)
        numbers = np.full((len(chunks), count), MISSING, dtype=np.int64)
        similarities = np.zeros((len(chunks), count))
        for row, keep in enumerate(kept):
            some = np.flatnonzero(keep)[:count]
            numbers[row, : len(some)] = ranked.numbers[row, some]
            similarities[row, : len(some)] = ranked.similarities[row, some]
        return Nearest(numbers, similarities)

    def values(self, numbers: Numbers) -> Chunks:
        """Chunks and continuations, [..., 2·chunk_length] for numbers [...]; MISSING after them."""
        values = np.full((numbers.size, 2 * self.chunk_length), MISSING, dtype=np.int64)
        for row, number in enumerate(numbers.flat):
            if number != MISSING:
                start, stop, _ = self.places[number].tolist()
                values[row, : stop - start] = self.split.read(start, stop)
        return values.reshape(*numbers.shape, -1)

    def documents(self, numbers: Numbers) -> Numbers:
        """The document of each chunk, and MISSING for MISSING."""
        return np.where(numbers == MISSING, MISSING, self.places[numbers, 2])

    def _ranked(self, queries: Keys, pool: int, excluded: Numbers | None) -> Nearest:
        """The `pool` nearest, without a control of what they say."""
        best: torch.Tensor | None = None
        step = max(pool, _SCORES_AT_ONCE // max(64, len(queries.ids)))
        for start in range(0, len(self), step):
            block = Keys(*(part[start : start + step] for part in self.keys))
            scores = products(queries, block, len(self._weights)).double()
            # One number that orders by nearness, then by place.
            scores = scores * _SHIFT - torch.arange(start, start + scores.shape[1])
            if excluded is not None:
                self._ban(scores, start, excluded)
            together = scores if best is None else torch.cat((best, scores), dim=1)
            best = together.topk(min(pool, together.shape[1]), dim=1).values
        if best is None:
            none = np.empty((len(queries.ids), 0))
            return Nearest(none.astype(np.int64), none)
        there = torch.isfinite(best)
        near = (best / _SHIFT).where(there, 0.0).ceil()
        numbers = (near * _SHIFT - best).where(there, float(MISSING))
        return Nearest(numbers.numpy().astype(np.int64), near.numpy() / KEY_LENGTH**2)

    def _ban(self, scores: torch.Tensor, start: int, excluded: Numbers) -> None:
        """Put chunks of the excluded documents last; a document's chunks lie side by side."""
        documents = self.places[start : start + scores.shape[1], 2]
        for row, banned in enumerate(excluded):
            for document in np.unique(banned[banned != MISSING]):
                first, stop = np.searchsorted(documents, [document, document + 1])
                scores[row, first:stop] = -torch.inf

    def _harmless(
        self, numbers: Numbers, predicted: Chunks, count: int, control: LeakageControl
    ) -> npt.NDArray[np.bool_]:
        """Boolean [Q, K]: at least the first `count` of each row that give nothing away."""
        harmless = np.zeros(numbers.shape, dtype=np.bool_)
        rows, first, width = np.arange(len(numbers)), 0, 2 * count + 2
        while len(rows) and first < numbers.shape[1]:
            part = numbers[rows, first : first + width]
            away = self._gives_away(part, predicted[rows], control)
            harmless[rows, first : first + width] = (part != MISSING) & ~away
            rows = rows[harmless[rows].sum(axis=1) < count]
            first, width = first + width, 2 * width
        return harmless

    def _gives_away(
        self, numbers: Numbers, predicted: Chunks, control: LeakageControl
    ) -> npt.NDArray[np.bool_]:
        """Boolean [Q, K]: whether a neighbour has too much of the text to be predicted."""
        hashes, whole = ngram_hashes(predicted, control.ngram)
        values = self.values(numbers)
        theirs, complete = ngram_hashes(values.reshape(-1, values.shape[-1]), control.ngram)
        shares = np.zeros(numbers.shape)
        for row in range(len(numbers)):
            own = hashes[row][whole[row]]
            for column in range(numbers.shape[1]) if len(own) else ():
                number = row * numbers.shape[1] + column
                other = theirs[number][complete[number]]
                shares[row, column] = np.isin(own, other).mean()
        return shares > control.most


def build_neighbours(
    split: TokenSplit, folder: Path | str, *, chunk_length: int = 64
) -> NeighbourIndex:
    """Index every chunk of a split in `folder`; the same bytes for the same tokens.

    Memory does not grow with the split but for 24 bytes a chunk. Raises UserError if the chunk
    length is below 1.
    """
    folder = Path(folder)
    if chunk_length < 1:
        raise UserError(f"chunks of {chunk_length} tokens: a chunk needs at least one")
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    places = _places(split, chunk_length)
    counts = np.zeros(0, dtype=np.int64)
    for _, chunks in _blocks(split, places, chunk_length):
        more = chunks_with(chunks, max(len(counts), int(chunks.max()) + 1))
        more[: len(counts)] += counts
        counts = more
    weights = token_weights(counts, len(places))
    dtype = shard_dtype(len(weights))
    shape = (len(places), chunk_length)
    with (
        _written(folder / "ids.npy", shape, dtype) as ids,
        _written(folder / "weights.npy", shape, np.uint8) as own_weights,
        _written(folder / "places.npy", places.shape, np.int64) as all_places,
        _written(folder / "tokens.npy", weights.shape, np.uint16) as all_weights,
    ):
        all_places[:], all_weights[:] = places, weights
        for start, chunks in _blocks(split, places, chunk_length):
            block = keys_of(chunks, weights, dtype)
            ids[start : start + len(chunks)] = block.ids
            own_weights[start : start + len(chunks)] = block.weights
    manifest = {
        "version": _VERSION,
        "chunk_length": chunk_length,
        "chunks": len(places),
        "vocabulary_size": len(weights),
        "split": split.name,
        "tokens": _fingerprint(split),
    }
    write_json(folder / MANIFEST_NAME, manifest)
    return open_neighbours(split, folder)


@contextmanager
def _written(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Iterator[Any]:
    """A memory-mapped array to fill, at `path` once the block ends well."""
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        yield array
        array.flush()


def open_neighbours(split: TokenSplit, folder: Path | str) -> NeighbourIndex:
    """Open the index of a split. Raises UserError if it is none, cut off, or of other tokens."""
    folder = Path(folder)
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise UserError(f"{folder}: not a whole neighbour index (no {MANIFEST_NAME}); build it")
    manifest = read_json(path)
    try:
        version, chunks = manifest["version"], int(manifest["chunks"])
        chunk_length, tokens = int(manifest["chunk_length"]), manifest["tokens"]
        vocabulary_size = int(manifest["vocabulary_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not as an index's manifest is: {error}; build it again") from None
    if version != _VERSION:
        raise UserError(f"{path}: version {version} is unknown; build the index again")
    if tokens != _fingerprint(split):
        raise UserError(f"{folder}: the index of other tokens than these; build it again")
    shape = (chunks, chunk_length)
    ids = _mapped(folder / "ids.npy", shape, shard_dtype(vocabulary_size))
    keys = Keys(ids, _mapped(folder / "weights.npy", shape, np.uint8))
    places = _mapped(folder / "places.npy", (chunks, 3), np.int64)
    weights = _mapped(folder / "tokens.npy", (vocabulary_size,), np.uint16)
    return NeighbourIndex(split, chunk_length, keys, places, weights)


def _mapped(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    """A memory-mapped array of this shape and type. Raises UserError if it is not there whole."""
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a whole array: {error}; build the index again") from None
    if array.shape != shape or array.dtype != dtype:
        raise UserError(
            f"{path}: {array.dtype} {array.shape} where {MANIFEST_NAME} says "
            f"{np.dtype(dtype)} {shape}; build the index again"
        )
    return np.asarray(array)


def _places(split: TokenSplit, chunk_length: int) -> Numbers:
    """Beginning, end of the value and document of every chunk, int64 [chunks, 3]."""
    starts, lengths = split.document_starts, split.document_lengths
    whole, rest = np.divmod(lengths, chunk_length)
    counts = whole + ((whole == 0) | (2 * rest >= chunk_length))
    documents = np.repeat(np.arange(len(starts)), counts)
    first = np.cumsum(counts) - counts
    within = np.arange(len(documents)) - first[documents]
    begins = starts[documents] + within * chunk_length
    stops = np.minimum(begins + 2 * chunk_length, (starts + lengths)[documents])
    return np.stack((begins, stops, documents), axis=1).astype(np.int64)


def _blocks(split: TokenSplit, places: Numbers, chunk_length: int) -> Iterator[tuple[int, Chunks]]:
    """All chunks, some at a time: the number of the first, and ids [N, chunk_length]."""
    within = np.arange(chunk_length)
    for first in range(0, len(places), _CHUNKS_AT_ONCE):
        begins, stops, _ = places[first : first + _CHUNKS_AT_ONCE].T
        start, stop = int(begins[0]), int(stops[-1])
        stream = split.read(start, stop).astype(np.int64)
        at = begins[:, None] + within
        ids = stream[np.minimum(at - start, len(stream) - 1)]
        yield first, np.where(at < stops[:, None], ids, MISSING)


def _fingerprint(split: TokenSplit) -> str:
    """SHA-256 of the split's length and of tokens throughout it: another split has another."""
    digest = hashlib.sha256(f"{split.tokens} {split.end_of_text}".encode())
    for start in np.linspace(0, max(0, split.tokens - 64), _SAMPLES, dtype=np.int64).tolist():
        ids = split.read(start, min(start + 64, split.tokens))
        digest.update(ids.astype("<u4").tobytes())
    return digest.hexdigest()
