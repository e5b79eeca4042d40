"""Marks that charts are made of: texts, straight lines, colours, as SVG."""

from lilliput.report.markup import Html, element
from lilliput.report.style import COLOURS_LIGHT

CHARACTER = 6.6
"""Mean width of a letter of the 12-pixel text."""


def heading(title: str, description: str) -> Html:
    """The hidden name and description of a chart, and its title where there is one."""
    hidden = Html(element("title", title or "Chart") + element("desc", description))
    return Html(hidden + text_at(title, 2, 16, "title", size=14)) if title else hidden


def segment(class_: str, x1: float, y1: float, x2: float, y2: float) -> Html:
    """A straight line; `class_` is "axis" or "gridline"."""
    stroke = "#bdbab2" if class_ == "axis" else "#eceae5"
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return element(
        "line",
        class_=class_,
        stroke=stroke,
        **{name: coordinate(value) for name, value in ends.items()},
    )


def text_at(
    text: str, x: float, y: float, class_: str, *, anchor: str | None = None, size: int = 12
) -> Html:
    """A text whose baseline begins (or is anchored) at x, y."""
    return element(
        "text",
        text,
        class_=class_,
        x=coordinate(x),
        y=coordinate(y),
        text_anchor=anchor,
        font_family="system-ui,sans-serif",
        font_size=size,
        fill="#55534e",
    )


def colour(index: int) -> str:
    """The light colour of the series of that index; a page sets its own by class."""
    return COLOURS_LIGHT[index % len(COLOURS_LIGHT)]


def coordinate(value: float) -> str:
    """A coordinate with two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
