"""Sources to pieces, and pieces to documents."""

import re
from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path

import pyarrow as pa

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import MANIFEST_NAME, open_corpus
from lilliput.corpus.readers import wikipedia
from lilliput.corpus.readers.batches import batches
from lilliput.corpus.readers.columns import Types, common_type
from lilliput.corpus.readers.cuts import File
from lilliput.corpus.readers.formats import FORMATS, format_of, known_suffixes
from lilliput.corpus.readers.records import Counts, Damaged, Malformed, Records
from lilliput.corpus.readers.source import Piece, Source, Span
from lilliput.corpus.readers.streams import is_remote
from lilliput.corpus.stages import Outcome
from lilliput.errors import UserError

PIECE_BYTES = 32 << 20
BATCH_BYTES = 4 << 20
MOST_SPANS = 4096
_DATASET_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def cut(
    sources: Sequence[Source], *, piece_bytes: int = PIECE_BYTES, offline: bool = False
) -> list[Piece]:
    """Cut `sources` into pieces of about `piece_bytes` of input, decided by the inputs alone.

    The documents of the pieces, one piece after the other, are the same for every `piece_bytes`.
    Raises UserError for a source that is not there or holds nothing that is read, and for one that
    has to be fetched if `offline`.
    """
    pieces: list[Piece] = []
    for number, source in enumerate(sources):
        held: list[Span] = []
        size = 0
        for span in _spans(source, piece_bytes, offline):
            fits = size + span.bytes <= piece_bytes and len(held) < MOST_SPANS
            if held and not (fits and _go_together(held[-1], span)):
                pieces.append(Piece(number, tuple(held)))
                held, size = [], 0
            held.append(span)
            size += span.bytes
        if held:
            pieces.append(Piece(number, tuple(held)))
    return pieces


def read_piece(
    piece: Piece, sources: Sequence[Source], *, batch_bytes: int = BATCH_BYTES
) -> Iterator[Outcome]:
    """The documents of a piece, in batches of about `batch_bytes` of text.

    Columns: `id`, `text`, `source`, `origin`, where it is known `license`, then the metadata, whose
    names and types are the same in every batch of the piece (`common_schema` and `conform` bring
    those of several pieces together). Nested values are JSON text.

    `Outcome.dropped` tells of documents without text and of records left out (row -1), `counts` of
    encodings repaired. Depends on the file, the source and `batch_bytes` alone.

    Raises UserError if the file is damaged or a record malformed, unless its source says to skip.
    """
    source = sources[piece.source]

    def read(counts: Counts) -> Records:
        return _records(piece, source, counts)

    return batches(read, source, batch_bytes=batch_bytes, known=_known_types(piece, source))


def read_documents(
    sources: Sequence[str | Path | Source], *, text_field: str = "text", offline: bool = False
) -> Iterator[Document]:
    """Yield the documents of every source (see `Source`), in order, one held at a time.

    `text_field` is that of sources given as paths or names.

    Raises UserError, naming file, line and field, for whatever cannot be read.
    """
    for given in sources:
        source = given if isinstance(given, Source) else Source(str(given), text_field=text_field)
        counts = Counts()
        for piece in cut([source], offline=offline):
            for record in _records(piece, source, counts):
                if isinstance(record, Document):
                    yield record


def _records(piece: Piece, source: Source, counts: Counts) -> Records:
    """The records of a piece. Where the source says to stop, malformed ones raise UserError."""
    for span in piece.spans:
        records = FORMATS[span.format].read(span, source, counts)
        if source.malformed == "stop":
            for record in records:
                if isinstance(record, Malformed):
                    raise UserError(str(record))
                yield record
        else:
            try:
                yield from records
            except Damaged as error:
                yield Malformed("damaged_file", span.location, str(error))


def _go_together(one: Span, other: Span) -> bool:
    return one.format == other.format and FORMATS[one.format].grouped


def _spans(source: Source, piece_bytes: int, offline: bool) -> Iterator[Span]:
    for file in _files(source, offline):
        for start, stop, size in FORMATS[file.format].cuts(file, source, piece_bytes):
            yield Span(file.location, file.name, file.format, start, stop, size, file.fingerprint)


def _known_types(piece: Piece, source: Source) -> Types | None:
    """The metadata columns of a piece, where they are known before its records are."""
    known: Types = {}
    for span in piece.spans:
        try:
            types = FORMATS[span.format].types(span, source)
        except Damaged:
            if source.malformed == "stop":
                raise
            continue
        if types is None:
            return None
        for name, kind in types.items():
            known[name] = common_type(known.get(name, pa.null()), kind)
    return known


def _files(source: Source, offline: bool) -> Iterator[File]:
    """The files of a source, in order."""
    location = source.location
    if is_remote(location):
        yield from _remote_files(source, offline)
        return
    path = Path(location)
    if (path / MANIFEST_NAME).is_file():
        for part in open_corpus(path).parts:
            yield _file(part, part.name, "corpus")
    elif path.is_dir():
        yield from _files_in(path, "**/*", source)
    elif path.is_file():
        yield _file(path, path.name, source.format)
    elif has_magic(location):
        start = next(number for number, part in enumerate(path.parts) if has_magic(part))
        folder = Path(*path.parts[:start])
        yield from _files_in(folder, str(Path(*path.parts[start:])), source)
    elif source.format in (None, "mediawiki") and wikipedia.is_wiki(location):
        path = wikipedia.dump_file(location, source.revision, offline=offline)
        yield _file(path, location, "mediawiki")
    elif source.format in (None, "hub") and _DATASET_NAME.fullmatch(location):
        if offline:
            raise UserError(
                f"{location}: no such file or folder (and no dataset is fetched when offline)"
            )
        yield File(location, location, "hub", 0, source.revision or "")
    else:
        raise UserError(f"{location}: no such file or folder")


def _files_in(folder: Path, pattern: str, source: Source) -> Iterator[File]:
    """The files in a folder that match a pattern and, unless the source has a format, are known."""
    files = sorted(
        (path for path in folder.glob(pattern) if path.is_file() and _is_wanted(path.name, source)),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not files:
        raise UserError(f"{source.location}: holds no {known_suffixes()} file")
    for path in files:
        yield _file(path, path.relative_to(folder).as_posix(), source.format)


def _is_wanted(name: str, source: Source) -> bool:
    """Whether a file of a folder is read: by its name, which for .xml must tell of a wiki."""
    known = format_of(name)
    if source.format is not None:
        return not name.startswith(".") and known in (None, source.format)
    return known is not None and (known != "mediawiki" or "wik" in name.lower())


def _file(path: Path, name: str, given: str | None) -> File:
    facts = path.stat()
    fingerprint = f"{facts.st_size}:{facts.st_mtime_ns}"
    return File(str(path), name, _format(str(path), given), facts.st_size, fingerprint)


def _remote_files(source: Source, offline: bool) -> Iterator[File]:
    from lilliput.corpus.readers import remote

    if offline and remote.needs_network(source.location):
        raise UserError(f"{source.location}: nothing is fetched when offline")
    found = remote.find(source.location)
    files = [one for one in found if len(found) == 1 or _is_wanted(one[1], source)]
    if not files:
        raise UserError(f"{source.location}: holds no {known_suffixes()} file")
    for url, name, size, fingerprint in files:
        yield File(url, name, _format(url, source.format), size, fingerprint)


def _format(location: str, given: str | None) -> str:
    known = given or format_of(location)
    if known is None:
        raise UserError(f"{location}: of no known kind; {known_suffixes()} are read")
    return known
