"""Wikipedias by name: their dumps, fetched once from dumps.wikimedia.org and kept."""

import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lilliput.errors import UserError, WorkFailed
from lilliput.files import fsync_folder
from lilliput.progress import progress

_SITE = "https://dumps.wikimedia.org"
_WIKI = re.compile(
    r"[a-z]{2,}(?:_[a-z]+)*?wik(?:i|tionary|ibooks|inews|iquote|isource|iversity|ivoyage)"
)
_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
# The site asks for a name that tells who calls.
_AGENT = "lilliput (corpus reader)"


def is_wiki(name: str) -> bool:
    """Whether `name` is formed like a wiki's: simplewiki, enwiki, dewiktionary."""
    return _WIKI.fullmatch(name) is not None


def dump_file(wiki: str, date: str | None, *, offline: bool) -> Path:
    """The file with the current articles of a wiki, fetched if it is not there yet.

    It is kept in the folder `dumps` of this user's cache. `date` ("20251020") chooses a dump; by
    default it is the latest one when first asked for. A fetch that broke off goes on where it was.
    The environment variable LILLIPUT_WIKIMEDIA names a mirror.

    Raises UserError if it would have to be fetched when `offline` or there is no such dump,
    WorkFailed if the fetch fails.
    """
    # Imports torch, which no other reader needs.
    from lilliput.machine.compiler import cache_folder

    date = date or "latest"
    file_name = f"{wiki}-{date}-pages-articles-multistream.xml.bz2"
    path = cache_folder() / "dumps" / file_name
    if path.is_file():
        return path
    if offline:
        raise UserError(
            f"{wiki}: no such file or folder (and no dump is fetched when offline; "
            f"it would be kept as {path})"
        )
    site = os.environ.get("LILLIPUT_WIKIMEDIA") or _SITE
    _fetch(f"{site.rstrip('/')}/{wiki}/{date}/{file_name}", path)
    return path


def _fetch(url: str, path: Path) -> None:
    """Fetch `url` to `path`, going on from what an earlier attempt left beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    version = path.with_name(path.name + ".version")
    held = partial.stat().st_size if partial.is_file() and version.is_file() else 0
    headers = {"User-Agent": _AGENT}
    if held:
        # Without If-Range the rest of another dump would be joined to this one's beginning.
        headers |= {"Range": f"bytes={held}-", "If-Range": version.read_text(encoding="utf-8")}
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            if response.status != 206:
                held = 0
                version.write_text(_version(response), encoding="utf-8")
            _receive(response, partial, held, path.name)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise UserError(f"{url}: no such dump; is the name of the wiki right?") from None
        raise WorkFailed(f"{url}: could not be fetched: {error}") from error
    except OSError as error:
        raise WorkFailed(f"{url}: could not be fetched, run again to go on: {error}") from error
    partial.replace(path)
    version.unlink()
    fsync_folder(path.parent)


def _receive(response: Any, partial: Path, held: int, label: str) -> None:
    length = response.headers.get("Content-Length")
    total = None if length is None else held + int(length)
    with (
        partial.open("ab" if held else "wb") as file,
        progress(f"Fetching {label}", total=total, unit="B") as advance,
    ):
        advance(held)
        while data := response.read(_CHUNK_BYTES):
            file.write(data)
            advance(len(data))
        file.flush()
        os.fsync(file.fileno())
        if total is not None and file.tell() < total:
            raise OSError(f"the connection broke off after {file.tell():,} of {total:,} bytes")


def _version(response: Any) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
