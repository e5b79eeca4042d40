"""Readers: text, Markdown, JSON lines, Parquet, folders of them, corpus folders, datasets by name.

Every reader is a generator of documents and holds no more than one document (text), one line
(JSON lines) or one batch of rows (Parquet) at a time.
"""

import bz2
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.folder import MANIFEST_NAME, open_corpus
from lilliput.errors import UserError, WorkFailed

DOCUMENT_SEPARATOR = "<|endoftext|>"
MAX_DOCUMENT_CHARACTERS = 1 << 30
_DATASET_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def _open_zstd(path: Path) -> Any:
    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


def _open_plain(path: Path) -> Any:
    return path.open("rb")


_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".zst": _open_zstd,
}
_TEXT_SUFFIXES = (".txt", ".md")
_JSON_SUFFIXES = (".jsonl", ".ndjson")


def read_documents(
    sources: Sequence[str | Path], *, text_field: str = "text", offline: bool = False
) -> Iterator[Document]:
    """Yield the documents of every source, in order.

    A source is a file (.txt, .md, .jsonl, .ndjson, each also .gz, .xz, .bz2 or .zst; .parquet), a
    folder of such files (read recursively, in order of name), a corpus folder, or `owner/name`, a
    Hugging Face dataset (its `train` split; needs the extra `hub` and a network, so never with
    `offline`).

    A text file is one document, or several if lines `<|endoftext|>` divide it. In JSON lines and
    Parquet the text stands in `text_field`; `id` and `source` are taken over where they are given
    and every other field becomes metadata.

    Raises UserError, naming file, line and field, for whatever cannot be read.
    """
    for source in sources:
        path = Path(source)
        if path.is_dir():
            yield from _read_folder(path, text_field)
        elif path.is_file():
            yield from _read_file(path, path.name, text_field)
        elif _DATASET_NAME.fullmatch(str(source)):
            yield from _read_dataset(str(source), text_field, offline)
        else:
            raise UserError(f"{source}: no such file or folder")


def _read_folder(folder: Path, text_field: str) -> Iterator[Document]:
    if (folder / MANIFEST_NAME).is_file():
        yield from open_corpus(folder).documents()
        return
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file() and _kind(path) is not None),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not files:
        raise UserError(f"{folder}: holds no .txt, .md, .jsonl or .parquet file")
    for path in files:
        yield from _read_file(path, path.relative_to(folder).as_posix(), text_field)


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in _OPENERS:
        suffix = Path(path.stem).suffix.lower()
    elif suffix == ".parquet":
        return "parquet"
    if suffix in _TEXT_SUFFIXES:
        return "text"
    return "json" if suffix in _JSON_SUFFIXES else None


def _read_file(path: Path, source: str, text_field: str) -> Iterator[Document]:
    kind = _kind(path)
    if kind == "parquet":
        return _read_parquet(path, source, text_field)
    if kind == "json":
        return _read_json_lines(path, source, text_field)
    if kind == "text":
        return _read_text(path, source)
    raise UserError(f"{path}: of no known kind; .txt, .md, .jsonl and .parquet are read")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text file, decompressed, without a byte order mark."""
    opener = _OPENERS.get(path.suffix.lower(), _open_plain)
    number = 0
    try:
        with opener(path) as raw, io.BufferedReader(raw, 1 << 20) as buffered:
            for number, line in enumerate(buffered, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number}: not UTF-8 (byte {error.start} of the line)"
        ) from None
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _read_text(path: Path, source: str) -> Iterator[Document]:
    lines: list[str] = []
    characters = 0

    def document() -> Iterator[Document]:
        text = "".join(lines).strip("\n")
        if text:
            yield Document(document_id(text), text, source)

    for number, line in _lines(path):
        if line.strip() == DOCUMENT_SEPARATOR:
            yield from document()
            lines, characters = [], 0
            continue
        lines.append(line.replace("\r\n", "\n"))
        characters += len(line)
        if characters > MAX_DOCUMENT_CHARACTERS:
            raise UserError(
                f"{path}, line {number}: a document of more than {MAX_DOCUMENT_CHARACTERS:,} "
                f"characters; put lines {DOCUMENT_SEPARATOR} between documents"
            )
    yield from document()


def _read_json_lines(path: Path, source: str, text_field: str) -> Iterator[Document]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{where}: not valid JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: expected a JSON object, found {_json_type(row)}")
        yield _document_of_row(row, where, source, text_field)


def _read_parquet(path: Path, source: str, text_field: str) -> Iterator[Document]:
    try:
        with pq.ParquetFile(path) as file:
            if text_field not in file.schema_arrow.names:
                raise UserError(_no_field(str(path), text_field, file.schema_arrow.names))
            row_number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    row_number += 1
                    where = f"{path}, row {row_number}"
                    yield _document_of_row(row, where, source, text_field)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file: {error}") from None


def _read_dataset(name: str, text_field: str, offline: bool) -> Iterator[Document]:
    if offline:
        raise UserError(f"{name}: no such file or folder (and no dataset is fetched when offline)")
    try:
        from datasets import load_dataset
    except ImportError:
        raise UserError(
            f"{name}: no such file or folder; to fetch the Hugging Face dataset of that name, "
            "install the extra: pip install 'lilliput[hub]'"
        ) from None
    try:
        for number, row in enumerate(load_dataset(name, split="train", streaming=True), start=1):
            yield _document_of_row(dict(row), f"{name}, row {number}", name, text_field)
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkFailed(f"{name}: the dataset could not be fetched: {error}") from error


def _document_of_row(row: Mapping[str, Any], where: str, source: str, text_field: str) -> Document:
    if text_field not in row:
        raise UserError(_no_field(where, text_field, row))
    text = row[text_field]
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise UserError(f"{where}, field {text_field!r}: expected text, found {_json_type(text)}")
    try:
        own_id = document_id(text)
    except UnicodeEncodeError as error:
        raise UserError(
            f"{where}, field {text_field!r}: half a surrogate pair at character {error.start}, "
            "which is no Unicode text"
        ) from None
    given_id, given_source = row.get("id"), row.get("source")
    taken = {text_field, "id", "source", "text"}
    return Document(
        id=own_id if given_id is None else str(given_id),
        text=text,
        source=given_source if isinstance(given_source, str) else source,
        metadata={name: value for name, value in row.items() if name not in taken},
    )


def _no_field(where: str, text_field: str, names: Any) -> str:
    there = ", ".join(list(names)[:12]) or "none"
    return f"{where}: no field {text_field!r} (fields: {there}); name yours with --text-field"


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
