"""Frozen dataclasses of settings from TOML tables, with errors that name file, table and field."""

import dataclasses
import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lilliput.errors import UserError

Settings = TypeVar("Settings")


def settings_from(kind: type[Settings], table: Mapping[str, Any], where: str) -> Settings:
    """An instance of the dataclass `kind` with the fields of `table`.

    `where` begins every message ("corpus.toml: stage gopher_quality"). An int is taken where a
    float is meant, a list where a tuple is. Raises UserError for unknown or missing fields, for
    values of another type, and for what `kind` itself refuses.
    """
    fields = {item.name: item for item in dataclasses.fields(kind) if item.init}  # type: ignore[arg-type]
    kinds = get_type_hints(kind)
    values = {}
    for name, value in table.items():
        if name not in fields:
            raise UserError(f"{where}: no field {name!r}{suggestion(name, fields)}")
        values[name] = checked(value, kinds[name], f"{where}, field {name!r}")
    missing = [name for name, item in fields.items() if name not in values and _is_required(item)]
    if missing:
        raise UserError(f"{where}: the field {missing[0]!r} must be given")
    try:
        return kind(**values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def suggestion(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """How a message about an unknown name ends: the nearest known one, and all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"{meant} (there are: {', '.join(names) or 'none'})"


def checked(value: Any, annotation: Any, where: str) -> Any:
    """`value` in the annotated type. Raises UserError, beginning with `where`, if it is of none."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _of_one(value, get_args(annotation), where)
    if origin is Literal:
        if value not in get_args(annotation):
            choices = ", ".join(repr(choice) for choice in get_args(annotation))
            raise UserError(f"{where} is {value!r}: choose one of {choices}")
        return value
    if origin in (list, tuple) or (origin is not None and _is_sequence(origin)):
        if not isinstance(value, list | tuple):
            raise UserError(f"{where} is {value!r}: give a list")
        inner = get_args(annotation)[0]
        return tuple(checked(item, inner, where) for item in value)
    if origin is dict or (origin is not None and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise UserError(f"{where} is {value!r}: give a table")
        inner = get_args(annotation)[1]
        return {name: checked(item, inner, f"{where}.{name}") for name, item in value.items()}
    return _plain(value, annotation, where)


def _is_sequence(origin: Any) -> bool:
    from collections.abc import Sequence

    return issubclass(origin, Sequence)


def _of_one(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    others = [choice for choice in choices if choice is not type(None)]
    for choice in others[:-1]:
        try:
            return checked(value, choice, where)
        except UserError:
            continue
    return checked(value, others[-1], where)


def _plain(value: Any, annotation: Any, where: str) -> Any:
    if annotation is Any:
        return value
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if annotation is float and value in ("inf", "-inf"):  # as `settings_of` writes them
        return float(value)
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, annotation) or (annotation is int and isinstance(value, bool)):
        raise UserError(f"{where} is {value!r}: it must be of type {annotation.__name__}")
    return value


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
