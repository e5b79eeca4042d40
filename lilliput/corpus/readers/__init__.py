"""Readers: files of many formats, folders, corpus folders, datasets by name, URLs → documents.

`cut` divides sources into pieces, each of which `read_piece` reads alone, in any process.
"""

from lilliput.corpus.readers.columns import common_schema, conform
from lilliput.corpus.readers.reading import cut, read_documents, read_piece
from lilliput.corpus.readers.source import FORMATS, Piece, Source, Span

__all__ = [
    "FORMATS",
    "Piece",
    "Source",
    "Span",
    "common_schema",
    "conform",
    "cut",
    "read_documents",
    "read_piece",
]
