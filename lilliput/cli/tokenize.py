"""`lilliput tokenize`: a corpus into token shards."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("tokenizer", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("tokens"),
    show_default=True,
    help="The tokens folder to write.",
)
@click.option(
    "--validation-share",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of documents kept for validation, chosen by the hash of their text.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: every core]")
@click.option(
    "--shard-tokens", type=int, default=100_000_000, show_default=True, help="Most tokens a file."
)
@click.option("--overwrite", is_flag=True, help="Begin anew, whatever the folder holds.")
@json_option
def command(
    corpus: Path,
    tokenizer: Path,
    output: Path,
    validation_share: float,
    workers: int | None,
    shard_tokens: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Encode a corpus folder into token shards, split into training and validation.

    Stopped or killed, the same command goes on where it was; finished, it does nothing.

    \b
    Example:
      lilliput tokenize corpus/ tok.json -o tokens/
    """
    from lilliput.tokens.shard import is_tokenized, tokenize_corpus

    there = is_tokenized(output) and not overwrite
    manifest = tokenize_corpus(
        corpus,
        tokenizer,
        output,
        validation_share=validation_share,
        workers=workers,
        shard_tokens=shard_tokens,
        overwrite=overwrite,
    )
    if there:
        click.echo(f"{output} is already tokenized, from this corpus and tokenizer", err=True)
    facts = {
        "tokens_folder": str(output),
        "vocabulary_size": manifest.vocabulary_size,
        **{
            split: {
                "tokens": facts.tokens,
                "documents": facts.documents,
                "bytes": facts.bytes,
                "shards": len(facts.shards),
            }
            for split, facts in manifest.splits.items()
        },
        "bytes_per_token": sum(facts.bytes for facts in manifest.splits.values())
        / sum(facts.tokens for facts in manifest.splits.values()),
    }
    print_facts(facts, as_json)
