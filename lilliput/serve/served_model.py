"""A model that a server offers: one thread steps its engine, requests come from an event loop.

app.state.models: dict[str, ServedModel]        # by name, as `GET /v1/models` lists them
async for event in served.submit(request): ...  # an Event for each step, the last with .finish
with served.submit_all(requests) as events:     # several: (index, Event), one place in line
    async for index, event in events: ...
result = await served.run(lambda: work(served.model))   # anything else that uses the weights
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from lilliput.errors import WorkFailed
from lilliput.generate.chat_template import ChatTemplate, chat_template_of
from lilliput.serve.engine_thread import EngineThread
from lilliput.serve.limits import Limits
from lilliput.serve.metrics import Metrics

if TYPE_CHECKING:
    from lilliput.generate import LanguageModel
    from lilliput.generate.engine import Engine, Statistics
    from lilliput.generate.requests import Event, FinishReason, Request

Result = TypeVar("Result")


class QueueFull(Exception):
    """The model has as many requests as it takes, or the server is stopping: try again later."""


class TookTooLong(Exception):
    """The request was not done within `Limits.request_seconds`."""


class ServedModel:
    """A model under a name. `start` begins its thread; `close` ends it and what it is writing.

    `submit`, `submit_all` and `run` are called on an event loop. They raise QueueFull when
    `Limits.rows + Limits.queue` requests are open, TookTooLong after `Limits.request_seconds`,
    UserError on a prompt the engine refuses, and WorkFailed when the model's thread failed.
    """

    def __init__(
        self,
        name: str,
        model: "LanguageModel",
        make_engine: "Callable[[], Engine]",
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self.name, self.model, self.limits, self.metrics = name, model, limits, metrics
        self.created = int(time.time())
        self._thread = EngineThread(name, make_engine)
        self._lock = threading.Lock()
        self._open = 0
        self._closing = False

    @cached_property
    def chat_template(self) -> ChatTemplate:
        """How conversations are put to it. Raises UserError if its own template is none."""
        return chat_template_of(self.model)

    @cached_property
    def longest_token(self) -> int:
        """The most bytes that one token stands for."""
        return max(map(len, self.model.tokenizer.bytes_of))

    @property
    def open_requests(self) -> int:
        """Answers being written or waiting, and work given to `run`."""
        return self._open

    @property
    def alive(self) -> bool:
        """Whether its thread works."""
        return self._thread.alive

    @property
    def statistics(self) -> "Statistics":
        """What the engine held after its last step."""
        return self._thread.statistics

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, end those that are open with WorkFailed, and the thread."""
        self._closing = True
        self._thread.close()

    async def submit(self, request: "Request") -> "AsyncGenerator[Event]":
        """The events of one request; closing the generator frees its row at once."""
        with self.submit_all([request]) as events:
            async for _, event in events:
                yield event

    def submit_all(self, requests: "Sequence[Request]") -> "Submission":
        """Have several requests written, all or none of which find a place."""
        self.take_places(len(requests))
        return Submission(self, self._thread, requests)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, called on the model's thread between two steps.

        Keep it short: nothing else is written meanwhile.
        """
        self.take_places(1)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: Exception | None) -> None:
            self.free_places(1)
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def call() -> None:
            result, error = None, None
            if not done.cancelled():
                try:
                    result = work()
                except Exception as failure:
                    error = failure
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        self._thread.call(call)
        try:
            async with asyncio.timeout(self.limits.request_seconds):
                return await done
        except TimeoutError:
            raise TookTooLong from None

    def take_places(self, count: int) -> None:
        """Count requests as open.

        Raises QueueFull where there is no room for all, WorkFailed where the thread has ended.
        """
        if not (self.alive or self._closing):
            raise WorkFailed(f"the model {self.name} has failed: start the server again")
        with self._lock:
            most = self.limits.rows + self.limits.queue
            if self._closing or self._open + count > most:
                raise QueueFull
            self._open += count

    def free_places(self, count: int) -> None:
        """Count requests as done."""
        with self._lock:
            self._open -= count


class Submission:
    """Requests being written: iterate for (index, Event) until each has finished.

    Leaving the `with` block frees the rows of those that have not.
    """

    def __init__(
        self, served: ServedModel, thread: EngineThread, requests: "Sequence[Request]"
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._served, self._thread = served, thread
        self._unfinished = {
            index: _Progress(served.metrics, served.name) for index in range(len(requests))
        }
        self._received: asyncio.Queue[tuple[int, Event] | Exception] = asyncio.Queue()
        self._alarm = self.loop.call_later(
            served.limits.request_seconds, self._received.put_nowait, TookTooLong()
        )
        for index, request in enumerate(requests):
            served.metrics.prompt_tokens.add(served.name, amount=len(request.ids))
            thread.submit(self, index, request)

    def receive(self, index: int, what: "Event | Exception") -> None:
        """Called on the event loop by the model's thread."""
        if index in self._unfinished:
            self._received.put_nowait(what if isinstance(what, Exception) else (index, what))

    def cancel(self, index: int, reason: "FinishReason" = "cancelled") -> None:
        """Free the row of one request at once; nothing more is heard of it."""
        if index in self._unfinished:
            self._thread.cancel(self, index, reason)
            self._finish(index, reason)

    def close(self) -> None:
        """Free the rows of all requests that have not finished."""
        self._alarm.cancel()
        for index in tuple(self._unfinished):
            self.cancel(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> "tuple[int, Event]":
        while self._unfinished:
            received = await self._received.get()
            if isinstance(received, Exception):
                raise received
            index, event = received
            if index not in self._unfinished:  # it was cancelled after this step
                continue
            self._unfinished[index].note(len(event.written))
            if event.finish is not None:
                self._finish(index, event.finish)
            if event.failure:
                raise WorkFailed(event.failure)
            return index, event
        raise StopAsyncIteration

    def _finish(self, index: int, reason: "FinishReason") -> None:
        self._unfinished.pop(index).end(reason)
        self._served.free_places(1)


class _Progress:
    """Times one answer and counts its tokens."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self._started = time.perf_counter()
        self._first = self._last = 0.0
        self._tokens = 0

    def note(self, tokens: int) -> None:
        """So many tokens arrived."""
        if not tokens:
            return
        self._last = time.perf_counter()
        if not self._tokens:
            self._first = self._last
            self._metrics.first_token_seconds.observe(self._first - self._started, self._model)
        self._tokens += tokens
        self._metrics.completion_tokens.add(self._model, amount=tokens)

    def end(self, reason: "FinishReason") -> None:
        """Nothing more will arrive."""
        self._metrics.finished.add(self._model, reason)
        if self._tokens > 1:
            mean = (self._last - self._first) / (self._tokens - 1)
            self._metrics.token_seconds.observe(mean, self._model)
