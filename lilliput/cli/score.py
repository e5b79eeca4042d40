"""`lilliput score`: the log-probability of a text."""

import json
import math
from pathlib import Path
from typing import Any

import click

from lilliput.cli.generate import device_option
from lilliput.cli.output import json_option, print_facts
from lilliput.errors import UserError


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--prompt", default="", help="Score the text as what follows this.")
@click.option("--per-token", is_flag=True, help="Show the log-probability of every token.")
@device_option
@json_option
def command(
    model: Path, text: str, prompt: str, per_token: bool, device: str, as_json: bool
) -> None:
    """Log-probability of TEXT under MODEL (a model folder, or a run's folder), in nats.

    \b
    Example:
      lilliput score runs/story "The cat sat on the mat." --per-token
      lilliput score runs/story " the mat." --prompt "The cat sat on"
    """
    if not text:
        raise UserError("the text is empty: there is nothing to score")

    from lilliput.generate import load

    tokens = load(model, device).token_scores(text, prompt=prompt)
    total, size = math.fsum(score for _, _, score in tokens), len(text.encode("utf-8"))
    facts: dict[str, Any] = {
        "log_probability": total,
        "tokens": len(tokens),
        "bytes": size,
        "bits_per_byte": -total / math.log(2) / size,
        "perplexity_per_token": math.exp(min(-total / max(1, len(tokens)), 700)),
    }
    if per_token and as_json:
        facts["per_token"] = [
            {"token": name, "id": token, "log_probability": score} for name, token, score in tokens
        ]
    elif per_token:
        shown = [json.dumps(name, ensure_ascii=False) for name, _, _ in tokens]
        width = max(len("token"), *map(len, shown))
        click.echo(f"{'token':<{width}}  {'id':>6}  log-probability")
        for name, (_, token, score) in zip(shown, tokens, strict=True):
            click.echo(f"{name:<{width}}  {token:>6}  {score:15.4f}")
        click.echo()
    print_facts(facts, as_json)
