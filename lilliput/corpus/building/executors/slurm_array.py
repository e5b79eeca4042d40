"""Pieces shared by the tasks of a SLURM array, which all run the same command.

One task leads: it is the build. It lays each round of work (the pieces of a pass, the profile) into
a folder beside the corpus; every task, the leader too, claims one piece after the other. No task
waits for one that does not run, so an array may start bit by bit. When a task dies, another claims
its piece; when the leader dies, another task leads and goes on where the build was. No fixed shares
(piece i mod n): one slow or dead node would hold up all.
"""

import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from lilliput.corpus.building.executor import Item, Result, picklable
from lilliput.corpus.building.executors.remote_call import (
    RemoteCall,
    Reply,
    pack,
    perform,
    unwrapped,
)
from lilliput.corpus.building.executors.shared_folder import (
    Claim,
    SharedFolder,
    names_in,
    newest,
)
from lilliput.errors import UserError, WorkFailed
from lilliput.files import write_bytes

_PATIENCE_SECONDS = 120.0
"""More than a network disk may hide a change (NFS: up to 60 s)."""
_POLL_SECONDS = 0.2
_WORK, _DONE = ".work", ".done"


def slurm_array(folder: Path | str) -> "SlurmArray":
    """This task of the array for the corpus `folder`. Raises UserError outside of an array."""
    try:
        place = int(os.environ["SLURM_ARRAY_TASK_ID"]) - int(os.environ["SLURM_ARRAY_TASK_MIN"])
        tasks = int(os.environ["SLURM_ARRAY_TASK_COUNT"])
    except (KeyError, ValueError):
        raise UserError(
            "the executor slurm runs in the tasks of a SLURM array: sbatch --array=0-31 "
            '--cpus-per-task=1 --wrap "lilliput corpus build … --executor slurm"'
        ) from None
    return SlurmArray(folder, place=place, tasks=tasks)


class SlurmArray:
    """Task `place` (from 0) of `tasks`. Entering the block returns once this task is to build.

    That is at once for the leader. For any other it is when the corpus is finished, after it has
    worked on its pieces; the build then finds nothing to do. Raises the leader's error.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        place: int = 0,
        tasks: int = 1,
        patience: float | None = None,
    ) -> None:
        corpus = Path(folder).absolute()
        self._path = corpus.with_name(f".{corpus.name}.array")
        self._share = place / tasks
        self._patience = patience or _PATIENCE_SECONDS
        self._rounds = 0
        self._lead: Claim | None = None
        self._known: tuple[str, tuple[RemoteCall, Sequence[Any]]] | None = None

    def __enter__(self) -> Self:
        self._shared = SharedFolder(self._path, self._patience)
        try:
            self._lead = self._follow()
        except BaseException:
            self._shared.leave()
            raise
        self._shared.hold(self._lead)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._shared.hold(None)
        if self._lead is not None and (error is None or isinstance(error, Exception)):
            reply: Reply = None, None if error is None else picklable(error)
            write_bytes(self._ended(self._lead), pickle.dumps(reply))
        self._shared.leave()

    def run(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Work along and yield results as they come, of whichever task."""
        if self._lead is None:
            raise WorkFailed("the inputs changed while the corpus was built; build it again")
        folder = self._path / f"{self._lead.file}.round-{self._rounds:03d}"
        self._rounds += 1
        folder.mkdir(parents=True)
        given = pack(work), items
        write_bytes(folder.with_name(folder.name + _WORK), pickle.dumps(given))
        taken: set[str] = set()
        while len(taken) < len(items):
            worked = self._work_on_one(folder, *given)
            new = {name for name in names_in(folder) if name.endswith(_DONE)} - taken
            for name in sorted(new):
                yield unwrapped(pickle.loads((folder / name).read_bytes()))
            taken |= new
            if not (worked or new):
                time.sleep(_POLL_SECONDS)
        folder.with_name(folder.name + _WORK).unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def _follow(self) -> Claim | None:
        """Work for the leader until this task leads, or (None) until the leader has ended well."""
        followed: Claim | None = None
        while True:
            names = names_in(self._path)
            leader = newest("lead", names)
            if leader is None:
                following = Claim("lead", 0)
            else:
                alive = self._shared.is_alive(self._path, leader)
                # Looked for after the signs of life, which stop after it is written.
                ended = self._ended(leader).is_file()
                if ended and leader == followed:
                    unwrapped(pickle.loads(self._ended(leader).read_bytes()))
                    return None
                if alive and not ended:
                    followed = leader
                    if not self._work_for(leader, names):
                        time.sleep(_POLL_SECONDS)
                    continue
                following = leader.following
            lead = self._shared.take(self._path, following)
            if lead is not None:
                return lead

    def _work_for(self, leader: Claim, names: set[str]) -> bool:
        """Work on one piece of what the leader asks for; False if there is none."""
        start = f"{leader.file}.round-"
        asked = [name for name in names if name.startswith(start) and name.endswith(_WORK)]
        try:
            for name in asked:
                call, items = self._given(name)
                if self._work_on_one(self._path / name.removesuffix(_WORK), call, items):
                    return True
        except FileNotFoundError:  # The round is over.
            pass
        return False

    def _given(self, name: str) -> tuple[RemoteCall, Sequence[Any]]:
        if self._known is None or self._known[0] != name:
            self._known = name, pickle.loads((self._path / name).read_bytes())
        return self._known[1]

    def _work_on_one(self, folder: Path, call: RemoteCall, items: Sequence[Any]) -> bool:
        """Claim a piece and work on it, beginning with this task's own share; False if none."""
        names = names_in(folder)
        first = int(self._share * len(items))
        for number in (*range(first, len(items)), *range(first)):
            name = f"{number:06d}"
            if name + _DONE in names or self._shared.claim(folder, name, names) is None:
                continue
            write_bytes(folder / (name + _DONE), pickle.dumps(perform(call, items[number])))
            return True
        return False

    def _ended(self, lead: Claim) -> Path:
        return self._path / f"{lead.file}.ended"
