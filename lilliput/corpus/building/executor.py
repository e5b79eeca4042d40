"""Where pieces are worked on: in this process, or in worker processes of this machine.

Other engines fit behind the same `Executor`: the work is a picklable function of one item that
leaves its results in files, so that its return value is small.
"""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from lilliput.errors import UserError, WorkFailed

Item = TypeVar("Item")
Result = TypeVar("Result")
_WAIT_SECONDS = 0.5  # Ctrl-C does not interrupt a wait for pipes on Windows.


class Executor(Protocol):
    """Runs a function over items, anywhere; results may come in any order."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]: ...


class InProcess:
    """Everything in this process, one item after the other."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Yield the results in order."""
        return map(work, items)


class WorkerProcesses:
    """`workers` spawned processes, started when first needed and kept until the block ends.

    An error in a worker is raised here and ends all of them at once, as leaving the block does. A
    worker that dies raises WorkFailed.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._processes: dict[Connection, BaseProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes.values():
            process.kill()
        for connection, process in self._processes.items():
            process.join()
            connection.close()
        self._processes.clear()

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Yield results as they come. The function and the items must be picklable."""
        waiting = list(reversed(items))
        self._start(min(self._workers, len(waiting)))
        busy: set[Connection] = set()
        for connection in self._processes:
            if waiting:
                self._send(connection, (work, waiting.pop()))
                busy.add(connection)
        while busy:
            for found in multiprocessing.connection.wait(busy, _WAIT_SECONDS):
                ready = cast(Connection, found)
                yield self._receive(ready)
                if waiting:
                    self._send(ready, (work, waiting.pop()))
                else:
                    busy.discard(ready)

    def _start(self, many: int) -> None:
        context = multiprocessing.get_context("spawn")
        while len(self._processes) < many:
            here, there = context.Pipe()
            process = context.Process(target=_work_until_closed, args=(there,), daemon=True)
            process.start()
            there.close()
            self._processes[here] = process

    def _send(self, connection: Connection, message: Any) -> None:
        try:
            connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(connection) from None
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(
                f"a stage cannot be sent to worker processes ({error}); define its function in a "
                "module, or build with workers=1"
            ) from None

    def _receive(self, connection: Connection) -> Any:
        try:
            result, error = connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._death(connection) from None
        if error is not None:
            raise error
        return result

    def _death(self, connection: Connection) -> WorkFailed:
        process = self._processes[connection]
        process.join(1)
        return WorkFailed(
            f"a worker process died (exit code {process.exitcode}; no memory left?). The same "
            "command goes on, with --workers 1 in one process. A Python script that builds must "
            'do so under `if __name__ == "__main__":`'
        )


def _work_until_closed(connection: Connection) -> None:
    """The worker process: Ctrl-C is for the parent, which ends it; without a parent it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            work, item = connection.recv()
        except (EOFError, OSError):  # the parent has ended, perhaps by a kill
            return
        try:
            reply: tuple[Any, Exception | None] = work(item), None
        except Exception as error:
            reply = None, picklable(error)
        connection.send(reply)


def picklable(error: Exception) -> Exception:
    """The error itself if it can be sent to another process, else WorkFailed with its message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return WorkFailed(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
