"""JSON Schemas: every keyword is enforced, as `jsonschema` judges, or refused by name and place."""

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from constraint_writing import TEXTS, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.generate.constraints.matching import Grammar
from lilliput.generate.constraints.rules import json_schema
from lilliput.tokens import Tokenizer, train_tokenizer

PERSONA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "maximum": 110},
        "status": {"enum": ["single", "married", "widowed", None]},
        "born": {"type": "string", "format": "date"},
        "address": {"$ref": "#/$defs/address"},
        "relatives": {
            "type": "array",
            "maxItems": 6,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "relation": {"enum": ["mother", "father", "sister", "brother", "child"]},
                    "age": {"type": ["integer", "null"], "minimum": 0, "maximum": 110},
                },
                "required": ["name", "relation"],
            },
        },
        "diary": {
            "type": "array",
            "minItems": 1,
            "maxItems": 7,
            "items": {
                "type": "object",
                "properties": {
                    "date": {"type": "string", "format": "date"},
                    "mood": {"type": "number", "minimum": 0, "maximum": 1},
                    "text": {"type": "string", "maxLength": 200},
                },
                "required": ["date", "text"],
            },
        },
    },
    "required": ["name", "age", "status", "address", "relatives", "diary"],
    "$defs": {
        "address": {
            "type": "object",
            "properties": {
                "street": {"type": "string", "minLength": 3},
                "cap": {"type": "string", "pattern": "^[0-9]{5}$"},
                "city": {"type": "string"},
            },
            "required": ["street", "cap", "city"],
        }
    },
}


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    return train_tokenizer(TEXTS, vocabulary_size=360)


def exact(value: Any) -> Any:
    """With decimal fractions, so that `multipleOf` is judged without rounding."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def check(schema: Any, tokenizer: Tokenizer, *, count: int, more: int = 40) -> list[Any]:
    """Write `count` texts in budgets from the least on; all must satisfy the schema."""
    rule = json_schema(schema, tokenizer)
    assert isinstance(rule, Grammar)
    kind = jsonschema.Draft202012Validator
    validator = kind(exact(schema), format_checker=kind.FORMAT_CHECKER)
    values = []
    for seed in range(count):
        budget = len(rule.completion) + seed * more // count
        text = tokenizer.decode(write(rule, tokenizer, budget, seed)[0])
        value = json.loads(text, parse_float=Decimal)
        validator.validate(value)
        values.append(value)
    return values


def test_500_of_500_personas_of_an_untrained_model_validate(bpe: Tokenizer) -> None:
    assert len(check(PERSONA, bpe, count=500, more=150)) == 500


ENFORCED: list[Any] = [
    True,
    {},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "integer", "minimum": -3, "exclusiveMaximum": 12},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    {"type": "number", "minimum": 1e-7},
    {"type": "number", "multipleOf": 0.05, "minimum": -2},
    {"type": "integer", "multipleOf": 7},
    {"minimum": 5, "minLength": 3},
    {"type": "string", "minLength": 3, "maxLength": 5},
    {"type": "string", "minLength": 700},
    {"type": "string", "pattern": "a[0-9]"},
    {"type": "string", "pattern": "^[A-Z]{6}[0-9]{2}[A-Z]$", "maxLength": 20},
    {"type": ["string", "null"], "maxLength": 2},
    {"const": {"a": [1, "x\n", None]}},
    {"enum": [1, 2.5, "x", None, {"a": [1]}]},
    {"type": "string", "enum": ["a", 3, "b"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 5},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    {"type": "array", "items": {"type": "array", "items": {"type": "null"}, "minItems": 2}},
    {"type": "array", "uniqueItems": False},
    {"type": "object"},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
    {"type": "object", "additionalProperties": {"type": "null"}, "maxProperties": 2},
    {"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["b"]},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
    {"properties": {"a": True, "b": True}, "minProperties": 1, "additionalProperties": False},
    {"properties": {"a": {"type": "null"}}, "required": ["a", "z"]},
    {"patternProperties": {"^x": {"type": "integer"}, "^y": {"type": "null"}}, "type": "object"},
    {"patternProperties": {"^x": {"maximum": 3}}, "properties": {"xa": {"minimum": 2}}},
    {"patternProperties": {"cole": True}, "additionalProperties": False},
    {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}]},
    {"type": "object", "properties": {"a": True, "b": True},
     "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"oneOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 4}]},
    {"oneOf": [{"type": "string"}, {"type": "null"}]},
    {"oneOf": [
        {"properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}},
         "required": ["kind", "lives"]},
        {"properties": {"kind": {"const": "dog"}}, "required": ["kind"]}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]},
    {"allOf": [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}]},
    {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "integer"}}},
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
     "required": ["next"]},
    {"type": "object", "properties": {"a\"\n/é\\": {"type": "boolean"}}, "required": ["a\"\n/é\\"]},
]  # fmt: skip


@pytest.mark.parametrize("schema", ENFORCED, ids=lambda schema: json.dumps(schema)[:60])
def test_keywords_are_enforced(bpe: Tokenizer, schema: Any) -> None:
    check(schema, bpe, count=12)


@pytest.mark.parametrize(
    "name",
    ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"],
)
def test_formats_are_enforced(bpe: Tokenizer, name: str) -> None:
    check({"type": "string", "format": name}, bpe, count=15)


def test_dates_exist(bpe: Tokenizer) -> None:
    rule = json_schema({"type": "string", "format": "date"}, bpe)
    assert isinstance(rule, Grammar)

    def holds(date: str) -> bool:
        ids = [*bpe.encode(f'"{date}"'), bpe.end_of_text]
        return rule.matcher.deep_copy().validate_tokens(ids) == len(ids)

    assert all(map(holds, ["2024-02-29", "2000-02-29", "1999-12-31", "0004-02-29"]))
    assert not any(
        map(holds, ["2023-02-29", "1900-02-29", "2024-02-30", "2024-13-01", "0000-01-01"])
    )


REFUSED: list[tuple[Any, str]] = [
    ({"not": {"type": "string"}}, "/not"),
    ({"if": True, "then": True}, "/if"),
    ({"properties": {"a": {"type": "array", "uniqueItems": True}}}, "/properties/a/uniqueItems"),
    ({"type": "array", "contains": {"type": "null"}}, "/contains"),
    ({"type": "array", "unevaluatedItems": False}, "/unevaluatedItems"),
    ({"type": "object", "unevaluatedProperties": False}, "/unevaluatedProperties"),
    ({"type": "object", "propertyNames": {"maxLength": 3}}, "/propertyNames"),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, "/dependentRequired"),
    ({"type": "object", "dependentSchemas": {}}, "/dependentSchemas"),
    ({"type": "object", "dependencies": {}}, "/dependencies"),
    ({"$dynamicRef": "#x"}, "/\\$dynamicRef"),
    ({"$ref": "other.json"}, "only references into this schema"),
    ({"$ref": "#/$defs/gone"}, "points to nothing"),
    ({"type": "string", "contentEncoding": "base64"}, "/contentEncoding"),
    ({"type": "string", "minLenght": 3}, "/minLenght"),
    ({"x-guidance": {"lenient": True}, "not": {}}, "/x-guidance"),
    ({"type": "string", "format": "regex"}, "formats are date"),
    ({"type": "string", "format": "unknown"}, "formats are date"),
    ({"type": "string", "pattern": "(?=x)"}, "look-around"),
    ({"type": "string", "minLength": -1}, "/minLength"),
    ({"type": "text"}, "'text' is no type"),
    ({"type": "number", "multipleOf": 0}, "above 0"),
    ({"type": "number", "exclusiveMinimum": True}, "must be a number"),
    ({"const": 2**53 + 1}, "too large"),
    ({"enum": []}, "not empty"),
    ({"enum": ["\u0001"]}, "control character"),
    ({"type": "object", "additionalProperties": True, "minProperties": 2}, "minProperties"),
    ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, "options 0 and 1"),
    ({"type": "integer", "minimum": 5, "maximum": 4}, "nsatisfiable"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no text"),
    (False, "nsatisfiable"),
    ({"$schema": "https://example.org/mine"}, "no draft"),
    ({"properties": []}, "/properties"),
    ({"required": "a"}, "/required"),
    ([], "must be an object"),
]


@pytest.mark.parametrize(("schema", "message"), REFUSED, ids=lambda case: json.dumps(case)[:60])
def test_what_is_not_enforced_is_refused(bpe: Tokenizer, schema: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        json_schema(schema, bpe)


def test_a_name_cannot_be_spelled_in_two_ways(bpe: Tokenizer) -> None:
    """llguidance alone takes {"\\u0061":"x"} for another property than "a"."""
    schema = {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    rule = json_schema(schema, bpe)
    assert isinstance(rule, Grammar)
    ids = bpe.encode('{"\\u0061":"x"}')
    assert rule.matcher.deep_copy().validate_tokens(ids) < len(ids)


_SCALARS = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.builds(
        lambda low, width: {"type": "integer", "minimum": low, "maximum": low + width},
        st.integers(-500, 500),
        st.integers(0, 400),
    ),
    st.builds(
        lambda low, width: {"type": "number", "minimum": low, "exclusiveMaximum": low + width},
        st.integers(-50, 50),
        st.integers(1, 40),
    ),
    st.builds(
        lambda low, width: {"type": "string", "minLength": low, "maxLength": low + width},
        st.integers(0, 12),
        st.integers(0, 12),
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.text('abc "\\é'), min_size=1)),
)
_NAMES = st.text('ab_é"', min_size=1, max_size=4)
SCHEMAS = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.builds(
            lambda items, low, width: {
                "type": "array",
                "items": items,
                "minItems": low,
                "maxItems": low + width,
            },
            inner,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.builds(
            lambda fields, required: {
                "type": "object",
                "properties": fields,
                "required": [name for name in fields if name in required or len(name) > 2],
            },
            st.dictionaries(_NAMES, inner, min_size=1, max_size=4),
            st.sets(_NAMES),
        ),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_schema_is_satisfied_in_any_budget(bpe: Tokenizer, schema: Any) -> None:
    check(schema, bpe, count=4, more=30)


def instances(schema: Any) -> st.SearchStrategy[Any]:
    """Values that satisfy one of `SCHEMAS`, of those that the stated rules do not shut out."""
    if "anyOf" in schema:
        return st.one_of([instances(one) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema["type"] == "array":
        least, most = schema["minItems"], schema["maxItems"]
        return st.lists(instances(schema["items"]), min_size=least, max_size=most)
    if schema["type"] == "object":
        fields = {name: instances(one) for name, one in schema["properties"].items()}
        return st.sets(st.sampled_from(list(fields))).flatmap(
            lambda names: st.fixed_dictionaries(
                {n: one for n, one in fields.items() if n in names or n in schema["required"]}
            ).map(lambda value: {n: value[n] for n in fields if n in value})
        )
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "null": st.none(),
        "boolean": st.booleans(),
        "integer": st.integers(low, high),
        "number": st.integers(0, 3).map(lambda part: (low or 0) + part / 4 + 0.125),
        "string": st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc"]),
            min_size=schema.get("minLength", 0),
            max_size=schema.get("maxLength", 0),
        ),
    }
    return scalars[schema["type"]]


@given(st.data(), SCHEMAS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_a_schema_lets_in_can_be_written(
    bpe: Tokenizer, data: st.DataObject, schema: Any
) -> None:
    value = data.draw(instances(schema))
    jsonschema.validate(value, schema)
    rule = json_schema(schema, bpe)
    assert isinstance(rule, Grammar)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    ids = [*bpe.encode(text), bpe.end_of_text]
    assert rule.matcher.deep_copy().validate_tokens(ids) == len(ids), text


PROMPT = 'Mario Rossi said "hi there" to Anna\nand left C:\\new for $5.'


def test_spans_are_verbatim_and_cut_no_word(bpe: Tokenizer) -> None:
    span = {"type": "string", "x-span-of": "prompt"}
    schema = {
        "type": "object",
        "properties": {
            "who": span,
            "age": {"type": "integer"},
            "words": {"type": "array", "items": span, "minItems": 1, "maxItems": 4},
            "maybe": {"anyOf": [span, {"type": "null"}]},
            "nested": {"$ref": "#/$defs/inner"},
        },
        "required": ["who", "words", "maybe", "nested"],
        "$defs": {
            "inner": {"type": "object", "properties": {"a": span, "b": span}, "required": ["b"]}
        },
    }
    rule = json_schema(schema, bpe)
    found = set()
    for seed in range(60):
        text = bpe.decode(write(rule, bpe, 70 + seed, seed, PROMPT)[0])
        value = json.loads(text)
        jsonschema.validate(value, schema)
        found |= {value["who"], *value["words"], value["nested"]["b"]}
        if value["maybe"] is not None:
            found.add(value["maybe"])
    assert len(found) > 20
    for one in found:
        assert one and one in PROMPT and one == one.strip()
        start = PROMPT.index(one)
        at_start = not (one[0].isalnum() and PROMPT[:start][-1:].isalnum())
        assert at_start or f" {one}" in f" {PROMPT}"


@pytest.mark.parametrize(
    ("schema", "prompt", "message"),
    [
        ({"type": "string", "x-span-of": "prompt"}, " \n", "holds no word"),
        ({"type": "string", "x-span-of": "answer"}, "a", 'only source is "prompt"'),
        ({"type": "string", "x-span-of": "prompt", "minLength": 3}, "a", "/minLength"),
        (
            {"type": "object", "additionalProperties": {"type": "string", "x-span-of": "prompt"}},
            "a",
            "works in plain properties",
        ),
    ],
)
def test_spans_that_cannot_be_are_refused(
    bpe: Tokenizer, schema: Any, prompt: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        json_schema(schema, bpe).start((), prompt)
