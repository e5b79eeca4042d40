"""JSON Schemas (drafts 7 and 2020-12) made ready for llguidance: checked and rewritten.

Every keyword is enforced or refused by name and place. What is rewritten only narrows what may be
written, so that every text still satisfies the schema as it was given:

- numbers without bounds stay within 10^15 and have no exponent;
- an object whose `properties` are listed holds no others, unless `additionalProperties` or
  `patternProperties` speak of them (or schemas are combined, where that could exclude all texts);
- `oneOf` becomes `anyOf` where its options provably exclude each other, else it is refused;
- formats are patterns or llguidance's (see `formats`); a keyword that is for one type implies it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from lilliput.errors import UserError
from lilliput.generate.constraints import formats
from lilliput.generate.constraints.disjoint import disjoint, types_of

SPAN = "x-span-of"
"""A string that must stand, word for word, in the text this names; there is "prompt"."""
_LARGEST = 10**15
_LONGEST_CHAIN = 16
"""Of references to references."""

_ANNOTATIONS = frozenset(
    {
        "title", "description", "default", "example", "examples", "deprecated", "readOnly",
        "writeOnly", "$comment", "$anchor", "discriminator", "$defs", "definitions",
    }
)  # fmt: skip
_OF_TYPE = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format", SPAN),
    "array": ("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"),
    "object": (
        "properties", "required", "additionalProperties", "patternProperties", "minProperties",
        "maxProperties",
    ),
}  # fmt: skip
_COMBINING = ("const", "enum", "anyOf", "oneOf", "allOf", "$ref")
_KNOWN = frozenset(_COMBINING) | {"type"} | {word for words in _OF_TYPE.values() for word in words}
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_DRAFTS = ("draft-06", "draft-07", "draft/2019-09", "draft/2020-12")


class PreparedSchema:
    """A schema that llguidance enforces as it stands, but for spans.

    `root` refers to `definitions` as `#/$defs/NAME`. Raises UserError for what is not enforced.
    """

    def __init__(self, schema: Any, what: str = "schema") -> None:
        self._document, self._what = schema, what
        self._names: dict[tuple[str, str], str] = {}
        self.definitions: dict[str, Any] = {}
        self.patterns: list[str] = []
        """The regular expressions in it that are the user's."""
        if isinstance(schema, dict):
            self._check_root(schema)
        self._combined = _combines(schema)
        self.root = self._prepare(schema, "", top=True)

    def _check_root(self, schema: Mapping[str, Any]) -> None:
        draft = schema.get("$schema")
        if draft is not None and not any(name in str(draft) for name in _DRAFTS):
            raise self._refused("/$schema", f"{draft!r} is no draft that is known here")
        identity = schema.get("$id")
        if identity is not None and not isinstance(identity, str):
            raise self._refused("/$id", "must be a string")

    def _refused(self, path: str, why: str) -> UserError:
        return UserError(f"{self._what}: at {path or '/'}: {why}")

    def _prepare(self, schema: Any, path: str, *, top: bool = False) -> Any:
        if schema is False:
            return False
        if schema is True:
            return self._anything()
        if not isinstance(schema, dict):
            raise self._refused(path, "a schema must be an object, true or false")
        words = {
            word: value
            for word, value in schema.items()
            if word not in _ANNOTATIONS and not (top and word in ("$schema", "$id"))
        }
        for word in words:
            if word not in _KNOWN:
                raise self._refused(
                    f"{path}/{word}", "this keyword cannot be enforced: leave it out"
                )
        if not words:
            return self._anything()
        tag = _tag(schema)
        prepared = {
            word: self._combining(word, words[word], path, tag)
            for word in words
            if word in _COMBINING
        }
        if "oneOf" in prepared:
            options = prepared.pop("oneOf")
            if "anyOf" in prepared:
                prepared["allOf"] = [*prepared.get("allOf", []), {"anyOf": options}]
            else:
                prepared["anyOf"] = options
        types = self._types(words, path)
        if types is None:
            return prepared
        if len(types) == 1:
            own = self._of_type(types[0], words, path)
            if "allOf" in own and "allOf" in prepared:
                prepared["allOf"] = [*own["allOf"], *prepared["allOf"]]
            return {**own, **prepared}
        each = [self._of_type(one, words, path) for one in types]
        if not prepared:
            return {"anyOf": each}
        return {"allOf": [{"anyOf": each}, prepared]}

    def _types(self, words: Mapping[str, Any], path: str) -> list[str] | None:
        """The types a schema speaks of; None: what it combines decides."""
        given = words.get("type")
        if given is not None:
            listed = given if isinstance(given, list) else [given]
            for one in listed:
                if one not in _TYPES:
                    raise self._refused(f"{path}/type", f"{one!r} is no type")
            if not listed:
                raise self._refused(f"{path}/type", "names no type")
            return [one for one in listed if not (one == "integer" and "number" in listed)]
        implied = [one for one, own in _OF_TYPE.items() if any(word in words for word in own)]
        if implied or any(word in words for word in _COMBINING):
            return implied or None
        return list(_OF_TYPE)

    def _of_type(self, one: str, words: Mapping[str, Any], path: str) -> dict[str, Any]:
        family = "number" if one == "integer" else one
        own = {word: words[word] for word in _OF_TYPE.get(family, ()) if word in words}
        make: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "number": self._number,
            "string": self._string,
            "array": self._array,
            "object": self._object,
        }
        return {"type": one, **(make[family](own, path) if family in make else {})}

    def _number(self, own: dict[str, Any], path: str) -> dict[str, Any]:
        for word, value in own.items():
            self._check_number(value, f"{path}/{word}")
        if own.get("multipleOf", 1) <= 0:
            raise self._refused(f"{path}/multipleOf", "must be above 0")
        low = max(own.get("minimum", -math.inf), own.get("exclusiveMinimum", -math.inf))
        high = min(own.get("maximum", math.inf), own.get("exclusiveMaximum", math.inf))
        if low == -math.inf and high >= -_LARGEST:
            own["minimum"] = -_LARGEST
        if high == math.inf and low <= _LARGEST:
            own["maximum"] = _LARGEST
        return own

    def _check_number(self, value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(path, "must be a number")
        try:
            exact = math.isfinite(value) and float(value) == value
        except OverflowError:
            exact = False
        if not exact:
            raise self._refused(path, f"{value} is too large to be enforced exactly")

    def _string(self, own: dict[str, Any], path: str) -> dict[str, Any]:
        for word in ("minLength", "maxLength"):
            self._check_count(own, word, path)
        for word in ("pattern", "format", SPAN):
            if not isinstance(own.get(word, ""), str):
                raise self._refused(f"{path}/{word}", "must be a string")
        if SPAN in own:
            return self._span(own, path)
        if "pattern" in own:
            self.patterns.append(own["pattern"])
        name = own.pop("format", None)
        if name is None:
            return own
        if name in formats.OF_LLGUIDANCE:
            return {**own, "format": name}
        if name not in formats.PATTERNS:
            known = ", ".join(formats.KNOWN)
            raise self._refused(
                f"{path}/format", f"{name!r} cannot be enforced; the formats are {known}"
            )
        pattern = formats.PATTERNS[name]
        if "pattern" not in own:
            return {**own, "pattern": pattern}
        return {**own, "allOf": [{"type": "string", "pattern": pattern}]}

    def _span(self, own: dict[str, Any], path: str) -> dict[str, Any]:
        if own[SPAN] != "prompt":
            raise self._refused(f"{path}/{SPAN}", f'is {own[SPAN]!r}: the only source is "prompt"')
        if len(own) > 1:
            other = next(word for word in own if word != SPAN)
            raise self._refused(f"{path}/{other}", f"cannot be enforced beside {SPAN}")
        return own

    def _array(self, own: dict[str, Any], path: str) -> dict[str, Any]:
        for word in ("minItems", "maxItems"):
            self._check_count(own, word, path)
        if own.pop("uniqueItems", False) is not False:
            raise self._refused(
                f"{path}/uniqueItems", "this keyword cannot be enforced: leave it out"
            )
        rest = own.pop("additionalItems", True)
        first, items = own.pop("prefixItems", None), own.pop("items", True)
        if isinstance(items, list):  # before draft 2020-12 that was the name of prefixItems
            if first is not None:
                raise self._refused(f"{path}/items", "must be a schema beside prefixItems")
            first = items
            own["items"] = self._prepare(rest, f"{path}/additionalItems")
        else:
            own["items"] = self._prepare(items, f"{path}/items")
        if first is not None:
            if not isinstance(first, list):
                raise self._refused(f"{path}/prefixItems", "must be an array of schemas")
            own["prefixItems"] = [
                self._prepare(one, f"{path}/prefixItems/{place}") for place, one in enumerate(first)
            ]
        return own

    def _object(self, own: dict[str, Any], path: str) -> dict[str, Any]:
        for word in ("minProperties", "maxProperties"):
            self._check_count(own, word, path)
        required = own.get("required", [])
        if not isinstance(required, list) or not all(isinstance(one, str) for one in required):
            raise self._refused(f"{path}/required", "must be an array of names")
        for word in ("properties", "patternProperties"):
            if word in own:
                if not isinstance(own[word], dict):
                    raise self._refused(f"{path}/{word}", "must be an object of schemas")
                if word == "patternProperties":
                    self.patterns += own[word]
                own[word] = {
                    name: self._prepare(one, f"{path}/{word}/{name}")
                    for name, one in own[word].items()
                }
        least = own.get("minProperties", 0)
        if "additionalProperties" in own:
            others = self._prepare(own["additionalProperties"], f"{path}/additionalProperties")
        elif self._is_closed(own):
            others = False
        else:
            others = self._anything()
        own["additionalProperties"] = others
        opens = others is not False or own.get("patternProperties")
        if opens and least > len(set(required)) + 1:
            raise self._refused(
                f"{path}/minProperties",
                "cannot be enforced where names are free, for a name may come twice: "
                "require names instead",
            )
        return own

    def _is_closed(self, words: Mapping[str, Any]) -> bool:
        """Whether we write no other properties, though the schema would let them in."""
        listed = words.get("properties") or {}
        return (
            bool(listed)
            and not self._combined
            and not {"additionalProperties", "patternProperties"} & words.keys()
            and listed.keys() >= set(words.get("required", []))
            and words.get("minProperties", 0) <= len(listed)
        )

    def _exclusive(self, first: Any, second: Any) -> bool:
        """Whether what we write for one of two schemas never satisfies the other."""
        first, second = self._followed(first), self._followed(second)
        implied = [self._implied(one) for one in (first, second)]
        if implied[0] and implied[0] == implied[1]:
            # What is written for either has this type, so the other only counts within it.
            first, second = {"type": implied[0], **first}, {"type": implied[1], **second}
        if disjoint(first, second, self._target):
            return True
        return self._misses_required(first, second) and self._misses_required(second, first)

    def _implied(self, schema: Any) -> str:
        """The one type that a schema names or its keywords are for, "" if there is none."""
        if not isinstance(schema, dict) or any(word in schema for word in _COMBINING):
            return ""
        given = schema.get("type")
        types = self._types(schema, "") if given is None else None
        name = types[0] if types and len(types) == 1 else given
        return name if isinstance(name, str) else ""

    def _misses_required(self, written: Any, other: Any) -> bool:
        """Whether what we write for a closed object lacks a name that the other requires."""
        return (
            isinstance(written, dict)
            and isinstance(other, dict)
            and types_of(written) == types_of(other) == {"object"}
            and self._is_closed(written)
            and not set(other.get("required", [])) <= written["properties"].keys()
        )

    def _followed(self, schema: Any) -> Any:
        """What a schema refers to, if it is a reference."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._target(schema["$ref"])
        return schema

    def _check_count(self, own: Mapping[str, Any], word: str, path: str) -> None:
        value = own.get(word, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._refused(f"{path}/{word}", "must be a whole number of 0 or above")

    def _combining(self, word: str, value: Any, path: str, tag: str) -> Any:
        here = f"{path}/{word}"
        if word == "$ref":
            return self._reference(value, here)
        if word == "const":
            self._check_literal(value, here)
            return value
        if not isinstance(value, list) or not value:
            raise self._refused(here, "must be an array that is not empty")
        if word == "enum":
            for place, one in enumerate(value):
                self._check_literal(one, f"{here}/{place}")
            return value
        options = [self._option(one, tag, f"{here}/{place}") for place, one in enumerate(value)]
        if word == "oneOf":
            self._check_exclusive([self._tagged(one, tag) for one in value], here)
        return options

    def _check_exclusive(self, options: list[Any], path: str) -> None:
        for second, one in enumerate(options):
            for first, other in enumerate(options[:second]):
                if not self._exclusive(other, one):
                    raise self._refused(
                        path,
                        f"options {first} and {second} may both hold for one value, which cannot "
                        "be excluded: make them differ in type or in a required constant, or use "
                        "anyOf",
                    )

    def _option(self, option: Any, tag: str, path: str) -> Any:
        """One of several schemas; the property that tells them apart is always written."""
        if tag and isinstance(option, dict) and option.keys() == {"$ref"}:
            return {"$ref": self._reference(option["$ref"], f"{path}/$ref", tag)}
        return self._prepare(self._tagged(option, tag), path)

    def _tagged(self, option: Any, tag: str) -> Any:
        if not tag or not isinstance(option, dict):
            return option
        option = self._followed(option)
        if not isinstance(option, dict) or tag not in option.get("properties", {}):
            return option
        return {**option, "required": [*option.get("required", []), tag]}

    def _check_literal(self, value: Any, path: str) -> None:
        """A constant must be writable: no control characters, no number beyond float64."""
        if isinstance(value, str):
            if any(ord(letter) < 32 and letter not in "\n\r\t\b\f" for letter in value) or (
                "\x7f" in value
            ):
                raise self._refused(path, "holds a control character, which is never written")
            if any(0xD800 <= ord(letter) < 0xE000 for letter in value):
                raise self._refused(path, "holds half a surrogate pair, which is no text")
        elif isinstance(value, list):
            for place, one in enumerate(value):
                self._check_literal(one, f"{path}/{place}")
        elif isinstance(value, dict):
            for name, one in value.items():
                self._check_literal(name, path)
                self._check_literal(one, f"{path}/{name}")
        elif value is not None and not isinstance(value, bool):
            self._check_number(value, path)

    def _reference(self, pointer: Any, path: str, tag: str = "") -> str:
        target = self._tagged(self._target(pointer, path), tag)
        if (pointer, tag) not in self._names:
            name = self._names[pointer, tag] = f"d{len(self._names)}"
            self.definitions[name] = self._prepare(
                target, pointer.removeprefix("#"), top=pointer == "#"
            )
        return f"#/$defs/{self._names[pointer, tag]}"

    def _target(self, pointer: Any, path: str = "") -> Any:
        """What a reference of the given document points to."""
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            raise self._refused(path, f"{pointer!r}: only references into this schema (#/…) work")
        at = self._document
        for step in pointer.split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(at, dict) and key in at:
                at = at[key]
            elif isinstance(at, list) and key.isdigit() and int(key) < len(at):
                at = at[int(key)]
            else:
                raise self._refused(path, f"{pointer!r} points to nothing")
        return at

    def _anything(self) -> Any:
        """Any JSON value, with our bounds on numbers; combined, that would never end."""
        if self._combined:
            return True
        if "anything" not in self.definitions:
            self.definitions["anything"] = {
                "anyOf": [
                    {"type": "null"},
                    {"type": "boolean"},
                    {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST},
                    {"type": "string"},
                    {"type": "array", "items": {"$ref": "#/$defs/anything"}},
                    {"type": "object", "additionalProperties": {"$ref": "#/$defs/anything"}},
                ]
            }
        return {"$ref": "#/$defs/anything"}


def _tag(schema: Mapping[str, Any]) -> str:
    """The property that OpenAPI's `discriminator` names, "" where there is none."""
    discriminator = schema.get("discriminator")
    name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
    return name if isinstance(name, str) else ""


def _combines(schema: Any) -> bool:
    """Whether some part must satisfy several schemas at once."""
    if isinstance(schema, list):
        return any(map(_combines, schema))
    if not isinstance(schema, dict):
        return False
    if "allOf" in schema:
        return True
    combining = sum(word in schema for word in _COMBINING)
    if combining and (combining > 1 or any(word in schema for word in _OF_TYPE["object"])):
        return True
    return any(map(_combines, schema.values()))
