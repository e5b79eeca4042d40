"""What a model reads before its part of a turn: a growing text, or a chat in its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from lilliput.generate.chat_template import Message, chat_template_of, has_chat_template
from lilliput.generate.language_model import LanguageModel

Mode = Literal["complete", "chat"]
"""A text that is written in turns, or turns that answer one another."""

_FORGOTTEN_AT_ONCE = 8  # parts of the context: what is left then stays alike for some turns


class Exchange(NamedTuple):
    """What a person said and what the model wrote after it; nothing said: the model goes on."""

    said: str
    written: str
    ended: bool = False
    """Whether the model ended its text."""


@dataclass(frozen=True, slots=True)
class TurnPrompt:
    """The ids a model reads, and how much of the conversation's start they leave out."""

    ids: tuple[int, ...]
    left_out: int = 0
    """Tokens of a text, or turns of a chat."""


class TurnForm(Protocol):
    """How the turns of one mode are put to a model."""

    stop: tuple[str, ...]
    """Strings that end a reply."""
    end_tokens: frozenset[int]
    """Tokens that end a reply besides the model's own."""

    def prompt(self, exchanges: Sequence[Exchange], system: str, room: int) -> TurnPrompt:
        """What the model goes on from to add to the last exchange, in `room` tokens if it can."""


def turn_form(model: LanguageModel, mode: Mode) -> TurnForm:
    """How turns are put to this model. Raises UserError if its chat template cannot be used."""
    if mode == "complete":
        return _GrowingText(model)
    own = has_chat_template(model)
    return _FramedInput(model) if model.framing is not None and not own else _ChatTurns(model)


def fitting_mode(model: LanguageModel) -> Mode:
    """The mode that a model was made for: chat if it has a template or answers framed inputs."""
    return "chat" if model.framing is not None or has_chat_template(model) else "complete"


def text_of(exchanges: Sequence[Exchange]) -> str:
    """The text that was written in turns; after one that the model ended, a new one begins."""
    text, ended = "", False
    for one in exchanges:
        text = joined("" if ended else text, one.said) + one.written
        ended = one.ended
    return text


def joined(text: str, more: str) -> str:
    """`more` after `text`, with a space between where two words would run together."""
    words_meet = text and more and not text[-1].isspace()
    return text + (" " if words_meet and (more[0].isalnum() or more[0] in "\"'“‘(") else "") + more


class _GrowingText:
    stop: tuple[str, ...] = ()
    end_tokens: frozenset[int] = frozenset()

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def prompt(self, exchanges: Sequence[Exchange], system: str, room: int) -> TurnPrompt:
        model = self._model
        ids = model.tokenizer.encode(text_of(exchanges))
        excess = len(model.beginning) + len(ids) - room
        left_out = min(_forgotten(excess, model.context_length), len(ids))
        whole = (*model.beginning, *ids[left_out:])
        return TurnPrompt(whole or (model.tokenizer.end_of_text,), left_out)


class _ChatTurns:
    def __init__(self, model: LanguageModel) -> None:
        self._model, self._template = model, chat_template_of(model)
        self.stop, self.end_tokens = self._template.stop, self._template.end_tokens

    def prompt(self, exchanges: Sequence[Exchange], system: str, room: int) -> TurnPrompt:
        turns = self._turns(exchanges)
        before: list[Message] = [{"role": "system", "content": system}] if system else []

        def ids(left_out: int) -> tuple[int, ...]:
            kept = [message for turn in turns[left_out:-1] for message in turn]
            asked, *begun = turns[-1]
            opening = str(begun[0]["content"]) if begun else ""
            return self._template.ids([*before, *kept, asked], opening=opening)

        whole = ids(0)
        too_many = _forgotten(len(whole) - room, self._model.context_length)
        left_out, shorter = 0, whole
        while len(whole) - len(shorter) < too_many and left_out < len(turns) - 1:
            left_out += 1
            shorter = ids(left_out)
        return TurnPrompt(shorter, left_out)

    def _turns(self, exchanges: Sequence[Exchange]) -> list[list[Message]]:
        """The messages of each turn; the last one's reply is only there if it has begun."""
        turns: list[tuple[str, str]] = []
        for one in exchanges:
            if one.said or not turns:
                turns.append((one.said, one.written))
            else:
                turns[-1] = (turns[-1][0], turns[-1][1] + one.written)
        # Templates that end a turn with a string have white space around what is said.
        replies = [reply.strip() if self.stop else reply for _, reply in turns[:-1]]
        messages: list[list[Message]] = [
            [{"role": "user", "content": said}, {"role": "assistant", "content": reply}]
            for (said, _), reply in zip(turns, replies, strict=False)
        ]
        said, begun = turns[-1]
        last: list[Message] = [{"role": "user", "content": said}]
        return [*messages, [*last, {"role": "assistant", "content": begun}] if begun else last]


class _FramedInput:
    """A model that was tuned to answer inputs: it sees the last one only."""

    stop: tuple[str, ...] = ()
    end_tokens: frozenset[int] = frozenset()

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def prompt(self, exchanges: Sequence[Exchange], system: str, room: int) -> TurnPrompt:
        first = max((n for n, one in enumerate(exchanges) if one.said), default=0)
        begun = "".join(one.written for one in exchanges[first:])
        ids = self._model.prompt_ids(exchanges[first].said)
        return TurnPrompt((*ids, *self._model.tokenizer.encode(begun)))


def _forgotten(excess: int, context_length: int) -> int:
    """How much to leave out where `excess` tokens are too many: steps, so that it changes rarely.

    What follows is then alike from turn to turn, and need not be read again each time.
    """
    step = max(1, context_length // _FORGOTTEN_AT_ONCE)
    return max(0, -(-excess // step) * step)
