"""`lilliput export`."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command
@click.argument("model")
@click.option(
    "--to",
    type=click.Choice(["gguf", "onnx", "single-file", "hf"]),
    required=True,
    help="llama.cpp's format, ONNX, one file for our C program, or a folder for transformers.",
)
@click.option(
    "--kind",
    default="f32",
    show_default=True,
    help="gguf: f32, f16, bf16, q8_0, q4_0, tq1_0, tq2_0; onnx: f32, int4; single-file: f32, int8.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="What to write.")
@click.option(
    "--texts",
    type=click.Path(path_type=Path, exists=True),
    help="Texts to measure bits per byte on.  [default: the run's validation documents]",
)
@json_option
def command(
    model: str, to: str, kind: str, output: Path | None, texts: Path | None, as_json: bool
) -> None:
    """Write a model for another runtime, and prove it before saying done.

    What was written is loaded again and its logits are compared with the model's; the result is
    noted in the model's card. A run's folder stands for its model.

    \b
    Example:
      lilliput export runs/story --to gguf --kind q8_0 -o story.gguf
      lilliput export runs/story --to onnx --kind int4 -o story-onnx/
    """
    from lilliput.corpus import read_documents
    from lilliput.verbs.exporting import export

    documents = read_documents([texts]) if texts else ()
    print_facts(export(model, to, output, kind=kind, texts=[d.text for d in documents]), as_json)
