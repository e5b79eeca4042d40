"""Bytes of files, decompressed: whole, or from where a span begins."""

import bz2
import codecs
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, cast

import pyarrow as pa

from lilliput.corpus.readers.records import Counts, Damaged
from lilliput.corpus.readers.source import Span

COMPRESSIONS = (".gz", ".xz", ".bz2", ".zst")
READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException)
BUFFER_BYTES = 1 << 20
_WEB_ARCHIVES = ("warc", "wet")
_READ_BYTES = 64 << 10
# UTF-32's mark begins with UTF-16's, so it is looked for first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def is_remote(location: str) -> bool:
    """Whether `location` is a URL, which fsspec opens."""
    return "://" in location


def file_name(location: str) -> str:
    """The last part of a path or URL."""
    return (
        PurePosixPath(location.split("?")[0]).name if is_remote(location) else Path(location).name
    )


def compression_of(location: str) -> str | None:
    """The compression a file's name tells: ".gz", ".xz", ".bz2", ".zst" or None."""
    suffix = PurePosixPath(file_name(location)).suffix.lower()
    return suffix if suffix in COMPRESSIONS else None


def has_members(location: str, form: str) -> bool:
    """Whether a compressed file of a format may be members that can be read apart."""
    compression = compression_of(location)
    return compression == ".bz2" or (compression == ".gz" and form in _WEB_ARCHIVES)


def open_file(location: str) -> IO[bytes]:
    """The bytes of a file as they lie there; seekable."""
    if is_remote(location):
        from lilliput.corpus.readers.remote import open_remote

        return open_remote(location)
    return Path(location).open("rb")


def wide_encoding(head: bytes) -> str | None:
    """The encoding that the byte order mark at the start of a file tells: "utf-16", "utf-32"."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


@contextmanager
def reading(location: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an error that names it."""
    try:
        yield
    except READ_ERRORS as error:
        raise Damaged(f"{location}: cannot be read: {error}") from None


@dataclass
class Opened:
    """A span opened for reading: decompressed bytes from its start (`stream`).

    `first` says whether that is the start of the file.
    """

    stream: "io.BufferedReader[Any]"
    first: bool
    _bytes: int | None
    _members: "_Members | None" = None

    def owns(self, position: int) -> bool:
        """Whether what begins at `position` of the stream, already read up to there, is the span's.

        The boundary itself is still owned: a span takes the records that begin after its own
        start, since whether one begins just there cannot be seen from within.
        """
        limit = self._bytes if self._members is None else self._members.limit
        return limit is None or position <= limit


@contextmanager
def open_span(span: Span, counts: Counts, encoding: str | None = None) -> Iterator[Opened]:
    """Open a span of a file that is text once decompressed.

    `encoding`, or that of a byte order mark of UTF-16 or UTF-32, is turned into UTF-8; such files
    must be one span. Raises Damaged if the file is damaged, also while it is read.
    """
    with reading(span.location), open_file(span.location) as raw:
        compression = compression_of(span.location)
        first = span.start == 0
        members = None
        if compression in _CODECS:
            members = _Members(raw, span.start, span.stop, _CODECS[compression])
            stream: io.BufferedReader[Any] = io.BufferedReader(members, BUFFER_BYTES)
        elif compression is not None:
            source = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
            # In small steps: what a step has read before the damage in it is lost.
            stream = io.BufferedReader(source, _READ_BYTES)
        else:
            if not first:
                raw.seek(span.start)
            stream = io.BufferedReader(cast(io.RawIOBase, raw), BUFFER_BYTES)
        size = span.stop - span.start if compression is None else None
        opened = Opened(stream, first, size, members)
        if first:
            marked = wide_encoding(stream.peek(4)[:4])
            if marked is not None:
                counts[f"repaired encodings: {marked.upper()}"] += 1
            if encoding is not None or marked is not None:
                recoded = _Recoded(stream, encoding or marked or "")
                opened = Opened(io.BufferedReader(recoded, BUFFER_BYTES), True, None)
        yield opened


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipDecompressor:
    """zlib's decompressor with the manners of bz2's: it holds what it has not yet used."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


@dataclass(frozen=True)
class _Codec:
    """A compression whose files may be members one after the other, each read alone.

    `start` finds candidates for a member's first bytes, `begins` tells whether one is.
    """

    decompressor: Callable[[], _Decompressor]
    magic: bytes
    start: re.Pattern[bytes]
    begins: Callable[[bytes], bool]


def _begins_warc(data: bytes) -> bool:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, 8).startswith(b"WARC/")
    except zlib.error:
        return False


def _always(data: bytes) -> bool:
    return True


_CODECS = {
    ".bz2": _Codec(bz2.BZ2Decompressor, b"BZh", re.compile(rb"BZh[1-9]1AY&SY"), _always),
    # Three bytes are found by chance too, so only records of web archives are taken for members.
    ".gz": _Codec(_GzipDecompressor, b"\x1f\x8b", re.compile(rb"\x1f\x8b\x08"), _begins_warc),
    ".xz": _Codec(lzma.LZMADecompressor, b"\xfd7zXZ", re.compile(rb"\xfd7zXZ"), _always),
}
_LONGEST_MAGIC = 10


class _Members(io.RawIOBase):
    """The members of a compressed file from the first that begins in [start, stop) to its end.

    Dumps of Wikipedia and the outputs of pbzip2 are many bzip2 streams one after the other, web
    archives a gzip member a record. `limit` is the position of the decompressed bytes where the
    first member at or after `stop` begins, once the reading has come to it.
    """

    def __init__(self, raw: IO[bytes], start: int, stop: int, codec: _Codec) -> None:
        super().__init__()
        self._raw = raw
        self._stop = stop
        self._codec = codec
        self._produced = 0
        self._held = b""
        self.limit: int | None = None
        begin = 0 if start == 0 else _first_member(raw, start, stop, codec)
        self._ended = begin is None
        self._position = begin or 0
        self._decompressor = codec.decompressor()
        if begin is not None:
            raw.seek(begin)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ended:
            data = self._next(len(buffer))
            if data:
                buffer[: len(data)] = data
                self._produced += len(data)
                return len(data)
        return 0

    def _next(self, size: int) -> bytes:
        if self._decompressor.eof:
            self._next_member()
            return b""
        if self._decompressor.needs_input and not self._held:
            self._held = self._raw.read(_READ_BYTES)
            self._position += len(self._held)
            if not self._held:
                if self._position == 0:
                    self._ended = True
                    return b""
                raise EOFError("the file ends in the middle of its compressed data")
        held, self._held = self._held, b""
        return self._decompressor.decompress(held, size)

    def _next_member(self) -> None:
        unused = self._decompressor.unused_data
        if len(unused) < len(self._codec.magic):
            more = self._raw.read(_READ_BYTES)
            self._position += len(more)
            unused += more
        if self.limit is None and self._position - len(unused) >= self._stop:
            self.limit = self._produced
        self._ended = not unused.startswith(self._codec.magic)
        if self._ended and unused.strip(b"\0"):
            raise OSError("something else follows its compressed data")
        self._decompressor = self._codec.decompressor()
        self._held = unused


def _first_member(raw: IO[bytes], start: int, stop: int, codec: _Codec) -> int | None:
    raw.seek(start)
    position, window = start, b""
    while position - len(window) < stop:
        data = raw.read(BUFFER_BYTES)
        window += data
        position += len(data)
        for found in codec.start.finditer(window):
            begin = position - len(window) + found.start()
            if begin >= stop:
                return None
            raw.seek(begin)
            if codec.begins(raw.read(_READ_BYTES)):
                return begin
        if not data:
            return None
        raw.seek(position)
        window = window[-(_LONGEST_MAGIC - 1) :]
    return None


class _Recoded(io.RawIOBase):
    """The bytes of a stream turned from `encoding` into UTF-8; what is no text becomes U+FFFD."""

    def __init__(self, stream: "io.BufferedReader[Any]", encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._held = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held and not self._ended:
            data = self._stream.read1(BUFFER_BYTES)
            self._ended = not data
            text = self._decoder.decode(data, final=self._ended)
            self._held = text.encode("utf-8", "replace")
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size
