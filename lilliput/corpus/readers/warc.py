"""Web archives: WARC files of pages (HTML extracted) and WET files of texts, plain or .gz.

The reader is our own: records are a header of lines, `Content-Length` bytes and two line ends
(ISO 28500). In a .gz file every record is a gzip member of its own, so both kinds can be cut.
"""

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.readers.cuts import (
    Cuts,
    File,
    between,
    byte_ranges,
    divisible,
    whole_file,
)
from lilliput.corpus.readers.encodings import decode, repair
from lilliput.corpus.readers.html import extract, page_text
from lilliput.corpus.readers.records import Counts, Damaged, Malformed, Records
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import Opened, compression_of, is_remote, open_file, open_span

COLUMNS = ("url", "date", "title")
LONGEST_CONTENT = 64 << 20
_LONGEST_LINE = 1 << 20
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_LOOKS_LIKE_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w:.-]+)", re.IGNORECASE)

Headers = Mapping[str, str]


def read_warc(span: Span, source: Source, counts: Counts) -> Records:
    """The pages and texts of the records that begin in the span.

    Documents are made of `response` records with status 200 and HTML or plain text, of `resource`
    records of these types, and of `conversion` records (WET); all others are counted. Columns:
    `url`, `date`, `title`; the id is the record's.
    """
    with open_span(span, counts) as opened:
        for where, headers, content in _records(opened, span):
            if content is None:
                yield Malformed("record_too_long", where, f"more than {LONGEST_CONTENT:,} bytes")
                continue
            kind = headers.get("warc-type", "")
            made: tuple[str, str] | str
            if kind == "conversion":
                made = decode(content, counts), ""
            elif kind in ("response", "resource"):
                made = _page(kind, headers, content, source, counts)
            else:
                made = f"{kind or 'untyped'} records"
            if isinstance(made, str):
                counts[f"passed over: {made}"] += 1
                continue
            text = repair(made[0].replace("\r\n", "\n").strip(), counts, mojibake=source.mojibake)
            yield Document(
                _bare(headers.get("warc-record-id", "")) or document_id(text),
                text,
                span.name,
                {
                    "url": _bare(headers.get("warc-target-uri", "")) or None,
                    "date": headers.get("warc-date") or None,
                    "title": made[1] or None,
                },
            )


def record_ranges(file: File, source: Source, piece_bytes: int) -> Cuts:
    """Ranges of bytes: of gzip members, or such that end where records do in plain local files."""
    if compression_of(file.location) is not None:
        return byte_ranges(file, source, piece_bytes)
    if is_remote(file.location) or not divisible(file, source, piece_bytes):
        return whole_file(file, source, piece_bytes)
    return between(record_starts(file.location, piece_bytes), file)


def record_starts(location: str, piece_bytes: int) -> list[int]:
    """Offsets in a plain file that divide it between records, about `piece_bytes` apart."""
    starts: list[int] = []
    # Damage ends the walk; whoever reads the last span meets it again and says so.
    with suppress(Damaged, OSError), open_file(location) as file:
        stream = _Counted(io.BufferedReader(cast(io.RawIOBase, file), 1 << 13), location)
        due = piece_bytes
        while stream.to_next_record():
            if stream.position >= due:
                starts.append(stream.position)
                due = stream.position + piece_bytes
            stream.skip(_length(stream.headers(), location))
    return starts


def _records(opened: Opened, span: Span) -> Iterator[tuple[str, Headers, bytes | None]]:
    """Where each record is, its headers, and its content unless that is too long."""
    stream = _Counted(opened.stream, span.location)
    while stream.to_next_record() and opened.owns(stream.position + 1):
        headers = stream.headers()
        length = _length(headers, span.location)
        if length > LONGEST_CONTENT:
            stream.skip(length)
            yield f"{span.location}, record {headers.get('warc-record-id')}", headers, None
        else:
            yield span.location, headers, stream.take(length)


class _Counted:
    """A stream of records that knows its position."""

    def __init__(self, stream: "io.BufferedReader[Any]", location: str) -> None:
        self._stream = stream
        self._location = location
        self.position = 0
        self._line = b""

    def to_next_record(self) -> bool:
        """Go past blank lines to the line that begins a record; False at the file's end."""
        while True:
            line = self._stream.readline(_LONGEST_LINE)
            if line.strip():
                break
            if not line:
                return False
            self.position += len(line)
        if not line.startswith(b"WARC/"):
            raise Damaged(f"{self._location}: cannot be read: no WARC record at {line[:40]!r}")
        self._line = line
        return True

    def headers(self) -> Headers:
        """The headers of the record whose first line has been read, names in lower case."""
        self.position += len(self._line)
        found: dict[str, str] = {}
        name = ""
        while True:
            line = self._stream.readline(_LONGEST_LINE)
            self.position += len(line)
            if not line:
                raise Damaged(f"{self._location}: cannot be read: it ends in a record's headers")
            if not line.strip():
                return found
            text = line.decode("utf-8", "replace")
            if text[0] in " \t" and name:
                found[name] += " " + text.strip()
            else:
                name, _, value = text.partition(":")
                name = name.strip().lower()
                found[name] = value.strip()

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        data = self._stream.read(length)
        self.position += len(data)
        if len(data) < length:
            raise Damaged(f"{self._location}: cannot be read: it ends in the middle of a record")
        return data

    def skip(self, length: int) -> None:
        """Go past the next `length` bytes."""
        if self._stream.seekable():
            self._stream.seek(length, io.SEEK_CUR)
            self.position += length
            return
        while length > 0:
            length -= len(self.take(min(length, 1 << 20)))


def _length(headers: Headers, location: str) -> int:
    length = headers.get("content-length", "")
    if not length.isdecimal():
        raise Damaged(f"{location}: cannot be read: a record of Content-Length {length!r}")
    return int(length)


def _page(
    kind: str, headers: Headers, content: bytes, source: Source, counts: Counts
) -> tuple[str, str] | str:
    """Text and title of a page; or what kind of record it is that has none."""
    type_line = headers.get("content-type", "")
    body = content
    if kind == "response" and type_line.startswith("application/http"):
        head, _, body = content.partition(b"\r\n\r\n")
        status, _, lines = head.partition(b"\r\n")
        if status.split(b" ")[1:2] != [b"200"]:
            return "responses other than 200"
        http = _http_headers(lines)
        try:
            body = _decoded(body, http)
        except (zlib.error, ValueError, _UnknownEncoding):
            return "bodies that cannot be decompressed"
        type_line = http.get("content-type", "")
    media = (headers.get("warc-identified-payload-type") or type_line).partition(";")[0]
    media = media.strip().lower()
    charset = _CHARSET.search(type_line)
    if media in _HTML_TYPES or (not media and _LOOKS_LIKE_HTML.match(body[:1024])):
        page = extract(page_text(body, charset and charset[1], counts), source, counts)
        return page.text, page.title
    if media == "text/plain":
        return page_text(body, charset and charset[1], counts), ""
    return f"contents of type {media or 'unknown'}"


def _http_headers(lines: bytes) -> Headers:
    pairs = (line.partition(b":") for line in lines.split(b"\r\n"))
    return {
        name.strip().lower().decode("latin-1"): value.strip().decode("latin-1")
        for name, _, value in pairs
    }


class _UnknownEncoding(Exception):
    """A Content-Encoding that is not decompressed here."""


def _decoded(body: bytes, headers: Headers) -> bytes:
    """A body without its transfer and content encodings, where it still has them.

    Some crawlers write bodies as they came, others decoded but with the headers that came.
    """
    if headers.get("transfer-encoding", "").lower() == "chunked":
        with suppress(ValueError):
            body = _joined_chunks(body)
    encoding = headers.get("content-encoding", "").lower()
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(31).decompress(body) if body[:2] == b"\x1f\x8b" else body
    if encoding == "deflate":
        with suppress(zlib.error):
            return zlib.decompress(body)
        return body
    if encoding in ("br", "zstd") and not _LOOKS_LIKE_HTML.match(body[:1024]):
        raise _UnknownEncoding
    return body


def _joined_chunks(body: bytes) -> bytes:
    """The data of a chunked body. Raises ValueError if it is none."""
    chunks: list[bytes] = []
    position = 0
    while position < len(body):
        end = body.index(b"\r\n", position)
        size = int(body[position:end].partition(b";")[0], 16)
        if size == 0:
            return b"".join(chunks)
        chunks.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2
    return b"".join(chunks)


def _bare(value: str) -> str:
    """A record's id without its frame, an address without its angle brackets."""
    return value.removeprefix("<").removesuffix(">").removeprefix("urn:uuid:")
