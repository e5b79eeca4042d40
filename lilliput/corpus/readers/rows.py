"""Rows (JSON objects, records of tables) to documents."""

from collections.abc import Iterable, Mapping
from typing import Any

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.readers.columns import Types
from lilliput.corpus.readers.encodings import decode, repair, repair_surrogates
from lilliput.corpus.readers.records import Counts
from lilliput.corpus.readers.source import Source
from lilliput.corpus.readers.templates import row_text

_ABSENT = object()
_OWN = frozenset({"id", "source", "text"})


class RowError(Exception):
    """A row that makes no document: the rule it breaks, where in it, and what is wrong."""

    def __init__(self, rule: str, place: str, problem: str) -> None:
        super().__init__(problem)
        self.rule = rule
        self.place = place
        self.problem = problem


def document_of_row(
    row: Mapping[str, Any], file_name: str, source: Source, counts: Counts
) -> Document:
    """The document that a row holds. Raises RowError if it holds none.

    `id` and `source` are taken over where they are given; all other fields are metadata, or those
    that the source names.
    """
    text = repair(_text(row, source, counts), counts, mojibake=source.mojibake)
    given = row
    if source.columns:
        taken = {name: value_at(row, path) for name, path in source.columns.items()}
        given = {**row, **{name: v for name, v in taken.items() if v is not _ABSENT}}
    identity, origin = given.get("id"), given.get("source")
    try:
        own_id = document_id(text)
    except UnicodeEncodeError:
        text = repair_surrogates(text, counts)
        own_id = document_id(text)
    return Document(
        id=own_id if identity is None else _plain(str(identity)),
        text=text,
        source=_plain(origin) if isinstance(origin, str) else file_name,
        metadata=_metadata(given, source),
    )


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """The value of a field, or of a nested one whose path has dots; a sentinel if there is none."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _text(row: Mapping[str, Any], source: Source, counts: Counts) -> str:
    if source.template is not None:
        return row_text(source.template, row, lambda name: _field(row, name), source.missing)
    text = value_at(row, source.text_field)
    if isinstance(text, str):
        return text
    if text is _ABSENT:
        raise RowError("no_text_field", "", no_field(source.text_field, row))
    if text is None:
        return ""
    if isinstance(text, bytes):
        return decode(text, counts)
    problem = f"expected text, found {json_type(text)}"
    raise RowError("text_not_text", f", field {source.text_field!r}", problem)


def _field(row: Mapping[str, Any], name: str) -> Any:
    value = value_at(row, name)
    if value is _ABSENT:
        raise RowError("no_template_field", "", f"no field {name!r} (fields: {_listed(row)})")
    return value


def _metadata(row: Mapping[str, Any], source: Source) -> dict[str, Any]:
    if source.metadata is None:
        no_more = _OWN | {source.text_field} if source.template is None else _OWN
        return {name: value for name, value in row.items() if name not in no_more}
    names = dict.fromkeys((*source.metadata, *source.columns))
    return {name: row[name] for name in names if name in row and name not in _OWN}


def metadata_types(fields: Types, source: Source) -> Types | None:
    """The types of the metadata columns of rows with these fields; None if they are not known."""
    if not all(path in fields for path in source.columns.values()):
        return None
    taken = {name: fields[path] for name, path in source.columns.items()}
    return _metadata({**fields, **taken}, source)


def no_field(name: str, names: Iterable[str]) -> str:
    """What to say of a text field that is not there."""
    return f"no field {name!r} (fields: {_listed(names)}); name yours with --text-field"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:12]) or "none"


def json_type(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def _plain(text: str) -> str:
    """`text` without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()
