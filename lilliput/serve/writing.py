"""From a model's events to the text of an answer, as it grows."""

import codecs
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lilliput.generate.requests import Event, FinishReason, Request
from lilliput.generate.streaming import CompletionText
from lilliput.serve.served_model import ServedModel

if TYPE_CHECKING:
    from lilliput.generate import LanguageModel


@dataclass(frozen=True, slots=True)
class TokenShown:
    """A token of an answer, with what log-probabilities were asked for (nats)."""

    id: int
    log_probability: float
    alternatives: tuple[tuple[int, float], ...]
    offset: int
    """Where in the answer's text its characters begin."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What became certain of an answer: text, the tokens that begin in it, how it ended."""

    text: str
    tokens: tuple[TokenShown, ...] = ()
    finish: FinishReason | None = None
    written: int = 0
    """Tokens written since the last piece, shown or not."""


class Answer:
    """One answer being written: events in, certain text out.

    Tokens in `end_tokens` end the text besides those that end it for the engine. A token that ends
    the text is shown, without characters; tokens of a stop string are not.
    """

    def __init__(
        self, model: "LanguageModel", stop: Sequence[str], end_tokens: frozenset[int] = frozenset()
    ) -> None:
        self._bytes_of = model.tokenizer.bytes_of
        self._ends = end_tokens | frozenset(model.end_tokens)
        self._own_ends = end_tokens
        self._text = CompletionText(stop)
        self._offsets = TextOffsets()
        self._length = 0
        self._waiting: list[TokenShown] = []

    def read(self, event: Event) -> Piece:
        """What became certain; a `finish` of "end" or "stop" may come before the engine's own."""
        text, finish = "", event.finish
        for count, written in enumerate(event.written, 1):
            token_bytes = b"" if written.id in self._ends else self._bytes_of[written.id]
            offset = self._offsets.next(token_bytes)
            self._waiting.append(
                TokenShown(written.id, written.log_probability, written.alternatives, offset)
            )
            text += self._text.write(token_bytes)
            if self._text.stopped or written.id in self._own_ends:
                finish = "stop" if self._text.stopped else "end"
                return self._piece(text, finish, count)
        return self._piece(text, finish, len(event.written))

    def _piece(self, text: str, finish: FinishReason | None, written: int) -> Piece:
        if finish is not None:
            text += self._text.close()
        self._length += len(text)
        cut = len(self._waiting) if finish is not None and finish != "stop" else self._certain()
        tokens, self._waiting = tuple(self._waiting[:cut]), self._waiting[cut:]
        return Piece(text, tokens, finish, written)

    def _certain(self) -> int:
        """How many waiting tokens begin before the end of the certain text."""
        for count, token in enumerate(self._waiting):
            if token.offset >= self._length:
                return count
        return len(self._waiting)


class TextOffsets:
    """Where in a text each of its tokens begins, in characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._length = 0

    def next(self, token_bytes: bytes) -> int:
        """The place of the next token: of the character that its first byte belongs to."""
        offset = self._length
        self._length += len(self._decoder.decode(token_bytes))
        return offset


async def write(
    served: ServedModel, requests: Sequence[Request], end_tokens: frozenset[int] = frozenset()
) -> AsyncGenerator[tuple[int, Piece]]:
    """The answers to several requests as they grow, as (index, piece); each ends with a `finish`.

    Closing the generator frees the rows of answers that have not ended. Raises as `ServedModel`.
    """
    answers = [Answer(served.model, one.sampling.stop, end_tokens) for one in requests]
    with served.submit_all(requests) as events:
        async for index, event in events:
            piece = answers[index].read(event)
            if piece.finish is not None and event.finish is None:
                events.cancel(index, piece.finish)
            if piece.text or piece.tokens or piece.finish or piece.written:
                yield index, piece


def token_name(model: "LanguageModel", token: int) -> str:
    """A token's text as OpenAI's API writes it: bytes that are no characters as `bytes:\\xNN`."""
    try:
        text = model.tokenizer.bytes_of[token].decode("utf-8")
    except UnicodeDecodeError:
        escaped = "".join(f"\\x{byte:02x}" for byte in model.tokenizer.bytes_of[token])
        return f"bytes:{escaped}"
    return text or model.token_text(token)
