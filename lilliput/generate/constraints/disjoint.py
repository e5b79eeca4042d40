"""Whether two JSON Schemas provably exclude each other: what `oneOf` needs to be enforced."""

import json
from collections.abc import Callable
from typing import Any

_ALL = frozenset({"null", "boolean", "number", "string", "array", "object"})
Resolve = Callable[[Any], Any]


def disjoint(first: Any, second: Any, resolve: Resolve, depth: int = 16) -> bool:
    """Whether surely no value satisfies both; False where that is not seen.

    `resolve` gives the target of a `$ref`.
    """
    if first is False or second is False:
        return True
    if depth == 0 or not isinstance(first, dict) or not isinstance(second, dict):
        return False
    for one, other in ((first, second), (second, first)):
        if "$ref" in one and disjoint(resolve(one["$ref"]), other, resolve, depth - 1):
            return True
        for word, enough in (("anyOf", all), ("oneOf", all), ("allOf", any)):
            options = one.get(word)
            if options and enough(disjoint(o, other, resolve, depth - 1) for o in options):
                return True
    if not types_of(first) & types_of(second):
        return True
    values, others = _values(first), _values(second)
    if values is not None and others is not None:
        return not values & others
    return _properties_exclude(first, second, resolve, depth) or _ranges_exclude(first, second)


def types_of(schema: dict[str, Any]) -> frozenset[str]:
    """The JSON types a schema's own `type`, `const` or `enum` leave, integers as numbers."""
    types = schema.get("type")
    allowed = _ALL
    if types is not None:
        listed = types if isinstance(types, list) else [types]
        allowed = frozenset("number" if one == "integer" else one for one in listed)
    constants = _constants(schema)
    if constants is not None:
        allowed &= frozenset(map(_type_of, constants))
    return allowed


def _constants(schema: dict[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    listed = schema.get("enum")
    return listed if isinstance(listed, list) else None


def _values(schema: dict[str, Any]) -> frozenset[str] | None:
    constants = _constants(schema)
    if constants is None:
        return None
    return frozenset(json.dumps(_as_compared(one), sort_keys=True) for one in constants)


def _as_compared(value: Any) -> Any:
    """1 and 1.0 are the same number."""
    if isinstance(value, dict):
        return {name: _as_compared(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_compared(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {type(None): "null", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")


def _properties_exclude(
    first: dict[str, Any], second: dict[str, Any], resolve: Resolve, depth: int
) -> bool:
    """A name that one requires, and whose values differ: both must be objects for certain."""
    if types_of(first) != {"object"} or types_of(second) != {"object"}:
        return False
    mine, theirs = first.get("properties", {}), second.get("properties", {})
    for name in {*first.get("required", []), *second.get("required", [])}:
        if (
            name in mine
            and name in theirs
            and disjoint(mine[name], theirs[name], resolve, depth - 1)
        ):
            return True
        for one, other in ((first, second), (second, first)):
            closed = other.get("additionalProperties") is False and not other.get(
                "patternProperties"
            )
            if (
                closed
                and name in one.get("required", [])
                and name not in other.get("properties", {})
            ):
                return True
    return False


def _ranges_exclude(first: dict[str, Any], second: dict[str, Any]) -> bool:
    if types_of(first) != {"number"} or types_of(second) != {"number"}:
        return False
    return _below(first, second) or _below(second, first)


def _below(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether every number of the first is less than every one of the second."""
    highs = [(first[word], word) for word in ("maximum", "exclusiveMaximum") if word in first]
    lows = [(second[word], word) for word in ("minimum", "exclusiveMinimum") if word in second]
    return any(
        high < low or (high == low and "exclusive" in how + why)
        for high, how in highs
        for low, why in lows
    )
