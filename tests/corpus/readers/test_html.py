"""Pages of HTML in files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.extract.html2text import extract_plain_text
from whole_readings import reading_of

from lilliput.corpus.readers import Source

PARAGRAPH = "A sentence of several words stands here for the reader. " * 6


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def test_text_title_and_canonical_link(tmp_path: Path) -> None:
    head = "<title>A &amp; B</title><link rel='canonical' href='https://a.org/b'>"
    main = f"<main><p>{PARAGRAPH}</p><p>{PARAGRAPH}</p></main>"
    body = f"<nav><a href='/'>Menu</a></nav>{main}<footer>©</footer>"
    (tmp_path / "a.html").write_text(page(body, head), encoding="utf-8")
    (row,) = reading_of(tmp_path).rows
    assert (row["title"], row["url"], row["source"]) == ("A & B", "https://a.org/b", "a.html")
    assert row["text"] == f"{PARAGRAPH.strip()}\n\n{PARAGRAPH.strip()}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_pages(tmp_path: Path, encoding: str) -> None:
    head = '<meta charset="windows-1252">' if encoding == "cp1252" else ""
    text = page(f"<p>Ein schöner “Satz” – {PARAGRAPH}</p>", head)
    (tmp_path / "a.htm").write_bytes(text.encode(encoding))
    assert reading_of(tmp_path).texts == [f"Ein schöner “Satz” – {PARAGRAPH}".strip()]


def test_lists_of_prose_are_kept_also_near_the_root(tmp_path: Path) -> None:
    menu = "<ul><li><a href='/'>Home</a></li><li><a href='/b'>More</a></li></ul>"
    points = "<ul><li>one thing<ul><li>a part of it</li></ul></li><li>another thing</li></ul>"
    body = f"{menu}<h1>A</h1><p>{PARAGRAPH}</p>{points}<div><p>{PARAGRAPH}</p>{points}</div>"
    (tmp_path / "a.html").write_text(page(body), encoding="utf-8")
    (text,) = reading_of(tmp_path).texts
    assert [line.strip() for line in text.split("\n") if line.strip()] == [
        "A",
        PARAGRAPH.strip(),
        "• one thing",
        "• a part of it",
        "• another thing",
        PARAGRAPH.strip(),
        "• one thing",
        "• a part of it",
        "• another thing",
    ]


def test_a_page_without_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("", encoding="utf-8")
    (tmp_path / "b.html").write_text(page("<script>x</script>"), encoding="utf-8")
    assert reading_of(tmp_path).dropped == [("empty", "a.html"), ("empty", "b.html")]


@given(st.binary(max_size=200))
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("html") / "a.html"
    path.write_bytes(b"<html><p>words " + data)
    whole = reading_of(Source(str(path), extraction="all"))
    assert len(whole.rows) + len(whole.dropped) == 1


@given(st.lists(st.sampled_from(["p", "li", "div", "b", "h2", "td"]), max_size=8), st.text("ab <&"))
def test_all_text_is_that_of_resiliparse(
    tmp_path_factory: pytest.TempPathFactory, tags: list[str], text: str
) -> None:
    html = page("".join(f"<{tag}>{text} x</{tag}>" for tag in tags))
    path = tmp_path_factory.mktemp("html") / "a.html"
    path.write_text(html, encoding="utf-8")
    found = "\n".join(reading_of(Source(str(path), extraction="all")).texts)
    assert found.split() == extract_plain_text(html, alt_texts=False).split()
