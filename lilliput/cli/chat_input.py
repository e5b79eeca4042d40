r"""What a person enters: lines from a terminal, edited, or from a pipe.

Either way a message can have several lines: a line that ends in a backslash goes on in the next,
and what stands between two lines of three double quotes is one message as it is.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lilliput.cli.chat_commands import NAMES, Entry, completions, entry_of

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

FENCE = '"""'


def entries(lines: Iterator[str]) -> Iterator[Entry]:
    """What lines, without their ends, come to; a message that is not closed ends with them."""
    for line in lines:
        if line.strip() == FENCE:
            block = []
            for inner in lines:
                if inner.strip() == FENCE:
                    break
                block.append(inner)
            yield Entry("\n".join(block), False)
            continue
        parts = [line]
        while parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1]
            following = next(lines, None)
            if following is None:
                break
            parts.append(following)
        yield entry_of("\n".join(parts))


def piped_entries(stream: TextIO) -> Iterator[Entry]:
    """What comes from a pipe or file; bytes that are no text become U+FFFD."""
    with suppress(AttributeError):
        stream.reconfigure(errors="replace")  # type: ignore[attr-defined]
    return entries(line.rstrip("\r\n") for line in stream)


def block_is_open(text: str) -> bool:
    """Whether an edited message has begun a block and not closed it."""
    first, *rest = text.split("\n")
    return first.strip() == FENCE and not any(line.strip() == FENCE for line in rest)


def edited_entry(text: str) -> Entry:
    """What a message that was edited as a whole comes to: its line breaks are as they were put."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    if text.split("\n")[0].strip() == FENCE:
        return next(entries(iter(text.split("\n"))))
    return entry_of(text)


def terminal_entries(
    history: Path | None, prompt: Callable[[], str], interrupted: Callable[[], None]
) -> Iterator[Entry]:
    """What a person enters at a terminal until they leave; `interrupted` hears of Ctrl-C."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.styles import Style

    kept = history is not None and _make_private(history)
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)) if kept else InMemoryHistory(),
        multiline=True,
        prompt_continuation=lambda width, *_: ". ".rjust(width),
        key_bindings=_bindings(),
        completer=_completer(),
        complete_while_typing=Condition(lambda: get_app().current_buffer.text.startswith("/")),
        reserve_space_for_menu=6,
        style=Style.from_dict({"prompt": "bold"}),
    )
    while True:
        try:
            yield edited_entry(session.prompt(prompt()))
        except KeyboardInterrupt:
            interrupted()
        except EOFError:
            return


def _bindings() -> "KeyBindings":
    from prompt_toolkit.enums import DEFAULT_BUFFER
    from prompt_toolkit.filters import completion_is_selected, has_focus
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()
    editing = has_focus(DEFAULT_BUFFER)  # and not searching

    @bindings.add("enter", filter=editing & ~completion_is_selected)
    def _enter(event: "KeyPressEvent") -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif block_is_open(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("enter", filter=editing & completion_is_selected)
    def _choose(event: "KeyPressEvent") -> None:
        buffer = event.current_buffer
        buffer.complete_state = None
        chosen = NAMES.get(buffer.text.strip().removeprefix("/"))
        if chosen is not None and not chosen.needs_argument:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter", filter=editing)
    def _new_line(event: "KeyPressEvent") -> None:
        event.current_buffer.insert_text("\n")

    return bindings


def _completer() -> "Completer":
    from prompt_toolkit.completion import Completer, Completion, PathCompleter
    from prompt_toolkit.document import Document

    class Commands(Completer):
        """Names of commands, and of files where one is wanted."""

        def get_completions(
            self, document: "Document", complete_event: "CompleteEvent"
        ) -> "Iterator[Completion]":
            text = document.text_before_cursor
            for name in ("/save ", "/load "):
                if text.startswith(name):
                    path = Document(text[len(name) :])
                    yield from PathCompleter(expanduser=True).get_completions(path, complete_event)
            for one in completions(text):
                yield Completion(
                    f"/{one.name}" + (" " if one.takes else ""),
                    start_position=-len(text),
                    display=f"/{one.name} {one.takes}",
                    display_meta=one.does,
                )

    return Commands()


def _make_private(path: Path) -> bool:
    """Make a file that only its owner reads, if it is not there; whether it can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        path.chmod(0o600)
    except OSError:
        return False
    return True
