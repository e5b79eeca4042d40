"""`lilliput corpus build`: from files to a corpus folder."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SRC…")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("corpus"),
    show_default=True,
    help="The corpus folder to write.",
)
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Never fetch anything.")
@click.option("--overwrite", is_flag=True, help="Replace a corpus made from other sources.")
@json_option
def command(
    sources: tuple[str, ...],
    output: Path,
    text_field: str,
    offline: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Read files, folders or Hugging Face datasets into a corpus folder.

    .txt, .md, .jsonl (each also .gz, .xz, .bz2, .zst) and .parquet files are read, folders of
    them, other corpus folders, and datasets by name (owner/name; needs pip install
    'lilliput[hub]'). A text file is one document, or several if lines <|endoftext|> divide it.

    \b
    Example:
      lilliput corpus build notes.txt articles/ -o corpus/
      lilliput corpus build roneneldan/TinyStories -o corpus/
    """
    from lilliput.corpus import build_corpus

    manifest = build_corpus(
        sources, output, text_field=text_field, offline=offline, overwrite=overwrite
    )
    facts = {
        "corpus": str(output),
        "documents": manifest.documents,
        "bytes": manifest.bytes,
        "dropped": dict(manifest.dropped),
        "hash": manifest.hash,
    }
    print_facts(facts, as_json)
