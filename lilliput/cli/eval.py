"""`lilliput eval`."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command
@click.argument("model")
@click.argument("sources", nargs=-1, metavar="[SRC…]")
@click.option(
    "--memorisation",
    type=click.Path(path_type=Path),
    metavar="TOKENS",
    help="How much of what the model writes stands word for word in these token shards.",
)
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--device", help="auto, cpu, cuda, mps.")
@json_option
def command(
    model: str,
    sources: tuple[str, ...],
    memorisation: Path | None,
    text_field: str,
    device: str | None,
    as_json: bool,
) -> None:
    """Measure a model in bits per byte on texts (as `corpus build` reads them), or its memory.

    \b
    Example:
      lilliput eval runs/story held-out.jsonl
      lilliput eval runs/story --memorisation tokens/
    """
    if memorisation:
        from lilliput.verbs.auditing import audit

        print_facts(audit(model, memorisation), as_json)
    if not sources:
        if not memorisation:
            raise click.UsageError("give texts to measure on, or --memorisation TOKENS")
        return
    from lilliput.corpus import read_documents
    from lilliput.evaluate import bits_per_byte
    from lilliput.generate import load

    documents = read_documents(sources, text_field=text_field)
    measure = bits_per_byte(load(model, device), (document.text for document in documents))
    facts = {
        "bits_per_byte": measure.bits_per_byte,
        "documents": measure.documents,
        "bytes": measure.bytes,
    }
    print_facts(facts, as_json)
