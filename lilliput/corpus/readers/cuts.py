"""Files to spans: where a file may be divided."""

import bz2
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from lilliput.corpus.readers.source import Source
from lilliput.corpus.readers.streams import (
    compression_of,
    has_members,
    open_file,
    reading,
    wide_encoding,
)

Cuts = Iterator[tuple[int, int, int]]


@dataclass(frozen=True)
class File:
    """A file to read: where, its name for the column `source`, format, size and fingerprint."""

    location: str
    name: str
    format: str
    size: int
    fingerprint: str


def whole_file(file: File, source: Source, piece_bytes: int) -> Cuts:
    """The file as one span."""
    yield 0, sys.maxsize, file.size


def byte_ranges(file: File, source: Source, piece_bytes: int) -> Cuts:
    """Ranges of bytes of a file that can be read from other places than its start, else the whole.

    They can in plain files, and in compressed ones at the members they may be made of.
    """
    if not divisible(file, source, piece_bytes):
        return whole_file(file, source, piece_bytes)
    count = -(-file.size // piece_bytes)
    return between([file.size * number // count for number in range(1, count)], file)


def between(inner: Iterable[int], file: File) -> Cuts:
    """The spans of a file between the given offsets."""
    ends = [0, *inner, file.size]
    for start, stop in pairwise(ends):
        last = stop == file.size
        yield start, sys.maxsize if last else stop, stop - start


def divisible(file: File, source: Source, piece_bytes: int) -> bool:
    """Whether a file is larger than a piece and need not be read from its start."""
    if file.size <= piece_bytes or source.encoding is not None:
        return False
    compression = compression_of(file.location)
    if compression is not None and not has_members(file.location, file.format):
        return False
    with reading(file.location), open_file(file.location) as raw:
        if not raw.seekable():
            return False
        head: IO[bytes] | bz2.BZ2File = bz2.BZ2File(raw) if compression == ".bz2" else raw
        return wide_encoding(head.read(4)) is None
