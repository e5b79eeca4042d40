"""C at run time: a compiler if there is one, and libraries compiled once a machine."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

_SECONDS_TO_COMPILE = 300


def find_compiler() -> str | None:
    """A C compiler: $CC, cc, gcc or clang, the first there is."""
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@cache
def compiled_library(source: Path, flags: tuple[str, ...] = ()) -> ctypes.CDLL | None:
    """The library of `source` and the headers beside it, compiled for this processor.

    It is kept in the user's cache folder under a name made from source, flags, compiler and
    processor, so that each is compiled once. None where there is no compiler, or it fails.
    """
    compiler = find_compiler()
    if compiler is None or os.name == "nt":
        return None
    digest = hashlib.sha256(repr((compiler, flags, _processor())).encode())
    for part in (source, *sorted(source.parent.glob("*.h"))):
        digest.update(part.read_bytes())
    target = cache_folder() / f"{source.stem}-{digest.hexdigest()[:16]}.so"
    if not target.is_file() and not _compile(compiler, source, flags, target):
        return None
    with suppress(OSError):
        return ctypes.CDLL(str(target))
    return None


def _compile(compiler: str, source: Path, flags: Sequence[str], target: Path) -> bool:
    common = ["-std=gnu11", "-O2", "-shared", "-fPIC", "-pthread", *flags]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / target.name
            # Some compilers know the processor by one name, some by the other.
            for native in ("-march=native", "-mcpu=native"):
                command = [compiler, *common, native, str(source), "-o", str(made), "-lm"]
                done = subprocess.run(
                    command, capture_output=True, timeout=_SECONDS_TO_COMPILE, check=False
                )
                if done.returncode == 0:
                    made.replace(target)
                    return True
    except (OSError, subprocess.TimeoutExpired):
        pass
    return False


def cache_folder() -> Path:
    """The folder of this user's for what can be made again."""
    """Where this user's files that can be made again are kept."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "lilliput"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lilliput"
    return Path.home() / ".cache" / "lilliput"


def _processor() -> str:
    """What `native` means here: a home folder may be shared by machines that differ."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as handle:  # noqa: PTH123
        lines = {line for line in handle if line.startswith(("flags", "Features", "model name"))}
        return "".join(sorted(lines))
    return f"{platform.machine()} {platform.processor()}"
