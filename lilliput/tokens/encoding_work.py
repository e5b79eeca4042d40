"""One unit of tokenizing, a Parquet row group, encoded in this process or a worker process."""

import hashlib
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.corpus.folder import CLUSTER_COLUMN, open_part
from lilliput.errors import WorkFailed
from lilliput.files import shard_dtype
from lilliput.tokens.manifest import SPLITS, Division
from lilliput.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Unit:
    """One row group of one Parquet part."""

    part: Path
    row_group: int


@dataclass(frozen=True)
class EncodedSplit:
    """What one unit gives one split: every document as its end-of-text and its ids.

    `ids` is the documents one after the other (uint16 or uint32), `lengths` their tokens (int64),
    `sizes` their UTF-8 bytes (int64).
    """

    ids: npt.NDArray[np.unsignedinteger[Any]]
    lengths: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class EncodedUnit:
    """The documents of a unit, by split, and the extremes of their text hashes."""

    splits: dict[str, EncodedSplit]
    smallest_hash: int
    largest_hash: int
    bytes: int


def units_of(parts: Sequence[Path]) -> list[Unit]:
    """Every row group of every part, in order."""
    units = []
    for part in parts:
        with open_part(part) as file:
            units += [Unit(part, number) for number in range(file.num_row_groups)]
    return units


def encode_units(
    units: Sequence[Unit], tokenizer: Tokenizer, division: Division, workers: int
) -> Iterator[EncodedUnit]:
    """Encode units, yielding them in order; `workers` 1 works in this process.

    At most 2 units a worker are under way, so memory is bounded.
    """
    if workers == 1:
        yield from (encode_unit(unit, tokenizer, division) for unit in units)
        return
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
        initargs=(tokenizer, tokenizer.encoder_name, division),
    )
    try:
        under_way: deque[Future[EncodedUnit]] = deque()
        for unit in units:
            under_way.append(executor.submit(_encode_in_worker, unit))
            if len(under_way) >= 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool:
        raise WorkFailed(
            "a worker process died (no memory left?); the same command with fewer --workers goes on"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def encode_unit(unit: Unit, tokenizer: Tokenizer, division: Division) -> EncodedUnit:
    """Read, divide and encode one unit."""
    chosen: dict[str, list[str]] = {split: [] for split in SPLITS}
    hashes = []
    for text, key in _read_texts(unit):
        text_hash = hash_of_text(key)
        hashes.append(text_hash)
        if division.tail:
            cut = tail_start(text, division.share)
            chosen["train"].append(text[:cut])
            chosen["val"].append(text[cut:])
        else:
            chosen["val" if text_hash < division.below else "train"].append(text)
    splits = {split: _encode_texts(chosen[split], tokenizer) for split in SPLITS}
    return EncodedUnit(
        splits,
        min(hashes),
        max(hashes),
        sum(int(split.sizes.sum()) for split in splits.values()),
    )


def _read_texts(unit: Unit) -> list[tuple[str, str]]:
    """The texts of a unit, each with what its split depends on: its cluster, else itself."""
    with open_part(unit.part) as file:
        columns = [name for name in ("text", CLUSTER_COLUMN) if name in file.schema_arrow.names]
        table = file.read_row_group(unit.row_group, columns)
    texts: list[str] = table.column("text").to_pylist()
    if len(columns) == 1:
        return list(zip(texts, texts, strict=True))
    clusters = table.column(CLUSTER_COLUMN).to_pylist()
    return [
        (text, text if cluster is None else str(cluster))
        for text, cluster in zip(texts, clusters, strict=True)
    ]


def hash_of_text(text: str) -> int:
    """The 64-bit BLAKE2b hash of a text's UTF-8, on which its split depends."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")


def tail_start(text: str, share: float) -> int:
    """Where the last `share` of a text begins: after a line, else a space, else anywhere."""
    target = min(max(int(len(text) * (1 - share)), 1), len(text) - 1)
    for mark in ("\n", " "):
        found = text.rfind(mark, len(text) // 2, target)
        if found >= 1:
            return found + 1
    return target


def _encode_texts(texts: list[str], tokenizer: Tokenizer) -> EncodedSplit:
    encoded = tokenizer.encode_batch(texts)
    beginning = np.array([tokenizer.end_of_text], dtype=np.uint32)
    pieces = [piece for ids in encoded for piece in (beginning, ids)]
    ids = np.concatenate(pieces) if pieces else beginning[:0]
    return EncodedSplit(
        ids.astype(shard_dtype(tokenizer.vocabulary_size)),
        np.array([1 + len(ids) for ids in encoded], dtype=np.int64),
        np.array([len(text.encode("utf-8")) for text in texts], dtype=np.int64),
    )


# The worker process

_work: tuple[Tokenizer, Division] | None = None


def _begin_worker(tokenizer: Tokenizer, encoder_name: str, division: Division) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tokenizer.check_encoder((), first=encoder_name)
    _work = tokenizer, division


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, so they watch it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _encode_in_worker(unit: Unit) -> EncodedUnit:
    assert _work is not None
    return encode_unit(unit, *_work)
