"""HTML to text: the main content, with the title and the address that a page gives itself."""

import re
from dataclasses import dataclass
from typing import Any

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.readers.encodings import REPAIRED, decode, repair
from lilliput.corpus.readers.records import Counts, Records
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import open_span
from lilliput.errors import UserError

COLUMNS = ("url", "title")
_SHALLOW_LISTS = "body > ul, body > * > ul, body > * > * > ul"
_SPACES = re.compile(r"\s+")
_META_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Page:
    """What a page says: its text, title and own address (canonical link), "" where not given."""

    text: str
    title: str
    url: str


def read_html(span: Span, source: Source, counts: Counts) -> Records:
    """The page as one document; columns `url` (its canonical link) and `title`."""
    with open_span(span, counts, source.encoding) as opened:
        data = opened.stream.read()
    html = data.decode("utf-8", "replace") if source.encoding else page_text(data, None, counts)
    page = extract(html, source, counts)
    yield Document(
        document_id(page.text),
        page.text,
        span.name,
        {"url": page.url or None, "title": page.title or None},
    )


def page_text(data: bytes, charset: str | None, counts: Counts) -> str:
    """The characters of a page: by `charset` (the HTTP header's), its own meta tag, or a guess."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    for name in (charset, _declared(data)):
        if name is not None and name != "utf-8":
            try:
                text = data.decode(name)
            except (UnicodeDecodeError, LookupError):
                continue
            counts[f"{REPAIRED}{name}"] += 1
            return text
    return decode(data, counts)


def extract(html: str, source: Source, counts: Counts) -> Page:
    """Text, title and canonical address of a page, the text by the source's `extraction`."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    # The parsers stop at a NUL and refuse halves of surrogate pairs.
    html = html.replace("\0", "")
    tree = HTMLTree.parse(html)
    text: str
    if source.extraction == "trafilatura":
        text = _by_trafilatura(html)
    else:
        main = source.extraction == "main"
        if main:
            _deepen_lists(tree)
        text = extract_plain_text(tree, main_content=main, alt_texts=False)
    text = _BLANK_LINES.sub("\n\n", text).strip()
    title = _SPACES.sub(" ", tree.title or "").strip()
    return Page(
        repair(text, counts, mojibake=source.mojibake),
        repair(title, Counts(), mojibake=source.mojibake),
        _canonical(tree),
    )


def _deepen_lists(tree: Any) -> None:
    """Put lists of prose near the root deeper: resiliparse 2.0 takes all lists there for menus."""
    if tree.body is None:
        return
    for found in tree.body.query_selector_all(_SHALLOW_LISTS):
        links, items = (len(found.get_elements_by_tag_name(tag)) for tag in ("a", "li"))
        if 2 * links < items:
            parent = found.parent
            for _ in range(3):
                deeper = tree.create_element("div")
                parent.replace_child(deeper, found)
                deeper.append_child(found)
                parent = deeper


def _declared(data: bytes) -> str | None:
    from resiliparse.parse.encoding import map_encoding_to_html5

    found = _META_CHARSET.search(data[:4096])
    if found is None:
        return None
    name: str | None = map_encoding_to_html5(found[1].decode("ascii", "replace"))
    return name


def _canonical(tree: Any) -> str:
    head = tree.head
    link = head.query_selector('link[rel="canonical"]') if head is not None else None
    return (link.getattr("href") or "").strip() if link is not None else ""


def _by_trafilatura(html: str) -> str:
    try:
        from trafilatura import extract as trafilatura_extract
    except ImportError:
        raise UserError(
            'extraction = "trafilatura" needs the extra: '
            "pip install 'lilliput[trafilatura]' (or leave extraction at \"main\")"
        ) from None
    return trafilatura_extract(html, include_comments=False) or ""
