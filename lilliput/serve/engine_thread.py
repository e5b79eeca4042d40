"""The one thread that steps a model's engine, and the notes by which an event loop talks to it."""

import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lilliput.errors import UserError, WorkFailed

if TYPE_CHECKING:
    import asyncio

    from lilliput.generate.engine import Engine
    from lilliput.generate.requests import Event, FinishReason, Request

logger = logging.getLogger("lilliput.serve")


class Receiver(Protocol):
    """Who gets the events of some requests, numbered by itself."""

    @property
    def loop(self) -> "asyncio.AbstractEventLoop":
        """The event loop on which `receive` is called."""

    def receive(self, index: int, what: "Event | Exception") -> None:
        """An event of request number `index`, or the error that ended it."""


@dataclass(frozen=True, slots=True)
class _Submit:
    receiver: Receiver
    index: int
    request: "Request"


@dataclass(frozen=True, slots=True)
class _Cancel:
    receiver: Receiver
    index: int
    reason: "FinishReason"


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[], None]


_Message = _Submit | _Cancel | _Call | None  # None: end
_Delivery = tuple[Receiver, int, "Event | Exception"]


class EngineThread:
    """Steps an engine while it has work. Its methods may be called from any thread.

    How many requests are open at once is for the caller to bound.
    """

    def __init__(self, name: str, make_engine: "Callable[[], Engine]") -> None:
        self._make_engine = make_engine
        self._engine = make_engine()
        self.statistics = self._engine.statistics
        """As they were after the last step: to be read from any thread."""
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._ticket_of: dict[tuple[int, int], int] = {}
        self._owner_of: dict[int, tuple[Receiver, int]] = {}
        self._thread = threading.Thread(target=self._run, name=f"lilliput-{name}", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it has started and not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after its present step; every open request is told WorkFailed."""
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, receiver: Receiver, index: int, request: "Request") -> None:
        """Have a request written; `receiver` hears of each step."""
        self._inbox.put(_Submit(receiver, index, request))

    def cancel(self, receiver: Receiver, index: int, reason: "FinishReason") -> None:
        """Free the row of a request before the next step; no-op once it has finished."""
        self._inbox.put(_Cancel(receiver, index, reason))

    def call(self, work: Callable[[], None]) -> None:
        """Do something else with the weights between two steps; `work` must not raise."""
        self._inbox.put(_Call(work))

    def _run(self) -> None:
        while self._read_inbox():
            if self._engine.idle:
                continue
            try:
                events = self._engine.step()
            except Exception as error:
                self._fail(error)
            else:
                self._report(events)
            self.statistics = self._engine.statistics
        self._fail_open(WorkFailed("the server is stopping"))

    def _read_inbox(self) -> bool:
        """Act on what lies in the inbox, waiting if there is nothing else to do; false: end.

        After one `call` a step follows, so that work of one kind does not starve the other.
        """
        wait = self._engine.idle
        while True:
            try:
                message = self._inbox.get(block=wait)
            except queue.Empty:
                return True
            wait = False
            match message:
                case None:
                    return False
                case _Submit():
                    self._submit(message)
                case _Cancel():
                    self._cancel(message)
                case _Call():
                    message.work()
                    return True

    def _submit(self, message: _Submit) -> None:
        receiver, index = message.receiver, message.index
        try:
            ticket = self._engine.submit(message.request)
        except UserError as error:
            _deliver([(receiver, index, error)])
            return
        except Exception as error:
            logger.exception("a request was not taken")
            _deliver([(receiver, index, WorkFailed(f"{type(error).__name__}: {error}"))])
            return
        self._ticket_of[id(receiver), index] = ticket
        self._owner_of[ticket] = (receiver, index)

    def _cancel(self, message: _Cancel) -> None:
        ticket = self._ticket_of.pop((id(message.receiver), message.index), None)
        if ticket is not None:
            del self._owner_of[ticket]
            self._engine.cancel(ticket, message.reason)
            self.statistics = self._engine.statistics

    def _report(self, events: "Iterable[Event]") -> None:
        deliveries: list[_Delivery] = []
        for event in events:
            owner = self._owner_of.get(event.ticket)
            if owner is None:  # cancelled since
                continue
            deliveries.append((*owner, event))
            if event.finish is not None:
                del self._owner_of[event.ticket]
                del self._ticket_of[id(owner[0]), owner[1]]
        _deliver(deliveries)

    def _fail(self, error: Exception) -> None:
        """A step failed: what was open is lost, and a fresh engine goes on."""
        logger.error("a step of the engine failed", exc_info=error)
        self._fail_open(
            error if isinstance(error, WorkFailed) else WorkFailed(f"the model failed: {error}")
        )
        self._engine = self._make_engine()

    def _fail_open(self, error: WorkFailed) -> None:
        owners = list(self._owner_of.values())
        self._owner_of.clear()
        self._ticket_of.clear()
        _deliver([(*owner, error) for owner in owners])


def _deliver(deliveries: list[_Delivery]) -> None:
    """Hand events to their receivers, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_loop[delivery[0].loop].append(delivery)
    for loop, batch in by_loop.items():
        try:
            loop.call_soon_threadsafe(_receive, batch)
        except RuntimeError:  # the loop is closed: nobody listens any more
            logger.debug("events for a closed event loop were dropped")


def _receive(batch: list[_Delivery]) -> None:
    for receiver, index, what in batch:
        receiver.receive(index, what)
