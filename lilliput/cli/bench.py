"""`lilliput bench`."""

import click

from lilliput.cli.output import json_option, print_facts


@click.command
@click.argument("model")
@click.option(
    "--weights",
    type=click.Choice(["float32", "bfloat16", "int8", "int4"]),
    help="Number format to decode with.  [default: the folder's own]",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "native", "torch"]),
    default="auto",
    show_default=True,
    help="Our C, compiled here when first used, or PyTorch.",
)
@click.option("--threads", type=click.IntRange(1), help="[default: the number that is fastest]")
@click.option("--batches", default="1,8,64", show_default=True, help="Texts written at a time.")
@click.option(
    "--tokens", type=click.IntRange(2), default=64, show_default=True, help="To write in each."
)
@click.option("--device", help="auto, cpu, cuda, mps.")
@json_option
def command(
    model: str,
    weights: str | None,
    backend: str,
    threads: int | None,
    batches: str,
    tokens: int,
    device: str | None,
    as_json: bool,
) -> None:
    """Measure how fast a model writes on this machine.

    Tokens a second and time to the first token for each size of batch, with the share of what the
    machine's memory or arithmetic allows, both measured on the spot.

    \b
    Example:
      lilliput bench runs/story
      lilliput bench runs/story --weights int8 --batches 1,64,512
    """
    from lilliput.evaluate.speed import measure_speed
    from lilliput.generate import load

    try:
        sizes = [int(size) for size in batches.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise click.UsageError(f"--batches {batches!r}: give whole numbers, as 1,8,64")
    speed = measure_speed(
        load(model, device).decoder,
        weights=weights,  # type: ignore[arg-type]
        backend=backend,  # type: ignore[arg-type]
        threads=threads,
        batches=sizes,
        tokens=tokens,
    )
    facts = speed.facts()
    if as_json:
        print_facts(facts, as_json)
        return
    rows = facts.pop("batches")
    print_facts(facts, as_json)
    click.echo("\n  rows   tokens/s   first token   of the limit   cache")
    for row in rows:
        click.echo(
            f"{row['rows']:>6}{row['tokens_per_second']:>11,.0f}"
            f"{row['first_token_seconds'] * 1000:>11,.1f} ms"
            f"{row['share_of_limit']:>9.0%} {row['limit']:<8}"
            f"{row['cache_bytes'] / 1e6:>6,.1f} MB"
        )
