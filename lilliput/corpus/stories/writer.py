"""Stories as a corpus folder, made by all cores; the output does not depend on their number."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import CorpusManifest, write_corpus
from lilliput.corpus.stories.generator import Story, World, generate_story
from lilliput.errors import UserError
from lilliput.progress import progress

SOURCE = "lilliput stories"
VERSION = 3  # raise it when the same (seed, index) tells another story
_CHUNK = 500  # stories that a worker makes at a time
_WORTH_WORKERS = 4_000  # stories below which starting processes costs more than it saves


def write_stories(
    count: int,
    folder: Path,
    *,
    seed: int = 0,
    world: World | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> CorpusManifest:
    """Write the first `count` stories of the series `seed` as a corpus folder.

    `workers` is the number of processes (default: one per core). Raises UserError if `count` or
    `workers` is below 1, or if the folder holds something else.
    """
    if count < 1:
        raise UserError(f"-n {count}: ask for at least one story")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: at least one worker is needed")
    world = world or World()
    settings: dict[str, Any] = {"generator": SOURCE, "version": VERSION}
    settings |= {"count": count, "seed": seed, **asdict(world)}
    documents = _documents(count, seed, world, workers or os.cpu_count() or 1)
    with progress("Telling stories", total=count, unit="stories") as advance:

        def counted() -> Iterator[Document]:
            for document in documents:
                yield document
                advance(1)

        return write_corpus(counted(), Path(folder), settings=settings, overwrite=overwrite)


def _documents(count: int, seed: int, world: World, workers: int) -> Iterator[Document]:
    chunks = [(seed, world, start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    if workers == 1 or count < _WORTH_WORKERS:
        for chunk in chunks:
            yield from make_documents(chunk)
        return
    # "spawn" is the one way to start processes that all systems have.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for made in pool.imap(make_documents, chunks):
            yield from made


def make_documents(chunk: tuple[int, World, int, int]) -> list[Document]:
    """The stories (seed, world, start … stop - 1) as documents; a worker's task."""
    seed, world, start, stop = chunk
    return [as_document(generate_story(seed, index, world)) for index in range(start, stop)]


def as_document(story: Story) -> Document:
    """A story as a document, its plan as metadata columns."""
    return Document(
        id=story.id,
        text=story.text,
        source=SOURCE,
        metadata={
            "plot": story.plot,
            "characters": list(story.characters),
            "place": story.place,
            "objects": list(story.objects),
            "features": list(story.features),
            "words": list(story.words),
            "summary": story.summary,
            "facts": story.facts,
            "seed": story.seed,
            "index": story.index,
        },
    )
