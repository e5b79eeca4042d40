"""Block lists of addresses (RefinedWeb, arXiv 2306.01116; FineWeb, arXiv 2406.17557)."""

import re
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from lilliput.corpus.filters.validation import check_not_negative, read_lines, wrong
from lilliput.corpus.stages import Dropped, Outcome, keeping
from lilliput.errors import UserError

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Urls:
    """Drops documents whose `url` is on a list; each list is a file (an entry per line) or a
    folder, of which every file below with that name counts (`domains`, `urls`, …; UT1's layout).

    domains: hosts; those below them are meant too ("example.com" blocks "a.example.com").
    urls: whole addresses, as they stand or without scheme and closing slash.
    words: the address goes if one of these is among its words (runs of letters and digits).
    soft_words: it goes if at least `fewest_soft_words` of these are among them.
    subwords: it goes if one of these is in it, letters and digits alone looked at.

    Capitals do not matter. Nothing is fetched. Documents without an address stay and are counted.
    """

    domains: str | None = None
    urls: str | None = None
    words: str | None = None
    soft_words: str | None = None
    subwords: str | None = None
    fewest_soft_words: int = 2

    def __post_init__(self) -> None:
        check_not_negative(self, "fewest_soft_words")
        lists = [one.name for one in fields(self) if one.name != "fewest_soft_words"]
        if not any(getattr(self, name) for name in lists):
            raise wrong(self, "domains", f"is not set, and no other list: {', '.join(lists)}")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        if batch.schema.get_field_index("url") < 0:
            return Outcome(batch, counts={"documents without a URL": batch.num_rows})
        addresses: list[str | None] = batch.column("url").to_pylist()
        dropped = [
            Dropped(row, *broken)
            for row, address in enumerate(addresses)
            if address and (broken := self._broken(address.lower()))
        ]
        without = sum(1 for address in addresses if not address)
        counts = {"documents without a URL": without} if without else {}
        return keeping(batch, dropped, counts=counts)

    def _broken(self, address: str) -> tuple[str, str] | None:
        if self.domains:
            blocked = _entries(self.domains, "domains")
            for domain in _host_and_parents(address):
                if domain in blocked:
                    return "domains", domain
        if self.urls:
            blocked = _entries(self.urls, "urls")
            if address in blocked or _bare(address) in blocked:
                return "urls", address
        words = set(_NOT_ALPHANUMERIC.split(address))
        if self.words and (found := words & _entries(self.words, "words")):
            return "words", min(found)
        if self.soft_words:
            found = words & _entries(self.soft_words, "soft_words")
            if len(found) >= self.fewest_soft_words:
                return "soft_words", ", ".join(sorted(found))
        if self.subwords:
            run = _NOT_ALPHANUMERIC.sub("", address)
            for subword in sorted(_entries(self.subwords, "subwords")):
                if subword in run:
                    return "subwords", subword
        return None


def _host_and_parents(address: str) -> list[str]:
    """ "a.b.org" gives a.b.org, b.org and org."""
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:  # such as an unfinished IPv6 address
        return []
    labels = host.rstrip(".").split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _bare(address: str) -> str:
    return address.partition("://")[2].rstrip("/") or address.rstrip("/")


@cache
def _entries(path: str, name: str) -> frozenset[str]:
    """The entries of a list file, or of all files so named below a folder, in lower case."""
    place = Path(path)
    if not place.is_dir():
        files = [place]
    elif not (files := sorted(file for file in place.rglob("*") if file.stem == name)):
        raise UserError(f"no file called {name} in {path}")
    entries = {line.lower() for file in files if file.is_file() for line in read_lines(str(file))}
    if name == "urls":
        entries |= {_bare(entry) for entry in entries}
    if name.endswith("words"):
        entries = {_NOT_ALPHANUMERIC.sub("", entry) for entry in entries} - {""}
    return frozenset(entries)
