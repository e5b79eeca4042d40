"""Files that fsspec opens by their URL: http(s)://, s3://, gs://, memory:// and its others."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import PurePosixPath
from typing import IO, Any, cast

from lilliput.errors import UserError, WorkFailed

# Protocols that reach no network.
_LOCAL = ("memory", "file", "local")
_BLOCK_BYTES = 8 << 20
_MARKS_OF_A_VERSION = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created")


def needs_network(url: str) -> bool:
    """Whether reading a URL asks another machine."""
    return url.partition("://")[0] not in _LOCAL


def open_remote(url: str) -> IO[bytes]:
    """Open a file for reading; seekable where the server allows.

    Raises UserError if it is not there or cannot be opened at all; while it is read, whatever goes
    wrong is an OSError.
    """
    with _explained(url):
        system, path = _system(url)
        return cast(IO[bytes], _File(system.open(path, "rb", block_size=_BLOCK_BYTES)))


def find(url: str) -> list[tuple[str, str, int, str]]:
    """The files at a URL: (URL, name, bytes, fingerprint), the bytes 0 where they are not known.

    That is the file there, or every file in the folder and below, or those that a pattern matches,
    in order of name; web servers list no folders. Raises UserError if there is none, WorkFailed if
    the server does not answer as it should.
    """
    with _explained(url):
        system, path = _system(url)
        listed = not url.startswith(("http://", "https://"))
        if listed and has_magic(path):
            first = min(path.index(mark) for mark in "*?[" if mark in path)
            base, found = path[:first].rpartition("/")[0], system.glob(path, detail=True)
        elif listed and system.isdir(path):
            base, found = path, system.find(path, detail=True)
        else:
            base, found = path.rpartition("/")[0], {path: system.info(path)}
        files = {name: facts for name, facts in found.items() if facts.get("type") != "directory"}
        return [
            (
                system.unstrip_protocol(name) if listed else url,
                _relative(name, base),
                int(facts.get("size") or 0),
                _fingerprint(facts),
            )
            for name, facts in sorted(files.items())
        ]


class _File(io.RawIOBase):
    """A file of fsspec whose every failure is an OSError, whatever library stands behind it."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _system(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url)
    return system, str(path)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{url}: {error}; or install the extra: pip install 'lilliput[remote]'"
        ) from None
    except ValueError as error:
        raise UserError(f"{url}: {error}") from None
    except FileNotFoundError:
        raise UserError(f"{url}: no such file or folder") from None
    except PermissionError as error:
        raise UserError(f"{url}: not allowed: {error}") from None
    except Exception as error:
        raise WorkFailed(f"{url}: could not be fetched: {type(error).__name__}: {error}") from error


def _relative(name: str, base: str) -> str:
    return name[len(base) :].lstrip("/") if base else PurePosixPath(name).name


def _fingerprint(facts: dict[str, Any]) -> str:
    marks = [f"{mark}={facts[mark]}" for mark in _MARKS_OF_A_VERSION if facts.get(mark)]
    return ":".join([str(facts.get("size") or ""), *marks])
