"""A diagram as one SVG that needs nothing else: light or dark as the reader's system is."""

from dataclasses import dataclass

from lilliput.report.diagram import (
    Beside,
    Box,
    Column,
    Diagram,
    Kind,
    Node,
    Repeat,
    Residual,
    factor_text,
    unbroken,
)
from lilliput.report.markup import Html, element
from lilliput.report.style import COLOURS_DARK, COLOURS_LIGHT

_WIDEST_BOX, _NARROWEST_BOX, _GAP = 380.0, 200.0, 20.0
_LINE, _TITLE_LINE, _PADDING, _ARROW = 16.0, 22.0, 10.0, 22.0
_RAIL, _SUM, _FRAME, _MARGIN = 34.0, 9.0, 16.0, 20.0
_FORK, _LABEL = 14.0, 24.0
_COLOUR_OF_KIND: dict[Kind, int] = {
    "ends": 6, "norm": 4, "attention": 0, "feed_forward": 2, "router": 1, "training": 5,
}  # fmt: skip

# Widths of characters in hundredths of the font's size: those of a wide face, so that text which
# fits by this measure fits in whatever the reader's system has.
_NARROW, _MIDDLING, _WIDE = "ijl.,:;'|!()[] ", "frt-/·", "mwMW×→%±"
_SIZE_OF_STYLE = {"title": 18.7, "name": 14.3, "label": 13.2, "faint": 11.0}
"""Sizes to measure by where they are not 12: bold letters count as a tenth larger."""


def svg_drawing(diagram: Diagram) -> Html:
    """The diagram as one <svg> element; its text can be selected and searched."""
    inner = _natural_width(diagram.column)
    inner = max(inner, _natural_width(diagram.training_only) if diagram.training_only else 0.0)
    width = inner + 2 * _MARGIN
    middle = width / 2
    drawn, y = [], _MARGIN - 8
    for line in wrapped(diagram.title, inner, "title"):
        y += _TITLE_LINE
        drawn.append(_text(line, middle, y, "title", middle=True))
    y += 8
    for fact in diagram.facts:
        for line in wrapped(fact, inner):
            y += _LINE
            drawn.append(_text(line, middle, y, "soft", middle=True))
    y += 2 * _LINE
    drawn.append(_text(diagram.start, middle, y, "end", middle=True))
    column = _column(diagram.column, middle, y + 6, inner)
    y = column.bottom
    drawn += [*column.marks, _arrow(middle, y, y + _ARROW)]
    y += _ARROW + _LINE
    drawn.append(_text(diagram.end, middle, y, "end", middle=True))
    if diagram.training_only:
        y += 2 * _LINE
        drawn.append(_text("only in training, beside the head", middle, y, "soft", middle=True))
        aside = _column(diagram.training_only, middle, y + 8, inner, arrows=False)
        drawn, y = drawn + aside.marks, aside.bottom
    height = y + _MARGIN
    return element(
        "svg",
        element("title", diagram.title),
        element("style", Html(_STYLE)),
        element("rect", class_="page", width=_n(width), height=_n(height), rx=12),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        class_="model-drawing",
        viewBox=f"0 0 {_n(width)} {_n(height)}",
        width=_n(width),
        height=_n(height),
    )


def text_width(text: str, style: str = "soft") -> float:
    """An upper estimate of how wide a text of a style is."""
    return sum(map(_character_width, text)) * _SIZE_OF_STYLE.get(style, 12.0) / 100


def wrapped(text: str, width: float, style: str = "soft") -> list[str]:
    """The text in lines that fit; a word that is wider than a line stands alone."""
    lines = [""]
    for word in unbroken(text).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, style) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [line.replace("\u00a0", " ") for line in lines if line]


def _character_width(character: str) -> int:
    if character in _NARROW:
        return 34
    if character in _MIDDLING:
        return 42
    if character in _WIDE:
        return 92
    return 72 if character.isupper() else 64


@dataclass(frozen=True)
class _Drawn:
    """Marks, and the y where the stream leaves them."""

    marks: list[Html]
    bottom: float


def _natural_width(column: Column) -> float:
    return max(map(_node_width, column))


def _node_width(node: Node) -> float:
    match node:
        case Box():
            return _WIDEST_BOX
        case Residual():
            return _natural_width(node.inside) + 2 * _RAIL
        case Repeat():
            return _natural_width(node.inside) + 2 * _FRAME
        case Beside():
            branches = [max(_NARROWEST_BOX, _natural_width(one) * 0.74) for one in node.branches]
            return len(branches) * max(branches) + _GAP * (len(branches) - 1)


def _column(
    column: Column, middle: float, y: float, width: float, *, arrows: bool = True
) -> _Drawn:
    marks: list[Html] = []
    for node in column:
        drawn = _node(node, middle, y, width, arrows=arrows)
        marks += drawn.marks
        y = drawn.bottom
    return _Drawn(marks, y)


def _node(node: Node, middle: float, y: float, width: float, *, arrows: bool) -> _Drawn:
    match node:
        case Box():
            return _box(node, middle, y, width, arrows=arrows)
        case Residual():
            return _residual(node, middle, y, width)
        case Beside():
            return _beside(node, middle, y, width)
        case Repeat():
            return _repeat(node, middle, y, width)


def _box(box: Box, middle: float, y: float, width: float, *, arrows: bool) -> _Drawn:
    outer = min(width, _WIDEST_BOX)
    left, inner = middle - outer / 2, outer - 2 * _PADDING - 6
    x = left + _PADDING + 6
    top = y + (_ARROW if arrows else 0)
    lines = _box_lines(box, inner)
    height = len(lines) * _LINE + 2 * _PADDING - 4
    colour = f"k{_COLOUR_OF_KIND[box.kind]}"
    marks = [_arrow(middle, y, top)] if arrows else []
    marks += [
        element("rect", class_="box", x=_n(left), y=_n(top), width=_n(outer), height=_n(height),
                rx=6),
        element("rect", class_=colour, x=_n(left), y=_n(top), width=6, height=_n(height), rx=3),
    ]  # fmt: skip
    for index, (style, line) in enumerate(lines):
        baseline = top + _PADDING + 10 + index * _LINE
        if style == "size":
            marks.append(_text(line, left + outer - _PADDING, baseline, style, end=True))
        else:
            marks.append(_text(line, x, baseline, style))
        if index == 0 and style == "name" and _shares_line(box, inner):
            marks.append(_text(box.size, left + outer - _PADDING, baseline, "size", end=True))
    return _Drawn(marks, top + height)


def _shares_line(box: Box, width: float) -> bool:
    """Whether title and number stand on one line."""
    return bool(box.size) and text_width(box.title, "name") + 12 + text_width(box.size) <= width


def _box_lines(box: Box, width: float) -> list[tuple[str, str]]:
    """Style and text of each line; the number is one of its own where it does not fit."""
    lines = [("name", line) for line in wrapped(box.title, width, "name")]
    if box.size and not _shares_line(box, width):
        lines.append(("size", box.size))
    lines += [("soft", line) for fact in box.facts for line in wrapped(fact, width)]
    items = "\u00a0· ".join(item.replace(" ", "\u00a0") for item in box.items)
    return lines + [("faint", line) for line in wrapped(items, width, "faint")]


def _residual(residual: Residual, middle: float, y: float, width: float) -> _Drawn:
    start = y + 10
    inside = _column(residual.inside, middle, start, width - 2 * _RAIL)
    rail, end = middle + width / 2 - _RAIL / 2, inside.bottom + _ARROW + _SUM
    past = f"M{_n(middle)},{_n(start)} H{_n(rail - 8)} q8,0 8,8 V{_n(end - 8)} q0,8 -8,8 "
    marks = [
        _line(middle, y, middle, start),
        element("path", class_="line", d=f"{past}H{_n(middle + _SUM + 6)}"),
        _head(middle + _SUM, end, -1, 0),
        *inside.marks,
        _arrow(middle, inside.bottom, end - _SUM),
        *_plus(middle, end),
    ]
    if label := factor_text(residual):
        marks.append(_text(label, middle - _SUM - 8, end + 4, "soft", end=True))
    return _Drawn(marks, end + _SUM)


def _beside(beside: Beside, middle: float, y: float, width: float) -> _Drawn:
    count = len(beside.branches)
    each = (width - _GAP * (count - 1)) / count
    left = middle - width / 2
    places = [left + each / 2 + index * (each + _GAP) for index in range(count)]
    fork = y + _FORK
    drawn = [
        _column(branch, place, fork, each)
        for branch, place in zip(beside.branches, places, strict=True)
    ]
    join = max(one.bottom for one in drawn) + _FORK + _SUM
    marks = [_line(middle, y, middle, fork), _line(places[0], fork, places[-1], fork)]
    for one, place in zip(drawn, places, strict=True):
        marks += [*one.marks, _line(place, one.bottom, place, join)]
    marks += [
        _line(places[0], join, places[-1], join),
        _head(middle - _SUM, join, 1, 0),
        _head(middle + _SUM, join, -1, 0),
        *_plus(middle, join),
    ]
    return _Drawn(marks, join + _SUM)


def _repeat(repeat: Repeat, middle: float, y: float, width: float) -> _Drawn:
    top, left = y + 12, middle - width / 2
    label = wrapped(repeat.label, width - 2 * _FRAME, "label")
    start = top + _LABEL + (len(label) - 1) * _LINE
    inside = _column(repeat.inside, middle, start, width - 2 * _FRAME)
    bottom = inside.bottom + 12
    marks = [
        element("rect", class_="frame", x=_n(left), y=_n(top), width=_n(width),
                height=_n(bottom - top), rx=10),
        _line(middle, y, middle, top),
        *(
            _text(line, left + _FRAME, top + 18 + index * _LINE, "label")
            for index, line in enumerate(label)
        ),
        *inside.marks,
        _line(middle, inside.bottom, middle, bottom),
    ]  # fmt: skip
    return _Drawn(marks, bottom)


def _plus(x: float, y: float) -> list[Html]:
    return [
        element("circle", class_="sum", cx=_n(x), cy=_n(y), r=_n(_SUM)),
        _line(x - 5, y, x + 5, y),
        _line(x, y - 5, x, y + 5),
    ]


def _arrow(x: float, y: float, end: float) -> Html:
    return Html(_line(x, y, x, end - 5) + _head(x, end, 0, 1))


def _head(x: float, y: float, right: int, down: int) -> Html:
    """An arrow's head with its point at x, y."""
    back = (x - 7 * right, y - 7 * down)
    one, other = (
        (back[0] + 4 * down, back[1] + 4 * right),
        (back[0] - 4 * down, back[1] - 4 * right),
    )
    points = " ".join(f"{_n(a)},{_n(b)}" for a, b in ((x, y), one, other))
    return element("polygon", class_="head", points=points)


def _line(x1: float, y1: float, x2: float, y2: float) -> Html:
    return element("line", class_="line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2))


def _text(
    text: str, x: float, y: float, style: str, *, middle: bool = False, end: bool = False
) -> Html:
    anchor = "middle" if middle else "end" if end else None
    return element("text", text, class_=style, x=_n(x), y=_n(y), text_anchor=anchor)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rules(page: str, box: str, ink: str, soft: str, line: str, frame: str) -> str:
    return (
        f".model-drawing .page{{fill:{page}}}.model-drawing .box,.model-drawing .sum"
        f"{{fill:{box};stroke:{line}}}.model-drawing text{{fill:{ink}}}"
        f".model-drawing .soft,.model-drawing .faint,.model-drawing .end{{fill:{soft}}}"
        f".model-drawing .line{{stroke:{line}}}.model-drawing .head{{fill:{line}}}"
        f".model-drawing .frame{{fill:{frame};stroke:{line}}}"
    )


def _kinds(colours: tuple[str, ...]) -> str:
    used = sorted(set(_COLOUR_OF_KIND.values()))
    return "".join(f".model-drawing .k{index}{{fill:{colours[index]}}}" for index in used)


_STYLE = (
    ".model-drawing text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}"
    ".model-drawing .title{font-size:17px;font-weight:650}"
    ".model-drawing .name{font-size:13px;font-weight:600}.model-drawing .faint{font-size:11px}"
    ".model-drawing .size{font-variant-numeric:tabular-nums}"
    ".model-drawing .label{font-weight:600}.model-drawing .end{font-style:italic}"
    ".model-drawing .line{fill:none;stroke-width:1.4}"
    + _rules("#f6f5f2", "#ffffff", "#1a1a18", "#55534e", "#85827b", "#eceae5")
    + _kinds(COLOURS_LIGHT)
    + "@media (prefers-color-scheme:dark){"
    + _rules("#131312", "#232321", "#f1f0ec", "#b5b2aa", "#8b8880", "#1c1c1a")
    + _kinds(COLOURS_DARK)
    + "}"
)
