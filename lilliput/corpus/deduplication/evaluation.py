"""Evaluation sets: their texts, and an index of the n-grams in them."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.corpus.deduplication.words import (
    Hashes,
    Numbers,
    Words,
    blocks,
    simplified_words,
    span_hashes,
)
from lilliput.errors import UserError

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".parquet", ".txt", ".md")
_FILTER_BITS_PER_NGRAM = 16


@dataclass(frozen=True)
class NgramIndex:
    """The n-grams of evaluation texts, each with one place where it stands.

    `runs` maps a length in words to sorted hashes, and for each the text and the word it starts at;
    `texts` are the different texts, `labels` where the first of each is ("file.jsonl:17").
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    runs: dict[int, "_Runs"]

    def spelled(self, length: int, place: int) -> str:
        """The n-gram at `place` of the runs of that length, its words as they are compared."""
        runs = self.runs[length]
        start = int(runs.starts[place])
        return _evaluation_words(self.texts[self.owner(length, place)]).spelled(
            start, start + length
        )

    def owner(self, length: int, place: int) -> int:
        """The number of the text where the n-gram stands."""
        return int(self.runs[length].owners[place])


@lru_cache(maxsize=256)
def _evaluation_words(text: str) -> Words:
    return simplified_words([text], numbers=False)


@dataclass(frozen=True)
class _Runs:
    hashes: Hashes
    owners: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    known: npt.NDArray[np.bool_]  # by the low bits of a hash: whether any n-gram has them

    def find(self, hashes: Hashes) -> tuple[Numbers, Numbers]:
        """Which of `hashes` are here: their places there, and their places here."""
        likely = np.flatnonzero(self.known[hashes & np.uint64(len(self.known) - 1)])
        near = np.searchsorted(self.hashes, hashes[likely])
        near[near == len(self.hashes)] = 0
        found = self.hashes[near] == hashes[likely]
        return likely[found], near[found]


def ngram_index(
    paths: Sequence[str], fields: Sequence[str], length: int, shortest: int, most_texts: int
) -> NgramIndex:
    """The index of the files' texts, made once a process.

    Texts of `shortest` to `length - 1` words are one n-gram each; shorter ones are left out, and so
    are n-grams that stand in more than `most_texts` different texts (0: none). Raises UserError for
    files that are missing, unreadable or without text in `fields`.
    """
    files = [file for path in paths for file in _files(path)]
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _index(stamps, tuple(fields), length, shortest, most_texts)


@cache
def _index(
    stamps: tuple[tuple[str, int, int], ...],
    fields: tuple[str, ...],
    length: int,
    shortest: int,
    most_texts: int,
) -> NgramIndex:
    texts: dict[str, str] = {}
    for name, _, _ in stamps:
        before = len(texts)
        for label, text in _labelled(Path(name), fields):
            texts.setdefault(text, label)
        if len(texts) == before and not any(_labelled(Path(name), fields)):
            wanted = f" in the fields {', '.join(fields)}" if fields else ""
            raise UserError(f"{name}: no text{wanted}")
    parts: dict[int, list[tuple[Hashes, Numbers, Numbers]]] = {}
    for first, block in blocks(tuple(texts)):
        words = simplified_words(block, numbers=False)
        for size, rows in _runs_of(words, length, shortest):
            hashes, owners, starts = rows
            parts.setdefault(size, []).append((hashes, owners + first, starts))
    runs = {size: _merged(rows, most_texts) for size, rows in sorted(parts.items())}
    return NgramIndex(tuple(texts), tuple(texts.values()), runs)


def _runs_of(
    words: Words, length: int, shortest: int
) -> Iterator[tuple[int, tuple[Hashes, Numbers, Numbers]]]:
    """By length in words: the n-grams' hashes, text and first word."""
    sizes = np.diff(words.offsets)
    for size in range(shortest, length + 1):
        here = sizes == size if size < length else sizes >= length
        inside = np.repeat(here, sizes)
        every = np.arange(len(words.hashes))
        inside &= every + size <= np.repeat(words.offsets[1:], sizes)
        starts = np.flatnonzero(inside)
        if len(starts):
            owners = np.searchsorted(words.offsets, starts, side="right") - 1
            hashes = span_hashes(words.hashes, starts, starts + size)
            yield size, (hashes, owners, starts - words.offsets[owners])


def _merged(rows: Sequence[tuple[Hashes, Numbers, Numbers]], most_texts: int) -> _Runs:
    hashes = np.concatenate([hashes for hashes, _, _ in rows])
    owners, starts = np.concatenate([np.stack(places) for _, *places in rows], axis=1)
    order = np.lexsort((starts, owners, hashes))
    hashes, owners, starts = hashes[order], owners[order], starts[order]
    first = np.append(True, hashes[1:] != hashes[:-1])
    if most_texts:
        another = first | np.append(True, owners[1:] != owners[:-1])
        counts = np.add.reduceat(another.astype(np.int64), np.flatnonzero(first))
        first[np.flatnonzero(first)[counts > most_texts]] = False
    hashes = hashes[first]
    known = np.zeros(1 << (_FILTER_BITS_PER_NGRAM * len(hashes) + 1).bit_length(), bool)
    known[hashes & np.uint64(len(known) - 1)] = True
    return _Runs(hashes, owners[first].astype(np.int32), starts[first].astype(np.int32), known)


def _files(path: str) -> list[Path]:
    named = Path(path)
    if named.is_file():
        return [named]
    if named.is_dir():
        found = sorted(one for one in named.rglob("*") if one.name.endswith(_SUFFIXES))
    else:
        found = sorted(Path(named.anchor or ".").glob(str(named.relative_to(named.anchor))))
    if not found:
        raise UserError(f"evaluation: {path}: no such file, nor a folder with {_SUFFIXES}")
    return found


def _labelled(file: Path, fields: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The texts of a file, each with its place in it."""
    try:
        for number, record in _records(file):
            for text in _strings(record, fields, inside=not fields or isinstance(record, str)):
                yield f"{file.name}:{number}", text
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{file}: cannot be read as an evaluation set: {error}") from None


def _records(file: Path) -> Iterator[tuple[int, Any]]:
    """Lines or rows, numbered from 1; of a text file, paragraphs by their first line."""
    if file.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(file) as table:
                number = 0
                for batch in table.iter_batches(batch_size=1024):
                    for record in batch.to_pylist():
                        number += 1
                        yield number, record
        except pa.ArrowException as error:
            raise OSError(str(error)) from None
    elif file.suffix == ".json":
        content = json.loads(file.read_text(encoding="utf-8"))
        yield from enumerate(content if isinstance(content, list) else [content], 1)
    elif file.name.endswith((".jsonl", ".jsonl.gz")):
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    else:
        yield from _paragraphs(file.read_text(encoding="utf-8"))


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    first, held = 1, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            first = first if held else number
            held.append(line)
        elif held:
            yield first, "\n".join(held)
            held = []


def _strings(value: Any, fields: Sequence[str], *, inside: bool) -> Iterator[str]:
    """Every string inside; with `fields`, only those under a key of such a name."""
    if isinstance(value, str):
        if inside:
            yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _strings(one, fields, inside=inside or name in fields)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one, fields, inside=inside)
