"""Who is there and who does what, agreed on by files in a folder that several machines share.

Three things have to hold on a network disk. A claim is a file made with O_EXCL, which a server
grants once. A file that others read is renamed into place whole. And nobody compares clocks: a
process is taken for dead when its counter has not changed for `patience` seconds by the watcher's
own clock. What a dead process claimed may be claimed again, as the next generation of that name.
"""

import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lilliput.errors import UserError
from lilliput.progress import write_line

GONE = "gone"
_BEATS_IN_PATIENCE = 10


@dataclass(frozen=True)
class Claim:
    """A name that one process holds; a later generation of it takes it away."""

    name: str
    generation: int

    @property
    def file(self) -> str:
        """The claim's file."""
        return f"{self.name}.{self.generation}"

    @property
    def following(self) -> "Claim":
        """The claim of whoever takes over."""
        return Claim(self.name, self.generation + 1)


def _make_own(path: Path) -> None:
    """A folder that nobody else can write to: what lies in it is unpickled.

    Raises UserError if it is there and somebody else's, or open to others.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    others = stat.S_IWGRP | stat.S_IWOTH
    if os.name != "nt" and (found.st_uid != os.getuid() or found.st_mode & others):
        raise UserError(
            f"{path}: others than you can write to it, and so could have code run here; "
            "remove it and build again"
        )


class SharedFolder:
    """This process among those that share `path`: seen alive by the others until `leave`."""

    def __init__(self, path: Path, patience: float) -> None:
        self.path, self._patience = path, patience
        self.me = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        _make_own(path)
        self._alive = path / "alive"
        self._alive.mkdir(parents=True, exist_ok=True)
        self._seen: dict[str, tuple[str | None, float]] = {}
        self._left = threading.Event()
        self._held: Path | None = None
        self._beat(0)
        self._beating = threading.Thread(target=self._keep_beating, daemon=True)
        self._beating.start()

    def leave(self) -> None:
        """Say that this process is gone; the last one removes the folder."""
        self._left.set()
        self._beating.join()
        with suppress(FileNotFoundError):
            (self._alive / self.me).write_text(GONE, encoding="utf-8")
            if all(self._is_dead(name) for name in names_in(self._alive)):
                shutil.rmtree(self.path, ignore_errors=True)

    def claim(self, folder: Path, name: str, names: Collection[str]) -> Claim | None:
        """Claim `name` in `folder` (which holds `names`) if nobody alive has it."""
        last = newest(name, names)
        if last is not None and self.is_alive(folder, last):
            return None
        return self.take(folder, Claim(name, 0) if last is None else last.following)

    def is_alive(self, folder: Path, claim: Claim) -> bool:
        """Whether the process that made a claim still shows signs of life."""
        # A process that died between making the file and writing its name into it has none.
        owner = _read(folder / claim.file) or f"nobody-{folder.name}-{claim.file}"
        return not self._is_dead(owner)

    def take(self, folder: Path, claim: Claim) -> Claim | None:
        """Make a claim, if no other process was faster."""
        try:
            with (folder / claim.file).open("x", encoding="utf-8") as file:
                file.write(self.me)
        except FileExistsError:
            return None
        return claim

    def hold(self, claim: Claim | None) -> None:
        """End this process at once if, thought dead, it loses this claim to another."""
        self._held = None if claim is None else self.path / claim.following.file

    def _is_dead(self, owner: str) -> bool:
        count = _read(self._alive / owner)
        now = time.monotonic()
        before, since = self._seen.setdefault(owner, (count, now))
        if count != before:
            self._seen[owner] = (count, now)
            since = now
        return count == GONE or (owner != self.me and now - since > self._patience)

    def _keep_beating(self) -> None:
        count = 1
        while not self._left.wait(self._patience / _BEATS_IN_PATIENCE):
            with suppress(OSError):  # A disk that is away for a moment.
                self._beat(count)
                if self._held is not None and self._held.exists():
                    write_line(f"{self.me}: was not heard of for long; another task took over")
                    os._exit(1)
            count += 1

    def _beat(self, count: int) -> None:
        (self._alive / self.me).write_text(str(count), encoding="utf-8")


def newest(name: str, names: Collection[str]) -> Claim | None:
    """The claim of a name that counts, among the files of a folder."""
    generation = 0
    while Claim(name, generation).file in names:
        generation += 1
    return Claim(name, generation - 1) if generation else None


def names_in(folder: Path) -> set[str]:
    """The names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
