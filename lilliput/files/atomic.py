"""Writes that are whole or absent: temporary name, fsync, rename."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` once the block ends well.

    The temporary file is synced to disk before the rename and the folder after it, so that after
    a crash or power cut `path` holds either its old content or all of the new one. If the block
    raises, the temporary file is removed and `path` is untouched. The parent folder is made.
    What a killed process of this machine left of an earlier write of `path` is removed too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_ending()}")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    fsync_folder(path.parent)


def _ending() -> str:
    """Of temporary names: on a shared disk, other machines have processes of the same number."""
    return f"@{socket.gethostname()}.tmp"


def _remove_leftovers(path: Path) -> None:
    start, end = f".{path.name}.", _ending()
    for name in os.listdir(path.parent):  # noqa: PTH208 (a glob would read the name as a pattern)
        process = name[len(start) : -len(end)]
        if name.startswith(start) and name.endswith(end) and process.isdigit():
            import psutil

            if not psutil.pid_exists(int(process)):
                path.with_name(name).unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Sync a folder's entries (renames, new files); systems that cannot (Windows) need not."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8 with Unix line ends."""
    write_bytes(path, text.encode("utf-8"))
