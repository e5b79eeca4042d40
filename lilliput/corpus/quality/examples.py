"""Examples of classes from sources: files and folders of each, or a column that tells."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lilliput.corpus.readers import read_documents
from lilliput.errors import UserError


def texts_of_sources(
    sources: Sequence[str | Path], *, text_field: str = "text", offline: bool = False
) -> Iterator[str]:
    """The texts of all documents of the sources."""
    for document in read_documents(sources, text_field=text_field, offline=offline):
        yield document.text


def examples_by_column(
    sources: Sequence[str | Path],
    column: str,
    *,
    good_from: float | None = None,
    text_field: str = "text",
    offline: bool = False,
) -> Mapping[str, Sequence[str]]:
    """Texts by class, which `column` names; documents without it are left out.

    With `good_from` the column holds numbers: those of at least so much are "good", others "bad".
    """
    examples: dict[str, list[str]] = {}
    for document in read_documents(sources, text_field=text_field, offline=offline):
        value = document.metadata.get(column)
        if value is None or value == "":
            continue
        name = str(value)
        if good_from is not None:
            try:
                name = "good" if float(value) >= good_from else "bad"
            except (TypeError, ValueError):
                raise UserError(
                    f"{document.source}: column {column!r} of document {document.id} holds "
                    f"{value!r}, which is no number"
                ) from None
        examples.setdefault(name, []).append(document.text)
    if not examples:
        raise UserError(f"no document has a column {column!r}")
    if len(examples) < 2:
        raise UserError(f"column {column!r} names one class only: {next(iter(examples))}")
    return examples
