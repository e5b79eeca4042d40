"""The corpus folder that is shown: the data of the corpus page."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import MANIFEST_NAME, open_corpus
from lilliput.errors import UserError
from lilliput.serve.studio.corpus_search import CorpusView, Way
from lilliput.serve.studio.pages import report_page
from lilliput.serve.studio.settings import settings_of

corpora = APIRouter()

_REPORT_NAME = "report.html"
_LONGEST_SHOWN = 20_000
_BARS = 24

Count = Annotated[int, Query(ge=1, le=50)]
Number = Annotated[int, Query(ge=0)]


@corpora.get("/studio/data/corpus")
def facts(request: Request) -> dict[str, Any]:
    """The manifest, the lengths of documents, and where they come from."""
    folder = _folder(request)
    view = _view(request)
    manifest = view.corpus.manifest
    return {
        "folder": str(folder),
        "documents": manifest.documents,
        "bytes": manifest.bytes,
        "hash": manifest.hash,
        "settings": dict(manifest.settings),
        "dropped": dict(manifest.dropped),
        "parts": len(manifest.parts),
        "lengths": histogram(view.lengths()),
        "sources": [{"name": name, "documents": count} for name, count in view.sources()],
        "report": (folder / _REPORT_NAME).is_file(),
    }


@corpora.get("/studio/data/corpus/sample")
def sample(request: Request, seed: Number = 0, count: Count = 5) -> dict[str, Any]:
    """Documents drawn by a seed."""
    drawn = _view(request).sample(count, seed)
    return {"documents": [_values(number, document) for number, document in drawn]}


@corpora.get("/studio/data/corpus/document")
def document(request: Request, number: Number) -> dict[str, Any]:
    """One document by its number."""
    return _values(number, _view(request).document(number))


@corpora.get("/studio/data/corpus/search")
def search(
    request: Request,
    wanted: Annotated[str, Query(max_length=200)],
    way: Way = "literal",
    case: bool = False,
    first: Number = 0,
    count: Count = 20,
) -> dict[str, Any]:
    """Documents that hold a text or a word."""
    hits = _view(request).search(wanted, way=way, case=case, first=first, most=count)
    return {**vars(hits), "hits": [vars(hit) for hit in hits.hits]}


@corpora.get("/studio/data/corpus/report")
def report(request: Request) -> Response:
    """The corpus's own report.html."""
    path = _folder(request) / _REPORT_NAME
    if not path.is_file():
        raise HTTPException(404, "this corpus has no report")
    return report_page(path)


def histogram(lengths: Sequence[int]) -> dict[str, Any]:
    """Counts of lengths (bytes) in stretches of equal ratio, and their middle and ends."""
    if not lengths:
        return {"edges": [], "counts": [], "median": None, "least": None, "largest": None}
    ordered = sorted(lengths)
    least, largest = max(1, ordered[0]), max(1, ordered[-1])
    bars = _BARS if largest > least else 1
    ratio = (largest / least) ** (1 / bars)
    counts = [0] * bars
    for length in ordered:
        place = int(math.log(max(length, 1) / least) / math.log(ratio)) if ratio > 1 else 0
        counts[min(place, bars - 1)] += 1
    return {
        "edges": [round(least * ratio**place) for place in range(bars + 1)],
        "counts": counts,
        "median": ordered[len(ordered) // 2],
        "least": ordered[0],
        "largest": ordered[-1],
    }


def _folder(request: Request) -> Path:
    folder = settings_of(request).corpus
    if folder is None:
        raise UserError("no corpus is shown: start with `lilliput serve MODEL --corpus corpus/`")
    return folder


def _view(request: Request) -> CorpusView:
    folder = _folder(request)
    manifest = folder / MANIFEST_NAME
    return _opened(folder, manifest.stat().st_mtime_ns if manifest.is_file() else 0)


@lru_cache(maxsize=2)
def _opened(folder: Path, written: int) -> CorpusView:
    """The corpus as it was written at that time."""
    return CorpusView(open_corpus(folder))


def _values(number: int, document: Document) -> dict[str, Any]:
    return {
        "number": number,
        "id": document.id,
        "source": document.source,
        "text": document.text[:_LONGEST_SHOWN],
        "characters": len(document.text),
        "metadata": {name: str(value) for name, value in document.metadata.items()},
    }
