"""The slash-commands of `lilliput chat`: their names, what they take, and how lines are read."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lilliput.errors import UserError


@dataclass(frozen=True)
class Command:
    """What one command takes and does, in words; `group` is its paragraph of the help."""

    name: str
    takes: str
    does: str
    group: str
    aliases: tuple[str, ...] = ()

    @property
    def needs_argument(self) -> bool:
        """Whether it means nothing by itself."""
        return bool(self.takes) and not self.takes.startswith("[")


_WRITING, _LOOKING, _SETTING, _KEEPING = "Writing", "Looking", "Settings", "The conversation"

COMMANDS = (
    Command("more", "", "let the model go on where it stopped", _WRITING),
    Command("again", "", "another version of the last answer", _WRITING),
    Command("branch", "N ALT", 'go on from token N with alternative ALT, or " words"', _WRITING),
    Command("branches", "[N]", "the versions so far; go to version N", _WRITING),
    Command("undo", "", "take back the last answer and what you said", _WRITING),
    Command("reset", "", "start over", _WRITING),
    Command("tokens", "[all]", "the last answer's tokens and their probabilities", _LOOKING),
    Command(
        "alternatives", "N [COUNT]", "what could have stood at token N", _LOOKING, aliases=("top",)
    ),
    Command("text", "", "the text so far; in a chat, as the model reads it", _LOOKING),
    Command("stats", "[on|off]", "a line of figures after each answer", _LOOKING),
    Command("settings", "[standard]", "all settings; put them back", _SETTING),
    Command("temperature", "[X]", "0: always the likeliest token", _SETTING),
    Command("top-k", "[K]", "among the K likeliest tokens; 0: all", _SETTING),
    Command("top-p", "[P]", "among the fewest that reach P together", _SETTING),
    Command("min-p", "[P]", "among those P times as likely as the likeliest", _SETTING),
    Command("typical-p", "[P]", "among those about as likely as expected", _SETTING),
    Command("repetition-penalty", "[X]", "above 1: tokens in the text are rarer", _SETTING),
    Command("presence-penalty", "[X]", "off the logits of tokens that were written", _SETTING),
    Command("frequency-penalty", "[X]", "the same, for each time", _SETTING),
    Command("max-tokens", "[N]", "most tokens of an answer", _SETTING),
    Command("seed", "[N|off]", "same seed, same text; off: a fresh one", _SETTING),
    Command("stop", '["A" "B"|off]', "end an answer before these strings", _SETTING),
    Command("chat", "", "turns that answer one another", _KEEPING),
    Command("complete", "", "a text written in turns", _KEEPING),
    Command("system", "[TEXT|off]", "what a chat model is told first", _KEEPING),
    Command("save", "FILE", "write all versions to a file", _KEEPING),
    Command("load", "FILE", "go on with a saved conversation", _KEEPING),
    Command("help", "", "this", _KEEPING),
    Command("quit", "", "leave, as Ctrl-D does", _KEEPING, aliases=("exit", "q")),
)
NAMES = {name: one for one in COMMANDS for name in (one.name, *one.aliases)}

NUMBERS: dict[str, type[int] | type[float]] = {
    "temperature": float,
    "top-k": int,
    "top-p": float,
    "min-p": float,
    "typical-p": float,
    "repetition-penalty": float,
    "presence-penalty": float,
    "frequency-penalty": float,
    "max-tokens": int,
    "seed": int,
}
"""The settings that are numbers: each is the field of `Sampling` of that name."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'


class Entry(NamedTuple):
    """What a person entered."""

    text: str
    is_command: bool


def entry_of(text: str) -> Entry:
    """A line that begins with a slash is a command; two slashes begin a text with one."""
    if text.startswith("//"):
        return Entry(text[1:], False)
    return Entry(text, text.startswith("/") and "\n" not in text)


def parse_command(line: str) -> tuple[str, str]:
    """The command's own name and its argument. Raises UserError, with the nearest name."""
    name, argument = [*re.split(r"\s+", line[1:].strip(), maxsplit=1), ""][:2]
    found = NAMES.get(name.lower())
    if found is None:
        near = nearest(name.lower())
        hint = f"; do you mean /{near}?" if near else "; /help lists them"
        raise UserError(f"/{name}: no such command{hint}")
    if argument and not found.takes:
        raise UserError(f"/{found.name} takes nothing after it")
    return found.name, argument


def nearest(name: str) -> str | None:
    """The command that a mistyped name was most likely meant to be."""
    begun = [one for one in NAMES if name and one.startswith(name)]
    close = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
    return min(begun, key=len) if begun else close[0] if close else None


def parse_number(name: str, argument: str) -> int | float:
    """The value of a setting of `NUMBERS`. Raises UserError if it is no number."""
    try:
        return NUMBERS[name](argument)
    except ValueError:
        kind = "a whole number" if NUMBERS[name] is int else "a number"
        raise UserError(f"/{name} {argument}: give {kind}") from None


def parse_place(name: str, argument: str) -> int:
    """A number of a token or a version, from 1. Raises UserError if it is none."""
    if not re.fullmatch(r"[0-9]{1,9}", argument) or int(argument) < 1:
        raise UserError(f"/{name} {argument}: give its number, from 1")
    return int(argument)


def parse_strings(argument: str) -> tuple[str, ...]:
    r"""Strings in double quotes (\n is a new line), or one without; none for "off".

    Raises UserError on quotes that do not match.
    """
    if argument == "off":
        return ()
    if '"' not in argument:
        return (argument,) if argument else ()
    if not re.fullmatch(rf"\s*{_QUOTED}(\s+{_QUOTED})*\s*", argument, re.DOTALL):
        raise UserError(f'{argument}: write "one string" or several: "one" "two"')
    return tuple(_unquoted(one) for one in re.findall(_QUOTED, argument, re.DOTALL))


def parse_branch(argument: str) -> tuple[int, int | str]:
    """A token's number, and the rank of an alternative or words to put there instead.

    Raises UserError if it is not that.
    """
    place, _, other = argument.partition(" ")
    other = other.strip()
    if not other:
        raise UserError("/branch N ALT: the token's number, then the alternative's or \" words\"")
    if other.startswith('"'):
        strings = parse_strings(other)
        if len(strings) != 1:
            raise UserError(f"/branch {argument}: give one string")
        return parse_place("branch", place), strings[0]
    return parse_place("branch", place), parse_place("branch", other)


def parse_switch(name: str, argument: str, now: bool) -> bool:
    """On or off; nothing turns it over. Raises UserError on another word."""
    values = {"": not now, "on": True, "off": False}
    if argument not in values:
        raise UserError(f"/{name} {argument}: on or off")
    return values[argument]


def help_text() -> str:
    """All commands, a line each."""
    lines = [
        "Write, and press Enter; Enter alone lets the model go on. For a new line: Alt-Enter, a",
        'backslash at the end of the line, or a block between two lines of """. Ctrl-C stops an',
        "answer, Ctrl-R searches what you wrote before, Ctrl-D leaves. // begins a text with /.",
    ]
    group = ""
    for one in COMMANDS:
        if one.group != group:
            group = one.group
            lines += ["", group]
        shown = f"/{one.name} {one.takes}".strip()
        also = f" (also {', '.join('/' + name for name in one.aliases)})" if one.aliases else ""
        lines.append(f"  {shown:<26}{one.does}{also}")
    return "\n".join(lines)


def completions(text: str) -> Sequence[Command]:
    """The commands that a line could become."""
    if not re.fullmatch(r"/[\w-]*", text):
        return ()
    return [one for one in COMMANDS if one.name.startswith(text[1:].lower())]


def _unquoted(string: str) -> str:
    try:
        return str(json.loads(string, strict=False))
    except json.JSONDecodeError as error:
        raise UserError(f"{string}: {error.msg}") from None
