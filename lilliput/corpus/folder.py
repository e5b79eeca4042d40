"""The corpus folder: Parquet parts and a manifest, `corpus.json`.

A part holds `id`, `text`, `source` and any metadata columns. Row groups are cut by bytes, so that
readers take a folder in pieces of a few megabytes whatever the length of its documents.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lilliput.corpus.documents import Document
from lilliput.errors import UserError
from lilliput.files import fsync_folder, read_json, write_json

MANIFEST_NAME = "corpus.json"
ROW_GROUP_BYTES = 4 << 20
PART_BYTES = 128 << 20
_OWN_COLUMNS = ("id", "text", "source")


@dataclass(frozen=True)
class CorpusManifest:
    """What `corpus.json` says.

    `bytes` is UTF-8 bytes of text; `hash` the SHA-256 of all ids and texts in order, whatever the
    cut into parts; `settings` what made the corpus; `dropped` counts of documents left out by
    reason; `parts` the file names in order.
    """

    documents: int
    bytes: int
    hash: str
    settings: Mapping[str, Any]
    dropped: Mapping[str, int]
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """An opened corpus folder."""

    folder: Path
    manifest: CorpusManifest

    @property
    def parts(self) -> list[Path]:
        """The Parquet files, in order."""
        return [self.folder / name for name in self.manifest.parts]

    def documents(self) -> Iterator[Document]:
        """Every document in order, with its metadata."""
        for part in self.parts:
            with open_part(part) as file:
                for batch in file.iter_batches(batch_size=1024):
                    for row in batch.to_pylist():
                        own = {name: row.pop(name) for name in _OWN_COLUMNS}
                        known = {name: value for name, value in row.items() if value is not None}
                        yield Document(**own, metadata=known)

    def texts(self) -> Iterator[str]:
        """Every text in order."""
        for part in self.parts:
            with open_part(part) as file:
                for batch in file.iter_batches(batch_size=1024, columns=["text"]):
                    yield from batch.column(0).to_pylist()


@contextmanager
def open_part(part: Path) -> Iterator[pq.ParquetFile]:
    """Open one part for reading. Raises UserError if it is damaged, also while it is read."""
    try:
        with pq.ParquetFile(part) as file:
            yield file
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{part}: damaged, build the corpus again: {error}") from None


def open_corpus(folder: Path | str) -> Corpus:
    """Open a corpus folder. Raises UserError if it is none or is incomplete."""
    folder = Path(folder)
    if not (folder / MANIFEST_NAME).is_file():
        raise UserError(
            f"{folder}: not a corpus folder (no {MANIFEST_NAME}); "
            f"make one with `lilliput corpus build {folder} -o corpus/`"
        )
    facts = read_json(folder / MANIFEST_NAME)
    try:
        manifest = CorpusManifest(**{**facts, "parts": tuple(facts["parts"])})
    except (TypeError, KeyError) as error:
        raise UserError(f"{folder / MANIFEST_NAME}: not a corpus manifest: {error}") from None
    corpus = Corpus(folder, manifest)
    for part in corpus.parts:
        if not part.is_file():
            raise UserError(f"{part}: missing, though {MANIFEST_NAME} lists it; build again")
    return corpus


def write_corpus(
    documents: Iterable[Document],
    folder: Path | str,
    *,
    settings: Mapping[str, Any],
    rows_per_part: int = 50_000,
    overwrite: bool = False,
) -> CorpusManifest:
    """Write `documents` as a corpus folder, streaming; documents without text are left out.

    Memory holds one part: at most `rows_per_part` documents or 128 MiB of text. The parts are
    written beside `folder` and moved in at the end, the manifest last, so a folder with a manifest
    is always whole. The same documents give the same bytes. `settings` must be JSON.

    Raises UserError if `folder` holds other files, or a corpus made with other settings (unless
    `overwrite`).
    """
    folder = Path(folder)
    _check_target(folder, settings, overwrite)
    working = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        manifest = _write_parts(documents, working, settings, rows_per_part)
        _move_in(working, folder, manifest)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return manifest


def _check_target(folder: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder}: a file; a corpus needs a folder")
    if (folder / MANIFEST_NAME).exists():
        made_by = read_json(folder / MANIFEST_NAME).get("settings")
        if not overwrite and made_by != json.loads(json.dumps(settings)):
            raise UserError(
                f"{folder}: already holds a corpus made with other settings; "
                "choose another folder or say --overwrite"
            )
    elif any(entry.suffix != ".parquet" for entry in folder.iterdir()):
        raise UserError(f"{folder}: holds other files; choose a new folder for the corpus")


def _write_parts(
    documents: Iterable[Document], working: Path, settings: Mapping[str, Any], rows_per_part: int
) -> CorpusManifest:
    content = hashlib.sha256()
    count = total_bytes = part_bytes = empty = 0
    rows: list[Document] = []
    sizes: list[int] = []
    parts: list[str] = []

    def flush() -> None:
        nonlocal rows, sizes, part_bytes
        name = f"part-{len(parts):05d}.parquet"
        _write_part(working / name, rows, sizes)
        parts.append(name)
        rows, sizes, part_bytes = [], [], 0

    for document in documents:
        if not document.text:
            empty += 1
            continue
        encoded = document.text.encode("utf-8")
        for field in (document.id.encode("utf-8"), encoded):
            content.update(len(field).to_bytes(8, "little"))
            content.update(field)
        rows.append(document)
        sizes.append(len(encoded))
        count += 1
        total_bytes += len(encoded)
        part_bytes += len(encoded)
        if len(rows) >= rows_per_part or part_bytes >= PART_BYTES:
            flush()
    if rows or not parts:
        flush()
    return CorpusManifest(
        documents=count,
        bytes=total_bytes,
        hash=content.hexdigest(),
        settings=dict(settings),
        dropped={"empty": empty},
        parts=tuple(parts),
    )


def _write_part(path: Path, rows: list[Document], sizes: list[int]) -> None:
    columns = {
        "id": pa.array([row.id for row in rows], pa.string()),
        "text": pa.array([row.text for row in rows], pa.string()),
        "source": pa.array([row.source for row in rows], pa.string()),
    }
    names = dict.fromkeys(name for row in rows for name in row.metadata)
    for name in names:
        if name not in columns:
            columns[name] = _column([row.metadata.get(name) for row in rows])
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for start, stop in _row_groups(sizes):
            writer.write_table(table.slice(start, stop - start), row_group_size=stop - start)


def _column(values: list[Any]) -> pa.Array:
    """An Arrow column of scalars or lists of them; any other values are kept as JSON text.

    So are values of several types in one column.
    """
    try:
        column = pa.array(values)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        column = None
    if column is not None and _is_plain(column.type):
        return column
    return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        kind = kind.value_type
    return not pa.types.is_nested(kind)


def _row_groups(sizes: list[int]) -> Iterator[tuple[int, int]]:
    start = held = 0
    for row, size in enumerate(sizes):
        held += size
        if held >= ROW_GROUP_BYTES:
            yield start, row + 1
            start, held = row + 1, 0
    if start < len(sizes):
        yield start, len(sizes)


def _move_in(working: Path, folder: Path, manifest: CorpusManifest) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    for old in folder.glob("part-*.parquet"):
        old.unlink()
    for name in manifest.parts:
        (working / name).replace(folder / name)
    fsync_folder(folder)
    write_json(folder / MANIFEST_NAME, asdict(manifest))
