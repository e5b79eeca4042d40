"""Pieces as futures of a Dask cluster. https://distributed.dask.org/en/stable/client.html"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from lilliput.corpus.building.executor import Item, Result
from lilliput.corpus.building.executors.remote_call import need, pack, perform, unwrapped
from lilliput.errors import UserError, WorkFailed

_AHEAD = 1000  # Futures that Dask knows of, when nobody says how many.

# Of a terminal, which sends it to all: this process ends the workers.
_IGNORE_CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


class DaskFutures:
    """The Dask scheduler at `address` (`tcp://host:8786`), or a cluster started on this machine.

    Its workers should have one thread each (`dask worker --nthreads 1`). Dask repeats the work of
    a worker that dies.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        need("distributed", "dask")
        self._address, self._workers = address, workers
        self._client: Any = None
        self._cluster: Any = None
        self._outstanding: set[Any] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._cancel()
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._client = self._cluster = None

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Yield results as they come; WorkFailed if Dask gives up on a piece."""
        from distributed import as_completed

        client = self._connect()
        self._cancel()
        call = pack(work)
        waiting = list(reversed(items))
        coming = as_completed()
        while waiting or self._outstanding:
            while waiting and len(self._outstanding) < (self._workers or _AHEAD):
                # Not pure: Dask would take the result of an earlier build for this one's.
                future = client.submit(perform, call, waiting.pop(), pure=False)
                self._outstanding.add(future)
                coming.add(future)
            ready = next(coming)
            self._outstanding.discard(ready)
            if ready.status != "finished":
                raise WorkFailed(f"Dask: {str(ready.exception()).strip().splitlines()[0]}")
            yield unwrapped(ready.result())

    def _cancel(self) -> None:
        if self._outstanding:
            self._client.cancel(list(self._outstanding), force=True)
            self._outstanding.clear()

    def _connect(self) -> Any:
        if self._client is None:
            from distributed import Client, LocalCluster

            if self._address is None:
                self._cluster = LocalCluster(
                    n_workers=self._workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    preload=_IGNORE_CTRL_C,
                    silence_logs=logging.ERROR,
                )
            try:
                self._client = Client(self._cluster or self._address)
            except (OSError, ValueError) as error:
                raise UserError(f"Dask at {self._address}: {error}") from None
        return self._client
