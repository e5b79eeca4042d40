"""Dumps of MediaWiki, as Wikipedia publishes them: XML, plain or compressed.

`…-multistream.xml.bz2` is many bzip2 streams, so it is cut and decompressed in parallel without its
index. The XML is what MediaWiki's export writes (schema export-0.10 and 0.11): tags without
prefixes, no character data sections, `<page>` never inside a page.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.readers.encodings import decode
from lilliput.corpus.readers.records import Counts, Damaged, Malformed, Records
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import Opened, open_span
from lilliput.corpus.readers.wikitext import FILE_AND_CATEGORY, plain_text

COLUMNS = ("url", "title", "page")
_OPEN, _CLOSE = b"<page>", b"</page>"
_HEAD_BYTES = 64 << 10
_LONGEST_PAGE = 64 << 20
_TITLE = re.compile("<title>(.*?)</title>", re.DOTALL)
_NAMESPACE = re.compile(r"<ns>(-?\d+)</ns>")
_PAGE_NUMBER = re.compile(r"<id>(\d+)</id>")
_TEXT = re.compile(r"<text\b[^>]*?(?:/>|>(.*?)</text>)", re.DOTALL)
_BASE = re.compile(r"<base>(.*?)</base>")
_SITE_NAMESPACE = re.compile(r'<namespace key="(6|14)"[^>]*>(.*?)</namespace>')
_NUMBERED = re.compile(r"&#(x[0-9a-fA-F]+|\d+);")


def read_dump(span: Span, source: Source, counts: Counts) -> Records:
    """The articles whose `<page>` begins in the span, as plain text.

    Redirects and pages of other namespaces are counted. Of a page with its history the last
    revision counts. Columns: `url`, `title`, `page` (its number).
    """
    site = _site(span, source)
    with open_span(span, counts, source.encoding) as opened:
        for page in _pages(opened, span.location):
            xml = decode(page, counts)
            title, number = _TITLE.search(xml), _PAGE_NUMBER.search(xml)
            texts = _TEXT.findall(xml)
            namespace = _NAMESPACE.search(xml)
            if title is None or number is None or not texts:
                problem = f"a page without title, id or text: {xml[:60]!r}"
                yield Malformed("not_a_page", span.location, problem)
            elif namespace is not None and int(namespace[1]) not in source.namespaces:
                counts["passed over: pages of other namespaces"] += 1
            elif "<redirect" in xml:
                counts["passed over: redirects"] += 1
            else:
                name = _unescaped(title[1])
                text = plain_text(_unescaped(texts[-1]), site.dropped_links)
                url = (
                    site.base + quote(name.replace(" ", "_"), safe="/:()',!*;@")
                    if site.base
                    else None
                )
                metadata = {"url": url, "title": name, "page": number[1]}
                yield Document(document_id(text), text, span.name, metadata)


@dataclass(frozen=True)
class _Site:
    """What the head of a dump says: where articles are, and the names of links to leave out."""

    base: str
    dropped_links: frozenset[str]

    def address(self, title: str) -> str | None:
        """The URL of an article."""
        path = quote(title.replace(" ", "_"), safe="/:()',!*;@")
        return self.base + path if self.base else None


def _site(span: Span, source: Source) -> _Site:
    whole = replace(span, start=0, stop=sys.maxsize)
    with open_span(whole, Counts(), source.encoding) as opened:
        head = decode(opened.stream.read(_HEAD_BYTES), Counts()).partition("<page>")[0]
    if "<mediawiki" not in head:
        raise Damaged(f"{span.location}: cannot be read: not a MediaWiki dump")
    base = _BASE.search(head)
    names = {_unescaped(name).casefold() for _, name in _SITE_NAMESPACE.findall(head)}
    address = _unescaped(base[1]).rpartition("/")[0] + "/" if base is not None else ""
    return _Site(address, FILE_AND_CATEGORY | names)


def _pages(opened: Opened, location: str) -> Iterator[bytes]:
    """What stands between `<page>` and `</page>`, for the pages that begin in the span."""
    buffer, base, cursor = b"", 0, 0
    while True:
        start = buffer.find(_OPEN, cursor)
        if start >= 0:
            if not opened.owns(base + start + 1):
                return
            cursor = start
            end = buffer.find(_CLOSE, start)
            if end >= 0:
                yield buffer[start + len(_OPEN) : end]
                cursor = end + len(_CLOSE)
                continue
            if len(buffer) - start > _LONGEST_PAGE:
                raise Damaged(f"{location}: cannot be read: a page that does not end")
        else:
            cursor = max(cursor, len(buffer) - len(_OPEN) + 1)
            if not opened.owns(base + cursor + 1):
                return
        data = opened.stream.read1(1 << 20)
        if not data:
            if start >= 0:
                raise Damaged(f"{location}: cannot be read: it ends in the middle of a page")
            return
        buffer, base, cursor = buffer[cursor:] + data, base + cursor, 0


def _unescaped(xml: str) -> str:
    """Character data with its entities resolved: XML's own, not those of HTML."""
    if "&" not in xml:
        return xml
    xml = xml.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    xml = xml.replace("&apos;", "'")
    if "&#" in xml:
        xml = _NUMBERED.sub(_character, xml)
    return xml.replace("&amp;", "&")


def _character(match: re.Match[str]) -> str:
    code = int(match[1][1:], 16) if match[1][0] == "x" else int(match[1])
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
