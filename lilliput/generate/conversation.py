"""A text that a person and a model write in turns: the state behind `lilliput chat`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lilliput.errors import UserError
from lilliput.generate.language_model import LanguageModel
from lilliput.generate.sampling import Sampling, fresh_seed

_NUMBERS: dict[str, type[int] | type[float]] = {
    "temperature": float,
    "top-k": int,
    "top-p": float,
    "min-p": float,
    "repetition-penalty": float,
    "max-tokens": int,
    "seed": int,
}

HELP = """\
Write an opening and press Enter: the model goes on. Write more, or press Enter alone to let it go
on by itself. Ctrl-C stops a reply, Ctrl-D leaves.
  /again              take back the last reply and write another
  /undo               take back the last reply and what you wrote before it
  /reset              start over with an empty text
  /text               show the text so far
  /tokens             show the text so far as tokens with their ids
  /temperature 0.8    and likewise /top-k, /top-p, /min-p, /repetition-penalty, /max-tokens, /seed;
                      without a number: show the setting
  /help, /quit"""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the text was before a turn, what the person added, and how that turned out."""

    before: str
    after: str = ""
    ended: bool = False


@dataclass
class Conversation:
    """The text so far and the settings; raises UserError on a command that makes no sense."""

    model: LanguageModel
    sampling: Sampling
    text: str = ""
    ended: bool = False
    """Whether the model ended the text; what comes next begins a new one."""
    replies: int = 0
    """How many the model has begun since the start or the last /seed."""
    left_out: int = 0
    """How many tokens at the start of the text the last answer could no longer see."""
    _turns: list[_Turn] = field(default_factory=list)
    _seed: int = field(default_factory=fresh_seed)

    def reply(self, written: str) -> Iterator[str]:
        """Add what the person wrote to the text, then the model's answer, piece by piece.

        A consumer that stops early leaves the text with the pieces it was given.
        """
        before = "" if self.ended else self.text
        self._turns.append(_Turn(self.text, joined(before, written), self.ended))
        self.text, self.ended = self._turns[-1].after, False
        yield from self._answer()

    def again(self) -> Iterator[str]:
        """Replace the model's last answer by another. Raises UserError if there is none."""
        self.text, self.ended = self._last_turn().after, False
        yield from self._answer()

    def undo(self) -> None:
        """Take back the last turn. Raises UserError if there is none."""
        turn = self._last_turn()
        self._turns.pop()
        self.text, self.ended = turn.before, turn.ended

    def reset(self) -> None:
        """Start over with an empty text."""
        self.text, self.ended = "", False
        self._turns.clear()

    def command(self, line: str) -> Iterator[str] | None:
        """Carry out a line that begins with a slash; gives what to print, None to leave."""
        name, _, argument = line[1:].strip().partition(" ")
        if name in ("quit", "exit", "q"):
            return None
        if name in _NUMBERS:
            return iter([self._set(name, argument.strip())])
        actions: dict[str, Callable[[], Iterator[str]]] = {
            "help": lambda: iter([HELP]),
            "again": self.again,
            "undo": lambda: self._changed(self.undo),
            "reset": lambda: self._changed(self.reset),
            "text": lambda: iter([self.text or "(the text is empty)"]),
            "tokens": lambda: iter([self._tokens()]),
        }
        if name not in actions:
            raise UserError(f"/{name}: no such command; /help lists them")
        return actions[name]()

    def _answer(self) -> Iterator[str]:
        self.replies += 1
        seed = self._seed if self.sampling.seed is None else self.sampling.seed
        sampling = replace(self.sampling, seed=seed)
        stream = self.model.stream(self._prompt(), sampling, sample=self.replies)
        self.ended = False
        while True:
            try:
                piece = next(stream)
            except StopIteration as end:
                self.ended = end.value == "end"
                return
            self.text += piece
            yield piece

    def _prompt(self) -> tuple[int, ...]:
        """The ids of the text, or of its last part where the context could not hold an answer."""
        ids = self.model.prompt_ids(self.text)
        reserved = min(self.sampling.max_tokens, self.model.context_length // 2)
        room = self.model.context_length - reserved - len(self.model.beginning)
        self.left_out = max(0, len(ids) - len(self.model.beginning) - room)
        if not self.left_out:
            return ids
        return (*self.model.beginning, *ids[-room:])

    def _last_turn(self) -> _Turn:
        if not self._turns:
            raise UserError("nothing to take back: the text is empty")
        return self._turns[-1]

    def _changed(self, action: Callable[[], None]) -> Iterator[str]:
        action()
        return iter([self.text or "(the text is empty)"])

    def _tokens(self) -> str:
        ids = self.model.tokenizer.encode(self.text)
        return " ".join(f"{self.model.token_text(token)!r}:{token}" for token in ids) or "(none)"

    def _set(self, name: str, argument: str) -> str:
        setting = name.replace("-", "_")
        if argument:
            try:
                value: Any = _NUMBERS[name](argument)
            except ValueError:
                raise UserError(f"/{name} {argument}: give a number") from None
            self.sampling = replace(self.sampling, **{setting: value})
            if name == "seed":
                self.replies = 0
        return f"{name} {getattr(self.sampling, setting)}"


def joined(text: str, more: str) -> str:
    """`more` after `text`, with a space between where two words would run together."""
    words_meet = text and more and not text[-1].isspace()
    return text + (" " if words_meet and (more[0].isalnum() or more[0] in "\"'“‘(") else "") + more
