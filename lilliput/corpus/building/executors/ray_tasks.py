"""Pieces as tasks of a Ray cluster. https://docs.ray.io/en/latest/ray-core/tasks.html"""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from lilliput.corpus.building.executor import Item, Result
from lilliput.corpus.building.executors.remote_call import need, pack, perform, unwrapped
from lilliput.errors import UserError, WorkFailed

_AHEAD = 1000  # Tasks that Ray knows of, when nobody says how many.
_CONNECT_SECONDS = 10


class RayTasks:
    """The Ray cluster at `address` (`host:6379`, `ray://host:10001`, `auto`), or one started here.

    A Ray that this process has already joined is used as it is. Ray repeats the tasks of a worker
    that dies.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        need("ray", "ray")
        self._address, self._workers = address, workers
        self._outstanding: list[Any] = []
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._cancel()
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Yield results as they come; WorkFailed if Ray gives up on a task."""
        self._connect()
        self._cancel()
        import ray

        call = ray.put(pack(work))
        task = ray.remote(perform)
        waiting = list(reversed(items))
        while waiting or self._outstanding:
            while waiting and len(self._outstanding) < (self._workers or _AHEAD):
                self._outstanding.append(task.remote(call, waiting.pop()))
            [ready], self._outstanding = ray.wait(self._outstanding)
            try:
                reply = ray.get(ready)
            except ray.exceptions.RayError as error:
                raise WorkFailed(f"Ray: {str(error).strip().splitlines()[0]}") from None
            yield unwrapped(reply)

    def _cancel(self) -> None:
        if self._outstanding:
            import ray

            for one in self._outstanding:
                ray.cancel(one, force=True)
            self._outstanding = []

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # It would report to the internet.
        import ray

        if ray.is_initialized():
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address is None:
            options |= {"num_cpus": self._workers, "include_dashboard": False}
        else:
            _check_that_it_answers(self._address)
        try:
            # "local": not a cluster that happens to run on this machine.
            ray.init(self._address or "local", **options)
        except (ConnectionError, ValueError) as error:
            raise UserError(f"Ray at {self._address}: {error}") from None
        self._started = True


def _check_that_it_answers(address: str) -> None:
    """Raise UserError at once if nothing listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            raise UserError(f"Ray at {address}: {error}") from None
