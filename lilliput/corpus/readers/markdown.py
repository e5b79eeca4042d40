"""Markdown: as it is written, or as the text that it stands for."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.readers.plain_text import read_text
from lilliput.corpus.readers.records import Counts, Records
from lilliput.corpus.readers.source import Source, Span

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n.*?^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_BREAKS = {"softbreak": "\n", "hardbreak": "\n"}


def read_markdown(span: Span, source: Source, counts: Counts) -> Records:
    """The documents of a Markdown file, without markup if the source says "strip"."""
    for record in read_text(span, source, counts):
        if source.markup == "strip" and isinstance(record, Document):
            text = without_markup(record.text)
            record = Document(document_id(text), text, record.source)
        yield record


def without_markup(markdown: str) -> str:
    """The text of a Markdown document (CommonMark, with tables).

    Headings, paragraphs and code stand as they are, lists with "- " or their number, a table's row
    as a line with bars; links and images leave their words; HTML and front matter go.
    """
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(_FRONT_MATTER.sub("", markdown))
    blocks: list[str] = []
    marker = ""
    cells: list[str] | None = None
    tight = False
    for token in tokens:
        text = ""
        if token.type == "inline":
            text = _inline(token.children or [])
        elif token.type in ("fence", "code_block"):
            text = token.content.rstrip("\n")
        elif token.type == "list_item_open":
            marker = f"{token.info}{token.markup} " if token.info else "- "
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close" and cells is not None:
            text, cells = " | ".join(cells), None
        if cells is not None and token.type == "inline":
            cells.append(text)
        elif text:
            listed = bool(marker) or token.type == "tr_close"
            blocks.append(("\n" if listed and tight else "\n\n") + marker + text)
            marker, tight = "", listed
    return "".join(blocks).strip()


def _inline(tokens: Sequence["Token"]) -> str:
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type == "image":
            parts.append(_inline(token.children or []))
        else:
            parts.append(_BREAKS.get(token.type, ""))
    return "".join(parts)
