"""The engines that a build can run on, by name; each is optional and imported when it is asked for.

The engines carry the work to where it is done and its errors back. Documents go through the files
of the working folder, so all machines must see the same folders under the same paths.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lilliput.corpus.building.executor import Executor
from lilliput.errors import UserError

ENGINES = ("local", "ray", "dask", "spark", "slurm")


def executor_of(
    text: str, folder: Path | str, workers: int | None = None
) -> AbstractContextManager[Executor | None]:
    """The engine `text` names (`ray`, `dask:tcp://host:8786`, …) for a build of corpus `folder`.

    After the colon stands the address of a running cluster; without one the engine is started on
    this machine. `workers` is how many pieces are worked on at once, by default as many as the
    engine has cores for. `local` gives None: the build then takes processes of this machine. The
    engine is at work inside the block, and what is outstanding is cancelled when it ends.

    Raises UserError for another name, a package that is missing and a wrong address.
    """
    name, _, address = text.partition(":")
    if name not in ENGINES:
        raise UserError(f"executor: no {name!r}; choose {', '.join(ENGINES)}")
    if address and name in ("local", "slurm"):
        raise UserError(f"executor: {name} takes no address ({address!r})")
    if name == "ray":
        from lilliput.corpus.building.executors.ray_tasks import RayTasks

        return RayTasks(address or None, workers)
    if name == "dask":
        from lilliput.corpus.building.executors.dask_futures import DaskFutures

        return DaskFutures(address or None, workers)
    if name == "spark":
        from lilliput.corpus.building.executors.spark_jobs import SparkJobs

        return SparkJobs(address or None, workers)
    if name == "slurm":
        from lilliput.corpus.building.executors.slurm_array import slurm_array

        return slurm_array(folder)
    return nullcontext()
