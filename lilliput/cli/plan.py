"""`lilliput plan`."""

from typing import Any

import click

from lilliput.cli.output import json_option, print_facts
from lilliput.cli.recipe_options import RecipeCommand, sections


@click.command(cls=RecipeCommand)
@click.argument("source", metavar="RECIPE|TOKENS", required=False)
@json_option
def command(source: str | None, as_json: bool, **overrides: Any) -> None:
    """Predict what `lilliput train` with the same arguments would make, and how long it takes.

    \b
    Example:
      lilliput plan tokens/ --minutes 30
    """
    from lilliput.verbs.training import plan

    found = plan(source, **sections(overrides))
    config = found.config
    print_facts(
        {
            "family": config.family,
            "exports_to": found.exports_to,
            "parameters": config.parameters,
            "layers": config.n_layers,
            "width": config.d_model,
            "context_length": config.context_length,
            "batch_tokens": found.batch_tokens,
            "precision": str(found.precision).removeprefix("torch."),
            "matmul_peak_gflops": found.peak_flops / 1e9,
            "flops_per_token": found.method.flops_per_token,
            "expected_tokens": round(found.expected_tokens),
            "expected_minutes": found.expected_seconds / 60,
        },
        as_json,
    )
