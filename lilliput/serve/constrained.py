"""The rules that requests state for their answers, compiled away from the event loop."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from lilliput.generate import LanguageModel
from lilliput.generate.constraints.protocol import Constraint, ConstraintMaker
from lilliput.generate.constraints.rules import choices, grammar, json_schema, regex
from lilliput.serve.errors import ApiError
from lilliput.serve.schemas import StructuredOutputs
from lilliput.serve.served_model import ServedModel

MOST_RULE_CHARACTERS = 1 << 16

ANY_OBJECT: dict[str, Any] = {"type": "object"}


async def rule_of(served: ServedModel, outputs: StructuredOutputs) -> ConstraintMaker:
    """The rule of `structured_outputs`. Raises UserError if it cannot be kept."""
    model, rule = served.model, outputs.model_dump(exclude_unset=True)
    _check_length(rule)
    return await asyncio.to_thread(_maker(model, outputs))


def _maker(model: LanguageModel, outputs: StructuredOutputs) -> Callable[[], ConstraintMaker]:
    tokenizer, ends = model.tokenizer, model.end_tokens
    if (pattern := outputs.regex) is not None:
        return lambda: regex(pattern, tokenizer, end_tokens=ends)
    if (texts := outputs.choice) is not None:
        return lambda: choices(texts, tokenizer, end_tokens=ends)
    if (rules := outputs.grammar) is not None:
        return lambda: grammar(rules, tokenizer, end_tokens=ends)
    schema = outputs.json_schema
    assert schema is not None  # exactly one is given
    return lambda: json_schema(schema, tokenizer, end_tokens=ends)


async def schema_rule(
    served: ServedModel, schema: dict[str, Any], *, spaced: bool = False
) -> ConstraintMaker:
    """The rule of a JSON schema. Raises UserError on a keyword that is not supported."""
    _check_length(schema)
    tokenizer, ends = served.model.tokenizer, served.model.end_tokens
    return await asyncio.to_thread(json_schema, schema, tokenizer, end_tokens=ends, spaced=spaced)


async def start(
    rule: ConstraintMaker | None, ids: tuple[int, ...], prompt: str, count: int
) -> list[Constraint | None]:
    """A fresh constraint for each of `count` answers; None for each where there is no rule."""
    if rule is None:
        return [None] * count
    return await asyncio.to_thread(lambda: [rule.start(ids, prompt) for _ in range(count)])


def _check_length(rule: Any) -> None:
    if len(json.dumps(rule)) > MOST_RULE_CHARACTERS:
        raise ApiError(400, f"the schema or rule has more than {MOST_RULE_CHARACTERS} characters")
