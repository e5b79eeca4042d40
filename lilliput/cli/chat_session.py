"""One `lilliput chat`: what each entry does, and what is shown of it."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import click

from lilliput.cli.chat_commands import (
    Entry,
    help_text,
    parse_branch,
    parse_command,
    parse_number,
    parse_place,
    parse_strings,
    parse_switch,
)
from lilliput.cli.chat_display import (
    Screen,
    ShownToken,
    WordWrap,
    alternatives_table,
    printable,
    quoted,
    shortened,
    tokens_table,
)
from lilliput.errors import UserError
from lilliput.generate import Sampling
from lilliput.generate.chat_template import has_chat_template
from lilliput.generate.conversation import Conversation, Turn
from lilliput.generate.turn_prompts import Mode

_ALTERNATIVES = 10
_SHOWN_AGAIN = 600  # characters of a text on a terminal
_FIELDS = fields(Sampling)
_FINISH = {
    "end": "the model ended it",
    "stop": "a stop string came",
    "length": "max-tokens, /more goes on",
    "context": "the context is full",
    "cancelled": "stopped",
}


class Session:
    """A conversation, and the screen it is shown on."""

    def __init__(self, conversation: Conversation, screen: Screen) -> None:
        self.conversation, self.screen = conversation, screen
        self.stats = screen.wide is not None
        self._commands: dict[str, Callable[[str], None]] = {
            "more": lambda _: self._write(self.conversation.more()),
            "again": lambda _: self._write(self.conversation.again()),
            "branch": self._branch,
            "branches": self._branches,
            "undo": lambda _: self._undo(),
            "reset": lambda _: self._reset(),
            "tokens": self._tokens,
            "alternatives": self._alternatives,
            "text": lambda _: self._show_text(self.conversation.text or "(the text is empty)"),
            "stats": self._switch_stats,
            "settings": self._settings,
            "seed": self._seed,
            "stop": self._stop,
            "chat": lambda _: self._switch("chat"),
            "complete": lambda _: self._switch("complete"),
            "system": self._system,
            "save": self._save,
            "load": self._load,
            "help": lambda _: click.echo(help_text()),
        }

    @property
    def prompt(self) -> str:
        """What stands before a person's entry."""
        return "you> " if self.conversation.mode == "chat" else "> "

    def greeting(self, name: str) -> str:
        """What is said at the start."""
        model, chats = self.conversation.model, self.conversation.mode == "chat"
        return "\n".join(
            [
                self.screen.styled(name, bold=True)
                + f"  {model.decoder.config.parameters:,} parameters, "
                f"a context of {model.context_length:,} tokens",
                f"{'Write a message' if chats else 'Write an opening: the model goes on'}. "
                "/help lists the commands, Ctrl-D leaves.",
            ]
        )

    def carry_out(self, entry: Entry) -> bool:
        """Do what was entered; false when it asks to leave."""
        try:
            if not entry.is_command:
                self._write(self.conversation.reply(entry.text))
                return True
            name, argument = parse_command(entry.text)
            if name == "quit":
                return False
            if name in self._commands:
                self._commands[name](argument)
            else:
                self._number(name, argument)
        except UserError as error:
            click.echo(self.screen.styled(f"error: {error}", fg="red"), err=True)
        return True

    def notice(self, text: str) -> None:
        """Say something that is no part of the text."""
        click.echo(self.screen.dim(f"({text})"), err=True)

    def _write(self, turn: Turn) -> None:
        """Write a turn just begun, and show it as it grows."""
        conversation, wide = self.conversation, self.screen.wide
        known, reused = conversation.reused
        forgotten = turn.before.left_out if turn.before else 0
        shown = _Reply(self.screen, trim=conversation.mode == "chat")
        shown.write(turn.text, dim=True)
        begun = first = last = time.perf_counter()
        with _interrupts(caught=wide is not None) as interrupted:
            pieces = conversation.write(turn)
            for piece in pieces:
                last = time.perf_counter()
                first = last if first == begun else first
                shown.write(piece)
                if interrupted():
                    break
            pieces.close()
        shown.close()
        if turn.finish == "cancelled" and not self.stats:
            self.notice("stopped")
        if self.stats:
            count = len(turn.written) - turn.kept
            now_known, now_reused = conversation.reused
            read = now_known - known - (now_reused - reused)
            self._show_stats(turn, count, first - begun, last - first, read)
        if conversation.mode == "complete" and turn.finish == "end":
            self.notice("the text ended here; your next line begins a new one")
        if turn.left_out and not forgotten:
            chats = conversation.mode == "chat"
            what = f"the first {turn.left_out} turns are" if chats else "its start is"
            self.notice(f"this has outgrown the context: {what} forgotten")

    def _show_stats(
        self, turn: Turn, count: int, to_first: float, seconds: float, read: int
    ) -> None:
        rate = f", {(count - 1) / seconds:,.0f}/s" if count > 1 and seconds > 0 else ""
        held = len(turn.prompt) + len(turn.written)
        parts = [
            f"{count} token{'s' * (count != 1)}{rate}",
            f"first after {1000 * to_first:,.0f} ms",
            f"{read} of {len(turn.prompt) + turn.kept} read",
            f"context {held}/{self.conversation.model.context_length}",
            _FINISH[turn.finish or "cancelled"],
        ]
        line = " · ".join(parts)
        click.echo(self.screen.dim(line), err=True)

    def _branch(self, argument: str) -> None:
        place, other = parse_branch(argument)
        if isinstance(other, str):
            tokens = self.conversation.model.tokenizer.encode(other)
        else:
            found = self.conversation.alternatives(place, other)
            if len(found) < other:
                raise UserError(f"/branch {argument}: there are {len(found)} alternatives")
            tokens = [found[other - 1].id]
        self._write(self.conversation.branch(place, tokens))

    def _branches(self, argument: str) -> None:
        thread = self.conversation.threads[self.conversation.mode]
        if argument:
            self.conversation.go_to(parse_place("branches", argument))
            self._show_end()
            return
        numbers = {turn: number for number, turn in enumerate(thread.turns, 1)}
        room = (self.screen.wide or 100) - 20
        for turn, number in numbers.items():
            mark = ">" if turn is thread.current else " "
            before = f"after {numbers[turn.before]}" if turn.before else "first"
            start = f"{shortened(turn.said, room // 3)} | " if turn.said else ""
            text = shortened(turn.text, room - len(start))
            click.echo(f"{mark} {number:>3}  {before:<9}  {self.screen.dim(start)}{text}")
        if not thread.turns:
            self.notice("nothing is written yet")

    def _undo(self) -> None:
        self.conversation.undo()
        self._show_end()

    def _reset(self) -> None:
        self.conversation.reset()
        self.notice("a new start; /branches still lists what was written")

    def _tokens(self, argument: str) -> None:
        model = self.conversation.model
        if argument not in ("", "all"):
            raise UserError(f"/tokens {argument}: /tokens, or /tokens all")
        turn = self.conversation.last()
        answer = [(one.id, one.log_probability) for one in turn.written]
        asked: list[tuple[int, float | None]] = []
        if argument == "all":
            asked = self.conversation.scored()[: len(turn.prompt)]
        tokens = [
            ShownToken(
                None if number < len(asked) else number - len(asked) + 1,
                token,
                model.token_text(token),
                model.written_bytes(token),
                None if score is None else math.exp(score),
            )
            for number, (token, score) in enumerate([*asked, *answer])
        ]
        click.echo(tokens_table(self.screen, tokens) if tokens else "(no tokens)")

    def _alternatives(self, argument: str) -> None:
        model = self.conversation.model
        number, _, most = argument.partition(" ")
        place = parse_place("alternatives", number)
        count = parse_place("alternatives", most) if most else _ALTERNATIVES
        every = self.conversation.alternatives(place, model.tokenizer.vocabulary_size)
        turn = self.conversation.last()
        chosen = turn.written[place - 1].id
        rows = [
            (rank, model.token_text(one.id), one.id, one.probability, one.sampled)
            for rank, one in enumerate(every, 1)
            if rank <= count or one.id == chosen
        ]
        before = "".join(
            model.written_bytes(one).decode("utf-8", errors="replace")
            for one in turn.ids[: place - 1]
        )
        click.echo(
            f"token {place} of {len(turn.written)}, after "
            + quoted(shortened(before or turn.said, 40, from_end=True))
        )
        click.echo(alternatives_table(self.screen, rows, chosen))
        if self.screen.wide:
            self.notice(f"/branch {place} 2 goes on from here with the second")

    def _switch_stats(self, argument: str) -> None:
        self.stats = parse_switch("stats", argument, self.stats)
        click.echo(f"stats {'on' if self.stats else 'off'}")

    def _settings(self, argument: str) -> None:
        if argument == "standard":
            self.conversation.set(**{one.name: getattr(Sampling(), one.name) for one in _FIELDS})
        elif argument:
            raise UserError(f"/settings {argument}: /settings, or /settings standard")
        for one in _FIELDS:
            click.echo(self._setting(one.name))
        click.echo(f"{'mode':<20}{self.conversation.mode}")
        click.echo(f"{'system':<20}{self.conversation.system or '(none)'}")

    def _setting(self, name: str) -> str:
        value = getattr(self.conversation.sampling, name)
        standard = value == getattr(Sampling(), name)
        told = str(value)
        if name == "seed" and value is None:
            told = f"fresh ({self.conversation.fresh_seed})"
        elif name == "stop":
            told = " ".join(map(quoted, value)) or "(none)"
        elif name == "logit_bias":
            told = " ".join(f"{token}={bias:g}" for token, bias in value.items()) or "(none)"
        line = f"{name.replace('_', '-'):<20}{told}"
        return line if standard else self.screen.styled(line, bold=True)

    def _number(self, name: str, argument: str) -> None:
        setting = name.replace("-", "_")
        if argument:
            self.conversation.set(**{setting: parse_number(name, argument)})
        click.echo(f"{name} {getattr(self.conversation.sampling, setting)}")

    def _seed(self, argument: str) -> None:
        if argument == "off":
            self.conversation.set(seed=None)
        elif argument:
            self.conversation.set(seed=parse_number("seed", argument))
        click.echo(self._setting("seed"))

    def _stop(self, argument: str) -> None:
        if argument:
            self.conversation.set(stop=parse_strings(argument))
        click.echo(self._setting("stop"))

    def _switch(self, mode: Mode) -> None:
        conversation = self.conversation
        conversation.switch(mode)
        if mode == "complete":
            self.notice("a text written in turns")
        elif has_chat_template(conversation.model):
            self.notice("chat turns, in the model's own template")
        elif conversation.model.framing is not None:
            self.notice("the model was tuned to answer one input: it sees only your last")
        else:
            self.notice("chat turns; the model was not tuned to chat and answers in its own way")

    def _system(self, argument: str) -> None:
        if argument:
            self.conversation.system = "" if argument == "off" else argument
            if self.conversation.mode == "complete":
                self.notice("it counts in chat turns: /chat goes there")
        click.echo(f"system {self.conversation.system or '(none)'}")

    def _save(self, argument: str) -> None:
        from lilliput.generate.conversation_file import save_conversation

        path = _path("save", argument)
        save_conversation(self.conversation, path)
        count = sum(len(thread.turns) for thread in self.conversation.threads.values())
        click.echo(f"{path}: {count} turns")

    def _load(self, argument: str) -> None:
        from lilliput.generate.conversation_file import load_conversation

        path = _path("load", argument)
        load_conversation(self.conversation, path)
        self._show_end()

    def _show_end(self) -> None:
        """Where the conversation now stands."""
        turn = self.conversation.turn
        if turn is None:
            click.echo("(the text is empty)")
        elif self.conversation.mode == "complete":
            text = self.conversation.text
            cut = self.screen.wide is not None and len(text) > _SHOWN_AGAIN
            self._show_text("…" + text[-_SHOWN_AGAIN:].lstrip() if cut else text)
        else:
            click.echo(f"{self.prompt}{turn.said}")
            self._show_text(turn.text.strip())

    def _show_text(self, text: str) -> None:
        """Show a text as it is; on a terminal, broken between words."""
        reply = _Reply(self.screen)
        reply.write(text)
        reply.close()


class _Reply:
    """A text that is shown as it comes: whole in a pipe, broken between words on a terminal."""

    def __init__(self, screen: Screen, *, trim: bool = False) -> None:
        self._screen, self._trim = screen, trim
        self._wrap = None if screen.wide is None else WordWrap(screen.wide)

    def write(self, piece: str, *, dim: bool = False) -> None:
        """Show the next piece; with `trim`, without white space at the very start."""
        if self._trim:
            piece = piece.lstrip()
            self._trim = not piece
        if self._wrap is not None:
            piece = self._wrap.write(printable(piece))
        if piece:
            click.echo(self._screen.dim(piece) if dim else piece, nl=False)

    def close(self) -> None:
        """End it, and its line."""
        click.echo(self._wrap.close() if self._wrap else "")


@contextmanager
def _interrupts(*, caught: bool) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed meanwhile: the first time is only noted, if it is `caught`.

    A step of the engine is thus never broken off in the middle, unless it is pressed twice.
    """
    if not caught:
        yield lambda: False
        return
    pressed: list[int] = []

    def note(number: int, _frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _path(name: str, argument: str) -> Path:
    if not argument:
        raise UserError(f"/{name} FILE: name a file")
    return Path(argument.strip().strip('"')).expanduser()
