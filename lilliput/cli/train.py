"""`lilliput train`."""

from typing import Any

import click

from lilliput.cli.output import json_option, print_facts
from lilliput.cli.recipe_options import RecipeCommand, sections


@click.command(cls=RecipeCommand)
@click.argument("source", metavar="RECIPE|TOKENS", required=False)
@click.option("--name", help="Run folder: runs/NAME, or a path.")
@json_option
def command(source: str | None, name: str | None, as_json: bool, **fields: Any) -> None:
    """Train a model by a recipe file, or on a folder of token shards.

    Give a budget and the rest is computed; every field of the recipe can be overridden. A model
    that there is already goes on with --train.start-from, and learns to answer with --data.pairs.

    \b
    Example:
      lilliput train tokens/ --minutes 30
      lilliput train recipe.toml --model.n-layers 8 --train.minutes 30
      lilliput train --data.pairs pairs.jsonl --train.start-from runs/t5 --minutes 5
    """
    from lilliput.verbs.training import train

    overrides: dict[str, Any] = sections(fields)
    run = train(source, name=name, **overrides)
    report_result(run, as_json)


def report_result(run: Any, as_json: bool) -> None:
    """Print what a run came to and how to go on."""
    result = run.result
    if not result.finished:
        click.echo(f"stopped at step {result.step:,}; go on with: lilliput resume {result.path}")
        raise SystemExit(130)
    facts = {
        "model": str(result.model),
        "parameters": result.parameters,
        "bits_per_byte": result.bits_per_byte,
        **result.measures,
        "steps": result.step,
        "tokens": result.tokens,
        "seconds": round(result.seconds, 1),
        "report": str(result.path / "report.html"),
    }
    print_facts(facts, as_json)
    if not as_json:
        click.echo(f"\nGo on with:  lilliput chat {result.path}")
