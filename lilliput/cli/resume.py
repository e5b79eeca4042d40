"""`lilliput resume`."""

import click

from lilliput.cli.output import json_option


@click.command
@click.argument("run")
@json_option
def command(run: str, as_json: bool) -> None:
    """Go on with a run that was stopped, killed or cut off.

    On the same machine, a run with a budget in steps, tokens or FLOPs ends with the same bits as
    one never stopped.

    \b
    Example:
      lilliput resume runs/story
    """
    from lilliput.cli.train import report_result
    from lilliput.verbs.training import resume

    report_result(resume(run), as_json)
