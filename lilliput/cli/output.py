"""What commands print: facts for people, or the same facts as JSON for machines."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


def json_option(command: CommandFunction) -> CommandFunction:
    """Add `--json` (parameter `as_json`) to a command that prints facts."""
    return click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")(command)


def print_facts(facts: Mapping[str, Any], as_json: bool) -> None:
    """Print `facts` on standard output: one aligned line each, or one JSON object."""
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, default=str))
        return
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {_readable(value)}")


def _readable(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_readable(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_readable(inner) for inner in value)
    return str(value)
