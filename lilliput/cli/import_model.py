"""`lilliput import`."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command
@click.argument("source", metavar="FILE.gguf", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The model folder to write.",
)
@json_option
def command(source: Path, output: Path, as_json: bool) -> None:
    """Turn a GGUF file into a model folder, with its tokenizer and chat template.

    Quantised weights become float32. Folders of transformers need no import: every command takes
    them as they are.

    \b
    Example:
      lilliput import smollm2-135m-instruct.gguf -o smollm2/
    """
    from lilliput.verbs.exporting import import_gguf

    print_facts({"model": str(import_gguf(source, output))}, as_json)
