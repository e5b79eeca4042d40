"""The options that hold a text to a rule: a schema, a regular expression, a grammar, choices."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lilliput.errors import UserError

if TYPE_CHECKING:
    from lilliput.generate import LanguageModel
    from lilliput.generate.constraints import ConstraintMaker

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])
Rule = Callable[["LanguageModel"], "ConstraintMaker"]
"""Compiles the rule that was asked for, for a model's tokenizer."""

_OPTIONS = (
    click.option(
        "--json-schema",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write JSON that satisfies this JSON Schema.",
    ),
    click.option("--json-object", is_flag=True, help="Write any JSON object."),
    click.option(
        "--json-spaces", is_flag=True, help='In JSON, one space after "," and ":"; else none.'
    ),
    click.option("--regex", help="Write what this regular expression matches as a whole."),
    click.option(
        "--grammar",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write a text of this grammar, in Lark's syntax or llama.cpp's GBNF.",
    ),
    click.option(
        "--choices", metavar="A,B,…|FILE", help="Write one of these, or of the lines of a file."
    ),
)


def constraint_options(command: CommandFunction) -> CommandFunction:
    """Add the options; the command gets `rule`, a `Rule` or None, in their place."""

    @functools.wraps(command)
    def with_rule(
        *args: Any,
        json_schema: Path | None,
        json_object: bool,
        json_spaces: bool,
        regex: str | None,
        grammar: Path | None,
        choices: str | None,
        **others: Any,
    ) -> Any:
        rules: list[Rule] = []
        if json_schema is not None:
            rules.append(
                _rule(
                    "json_schema", _schema(json_schema), spaced=json_spaces, what=str(json_schema)
                )
            )
        if json_object:
            rules.append(_rule("json_object", spaced=json_spaces))
        if regex is not None:
            rules.append(_rule("regex", regex))
        if grammar is not None:
            rules.append(_rule("grammar", _read(grammar)))
        if choices is not None:
            rules.append(_rule("choices", _listed(choices)))
        if len(rules) > 1:
            raise UserError(
                "give one of --json-schema, --json-object, --regex, --grammar and --choices"
            )
        return command(*args, rule=rules[0] if rules else None, **others)

    decorated: Any = with_rule
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _rule(name: str, *values: Any, **settings: Any) -> Rule:
    """The rule of that name in `lilliput.generate.constraints.rules`."""

    def compiled(model: "LanguageModel") -> "ConstraintMaker":
        from lilliput.generate.constraints import rules

        make: Callable[..., ConstraintMaker] = getattr(rules, name)
        return make(*values, model.tokenizer, end_tokens=model.end_tokens, **settings)

    return compiled


def _schema(file: Path) -> Any:
    try:
        return json.loads(_read(file))
    except ValueError as error:
        raise UserError(f"{file}: no JSON: {error}") from None


def _listed(choices: str) -> list[str]:
    """The lines of a file of that name, else what stands between the commas."""
    if Path(choices).is_file():
        return [line for line in _read(Path(choices)).splitlines() if line]
    return choices.split(",")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
