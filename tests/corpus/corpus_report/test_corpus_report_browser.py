"""The report in a real Chromium: nothing runs, nothing is fetched, nothing sticks out."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from build_records import HOSTILE, NASTY, write_built

from lilliput.corpus.corpus_report import write_corpus_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

_VIEWS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1200, "light"), (390, "dark"))
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _listen(tab: "Page") -> tuple[list[str], list[str]]:
    """What the page says (console, errors, dialogs), and the addresses it asks for."""
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.on("request", lambda request: asked.append(request.url))
    return said, asked


def test_a_hostile_corpus_is_harmless_and_fits_any_window(tmp_path: Path) -> None:
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    texts = [NASTY, f"{HOSTILE} word " * 30, "\u202e\u2066 שלום עולם", "x" * 200_000]
    page = write_corpus_report(write_built(tmp_path / "corpus", texts, note=NASTY))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        for width, scheme in _VIEWS:
            tab = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
            ).new_page()
            said, asked = _listen(tab)
            tab.goto(page.as_uri())
            tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.evaluate("document.images.length + document.scripts.length") == 1
            assert HOSTILE in tab.inner_text("body")
            assert said == []
            assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        browser.close()
