"""The profile of a corpus folder, whoever made it."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from lilliput.corpus.folder import Corpus, open_corpus, open_part
from lilliput.corpus.profile.profile import Profile, merge_all, profile, settings_for
from lilliput.progress import progress

_COLUMNS = ("text", "origin", "source", "topic", "language", "license")
_BATCH_ROWS = 4096


def profile_folder(folder: Path | str) -> Profile:
    """Count a corpus folder, showing progress. Raises UserError if it is none or damaged."""
    corpus = open_corpus(folder)
    settings = settings_for(corpus.manifest.bytes)
    with progress("Profiling", total=corpus.manifest.bytes, unit="B") as advance:

        def counted() -> Iterator[Profile]:
            for batch in _batches(corpus):
                made = profile(batch, settings)
                yield made
                advance(made.totals["bytes"])

        return merge_all(counted())


def _batches(corpus: Corpus) -> Iterator[pa.RecordBatch]:
    for part in corpus.parts:
        with open_part(part) as file:
            columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
            yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=columns)
