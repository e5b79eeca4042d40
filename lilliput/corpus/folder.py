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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lilliput.corpus.documents import Document
from lilliput.errors import UserError
from lilliput.files import fsync_folder, read_json, write_json

MANIFEST_NAME = "corpus.json"
ROW_GROUP_BYTES = 4 << 20
PART_BYTES = 128 << 20
COMPANION_NAMES = ("build.json", "timings.json", "attribution.md", "report.html", "report.json")
"""What may stand beside the parts and the manifest."""
OWN_COLUMNS = ("id", "text", "source")
CLUSTER_COLUMN = "cluster"
"""Where a corpus has it: the name of a document's cluster of near-copies; splits go by it."""


@dataclass(frozen=True)
class CorpusManifest:
    """What `corpus.json` says.

    `bytes` is UTF-8 bytes of text; `hash` the SHA-256 of all ids and texts (and clusters, where
    there are any) in order, whatever the cut into parts; `settings` what made the corpus; `dropped`
    counts of documents left out by reason; `parts` the file names in order.
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
                        own = {name: row.pop(name) for name in OWN_COLUMNS}
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
    check_target(folder, settings, overwrite)
    working = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        manifest = _write_parts(documents, working, settings, rows_per_part)
        move_in(working, folder, manifest)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return manifest


def check_target(folder: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
    """Raise UserError if `folder` is none of ours, or a corpus made with other settings."""
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
    elif any(not _is_of_corpus(entry) for entry in folder.iterdir()):
        raise UserError(f"{folder}: holds other files; choose a new folder for the corpus")


def _is_of_corpus(entry: Path) -> bool:
    return entry.suffix == ".parquet" or entry.name in COMPANION_NAMES


class CorpusHash:
    """The hash of documents in order: of each the id, the text and, if it has one, the cluster.

    Each is preceded by its length in bytes (8 bytes, little-endian).
    """

    def __init__(self) -> None:
        self._content = hashlib.sha256()

    def add(self, *fields: bytes) -> None:
        """Add one document's fields."""
        for field in fields:
            self._content.update(len(field).to_bytes(8, "little"))
            self._content.update(field)

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Add all documents of a batch."""
        columns = [batch.column(name) for name in ("id", "text")]
        place = batch.schema.get_field_index(CLUSTER_COLUMN)
        if place >= 0 and batch.column(place).null_count:
            for name, text, cluster in zip(
                *(column.to_pylist() for column in columns),
                batch.column(place).to_pylist(),
                strict=True,
            ):
                fields = (name, text) if cluster is None else (name, text, str(cluster))
                self.add(*(field.encode("utf-8") for field in fields))
            return
        if place >= 0:
            columns.append(batch.column(place).cast(pa.string()))
        pieces = []
        for column in columns:
            values = column.cast(pa.binary())
            lengths = pc.binary_length(values).cast(pa.int64()).to_numpy(zero_copy_only=False)
            width = pa.binary(8)
            little = pa.py_buffer(lengths.astype("<i8").tobytes())
            prefix = pa.Array.from_buffers(width, len(values), [None, little])
            pieces += [prefix.cast(pa.binary()), values]
        joined = pc.binary_join_element_wise(*pieces, b"")
        first, last = joined.offset, joined.offset + len(joined)
        offsets = np.frombuffer(joined.buffers()[1], dtype=np.int32)
        self._content.update(joined.buffers()[2][int(offsets[first]) : int(offsets[last])])

    def hexdigest(self) -> str:
        """The SHA-256 of what was added, in hexadecimal."""
        return self._content.hexdigest()


def part_name(number: int) -> str:
    """The file name of a part."""
    return f"part-{number:05d}.parquet"


def _write_parts(
    documents: Iterable[Document], working: Path, settings: Mapping[str, Any], rows_per_part: int
) -> CorpusManifest:
    content = CorpusHash()
    count = total_bytes = part_bytes = empty = 0
    rows: list[Document] = []
    sizes: list[int] = []
    parts: list[str] = []

    def flush() -> None:
        nonlocal rows, sizes, part_bytes
        name = part_name(len(parts))
        _write_part(working / name, rows, sizes)
        parts.append(name)
        rows, sizes, part_bytes = [], [], 0

    for document in documents:
        if not document.text:
            empty += 1
            continue
        encoded = document.text.encode("utf-8")
        cluster = document.metadata.get(CLUSTER_COLUMN)
        marked = () if cluster is None else (str(cluster).encode("utf-8"),)
        content.add(document.id.encode("utf-8"), encoded, *marked)
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


def move_in(working: Path, folder: Path, manifest: CorpusManifest) -> None:
    """Move a finished corpus from `working` into `folder`, in place of an earlier one.

    The manifest is written last: without it, nobody takes the folder for a corpus.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    for old in [*folder.glob("part-*.parquet"), *(folder / name for name in COMPANION_NAMES)]:
        old.unlink(missing_ok=True)
    for made in sorted(working.iterdir()):
        made.replace(folder / made.name)
    fsync_folder(folder)
    write_json(folder / MANIFEST_NAME, asdict(manifest))
