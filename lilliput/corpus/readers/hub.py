"""Datasets of the Hugging Face Hub by name, streamed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lilliput.corpus.readers.columns import Types, plain_type
from lilliput.corpus.readers.records import Counts, Malformed, Records
from lilliput.corpus.readers.rows import RowError, document_of_row, metadata_types
from lilliput.corpus.readers.source import Source, Span
from lilliput.errors import UserError, WorkFailed


def read_dataset(span: Span, source: Source, counts: Counts) -> Records:
    """The rows of a split of a dataset.

    Raises UserError if the extra `hub` is not installed, WorkFailed if fetching goes wrong.
    """
    name = span.location
    with _fetching(name):
        for number, row in enumerate(_rows(name, source), start=1):
            try:
                yield document_of_row(dict(row), name, source, counts)
            except RowError as error:
                where = f"{name}, row {number}{error.place}"
                yield Malformed(error.rule, where, error.problem)


def known_types(span: Span, source: Source) -> Types | None:
    """The metadata columns, where the dataset says what it has."""
    with _fetching(span.location):
        features = getattr(_rows(span.location, source), "features", None)
    if features is None:
        return None
    schema = features.arrow_schema
    return metadata_types({field.name: plain_type(field.type) for field in schema}, source)


def _rows(name: str, source: Source) -> Any:
    try:
        from datasets import load_dataset
    except ImportError:
        raise UserError(
            f"{name}: no such file or folder; to fetch the Hugging Face dataset of that name, "
            "install the extra: pip install 'lilliput[hub]'"
        ) from None
    chosen = {"name": source.subset, "revision": source.revision}
    options = {key: value for key, value in chosen.items() if value is not None}
    return load_dataset(name, split=source.split, streaming=True, **options)


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkFailed(f"{name}: the dataset could not be fetched: {error}") from error
