"""The rules a text can be held to, each compiled for a tokenizer into a `ConstraintMaker`."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.errors import UserError
from lilliput.generate.constraints.grammars import SchemaGrammar, lark_of_choices, lark_of_regex
from lilliput.generate.constraints.matching import Grammar, Matching
from lilliput.generate.constraints.protocol import ConstraintMaker
from lilliput.generate.constraints.schema import PreparedSchema
from lilliput.generate.constraints.vocabulary import Vocabulary, vocabulary_of
from lilliput.tokens.tokenizer import Tokenizer

_MOST_COMPILED = 64
_COMPILED: OrderedDict[tuple[int, str], Grammar] = OrderedDict()


def json_schema(
    schema: Mapping[str, Any] | bool,
    tokenizer: Tokenizer,
    *,
    end_tokens: Sequence[int] = (),
    spaced: bool = False,
    what: str = "schema",
) -> ConstraintMaker:
    """A JSON text that satisfies a JSON Schema, of draft 7 or 2020-12 (see `PreparedSchema`).

    The text holds no white space outside strings, or with `spaced` one space after `,` and `:`.
    A string with `"x-span-of": "prompt"` is a verbatim part of the prompt, words whole.
    Raises UserError for a keyword that cannot be enforced, and a schema that nothing satisfies.
    """
    prepared = PreparedSchema(dict(schema) if isinstance(schema, Mapping) else schema, what)
    grammar = SchemaGrammar(prepared, spaced=spaced, what=what)
    vocabulary = vocabulary_of(tokenizer, end_tokens)
    if grammar.has_spans:
        return _Spans(grammar, vocabulary, what, _pieces(prepared.patterns))
    return _compiled(grammar.lark(), vocabulary, what=what, phrases=_pieces(prepared.patterns))


def json_object(
    tokenizer: Tokenizer, *, end_tokens: Sequence[int] = (), spaced: bool = False
) -> ConstraintMaker:
    """Any JSON object."""
    schema = {"type": "object"}
    return json_schema(schema, tokenizer, end_tokens=end_tokens, spaced=spaced, what="json")


def regex(pattern: str, tokenizer: Tokenizer, *, end_tokens: Sequence[int] = ()) -> ConstraintMaker:
    """A text that a regular expression matches as a whole (Rust's syntax, no look-around)."""
    vocabulary = vocabulary_of(tokenizer, end_tokens)
    lark = lark_of_regex(pattern)
    return _compiled(lark, vocabulary, what="regex", phrases=_pieces([pattern]))


def grammar(text: str, tokenizer: Tokenizer, *, end_tokens: Sequence[int] = ()) -> ConstraintMaker:
    """A text of a context-free grammar: Lark as llguidance extends it, or llama.cpp's GBNF."""
    lark = lark_of_gbnf(text) if "::=" in text else text
    literals = [_unquoted(quoted) for quoted in re.findall(r'"(?:[^"\\\n]|\\.)*"', lark)]
    vocabulary = vocabulary_of(tokenizer, end_tokens)
    return _compiled(lark, vocabulary, what="grammar", phrases=literals)


def choices(
    texts: Sequence[str], tokenizer: Tokenizer, *, end_tokens: Sequence[int] = ()
) -> ConstraintMaker:
    """One of some texts."""
    vocabulary = vocabulary_of(tokenizer, end_tokens)
    return _compiled(lark_of_choices(texts), vocabulary, what="choices", phrases=texts)


def lark_of_gbnf(text: str) -> str:
    """A GBNF grammar in Lark. Raises UserError if it is none."""
    from llguidance.gbnf_to_lark import gbnf_to_lark

    convert: Callable[[str], str] = gbnf_to_lark
    try:
        return convert(re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", _plain_escape, text))
    except Exception as error:  # it raises bare Exceptions, too
        raise UserError(f"grammar: no GBNF: {error}") from None


def _plain_escape(found: re.Match[str]) -> str:
    """An escaped character that Lark reads: itself, or two hexadecimal digits."""
    escaped = found[1]
    if escaped[0] not in "uU" or len(escaped) == 1:
        return found[0]
    number = int(escaped[1:], 16)
    letter = chr(number)
    return letter if letter.isalnum() or number > 255 else f"\\x{number:02X}"


@dataclass(frozen=True)
class _Spans:
    """A schema whose grammar is made for each prompt, from its words."""

    grammar: SchemaGrammar
    vocabulary: Vocabulary
    what: str
    phrases: list[str]

    def start(self, prompt_ids: tuple[int, ...], prompt: str) -> Matching:
        lark = self.grammar.lark(prompt)
        compiled = _compiled(lark, self.vocabulary, what=self.what, phrases=self.phrases)
        return compiled.start(prompt_ids, prompt)


def _compiled(
    lark: str, vocabulary: Vocabulary, *, what: str, phrases: Sequence[str] = ()
) -> Grammar:
    """The grammar for a vocabulary; the last ones are kept, for the same rule often comes again."""
    key = id(vocabulary), lark
    known = _COMPILED.get(key)
    if known is None or known.vocabulary is not vocabulary:
        known = Grammar(lark, vocabulary, what=what, phrases=phrases)
        _COMPILED[key] = known
        if len(_COMPILED) > _MOST_COMPILED:
            _COMPILED.popitem(last=False)
    return known


def _pieces(patterns: Sequence[str]) -> list[str]:
    """What looks like literal text in regular expressions."""
    return [piece for pattern in patterns for piece in re.findall(r"\w+|[^\w\s]+", pattern)]


def _unquoted(quoted: str) -> str:
    try:
        text: str = json.loads(quoted)
    except ValueError:
        return quoted[1:-1]
    return text
