"""`lilliput chat`: a person and a model write in turns."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from lilliput.cli.generate import device_option, sampling_options


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--chat/--complete",
    "chat",
    default=None,
    help="Turns that answer one another, or one text written in turns (default: what MODEL is).",
)
@click.option("--system", default="", metavar="TEXT", help="What a chat model is told first.")
@sampling_options
@click.option("--stop", multiple=True, help="End a reply before this string (repeatable).")
@click.option("--no-history", is_flag=True, help="Do not keep what is entered for next time.")
@device_option
def command(
    model: Path, chat: bool | None, system: str, no_history: bool, device: str, **sampling: Any
) -> None:
    """Write in turns with MODEL (a model folder, or a run's folder).

    A model with a chat template is talked with; any other goes on with the text you write. /help
    lists the commands. Lines can also come from a file or a pipe.

    \b
    Example:
      lilliput chat runs/story
      echo "Once upon a time" | lilliput chat runs/story --seed 1
    """
    from lilliput.cli.chat_input import piped_entries, terminal_entries
    from lilliput.cli.chat_session import Session
    from lilliput.generate import Sampling, load
    from lilliput.generate.conversation import Conversation
    from lilliput.machine.compiler import cache_folder

    settings = Sampling(**sampling)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    mode = None if chat is None else "chat" if chat else "complete"
    conversation = Conversation(load(model, device), settings, mode=mode, system=system)  # type: ignore[arg-type]
    session = Session(conversation, _screen(at_terminal))
    if at_terminal:
        click.echo(session.greeting(str(model)))
        entries = terminal_entries(
            None if no_history else cache_folder() / "chat_history",
            lambda: session.prompt,
            lambda: session.notice("Ctrl-D or /quit to leave"),
        )
    else:
        entries = piped_entries(sys.stdin)
    for entry in entries:
        if not session.carry_out(entry):
            break


def _screen(at_terminal: bool) -> Any:
    from lilliput.cli.chat_display import Screen

    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    wide = shutil.get_terminal_size().columns if at_terminal else None
    return Screen(wide, colours=at_terminal and not plain)
