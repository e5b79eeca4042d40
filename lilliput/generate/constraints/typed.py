"""Python types as JSON Schemas, and what a model wrote as their instances.

pydantic's models make their own schema. Dataclasses, TypedDicts and plain types are read here, so
that pydantic need not be installed.
"""

import dataclasses
import datetime
import enum
import json
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.constraints.schema import SPAN

Kind = TypeVar("Kind")

_PLAIN: dict[Any, tuple[str, tuple[type, ...]]] = {
    str: ("string", (str,)),
    int: ("integer", (int,)),
    float: ("number", (int, float)),
    bool: ("boolean", (bool,)),
    types.NoneType: ("null", (types.NoneType,)),
    None: ("null", (types.NoneType,)),
}
_FORMATTED: dict[Any, tuple[str, Callable[[str], Any]]] = {
    datetime.date: ("date", datetime.date.fromisoformat),
    datetime.datetime: ("date-time", datetime.datetime.fromisoformat),
    datetime.time: ("time", datetime.time.fromisoformat),
    uuid.UUID: ("uuid", uuid.UUID),
}


@dataclasses.dataclass(frozen=True)
class SpanOf:
    """Marks a string as a verbatim part of a text: `Annotated[str, SpanOf("prompt")]`."""

    source: str = "prompt"

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core_schema)
        return {**schema, SPAN: self.source}


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a pydantic model, dataclass, TypedDict or plain type.

    `Annotated[int, {"minimum": 0}]` adds keywords. Raises UserError for a type that JSON has not.
    """
    if _is_pydantic(kind):
        schema: dict[str, Any] = kind.model_json_schema()
        return schema
    definitions: dict[str, Any] = {}
    root = _schema(kind, definitions)
    return {**root, "$defs": definitions} if definitions else root


def instance_of(kind: type[Kind], text: str) -> Kind:
    """What a text under `schema_of(kind)` says, as an instance of `kind`.

    Raises WorkFailed if it is none: the type checks what its schema cannot say.
    """
    try:
        if _is_pydantic(kind):
            return kind.model_validate_json(text)  # type: ignore[attr-defined, no-any-return]
        return _built(kind, json.loads(text))  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:
        raise WorkFailed(f"what the model wrote is no {_name(kind)}: {error}") from None


def _is_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_json_schema")


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:  # first, for a note need not be hashable
        return _noted(_schema(arguments[0], definitions), arguments[1:])
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind][0]}
    if kind in _FORMATTED:
        return {"type": "string", "format": _FORMATTED[kind][0]}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one, definitions) for one in arguments]}
    if kind is list or origin is list:
        items = {"items": _schema(arguments[0], definitions)} if arguments else {}
        return {"type": "array", **items}
    if origin is tuple and arguments[-1:] == (...,):
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is tuple:
        return {
            "type": "array",
            "prefixItems": [_schema(one, definitions) for one in arguments],
            "items": False,
            "minItems": len(arguments),
        }
    if kind is dict or origin is dict:
        if arguments and arguments[0] is not str:
            raise UserError(f"{kind}: the names in JSON are strings; use dict[str, …]")
        values = {"additionalProperties": _schema(arguments[1], definitions)} if arguments else {}
        return {"type": "object", **values}
    if _fields(kind) is not None:
        return _object_schema(kind, definitions)
    raise UserError(
        f"{kind}: no type that JSON can hold; use a pydantic model, dataclass, TypedDict, list, "
        "dict, Literal, Enum, str, int, float, bool or None"
    )


def _noted(schema: dict[str, Any], notes: tuple[Any, ...]) -> dict[str, Any]:
    """A schema with what the notes of an `Annotated` add: spans and keywords."""
    for note in notes:
        if isinstance(note, SpanOf):
            schema = {**schema, SPAN: note.source}
        elif isinstance(note, dict):
            schema = {**schema, **note}
    return schema


def _object_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = f"{kind.__module__}.{kind.__qualname__}".replace("/", "~1")
    if name not in definitions:
        definitions[name] = {}  # a type may hold itself
        fields = _fields(kind)
        assert fields is not None
        definitions[name] = {
            "type": "object",
            "properties": {field: _schema(one, definitions) for field, (one, _) in fields.items()},
            "required": [field for field, (_, required) in fields.items() if required],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _fields(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """Type, and whether it must be given, of each field; None where there are no fields."""
    if not isinstance(kind, type):
        return None
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        missing = dataclasses.MISSING
        return {
            field.name: (
                hints[field.name],
                field.default is missing and field.default_factory is missing,
            )
            for field in dataclasses.fields(kind)
            if field.init
        }
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        required = kind.__required_keys__  # type: ignore[attr-defined]
        return {name: (_bare(hint), name in required) for name, hint in hints.items()}
    return None


def _bare(hint: Any) -> Any:
    """A TypedDict's hint without Required or NotRequired."""
    if typing.get_origin(hint) in (typing.Required, typing.NotRequired):
        return typing.get_args(hint)[0]
    return hint


def _built(kind: Any, value: Any) -> Any:
    """A JSON value as an instance. Raises ValueError where it is none."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _built(arguments[0], value)
    if kind is Any:
        return value
    if kind in _PLAIN:
        expected = _PLAIN[kind][1]
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise ValueError(f"{value!r} is no {_name(kind)}")
        return float(value) if kind is float else value  # type: ignore[arg-type]
    if kind in _FORMATTED:
        return _FORMATTED[kind][1](value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{value!r} is none of {arguments}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _built_of_union(arguments, value)
    if kind in (list, dict):
        return value
    if origin is list:
        return [_built(arguments[0], one) for one in value]
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1:] == (...,) else arguments
        return tuple(_built(one, item) for one, item in zip(kinds, value, strict=True))
    if origin is dict:
        return {name: _built(arguments[1], one) for name, one in value.items()}
    fields = _fields(kind)
    if fields is None or not isinstance(value, dict):
        raise ValueError(f"{value!r} is no {_name(kind)}")
    return kind(**{name: _built(fields[name][0], one) for name, one in value.items()})


def _built_of_union(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return _built(kind, value)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    raise ValueError(f"{value!r} is none of {', '.join(map(_name, kinds))}")
