"""`lilliput corpus annotate`: a language model's verdict on each document."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SRC…")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The corpus folder to write.",
)
@click.option("--endpoint", required=True, help="OpenAI-compatible address, up to and with /v1.")
@click.option("--model", required=True, help="The name the server knows the model by.")
@click.option(
    "--task",
    default="education",
    show_default=True,
    help="education, topic, or a JSON file with prompt and schema.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("annotations.sqlite"),
    show_default=True,
    help="Where answers are kept, so that none is asked for twice.",
)
@click.option("--key-variable", default=None, help="Environment variable that holds the key.")
@click.option("--at-once", type=int, default=8, show_default=True, help="Questions at a time.")
@click.option("--attempts", type=int, default=3, show_default=True, help="For an answer that fits.")
@click.option("--retries", type=int, default=6, show_default=True, help="When the server fails.")
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@click.option("--most-characters", type=int, default=6000, show_default=True, help="Of a text.")
@click.option("--answer-tokens", type=int, default=300, show_default=True, help="Of an answer.")
@click.option("--sample", type=int, default=None, help="Only so many documents, drawn by hash.")
@click.option("--unconstrained", is_flag=True, help="The server knows no response_format.")
@click.option("--prompt-price", type=float, default=0.0, help="Dollars per million tokens.")
@click.option("--answer-price", type=float, default=0.0, help="Dollars per million tokens.")
@click.option("--dry-run", is_flag=True, help="Only predict tokens and dollars; ask nothing.")
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Ask only this machine.")
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--overwrite", is_flag=True, help="Replace a corpus made with other settings.")
@json_option
def command(
    sources: tuple[str, ...],
    output: Path,
    endpoint: str,
    model: str,
    task: str,
    cache: Path,
    key_variable: str | None,
    at_once: int,
    attempts: int,
    retries: int,
    timeout: float,
    most_characters: int,
    answer_tokens: int,
    sample: int | None,
    unconstrained: bool,
    prompt_price: float,
    answer_price: float,
    dry_run: bool,
    offline: bool,
    text_field: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Ask a language model about each document; its answers become columns of a new corpus.

    The texts are sent to the endpoint and nowhere else. Stopped at any moment, the same command
    goes on: what was answered is not asked again.

    \b
    Example:
      lilliput corpus annotate corpus/ -o scored/ --endpoint http://127.0.0.1:8000/v1 --model story
    """
    import time
    from dataclasses import asdict

    from lilliput.corpus.quality.annotator import (
        Annotate,
        Price,
        annotate_documents,
        draw,
        estimate,
    )
    from lilliput.corpus.readers import read_documents

    stage = Annotate(
        endpoint=endpoint,
        model=model,
        task=task,
        cache=str(cache),
        key_variable=key_variable,
        at_once=at_once,
        attempts=attempts,
        retries=retries,
        timeout_seconds=timeout,
        most_characters=most_characters,
        answer_tokens=answer_tokens,
        constrained=not unconstrained,
        offline=offline,
    )
    documents = read_documents(sources, text_field=text_field, offline=offline)
    if sample is not None:
        documents = draw(documents, sample)
    price = Price(prompt_price, answer_price)
    if dry_run:
        print_facts(asdict(estimate(documents, stage, price)), as_json)
        return
    if not stage.chat_endpoint().is_local:
        click.echo(f"Texts are sent to {endpoint}.", err=True)
    started = time.monotonic()
    annotated = annotate_documents(documents, output, stage, overwrite=overwrite)
    use, seconds = annotated.use, time.monotonic() - started
    print_facts(
        {
            "corpus": str(output),
            **asdict(use),
            "seconds": seconds,
            "requests_per_second": use.requests / max(seconds, 1e-9),
            "dollars": price.of(use.prompt_tokens, use.answer_tokens),
        },
        as_json,
    )
