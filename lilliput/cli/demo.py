"""`lilliput demo`."""

from pathlib import Path

import click


@click.command
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.05),
    default=2.8,
    show_default=True,
    help="Minutes of training.",
)
def command(output: Path, minutes: float) -> None:
    """Run the whole pipeline on the embedded corpus and show what came of it.

    Stories are generated, a tokenizer is learned, the stories become token shards, and a tiny
    model is trained on them.

    \b
    Example:
      lilliput demo
    """
    from lilliput.verbs.demo import demo
    from lilliput.verbs.showing import loss_plot, show_samples

    if (output / "runs" / "story" / "model" / "model.safetensors").exists():
        click.echo(f"{output} holds a finished demo: remove it, or choose another with -o")
    else:
        run = demo(output, minutes=minutes, say=lambda step: click.secho(step, bold=True))
        if not run.result.finished:
            click.echo(f"stopped; go on with: lilliput demo -o {output}")
            raise SystemExit(130)
    run_folder = output / "runs" / "story"
    click.echo(loss_plot(run_folder))
    click.echo(show_samples(run_folder))
    click.echo(f"Report:      {run_folder / 'report.html'}")
    click.echo(f"Go on with:  lilliput chat {run_folder}")
