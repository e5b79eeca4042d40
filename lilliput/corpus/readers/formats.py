"""The formats by name: which files are such, how they are read and cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa

from lilliput.corpus.readers import (
    delimited,
    html,
    hub,
    json_lines,
    markdown,
    mediawiki,
    parquet,
    plain_text,
    warc,
)
from lilliput.corpus.readers.columns import Types
from lilliput.corpus.readers.cuts import Cuts, File, byte_ranges, whole_file
from lilliput.corpus.readers.records import Counts, Records
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import compression_of, file_name


@dataclass(frozen=True)
class Format:
    """How files of one kind are read.

    `cuts` gives (start, stop, bytes) of the spans of a file. `types` gives the metadata columns of
    a span where they are known beforehand, else None. `grouped`: several small files may make one
    piece.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Span, Source, Counts], Records]
    cuts: Callable[[File, Source, int], Cuts]
    types: Callable[[Span, Source], Types | None]
    grouped: bool = True


def _texts(*names: str) -> Callable[[Span, Source], Types]:
    return lambda span, source: dict.fromkeys(names, pa.string())


FORMATS: Mapping[str, Format] = {
    "text": Format((".txt",), plain_text.read_text, byte_ranges, _texts()),
    "markdown": Format((".md", ".markdown"), markdown.read_markdown, byte_ranges, _texts()),
    "html": Format((".html", ".htm", ".xhtml"), html.read_html, whole_file, _texts(*html.COLUMNS)),
    "jsonl": Format(
        (".jsonl", ".ndjson"), json_lines.read_json_lines, byte_ranges, json_lines.known_types
    ),
    "csv": Format((".csv",), delimited.read_table, delimited.record_ranges, delimited.known_types),
    "tsv": Format((".tsv",), delimited.read_table, delimited.record_ranges, delimited.known_types),
    "parquet": Format(
        (".parquet",), parquet.read_parquet, parquet.row_group_ranges, parquet.known_types, False
    ),
    "warc": Format((".warc",), warc.read_warc, warc.record_ranges, _texts(*warc.COLUMNS)),
    "wet": Format((".wet",), warc.read_warc, warc.record_ranges, _texts(*warc.COLUMNS)),
    "mediawiki": Format((".xml",), mediawiki.read_dump, byte_ranges, _texts(*mediawiki.COLUMNS)),
    "hub": Format((), hub.read_dataset, whole_file, hub.known_types, False),
    "corpus": Format(
        (), parquet.read_corpus_part, parquet.row_group_ranges, parquet.known_types, False
    ),
}


def format_of(location: str) -> str | None:
    """The format that a file's name tells; None if none is known."""
    name = PurePosixPath(file_name(location).lower())
    if compression_of(location) is not None:
        name = PurePosixPath(name.stem)
    for known, how in FORMATS.items():
        if name.suffix in how.suffixes:
            return known
    return None


def known_suffixes() -> str:
    """The suffixes of the files that are read, as a sentence has them."""
    suffixes = [suffix for how in FORMATS.values() for suffix in how.suffixes]
    return f"{', '.join(suffixes[:-1])} and {suffixes[-1]}"
