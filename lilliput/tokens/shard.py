"""Tokenize a corpus into shards: all cores, bounded memory, resumable after any kill.

The row groups of the corpus are encoded by workers and appended in order by this process, so the
files do not depend on the number of workers. About once a second the shard files are synced and
the manifest (`tokens.json`, unfinished) notes how much of them counts. A rerun cuts the files back
to that and goes on, hence ends with the same bytes. A shard's header is written last: a shard
under way is never taken for a whole one.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lilliput.corpus import Corpus, open_corpus
from lilliput.errors import UserError
from lilliput.files import SHARD_HEADER_BYTES, fsync_folder, shard_dtype, shard_header
from lilliput.progress import progress
from lilliput.tokens.encoding_work import EncodedSplit, encode_units, units_of
from lilliput.tokens.folder import open_tokens
from lilliput.tokens.manifest import (
    MANIFEST_NAME,
    SPLITS,
    Division,
    ShardFacts,
    SplitFacts,
    TokensManifest,
    read_manifest,
    write_manifest,
)
from lilliput.tokens.tokenizer import Tokenizer

SHARD_TOKENS = 100_000_000
# Below this much text, starting worker processes takes longer than encoding.
SMALL_CORPUS_BYTES = 96 << 20
_CHECKED_BYTES = 128 << 10


def tokenize_corpus(
    corpus: Path | str,
    tokenizer: Tokenizer | Path | str,
    folder: Path | str,
    *,
    validation_share: float = 0.01,
    workers: int | None = None,
    shard_tokens: int = SHARD_TOKENS,
    overwrite: bool = False,
    save_every: float = 1.0,
) -> TokensManifest:
    """Encode the corpus folder `corpus` into the tokens folder `folder`.

    Each document is written as end-of-text and its ids; each split's stream ends with one more
    end-of-text. `validation_share` of the documents, by the hash of their text, is the validation
    split, at least one and not all; of a corpus of a single document it is its tail. Where the
    corpus has a column `cluster` (near-copies found by a build), whole clusters are divided
    instead, so that no document has a near-copy on the other side. Shards are
    cut between documents at no more than `shard_tokens` tokens (a longer document has a shard of
    its own). `workers` (default: every core) does not change the files. `save_every` is seconds
    between notes of progress.

    An unfinished folder is gone on with; a finished one of the same corpus, tokenizer and settings
    is left as it is. Raises UserError for one made otherwise, unless `overwrite`.
    """
    folder = Path(folder)
    if not 0 < validation_share < 1:
        raise UserError(f"validation share {validation_share}: must lie between 0 and 1")
    if not 2 <= shard_tokens < 1 << 31:
        raise UserError(f"{shard_tokens:,} tokens a shard: must lie between 2 and 2,147,483,647")
    opened = open_corpus(corpus)
    if opened.manifest.documents == 0:
        raise UserError(f"{corpus}: the corpus holds no document")
    if not isinstance(tokenizer, Tokenizer):
        tokenizer = Tokenizer.load(tokenizer)
    fresh = TokensManifest(
        vocabulary_size=tokenizer.vocabulary_size,
        end_of_text=tokenizer.end_of_text,
        corpus_hash=opened.manifest.hash,
        tokenizer_hash=tokenizer.hash,
        shard_tokens=shard_tokens,
        division=Division(validation_share, int(validation_share * (1 << 64))),
    )
    manifest = fresh if overwrite else _earlier_work(folder, fresh)
    if manifest.finished:
        return open_tokens(folder).manifest
    _check_encoder(tokenizer, opened)
    if manifest.done_units == 0:
        _clear(folder)
        tokenizer.save(folder)
    workers = workers or os.cpu_count() or 1
    if opened.manifest.bytes < SMALL_CORPUS_BYTES:
        workers = 1
    manifest = _write(opened, tokenizer, folder, manifest, workers, save_every)
    redivided = _division_with_both(manifest)
    if redivided != manifest.division:
        _clear(folder)
        again = replace(fresh, division=redivided)
        manifest = _write(opened, tokenizer, folder, again, workers, save_every)
    return _finish(folder, manifest)


def is_tokenized(folder: Path | str) -> bool:
    """Whether `folder` is a finished tokens folder."""
    folder = Path(folder)
    return (folder / MANIFEST_NAME).is_file() and read_manifest(folder).finished


def _earlier_work(folder: Path, fresh: TokensManifest) -> TokensManifest:
    if not (folder / MANIFEST_NAME).is_file():
        return fresh
    earlier = read_manifest(folder)
    if not earlier.same_work(fresh):
        raise UserError(
            f"{folder}: made from another corpus or tokenizer or with other settings; "
            "choose another folder or say --overwrite"
        )
    return earlier


def _check_encoder(tokenizer: Tokenizer, corpus: Corpus) -> None:
    samples, held = [], 0
    for text in corpus.texts():
        samples.append(text[:_CHECKED_BYTES])
        held += len(text)
        if held >= _CHECKED_BYTES:
            break
    tokenizer.check_encoder(samples)


def _clear(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    for split in SPLITS:
        for shard in folder.glob(f"{split}-*.bin"):
            shard.unlink()


def _write(
    corpus: Corpus,
    tokenizer: Tokenizer,
    folder: Path,
    manifest: TokensManifest,
    workers: int,
    save_every: float,
) -> TokensManifest:
    """Encode and append every unit that `manifest` does not count yet."""
    dtype = shard_dtype(tokenizer.vocabulary_size)
    writers = {
        split: _SplitWriter(folder, split, manifest.splits[split], dtype, manifest.shard_tokens)
        for split in SPLITS
    }
    remaining = units_of(corpus.parts)[manifest.done_units :]
    encoded = encode_units(remaining, tokenizer, manifest.division, workers)
    saved_at = time.monotonic()
    try:
        with progress("Tokenizing", total=corpus.manifest.bytes, unit="B") as advance:
            advance(sum(split.bytes for split in manifest.splits.values()))
            for unit in encoded:
                for split, writer in writers.items():
                    writer.append(unit.splits[split])
                manifest = replace(
                    manifest,
                    splits={split: writer.facts for split, writer in writers.items()},
                    smallest_hash=min(manifest.smallest_hash, unit.smallest_hash),
                    largest_hash=max(manifest.largest_hash, unit.largest_hash),
                    done_units=manifest.done_units + 1,
                )
                advance(unit.bytes)
                if time.monotonic() - saved_at >= save_every:
                    for writer in writers.values():
                        writer.sync()
                    write_manifest(folder, manifest)
                    saved_at = time.monotonic()
    finally:
        for writer in writers.values():
            writer.close()
    return manifest


def _division_with_both(manifest: TokensManifest) -> Division:
    """The division that gives both splits something; the one there was, if it does."""
    division = manifest.division
    if all(facts.documents for facts in manifest.splits.values()):
        return division
    if manifest.smallest_hash == manifest.largest_hash:
        return replace(division, tail=True)
    empty_validation = manifest.splits["val"].documents == 0
    below = manifest.smallest_hash + 1 if empty_validation else manifest.largest_hash
    return replace(division, below=below)


def _finish(folder: Path, manifest: TokensManifest) -> TokensManifest:
    """Close the streams with an end-of-text, write the headers, then the finished manifest."""
    dtype = shard_dtype(manifest.vocabulary_size)
    splits = {}
    for split, facts in manifest.splits.items():
        *whole, last = facts.shards
        last = replace(last, tokens=last.tokens + 1)
        with (folder / last.name).open("rb+") as file:
            file.seek(SHARD_HEADER_BYTES + (last.tokens - 1) * dtype.itemsize)
            file.write(np.array([manifest.end_of_text], dtype=dtype).tobytes())
        splits[split] = SplitFacts((*whole, last))
        for shard in splits[split].shards:
            with (folder / shard.name).open("rb+") as file:
                file.truncate(SHARD_HEADER_BYTES + shard.tokens * dtype.itemsize)
                file.write(shard_header(shard.tokens, dtype))
                _sync(file)
    fsync_folder(folder)
    manifest = replace(manifest, splits=splits, done_units=0, finished=True)
    write_manifest(folder, manifest)
    return manifest


class _SplitWriter:
    """Appends documents to the shards of one split, from where `facts` says."""

    def __init__(
        self,
        folder: Path,
        split: str,
        facts: SplitFacts,
        dtype: np.dtype[np.unsignedinteger],
        shard_tokens: int,
    ) -> None:
        self._folder, self._split, self._dtype = folder, split, dtype
        self._shard_tokens = shard_tokens
        self._shards = list(facts.shards)
        self._file: BinaryIO | None = None
        if self._shards:
            last = self._shards[-1]
            self._file = (folder / last.name).open("rb+")
            self._file.truncate(SHARD_HEADER_BYTES + last.tokens * dtype.itemsize)
            self._file.seek(0, os.SEEK_END)

    @property
    def facts(self) -> SplitFacts:
        return SplitFacts(tuple(self._shards))

    def append(self, encoded: EncodedSplit) -> None:
        """Append documents, beginning a new shard wherever the next one would not fit."""
        ends = np.cumsum(encoded.lengths)
        start = 0
        while start < len(ends):
            before = int(ends[start - 1]) if start else 0
            # One place is kept for the end-of-text that closes the stream.
            room = self._shard_tokens - 1 - (self._shards[-1].tokens if self._shards else 0)
            stop = max(start, int(np.searchsorted(ends, before + room, side="right")))
            if stop == start:
                if self._file is None or self._shards[-1].documents:
                    self._begin_shard()
                    continue
                stop = start + 1
            elif self._file is None:
                self._begin_shard()
            self._extend(encoded, start, stop, before, int(ends[stop - 1]))
            start = stop

    def _extend(self, encoded: EncodedSplit, start: int, stop: int, first: int, last: int) -> None:
        assert self._file is not None
        self._file.write(np.ascontiguousarray(encoded.ids[first:last]).data)
        shard = self._shards[-1]
        self._shards[-1] = replace(
            shard,
            tokens=shard.tokens + last - first,
            documents=shard.documents + stop - start,
            bytes=shard.bytes + int(encoded.sizes[start:stop].sum()),
        )

    def _begin_shard(self) -> None:
        self.close()
        name = f"{self._split}-{len(self._shards):05d}.bin"
        self._shards.append(ShardFacts(name, 0, 0, 0))
        self._file = (self._folder / name).open("wb+")
        self._file.write(bytes(SHARD_HEADER_BYTES))

    def sync(self) -> None:
        if self._file is not None:
            _sync(self._file)

    def close(self) -> None:
        if self._file is not None:
            _sync(self._file)
            self._file.close()
            self._file = None


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
