"""`lilliput corpus stories`: write the embedded corpus."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command("stories")
@click.option("-n", "--count", type=int, default=100_000, show_default=True, help="How many.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The corpus folder to write.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other stories.")
@click.option(
    "--names",
    type=int,
    help="Girls', boys' and animals' names in use, each; few are learned sooner.  [default: all]",
)
@click.option("--plots", type=int, help="Plots in use, of all themes in turn.  [default: all]")
@click.option(
    "--casts",
    type=int,
    help="Castings of each plot: 1 binds its people beside the hero, animals, things, colours,"
    " places and spots, so that what is lost is what is found.  [default: any]",
)
@click.option("--workers", type=int, help="Processes to use.  [default: one per core]")
@click.option("--overwrite", is_flag=True, help="Replace a corpus made with other settings.")
@json_option
def command(
    count: int,
    output: Path,
    seed: int,
    names: int | None,
    plots: int | None,
    casts: int | None,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write children's stories, made by a generator, as a corpus.

    The same seed always gives the same stories, and a longer corpus begins with the shorter one.
    Each story keeps its plan in further columns: characters, place, objects, features, words,
    summary, facts.

    \b
    Example:
      lilliput corpus stories -n 100000 -o corpus/
    """
    from lilliput.corpus.stories import World, write_stories

    world = World(names=names, plots=plots, casts=casts)
    manifest = write_stories(
        count, output, seed=seed, world=world, workers=workers, overwrite=overwrite
    )
    facts = {
        "corpus": str(output),
        "documents": manifest.documents,
        "bytes": manifest.bytes,
        "hash": manifest.hash,
    }
    print_facts(facts, as_json)
