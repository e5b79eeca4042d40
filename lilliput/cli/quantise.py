"""`lilliput quantise`."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command
@click.argument("model")
@click.option(
    "--bits", type=click.Choice(["8", "4"]), default="8", show_default=True, help="Of the blocks."
)
@click.option(
    "--method",
    type=click.Choice(["nearest", "gptq", "trained"]),
    default="nearest",
    show_default=True,
    help="Round each weight; or so that your text changes least (GPTQ); or as training rounded.",
)
@click.option(
    "--embedding-bits",
    type=click.Choice(["8", "4", "0"]),
    default="8",
    show_default=True,
    help="Of the embedding and the output head; 0 leaves them in float32.",
)
@click.option("--group", type=int, help="Weights that share a scale.  [default: what suits]")
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path, exists=True),
    metavar="TOKENS",
    help="Token shards that gptq rounds by.  [default: the run's]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder to write.")
@click.option(
    "--texts",
    type=click.Path(path_type=Path, exists=True),
    help="Texts to measure bits per byte on.  [default: the shards' validation documents]",
)
@click.option("--compare", is_flag=True, help="Measure every usual way instead of writing one.")
@json_option
def command(
    model: str,
    bits: str,
    method: str,
    embedding_bits: str,
    group: int | None,
    calibrate: Path | None,
    output: Path | None,
    texts: Path | None,
    compare: bool,
    as_json: bool,
) -> None:
    """Write a smaller model folder: weights of 8 or 4 bits, measured before it says done.

    The folder is loaded again and its bits per byte stand beside the float model's, here and in
    the cards of both. A run's folder stands for its model.

    \b
    Example:
      lilliput quantise runs/story --bits 4 --method gptq -o story-int4
      lilliput quantise runs/story --compare
    """
    from lilliput.corpus import read_documents
    from lilliput.verbs.quantising import compare_quantisations, quantise

    measured = [document.text for document in read_documents([texts])] if texts else ()
    if compare:
        rows = compare_quantisations(model, calibrate=calibrate, texts=measured)
        if as_json:
            print_facts({"quantisations": rows}, as_json)
            return
        for row in rows:
            facts = {name: value for name, value in row.items() if name != "path"}
            print_facts(facts, as_json)
            click.echo()
        return
    print_facts(
        quantise(
            model,
            output,
            bits=int(bits),
            method=method,
            embedding_bits=int(embedding_bits),
            group=group,
            calibrate=calibrate,
            texts=measured,
        ),
        as_json,
    )
