"""Pieces as jobs of a Spark application. https://spark.apache.org/docs/latest/job-scheduling.html

Each piece is a job of one task, started from a thread of its own: a job of many tasks would give
its first result only after its last.
"""

import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any, Self

from lilliput.corpus.building.executor import Item, Result
from lilliput.corpus.building.executors.remote_call import (
    RemoteCall,
    Reply,
    need,
    pack,
    perform,
    unwrapped,
)
from lilliput.errors import UserError, WorkFailed

_ATTEMPTS = 4  # At a piece, as a cluster makes by default.


class SparkJobs:
    """The Spark master at `address` (`spark://host:7077`, `yarn`), or Spark on this machine.

    A session that this process already has is used as it is. Spark repeats a task that dies.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        need("pyspark", "spark")
        self._address, self._workers = address, workers
        self._session: Any = None
        self._context: Any = None
        self._group = f"lilliput-{uuid.uuid4()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._context is not None:
            self._context.cancelJobGroup(self._group)
        if self._session is not None:
            self._session.stop()
        self._session = self._context = None

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Yield results as they come; WorkFailed if Spark gives up on a piece."""
        context = self._connect()
        one = partial(_run_one, context, self._group, pack(work))
        threads = ThreadPoolExecutor(self._workers or context.defaultParallelism)
        try:
            for ready in as_completed([threads.submit(one, item) for item in items]):
                yield unwrapped(ready.result())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _connect(self) -> Any:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession() or self._start()
        self._context = session.sparkContext
        return self._context

    def _start(self) -> Any:
        from pyspark.sql import SparkSession

        # Else Spark would take any `python3`; our folders are the same on all machines.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        master = self._address or f"local[{self._workers or '*'},{_ATTEMPTS}]"
        made = SparkSession.builder.master(master).appName("lilliput corpus build")
        try:
            self._session = made.config("spark.ui.showConsoleProgress", "false").getOrCreate()
        except Exception as error:  # pyspark raises what the Java side says in many classes.
            raise UserError(f"Spark at {master}: {_first_line(error)}") from None
        return self._session


def _run_one(context: Any, group: str, call: RemoteCall, item: Any) -> Reply:
    try:
        context.setJobGroup(group, "lilliput corpus build", interruptOnCancel=True)
        [reply] = context.parallelize([item], 1).map(partial(perform, call)).collect()
    except Exception as error:
        raise WorkFailed(f"Spark: {_first_line(error)}") from None
    found: Reply = reply
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
