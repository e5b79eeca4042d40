"""`lilliput generate`: continue a prompt."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lilliput.cli.constraint_options import Rule, constraint_options
from lilliput.cli.output import json_option
from lilliput.errors import UserError, WorkFailed

if TYPE_CHECKING:
    from lilliput.generate import Completion, LanguageModel, Sampling
    from lilliput.generate.constraints import ConstraintMaker
    from lilliput.generate.speculative import Speculation

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
        "--typical-p", default=1.0, help="Among those about as likely as expected, p together."
    ),
    click.option(
        "--repetition-penalty", default=1.0, help="Above 1: tokens already in the text are rarer."
    ),
    click.option(
        "--presence-penalty", default=0.0, help="Taken off the logits of tokens already written."
    ),
    click.option(
        "--frequency-penalty", default=0.0, help="The same, once for each time it was written."
    ),
    click.option(
        "--logit-bias",
        multiple=True,
        metavar="ID=BIAS",
        callback=lambda _context, _option, pairs: _biases(pairs),
        help="Add to the logit of a token (repeatable); -inf forbids it.",
    ),
    click.option("--seed", type=int, help="Same seed, same text."),
)


def sampling_options(command: CommandFunction) -> CommandFunction:
    """Add the options that are the fields of `Sampling` of the same names (but `stop`)."""
    for option in reversed(_SAMPLING_OPTIONS):
        command = option(command)
    return command


def _biases(pairs: Sequence[str]) -> dict[int, float]:
    try:
        parts = [pair.split("=") for pair in pairs]
        return {int(token): float(bias) for token, bias in parts}
    except ValueError:
        raise UserError(
            f"--logit-bias {' '.join(pairs)}: write ID=BIAS, as 17=-2 or 17=-inf"
        ) from None


device_option = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, mps, or auto."
)

backend_option = click.option(
    "--backend",
    default="own",
    show_default=True,
    help="What writes: own, llama.cpp, onnxruntime, or the fastest by a short measurement.",
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@sampling_options
@constraint_options
@click.option("-n", "count", default=1, show_default=True, help="How many texts to write.")
@click.option("--stop", multiple=True, help="End the text before this string (repeatable).")
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Show text as it is written (default: on a terminal).",
)
@click.option("--best-of", default=0, help="Write so many and show the -n likeliest a token.")
@click.option("--beams", type=int, help="Search for the likeliest texts with so many beams.")
@click.option(
    "--length-penalty", default=1.0, help="Of beams: above 1 favours long texts, below short ones."
)
@click.option(
    "--vote",
    metavar="REGEX",
    help="Show what most of the -n texts answer: the last match's group 1, or all of it.",
)
@click.option(
    "--draft", metavar="MODEL", help="A smaller model that guesses ahead; own: the model itself."
)
@click.option(
    "--log-probabilities",
    type=int,
    is_flag=False,
    flag_value=0,
    metavar="[N]",
    help="With --json: those of each token, and of the N likeliest in its place.",
)
@click.option("--top", type=int, help="Show the table of the likeliest next tokens instead.")
@click.option(
    "--prompts", type=click.Path(path_type=Path), help="A file with one prompt on each line."
)
@backend_option
@device_option
@json_option
def command(
    model: Path,
    prompt: str | None,
    count: int,
    stream: bool | None,
    best_of: int,
    beams: int | None,
    length_penalty: float,
    vote: str | None,
    draft: str | None,
    log_probabilities: int | None,
    top: int | None,
    prompts: Path | None,
    backend: str,
    device: str,
    as_json: bool,
    rule: Rule | None,
    **sampling: Any,
) -> None:
    """Continue PROMPT with MODEL (a model folder, or a run's folder).

    With --json, one object a prompt and line.

    \b
    Example:
      lilliput generate runs/story "Once upon a time" --temperature 0.7 -n 3 --seed 1
      lilliput generate runs/story "The cat sat on the" --top 10
      lilliput generate runs/story "The cat" --beams 4 -n 2
      lilliput generate runs/story "The cat is" --choices "happy,sad"
    """
    if rule is not None and beams:
        raise UserError("--beams cannot be held to a rule: leave one of them out")
    if beams is not None and (draft or best_of):
        raise UserError("--beams goes without --draft and --best-of: leave one of them out")
    texts = _prompts(prompt, prompts)

    from lilliput.generate import Sampling
    from lilliput.generate.voting import answer_by

    answer_of = None if vote is None else answer_by(vote)
    settings = Sampling(**sampling)
    language_model = load_with(model, device, backend)
    if top is not None:
        for text in texts:
            _print_next_tokens(language_model, text, top, as_json)
        return
    constraint = None if rule is None else rule(language_model)
    speculation = _speculation(language_model, draft, device)
    if stream is None:
        stream = sys.stdout.isatty() and vote is None
    whole = as_json or best_of or beams or vote
    if stream and len(texts) == 1 and count == 1 and not whole:
        _stream(language_model, texts[0], settings, speculation, constraint)
    else:
        ids = [language_model.prompt_ids(text) for text in texts]
        if beams is None:
            written = language_model.complete(
                ids,
                settings,
                n=count,
                best_of=best_of,
                constraint=constraint,
                draft=speculation,
                log_probabilities=log_probabilities is not None,
                alternatives=log_probabilities or 0,
            )
        else:
            written = [
                language_model.search(
                    one,
                    beams,
                    n=count,
                    max_tokens=settings.max_tokens,
                    length_penalty=length_penalty,
                )
                for one in ids
            ]
        for text, completions in zip(texts, written, strict=True):
            if answer_of is not None:
                _print_vote(text, completions, answer_of, as_json)
            elif as_json:
                facts = _facts(language_model, text, completions, log_probabilities is not None)
                click.echo(json.dumps(facts, ensure_ascii=False))
            else:
                _print_texts(text, completions, apart=len(texts) * count > 1)
        failed = [one.failure for completions in written for one in completions if one.failure]
        if failed:
            raise WorkFailed(f"{len(failed)} of {count * len(texts)} texts broke off: {failed[0]}")
    if speculation is not None:
        _print_acceptance(speculation)


def load_with(path: Path | str, device: str, backend: str, *, rows: int = 1) -> "LanguageModel":
    """A model whose texts the backend of that name writes."""
    from lilliput.generate import load

    model = load(path, device)
    if backend == "own":
        return model

    from lilliput.backends import with_backend

    return with_backend(model, backend, rows=rows)  # type: ignore[arg-type]


def _speculation(model: "LanguageModel", draft: str | None, device: str) -> "Speculation | None":
    if draft is None:
        return None

    from lilliput.generate import load

    return model.speculation("own" if draft == "own" else load(draft, device))


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


def _print_texts(prompt: str, completions: Sequence["Completion"], *, apart: bool) -> None:
    for completion in completions:
        _print_prompt(prompt)
        click.echo(completion.text)
        if apart:
            click.echo("---")


def _print_acceptance(speculation: "Speculation") -> None:
    acceptance = speculation.acceptance
    click.echo(
        f"{acceptance.accepted:,} of {acceptance.drafted:,} drafted tokens kept "
        f"({acceptance.share:.0%}), in {acceptance.passes:,} passes of the model",
        err=True,
    )


def _print_vote(
    prompt: str,
    completions: Sequence["Completion"],
    answer_of: Callable[[str], str | None],
    as_json: bool,
) -> None:
    from lilliput.generate.voting import vote

    result = vote([one.text for one in completions], answer_of)
    if as_json:
        facts = {
            "prompt": prompt,
            "answer": result.answer,
            "share": result.share,
            "counts": result.counts,
        }
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    if result.answer is None:
        raise WorkFailed(f"none of {len(result.texts)} texts holds a match")
    click.echo(result.answer)
    for answer, votes in result.counts.items():
        click.echo(f"{votes:>6} of {len(result.texts)}  {answer}", err=True)


def _stream(
    model: "LanguageModel",
    prompt: str,
    sampling: "Sampling",
    speculation: "Speculation | None",
    constraint: "ConstraintMaker | None",
) -> None:
    ids = model.prompt_ids(prompt)
    pieces = model.stream(ids, sampling, constraint=constraint, draft=speculation)
    _print_prompt(prompt)
    for piece in pieces:
        click.echo(piece, nl=False)
    click.echo()


def _facts(
    model: "LanguageModel", prompt: str, completions: Sequence["Completion"], in_detail: bool
) -> dict[str, Any]:
    written: list[dict[str, Any]] = []
    for one in completions:
        facts = {"text": one.text, "tokens": len(one.ids), "finish": one.finish}
        if in_detail:
            facts["log_probability"] = one.log_probability
            facts["per_token"] = [
                {
                    "token": model.token_text(token.id),
                    "id": token.id,
                    "log_probability": token.log_probability,
                    "alternatives": [
                        {"token": model.token_text(other), "id": other, "log_probability": score}
                        for other, score in token.alternatives
                    ],
                }
                for token in one.written
            ]
        written.append(facts)
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
