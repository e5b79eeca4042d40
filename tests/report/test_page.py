"""Pages: whatever text goes in, the markup holds and the text comes out."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.report import (
    Html,
    Section,
    Series,
    TextSample,
    bar_chart,
    card,
    escape,
    figure,
    key_values,
    line_chart,
    page,
    series_table,
    table,
    text_samples,
)

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = '</script></style></title><script>alert(1)</script><img src=x onerror="x">\'"&amp;<!--'


class _Reader(HTMLParser):
    """Checks that elements nest, and collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def _everything(text: str) -> str:
    series = [Series(text, [1, 2], [3, 4]), Series(text, [1], [2])]
    return page(
        text,
        [
            Section(
                text,
                [
                    text,
                    table([text, "n"], [[text, 1], [None, 2.5]], caption=text),
                    key_values({text: text, "list": [text, 1]}, caption=text),
                    text_samples([TextSample(text, text, text)]),
                    figure(
                        line_chart(series, title=text, x_label=text, y_label=text),
                        caption=text,
                        numbers=series_table(series, text),
                    ),
                    figure(bar_chart([(text, 1.0)], title=text, x_label=text)),
                    card(text),
                ],
                note=text,
            )
        ],
        {text: text},
        subtitle=text,
    )


ORDINARY = _read(_everything("text"))


@given(st.text(max_size=80) | st.sampled_from([HOSTILE, '" onload="x', "{}%s\\", "\x1b[31m\0"]))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_out_of_the_markup(text: str) -> None:
    # An empty title has no element of its own, and a number in a table is set to the right; with a
    # letter before it, no text may change the structure.
    reader = _read(_everything(f"t{text}"))
    assert reader.tags == ORDINARY.tags
    assert [name for name, _ in reader.attributes] == [n for n, _ in ORDINARY.attributes]
    assert set(_read(_everything(text)).tags) <= set(ORDINARY.tags)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1))
def test_text_comes_out_as_it_went_in(text: str) -> None:
    shown = _read(page("t", [Section("s", [text_samples([TextSample("h", text)])])])).text
    assert text in shown


def test_what_neither_xml_nor_utf8_can_hold_is_replaced() -> None:
    assert escape("a\x00b\ud800c\uffffd\te\nf") == "a\ufffdb\ufffdc\ufffdd\te\nf"
    _everything("\ud800").encode("utf-8")


def test_markup_passes_and_plain_text_is_escaped() -> None:
    body = _read(page("t", [Section("s", [Html("<b>bold</b>"), "<b>plain</b>"])]))
    assert body.tags.count("b") == 1
    assert "<b>plain</b>" in body.text


def test_a_page_fetches_nothing() -> None:
    reader = _read(_everything("text"))
    links = [value for name, value in reader.attributes if name in ("src", "href", "action")]
    assert links == ["data:,"]
    policy = dict(reader.attributes)["content"]
    assert ("content", policy) in reader.attributes
    html = _everything("text")
    assert "default-src 'none'" in html
    assert "@import" not in html and "url(" not in html


def test_the_policy_lets_exactly_the_page_s_own_script_run() -> None:
    import base64
    import hashlib
    import re

    html = page("t", [])
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


def test_tables_write_numbers_readably_and_to_the_right() -> None:
    html = table(["name", "count", "time"], [["a", 1234567, "1:02"], ["b", None, "0:59"]])
    reader = _read(html)
    assert reader.text == ["name", "count", "time", "a", "1,234,567", "1:02", "b", "0:59"]
    assert [value for name, value in reader.attributes if name == "class"] == ["scroll"] + [
        "number"
    ] * 6


@pytest.mark.parametrize("count", [0, 1, 11, 12, 13, 1000])
def test_numbers_behind_a_chart_keep_both_ends(count: int) -> None:
    series = [Series("x", list(range(1, count + 1)), [0.5] * count)]
    cells = [text for text in _read(series_table(series, "step")).text if text != "0.5"]
    steps = cells[3:]
    assert len(steps) == min(count, 12)
    if count:
        assert (steps[0], steps[-1]) == ("1", f"{count:,}")
