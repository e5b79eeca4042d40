"""Whole completions from an engine, a search or a draft: tokens become text."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from lilliput.errors import WorkFailed
from lilliput.generate.engine import Engine
from lilliput.generate.requests import FinishReason, Request, Written
from lilliput.generate.streaming import CompletionText

BytesOf = Callable[[int], bytes]
"""The bytes that a token adds to a text: none for those that end it."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote after a prompt."""

    text: str
    ids: tuple[int, ...]
    """Every sampled token, with the end token or those of a stop string where one ended it."""
    finish: FinishReason
    """Why it ended: an end token, a stop string, `max_tokens` ("length"), a full context, or a
    constraint that failed."""
    written: tuple[Written, ...] = ()
    """The tokens with their log-probabilities."""
    failure: str = ""
    """What went wrong, where `finish` is "failed": the text breaks off there."""

    @property
    def log_probability(self) -> float:
        """Of the tokens after the prompt, together, in nats."""
        return sum(one.log_probability for one in self.written)

    @property
    def mean_log_probability(self) -> float:
        """The same for each token."""
        return self.log_probability / max(1, len(self.written))


class _Growing:
    """A completion being written."""

    def __init__(self, stop: Sequence[str], bytes_of: BytesOf) -> None:
        self._text, self._bytes_of = CompletionText(stop), bytes_of
        self._pieces: list[str] = []
        self._written: list[Written] = []

    def add(self, written: Iterable[Written]) -> bool:
        """Add tokens up to the end of a stop string; whether one is complete."""
        for one in written:
            self._written.append(one)
            self._pieces.append(self._text.write(self._bytes_of(one.id)))
            if self._text.stopped:
                return True
        return False

    def done(self, finish: FinishReason, failure: str = "") -> Completion:
        """The whole."""
        text = "".join(self._pieces) + self._text.close()
        ids = tuple(one.id for one in self._written)
        return Completion(text, ids, finish, tuple(self._written), failure)


def write_all(engine: Engine, requests: Sequence[Request], bytes_of: BytesOf) -> list[Completion]:
    """What each request becomes; similar prompts are read together, the longest first."""
    order = sorted(range(len(requests)), key=lambda index: -len(requests[index].ids))
    index_of = {engine.submit(requests[index]): index for index in order}
    growing = [_Growing(one.sampling.stop, bytes_of) for one in requests]
    done: dict[int, Completion] = {}
    while not engine.idle:
        for event in engine.step():
            index = index_of[event.ticket]
            if growing[index].add(event.written):
                engine.cancel(event.ticket, "stop")
                done[index] = growing[index].done("stop")
            elif event.finish:
                done[index] = growing[index].done(event.finish, event.failure)
    return [done[index] for index in range(len(requests))]


def tokens_of(engine: Engine, ticket: int) -> Generator[Written, None, FinishReason]:
    """The tokens of one request as they are written; a consumer that leaves cancels it.

    Raises WorkFailed if its constraint fails.
    """
    try:
        while True:
            for event in engine.step():
                yield from event.written
                if event.failure:
                    raise WorkFailed(event.failure)
                if event.finish:
                    return event.finish
    except GeneratorExit:
        engine.cancel(ticket, keep=True)
        raise
    finally:
        engine.cancel(ticket)


def completion_of(
    tokens: Generator[Written, None, FinishReason], stop: Sequence[str], bytes_of: BytesOf
) -> Completion:
    """The whole of what a generator of tokens writes, up to a stop string."""
    growing = _Growing(stop, bytes_of)
    while True:
        try:
            written = next(tokens)
        except StopIteration as end:
            return growing.done(end.value)
        if growing.add([written]):
            tokens.close()
            return growing.done("stop")


def pieces_of(
    tokens: Generator[Written, None, FinishReason], stop: Sequence[str], bytes_of: BytesOf
) -> Generator[str, None, FinishReason]:
    """The text of what a generator of tokens writes, piece by piece; returns why it ended."""
    text = CompletionText(stop)
    try:
        while True:
            try:
                written = next(tokens)
            except StopIteration as end:
                if piece := text.close():
                    yield piece
                return end.value  # type: ignore[no-any-return]
            if piece := text.write(bytes_of(written.id)):
                yield piece
            if text.stopped:
                return "stop"
    finally:
        tokens.close()
