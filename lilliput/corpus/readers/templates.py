"""Rows to text: a template with fields in braces, or "key: value" lines."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from string import Formatter
from typing import Any

from lilliput.errors import UserError

LINES = "lines"


def row_text(
    template: str, row: Mapping[str, Any], value: Callable[[str], Any], missing: str
) -> str:
    """The text that `template` makes of `row`, whose field of any name or path `value` gives.

    In a template, `missing` stands for null and empty values. "lines" makes a line "key: value" of
    each field that has a value; nested objects' fields are named with dots.
    """
    if template == LINES:
        return "\n".join(f"{name}: {text}" for name, text in _flat(row) if text)
    made = []
    for literal, name in parts_of(template):
        made.append(literal)
        if name is not None:
            made.append(value_text(value(name)) or missing)
    return "".join(made)


def template_fields(template: str) -> list[str]:
    """The fields a template names, in order. Raises UserError if it is not well formed."""
    return [name for _, name in parts_of(template) if name is not None]


@cache
def parts_of(template: str) -> Sequence[tuple[str, str | None]]:
    """Literal texts, each with the field that follows it, if one does.

    Raises UserError if the braces are not well formed.
    """
    if template == LINES:
        return ()
    parts: list[tuple[str, str | None]] = []
    try:
        for literal, name, form, conversion in Formatter().parse(template):
            if name is not None and (form or conversion or not name):
                raise ValueError("a field is a name in braces and nothing else")
            parts.append((literal, name))
    except ValueError as error:
        raise UserError(
            f"template {template!r}: {error}; write literal braces twice: {{{{ and }}}}"
        ) from None
    return tuple(parts)


def value_text(value: Any) -> str:
    """A value as it reads in a sentence: lists with commas, no quotes; null is nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(filter(None, map(value_text, value)))
    return json.dumps(value, ensure_ascii=False, default=str)


def _flat(row: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((f"{prefix}{name}", value_text(value)))
    return flat
