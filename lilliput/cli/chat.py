"""`lilliput chat`: a person and a model write a text in turns."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lilliput.cli.generate import device_option, sampling_options
from lilliput.errors import UserError

if TYPE_CHECKING:
    from lilliput.generate.conversation import Conversation


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@sampling_options
@click.option("--stop", multiple=True, help="End a reply before this string (repeatable).")
@device_option
def command(model: Path, device: str, **sampling: Any) -> None:
    """Write a text in turns with MODEL (a model folder, or a run's folder).

    The model continues what you write; /help lists the commands. Lines can also come from a file
    or a pipe.

    \b
    Example:
      lilliput chat runs/story
      echo "Once upon a time" | lilliput chat runs/story --seed 1
    """
    from lilliput.generate import Sampling, load
    from lilliput.generate.conversation import Conversation

    settings = Sampling(**sampling)
    conversation = Conversation(load(model, device), settings)
    interactive = sys.stdin.isatty()
    if interactive:
        with suppress(ImportError):  # Windows has none; input() then edits lines its own way.
            import readline  # noqa: F401
        click.echo(f"{model}: write an opening; /help for commands, Ctrl-D to leave")
    for line in _lines(interactive):
        if not _answer(conversation, line):
            break


def _lines(interactive: bool) -> Iterator[str]:
    if not interactive:
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    while True:
        try:
            yield input("> ")
        except KeyboardInterrupt:
            click.echo("\n(Ctrl-D or /quit to leave)")
        except EOFError:
            click.echo()
            return


def _answer(conversation: "Conversation", line: str) -> bool:
    """Carry out one line; false when it asks to leave."""
    replies, left_out = conversation.replies, conversation.left_out
    try:
        pieces = conversation.command(line) if line.startswith("/") else conversation.reply(line)
        if pieces is None:
            return False
        for piece in pieces:
            click.echo(piece, nl=False)
    except KeyboardInterrupt:
        click.echo(" (stopped)", nl=False)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        return True
    click.echo()
    if conversation.replies != replies:
        _notice(conversation, left_out)
    return True


def _notice(conversation: "Conversation", left_out: int) -> None:
    if conversation.ended:
        click.secho("(the text ended here; your next line begins a new one)", dim=True, err=True)
    if conversation.left_out and not left_out:
        click.secho(
            "(the text has outgrown the context: its start is forgotten)", dim=True, err=True
        )
