"""`lilliput generate`: continue a prompt."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lilliput.cli.output import json_option
from lilliput.errors import UserError

if TYPE_CHECKING:
    from lilliput.generate import Completion, LanguageModel, Sampling

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])

_SAMPLING_OPTIONS = (
    click.option("--max-tokens", default=200, show_default=True, help="Most tokens to write."),
    click.option(
        "--temperature", default=0.8, show_default=True, help="0: always the likeliest token."
    ),
    click.option("--top-k", default=0, help="Choose among the k likeliest tokens; 0: all."),
    click.option("--top-p", default=1.0, help="Among the fewest whose probabilities reach p."),
    click.option("--min-p", default=0.0, help="Among those this share as likely as the likeliest."),
    click.option(
        "--repetition-penalty", default=1.0, help="Above 1: tokens already written are less likely."
    ),
    click.option("--seed", type=int, help="Same seed, same text."),
)


def sampling_options(command: CommandFunction) -> CommandFunction:
    """Add the options that are the fields of `Sampling` of the same names (but `stop`)."""
    for option in reversed(_SAMPLING_OPTIONS):
        command = option(command)
    return command


device_option = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, mps, or auto."
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@sampling_options
@click.option("-n", "count", default=1, show_default=True, help="How many texts to write.")
@click.option("--stop", multiple=True, help="End the text before this string (repeatable).")
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Show text as it is written (default: on a terminal).",
)
@click.option("--top", type=int, help="Show the table of the likeliest next tokens instead.")
@click.option(
    "--prompts", type=click.Path(path_type=Path), help="A file with one prompt on each line."
)
@device_option
@json_option
def command(
    model: Path,
    prompt: str | None,
    count: int,
    stream: bool | None,
    top: int | None,
    prompts: Path | None,
    device: str,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Continue PROMPT with MODEL (a model folder, or a run's folder).

    With --json, one object a prompt and line.

    \b
    Example:
      lilliput generate runs/story "Once upon a time" --temperature 0.7 -n 3 --seed 1
      lilliput generate runs/story "The cat sat on the" --top 10
    """
    texts = _prompts(prompt, prompts)

    from lilliput.generate import Sampling, load

    settings = Sampling(**sampling)
    language_model = load(model, device)
    if top is not None:
        for text in texts:
            _print_next_tokens(language_model, text, top, as_json)
        return
    if stream is None:
        stream = sys.stdout.isatty()
    if stream and len(texts) == 1 and count == 1 and not as_json:
        _stream(language_model, texts[0], settings)
        return
    ids = [language_model.prompt_ids(text) for text in texts]
    for text, completions in zip(
        texts, language_model.complete(ids, settings, n=count), strict=True
    ):
        if as_json:
            click.echo(json.dumps(_facts(text, completions), ensure_ascii=False))
            continue
        for completion in completions:
            _print_prompt(text)
            click.echo(completion.text)
            if len(texts) * count > 1:
                click.echo("---")


def _prompts(prompt: str | None, file: Path | None) -> list[str]:
    if (prompt is None) == (file is None):
        raise UserError("give a prompt, or --prompts FILE")
    if file is None:
        assert prompt is not None
        return [prompt]
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
    found = [line for line in lines if line.strip()]
    if not found:
        raise UserError(f"{file}: holds no prompt; write one on each line")
    return found


def _print_prompt(prompt: str) -> None:
    click.secho(prompt, nl=False, bold=True)


def _stream(model: "LanguageModel", prompt: str, sampling: "Sampling") -> None:
    pieces = model.stream(model.prompt_ids(prompt), sampling)
    _print_prompt(prompt)
    for piece in pieces:
        click.echo(piece, nl=False)
    click.echo()


def _facts(prompt: str, completions: list["Completion"]) -> dict[str, Any]:
    written = [
        {"text": one.text, "tokens": len(one.ids), "finish": one.finish} for one in completions
    ]
    return {"prompt": prompt, "completions": written}


def _print_next_tokens(model: "LanguageModel", prompt: str, top: int, as_json: bool) -> None:
    if top < 1:
        raise UserError(f"--top {top}: it must be 1 or above")
    candidates = model.next_tokens(prompt, top)
    if as_json:
        facts = {"prompt": prompt, "next_tokens": [one._asdict() for one in candidates]}
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    shown = [json.dumps(one.text, ensure_ascii=False) for one in candidates]
    width = max(len("token"), *map(len, shown))
    click.echo(f"{'token':<{width}}  {'id':>6}  probability  log-probability")
    for text, one in zip(shown, candidates, strict=True):
        click.echo(
            f"{text:<{width}}  {one.id:>6}  {one.probability:11.4f}  {one.log_probability:15.4f}"
        )
