"""Rules as grammars in llguidance's Lark syntax, which is the one form that is compiled."""

import json
import re
from collections.abc import Sequence
from typing import Any

from lilliput.errors import UserError
from lilliput.generate.constraints.schema import SPAN, PreparedSchema

# Without \u no name can be spelled in two ways, which llguidance would not see as the same name.
_ESCAPES = 'nrbtf\\"'


def lark_of_regex(pattern: str) -> str:
    """A text that matches the whole of a regular expression (Rust's syntax, no look-around)."""
    escaped = re.sub(r"\\.|/", lambda found: "\\/" if found[0] == "/" else found[0], pattern)
    return f"start: /{escaped}/\n"


def lark_of_choices(choices: Sequence[str]) -> str:
    """One of some texts. Raises UserError if there is none, or one is empty."""
    if not choices or not all(choices):
        raise UserError("choices: give at least one text, and none that is empty")
    return "start: " + " | ".join(literal(choice) for choice in dict.fromkeys(choices)) + "\n"


def literal(text: str) -> str:
    """A text as a string of Lark, whose escapes are not quite those of JSON."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + re.sub("[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", quoted) + '"'


class SchemaGrammar:
    """A prepared schema as a grammar, whole or with the spans of a prompt in it.

    JSON is written with no white space, or with one space after `,` and `:` if `spaced`.
    """

    def __init__(self, schema: PreparedSchema, *, spaced: bool, what: str) -> None:
        self._schema, self._what = schema, what
        space = " " if spaced else ""
        self._comma, self._colon = literal("," + space), literal(":" + space)
        self._settings = {
            "whitespace_flexible": False,
            "item_separator": "," + space,
            "key_separator": ":" + space,
            "json_allowed_escapes": _ESCAPES,
        }
        self._spanned = {
            name for name, one in schema.definitions.items() if self._has_span(one, frozenset())
        }
        self.has_spans = self._has_span(schema.root, frozenset())

    def lark(self, prompt: str = "") -> str:
        """The grammar; `prompt` is what spans are taken from."""
        if not self.has_spans:
            return f"start: {self._leaf(self._schema.root)}\n"
        rules = _Rules()
        nodes = {"start": self._schema.root}
        nodes |= {name: self._schema.definitions[name] for name in sorted(self._spanned)}
        lines = [f"{name}: {self._rule(node, rules)}" for name, node in nodes.items()]
        lines += [f"{name}: {body}" for body, name in rules.names.items()]
        return "\n".join([*lines, *_span_terminals(prompt)]) + "\n"

    def _has_span(self, node: Any, within: frozenset[str]) -> bool:
        if isinstance(node, list):
            return any(self._has_span(one, within) for one in node)
        if not isinstance(node, dict):
            return False
        name = node.get("$ref", "").removeprefix("#/$defs/") if _is_reference(node) else ""
        if (
            name
            and name not in within
            and self._has_span(self._schema.definitions.get(name), within | {name})
        ):
            return True
        return _is_span(node) or any(
            self._has_span(one, within)
            for word, one in node.items()
            if word not in ("const", "enum")
        )

    def _leaf(self, node: Any) -> str:
        schema = node if isinstance(node, dict) else {"anyOf": [node]}
        definitions = {
            name: one for name, one in self._schema.definitions.items()
            if not self._has_span(one, frozenset())
        }  # fmt: skip
        return "%json " + json.dumps({**schema, "$defs": definitions, "x-guidance": self._settings})

    def _rule(self, node: Any, rules: "_Rules") -> str:
        """The right side of a rule for a node; parts without spans are llguidance's own."""
        if not self._has_span(node, frozenset()):
            return self._leaf(node)
        words = set(node)
        if _is_span(node):
            return "SPAN"
        if words == {"$ref"}:
            return str(node["$ref"].removeprefix("#/$defs/"))
        if words == {"anyOf"}:
            return "(" + " | ".join(self._rule(one, rules) for one in node["anyOf"]) + ")"
        if node.get("type") == "array" and words <= {"type", "items", "minItems", "maxItems"}:
            return self._array(node, rules)
        if (
            node.get("type") == "object"
            and words <= {"type", "properties", "required", "additionalProperties"}
            and node["additionalProperties"] is False
        ):
            return self._object(node, rules)
        raise UserError(
            f"{self._what}: {SPAN} works in plain properties, items and anyOf, not within "
            + ", ".join(sorted(words - {"type", "properties", "required", "items", "anyOf"}))
        )

    def _array(self, node: dict[str, Any], rules: "_Rules") -> str:
        least, most = node.get("minItems", 0), node.get("maxItems")
        if most == 0:
            return literal("[]")
        item = rules.named(self._rule(node["items"], rules))
        limit = "" if most is None else str(most - 1)
        more = f"({self._comma} {item}){{{max(least - 1, 0)},{limit}}}"
        filled = f"{item} {more}"
        return f'"[" {filled} "]"' if least else f'"[" ({filled})? "]"'

    def _object(self, node: dict[str, Any], rules: "_Rules") -> str:
        required = set(node.get("required", []))
        # From the last property to the first: what may follow another, and what may come first.
        following = first = rules.named('""')
        for name, one in reversed(node["properties"].items()):
            key = literal(json.dumps(name, ensure_ascii=False))
            item = rules.named(f"{key} {self._colon} {self._rule(one, rules)}")
            if name in required:
                first = rules.named(f"{item} {following}")
                following = rules.named(f"{self._comma} {item} {following}")
            else:
                first = rules.named(f"{item} {following} | {first}")
                following = rules.named(f"({self._comma} {item})? {following}")
        return f'"{{" {first} "}}"'


class _Rules:
    """Right sides of rules and their names: what is used twice is written once."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def named(self, body: str) -> str:
        return self.names.setdefault(body, f"r{len(self.names)}")


def _is_reference(node: dict[str, Any]) -> bool:
    return isinstance(node.get("$ref"), str)


def _is_span(node: dict[str, Any]) -> bool:
    return isinstance(node.get(SPAN), str)


def _span_terminals(prompt: str) -> list[str]:
    """SPAN: a JSON string that holds consecutive pieces of the prompt, blank at neither end.

    llguidance makes the automaton of all substrings (a suffix automaton) from the pieces: words,
    runs of white space, and single other characters, as JSON writes them.
    """
    pieces = re.findall(r"\w+|\s+|[^\w\s]", prompt)
    written = [json.dumps(piece, ensure_ascii=False)[1:-1] for piece in pieces]
    written = [piece for piece in written if "\\u" not in piece]
    if not any(not piece.isspace() for piece in pieces):
        raise UserError(f"{SPAN}: the prompt holds no word to take a span from")
    blank = r"(?: |\\[nrtf])"
    return [
        'SPAN: "\\"" PIECES "\\""',
        f"PIECES: SUBSTRING & ~/{blank}(?s:.*)/ & ~/(?s:.*){blank}/ & /(?s:.)+/",
        "SUBSTRING: %regex " + json.dumps({"substring_chunks": written}),
    ]
