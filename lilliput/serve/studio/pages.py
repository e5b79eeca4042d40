"""The pages and what they are made of: files of this package, served as they are."""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

PAGES = ("chat", "tokenizer", "training", "xray", "corpus")
"""The pages besides the start page, at /studio/NAME."""

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

pages = APIRouter(include_in_schema=False)


def _file(name: str) -> Response:
    path = _STATIC / name
    kind = _TYPES.get(path.suffix)
    if kind is None or path.parent != _STATIC or not path.is_file():
        raise HTTPException(404, f"the studio has no file {name!r}")
    headers = {**_HEADERS, "Content-Security-Policy": _POLICY}
    return Response(path.read_bytes(), media_type=kind, headers=headers)


@pages.get("/")
def start_page() -> Response:
    """What is served, and the way to the rest."""
    return _file("index.html")


@pages.get("/studio/static/{name}")
def static_file(name: str) -> Response:
    """A style sheet, a module or a picture."""
    return _file(name)


@pages.get("/studio/{page}")
def page(page: str) -> Response:
    """One of PAGES."""
    if page not in PAGES:
        raise HTTPException(404, f"the studio has no page {page!r}: see /")
    return _file(f"{page}.html")


def report_page(path: Path) -> Response:
    """A report (HTML) in a sandbox: it holds text from anywhere, and may not ask this server."""
    headers = {**_HEADERS, "Content-Security-Policy": _REPORT_POLICY}
    return Response(path.read_bytes(), media_type=_TYPES[".html"], headers=headers)
