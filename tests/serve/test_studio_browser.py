"""The studio's pages in a real Chromium: what a reader sees, by mouse, by keyboard, on a phone."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from test_studio import STORIES, random_model, step_record, write_run

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import write_corpus
from lilliput.generate import LanguageModel
from lilliput.serve.app import create_app
from lilliput.serve.limits import Limits
from lilliput.serve.security import Access
from lilliput.serve.server import bind, make_server
from lilliput.serve.studio import StudioSettings
from lilliput.serve.studio.pages import PAGES
from lilliput.tokens import train_tokenizer

pytestmark = pytest.mark.slow

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
KEY = "open-sesame"

# Buttons, links and fields that a screen reader could not name.
_NAMELESS = """() => [...document.querySelectorAll('a, button, input, select, textarea, [role]')]
  .filter(one => one.checkVisibility() && !one.closest('[aria-hidden=true]'))
  .filter(one => !(one.innerText?.trim() || one.ariaLabel || one.title || one.labels?.length
    || one.querySelector?.('img[alt], title') || one.getAttribute('aria-labelledby')
    || ['status', 'note', 'alert', 'group'].includes(one.getAttribute('role'))))
  .map(one => one.outerHTML.slice(0, 120))"""


@dataclass(frozen=True)
class Site:
    """A server with everything to show, and a second that asks for a key."""

    url: str
    locked: str
    runs: Path


def _serve(app: Any) -> tuple[str, Any, threading.Thread, Any]:
    listener = bind("127.0.0.1", 0)
    server = make_server(app, Limits())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread, listener


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("site")
    write_run(root / "runs" / "first", 10)
    write_run(root / "runs" / "second", 6)
    documents = (Document(f"d{n}", STORIES[n % 4], "books") for n in range(60))
    write_corpus(documents, root / "corpus", settings={"made": "here"})
    tokenizer = train_tokenizer(STORIES * 20, vocabulary_size=330)
    models = {
        "plain": random_model(tokenizer),
        "mixed": random_model(tokenizer, "deepseek-v3"),
        "endless": LanguageModel(
            random_model(tokenizer, context_length=4200).decoder, tokenizer, end_tokens=()
        ),
    }
    settings = StudioSettings(runs=root / "runs", corpus=root / "corpus")
    open_app = create_app(models, studio=settings)
    locked_app = create_app({"plain": models["plain"]}, access=Access(keys=(KEY,)))
    started = [_serve(open_app), _serve(locked_app)]
    yield Site(started[0][0], started[1][0], root / "runs")
    for _, server, thread, listener in started:
        server.should_exit = True
        thread.join(30)
        listener.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


class Reader:
    """A page that fails the test when it reports an error or asks another machine."""

    def __init__(self, chromium: Any, site: Site, *, width: int = 1200, scheme: str = "light"):
        size = {"width": width, "height": 820}
        self.context = chromium.new_context(viewport=size, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self._asked(request.url, site))

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _asked(self, address: str, site: Site) -> None:
        if not address.startswith((site.url, site.locked, "data:")):
            self.faults.append(f"asked {address}")

    def check(self) -> None:
        assert not self.faults


@pytest.fixture
def reader(chromium: Any, site: Site) -> Iterator[Reader]:
    made = Reader(chromium, site)
    yield made
    made.context.close()
    made.check()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
@pytest.mark.parametrize("path", ["/", *(f"/studio/{page}" for page in PAGES)])
def test_pages_fit_and_can_be_named(
    chromium: Any, site: Site, path: str, width: int, scheme: str
) -> None:
    reader = Reader(chromium, site, width=width, scheme=scheme)
    page = reader.page
    page.goto(site.url + path, wait_until="networkidle")
    assert page.locator("h1").count() == 1
    assert page.title()
    assert page.locator("#told").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(_NAMELESS) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(19, 19, 18)") == (scheme == "dark")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reader.context.close()
    reader.check()


def test_the_theme_is_kept(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(site.url)
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.goto(f"{site.url}/studio/tokenizer")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def _wait_until_written(page: Any) -> None:
    page.wait_for_selector("#again:enabled")
    page.wait_for_selector("#stop", state="hidden")


def test_writing_looking_and_branching_by_keyboard(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/chat")
    page.fill("#max_tokens", "12")
    page.fill("#seed", "3")
    page.fill("#input", "Once upon")
    page.press("#input", "Control+Enter")
    _wait_until_written(page)
    tokens = page.locator(".written .token")
    count = tokens.count()
    assert 1 <= count <= 12 and page.locator(".written .prompt").inner_text() == "Once upon"
    first = page.locator(".written").inner_text()

    tokens.first.focus()
    for _ in range(min(3, count - 1)):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#inspector .candidates li:nth-child(10)")
    assert page.locator(".written .token[aria-pressed=true]").count() == 1
    assert "nats" in page.locator("#inspector").inner_text()
    other = page.locator("#inspector .candidate:not([aria-current])").first
    words = other.locator(".text").inner_text()
    other.focus()
    page.keyboard.press("Enter")
    _wait_until_written(page)
    page.wait_for_selector("#branches .tree ul li")
    assert page.locator(".written").inner_text() != first

    at = min(3, count - 1)
    page.locator(".written .token").nth(at).click()
    assert page.locator("#inspector dd").first.inner_text() == words
    page.locator("#branches button").first.click()
    assert page.locator(".written").inner_text() == first


def test_writing_stops_when_told_and_goes_on(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/chat?model=endless")
    page.fill("#max_tokens", "4000")
    page.click("#write")
    page.wait_for_selector(".written .token >> nth=20", state="attached")
    page.fill("#temperature", "0.5")  # goes on under the new setting
    page.wait_for_selector(".written .token >> nth=60", state="attached")
    page.keyboard.press("Escape")
    page.wait_for_selector("#stop", state="hidden")
    assert "stopped" in page.locator("#status").inner_text()
    count = page.locator(".written .token").count()
    assert 60 < count < 4000
    page.click("#more")
    page.wait_for_selector(f".written .token >> nth={count + 5}", state="attached")
    page.click("#stop")
    page.wait_for_selector("#more:enabled")
    page.fill("#max_tokens", "5")
    page.click("#again")
    _wait_until_written(page)
    assert page.locator(".written .token").count() == 5
    assert "Branches (2)" in page.locator("#branches").inner_text()


def test_a_conversation_grows(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/chat?mode=chat")
    page.fill("#max_tokens", "6")
    for number, words in enumerate(("Hello", "Again"), start=1):
        page.fill("#input", words)
        page.press("#input", "Enter")
        _wait_until_written(page)
        assert page.locator(".said").count() == number
        assert page.locator(".reply .written").count() == number
    page.click("#clear")
    assert page.locator(".said").count() == 0
    page.click("#code")
    code = page.locator("#code-dialog").inner_text()
    assert "/v1/chat/completions" in code and "from openai import OpenAI" in code


def test_mistakes_are_told_on_the_page(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/chat")
    page.fill("#input", "word " * 300)
    page.click("#write")
    page.wait_for_selector("#told")
    assert "context" in page.locator("#told").inner_text()
    page.click("#told button")
    assert page.locator("#told").count() == 0
    reader.faults = [fault for fault in reader.faults if "400" not in fault]


def test_tokens_are_linked_to_ids_and_bytes(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/tokenizer")
    page.fill("#text", "the cat 😀")
    page.wait_for_selector("text=12 bytes")
    lane = page.locator(".lane").first
    lane.locator(".ids .token").nth(1).hover()
    assert lane.locator(".token.lit").count() == 3
    lane.locator(".text .token").first.focus()
    page.keyboard.press("ArrowRight")
    assert lane.locator(".text .token").nth(1).get_attribute("class").endswith("lit")
    lane.locator(".text .token[data-start='3']").click()
    page.wait_for_selector("#tree svg[aria-label*=' cat']")
    assert page.input_value("#word") == " cat"


@pytest.mark.parametrize(("model", "stages"), [("plain", 7), ("mixed", 8)])
def test_every_stage_of_the_x_ray(reader: Reader, site: Site, model: str, stages: int) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/xray?model={model}")
    page.wait_for_selector("#next .candidate")
    assert page.locator(".stage").count() == stages
    assert page.locator("#stages a").count() == stages
    page.locator(".part").first.click()
    assert page.locator(".part").first.get_attribute("aria-expanded") == "true"

    page.locator(".head-button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#attention h3", has_text="Layer 1, head 2").count() == 1
    page.locator("#attention .strip .token").nth(2).click()
    assert "looks at" in page.locator("#attention p[aria-live]").inner_text()
    page.locator(".lens button").first.click()
    assert "embedding" in page.locator(".lens-pair h3").inner_text()

    before = page.input_value("#text")
    choice = page.locator("#next .candidate", has_text="cat").or_(page.locator("#next .candidate"))
    choice.first.click()
    page.wait_for_selector("#status:not(.waiting)")
    page.wait_for_selector("#next .candidate")
    assert len(page.input_value("#text")) >= len(before)


def test_runs_are_laid_over_one_another_and_followed(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/training")
    page.wait_for_selector("#chart .curve")
    lines = page.locator("#chart .curve").count()
    page.locator("#runs input:not(:checked)").first.click()
    page.wait_for_selector(f"#chart .curve >> nth={lines}")
    page.check("input[name=axis][value=tokens]", force=True)
    assert "Tokens" in page.locator("#chart svg").text_content()
    assert "upon" in page.locator("#samples").inner_text()
    page.locator("#runs label", has_text="first").locator("input").uncheck()
    with (site.runs / "second" / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
        metrics.write(json.dumps(step_record(7)) + "\n")
    page.wait_for_selector("#facts dd:text-is('7')")


def test_search_and_documents(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(f"{site.url}/studio/corpus")
    page.wait_for_selector("#documents .document")
    page.fill("#wanted", "concat")
    page.press("#wanted", "Enter")
    page.wait_for_selector("#found mark")
    assert "15 of 60 documents" in page.locator("#found").inner_text()
    page.locator("#found .hit button").first.click()
    page.wait_for_selector("dialog[open] .document")
    assert STORIES[1] in page.locator("dialog .prose").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")


def test_a_locked_server_asks_for_its_key(reader: Reader, site: Site) -> None:
    page = reader.page
    page.goto(site.locked)
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#models .card")
    assert "plain" in page.locator("#models").inner_text()
    reader.faults = [fault for fault in reader.faults if "401" not in fault]
