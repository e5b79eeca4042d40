"""A report: one HTML file that needs nothing else, and sends nothing anywhere."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lilliput.quantities import number
from lilliput.report.markup import Html, element, escape
from lilliput.report.series import Series
from lilliput.report.style import SCRIPT, STYLE

_NUMERIC = re.compile(r"[-+]?\$?\d[\d.,:]*(e-?\d+)?%?")


@dataclass(frozen=True)
class Section:
    """A part of a page. `body` holds what the functions of this room made, or plain text."""

    title: str
    body: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True)
class TextSample:
    """A piece of text to show as written, after the prompt that led to it."""

    heading: str
    text: str
    prompt: str = ""


def page(
    title: str,
    sections: Sequence[Section],
    facts: Mapping[str, object] | None = None,
    *,
    subtitle: str = "",
    script: str = "",
) -> str:
    """A whole HTML document, light or dark as the reader's system is.

    `facts` are the headline figures, shown as tiles. Nothing is fetched from anywhere: the page
    forbids it to itself (Content-Security-Policy). Any text may be passed; it is escaped. `script`
    is JavaScript of the page's own, run at its end.
    """
    scripts = [one for one in (SCRIPT, script) if one]
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in scripts
    )
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {digests}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<link rel="icon" href="data:,">',
        element("title", title),
        f"<style>{STYLE}</style></head><body>",
        element(
            "header",
            element("h1", title),
            element("p", subtitle, class_="subtitle") if subtitle else Html(""),
            _tiles(facts) if facts else Html(""),
        ),
        element("main", *(_section(section) for section in sections)),
        element("footer", "Made on this machine by Lilliput."),
        *(f"<script>{one}</script>" for one in scripts),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = "") -> Html:
    """A table; numbers are aligned to the right and written readably, None is left blank."""
    numeric = [
        bool(rows) and all(_is_numeric(row[index]) or row[index] is None for row in rows)
        for index in range(len(columns))
    ]

    def cell(tag: str, value: object, index: int, **attributes: object) -> Html:
        return element(
            tag, _shown(value), class_="number" if numeric[index] else None, **attributes
        )

    head = element("tr", *(cell("th", name, i, scope="col") for i, name in enumerate(columns)))
    body = [element("tr", *(cell("td", value, i) for i, value in enumerate(row))) for row in rows]
    inner = [element("caption", caption)] if caption else []
    inner += [element("thead", head), element("tbody", *body)]
    return element("div", element("table", *inner), class_="scroll")


def key_values(pairs: Mapping[str, object], *, caption: str = "") -> Html:
    """Names and values, one a row."""
    rows = [
        element("tr", element("th", name, scope="row"), element("td", _shown(value)))
        for name, value in pairs.items()
    ]
    inner = [element("caption", caption)] if caption else []
    return element(
        "div", element("table", *inner, element("tbody", *rows), class_="pairs"), class_="scroll"
    )


def series_table(series: Sequence[Series], x_label: str, *, rows: int = 12) -> Html:
    """The numbers behind a chart, folded away: up to `rows` evenly spread points of a series."""
    lines = [
        (one.name, one.x[index], one.y[index])
        for one in series
        for index in _spread(len(one.x), rows)
    ]
    several = len(series) > 1
    columns = ["Series", x_label, "Value"] if several else [x_label, "Value"]
    cells = [line if several else line[1:] for line in lines]
    return details("Numbers", table(columns, cells))


def text_samples(samples: Sequence[TextSample]) -> Html:
    """Texts as written, each under its heading, with the prompt in another colour."""
    blocks = [
        element(
            "div",
            element("h3", sample.heading),
            element(
                "p",
                element("span", sample.prompt, class_="prompt") if sample.prompt else Html(""),
                sample.text,
                dir="auto",
            ),
            class_="sample",
        )
        for sample in samples
    ]
    return card(*blocks)


def figure(chart: str, *, caption: str = "", numbers: str = "") -> Html:
    """A chart in its frame, with a caption and the numbers behind it (see `series_table`)."""
    under = element("figcaption", caption) if caption else Html("")
    return element("figure", chart, under, numbers)


def card(*content: str) -> Html:
    """A frame around `content`."""
    return element("div", *content, class_="card")


def grid(*content: str) -> Html:
    """`content` side by side where the window is wide enough."""
    return element("div", *content, class_="grid")


def details(summary: str, *content: str) -> Html:
    """`content` folded away under `summary`."""
    return element("details", element("summary", summary), *content)


def _section(section: Section) -> Html:
    note = element("p", section.note, class_="note") if section.note else Html("")
    body = [part if isinstance(part, Html) else element("p", part) for part in section.body]
    return element("section", element("h2", section.title), note, *body)


def _tiles(facts: Mapping[str, object]) -> Html:
    tiles = [
        element("div", element("dt", name), element("dd", _shown(value)))
        for name, value in facts.items()
    ]
    return element("dl", *tiles, class_="facts")


def _is_numeric(value: object) -> bool:
    """Whether `value` is a number or, like "1:02" or "33%", reads as one."""
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(_shown(part) for part in value)
    return value if isinstance(value, str) else escape(value)


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` indices from 0 to count - 1, evenly spread, with both ends."""
    if count <= wanted:
        return list(range(count))
    return sorted({round(step * (count - 1) / (wanted - 1)) for step in range(wanted)})
