"""Charts as SVG: they carry their colours, and take a page's light or dark ones inside `page`."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from lilliput.quantities import number
from lilliput.report.marks import CHARACTER, colour, coordinate, heading, segment, text_at
from lilliput.report.markup import Html, element
from lilliput.report.scale import Scale, scale_of
from lilliput.report.series import Series, drawable, thin
from lilliput.report.style import COLOURS_LIGHT

_LINE = 15
# Of the larger text of narrow windows (style.py).
_WIDE_CHARACTER = 1.22 * CHARACTER


def line_chart(
    series: Sequence[Series],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    log_y: bool = False,
    include_zero: bool = False,
    width: int = 560,
    height: int = 300,
) -> Html:
    """Lines over common axes: round ticks, a legend for several, the last value at each end.

    Long series are thinned to what the width can show, keeping every peak. Points that are not
    finite (or not above zero, on a logarithmic axis) leave a gap. Returns one <svg> element.
    """
    runs = [_runs(one, log_x, log_y) for one in series]
    points = [point for line in runs for run in line for point in run]
    banded = [
        edge
        for one in series
        for edges in (one.low, one.high)
        for x, edge in zip(one.x, edges, strict=False)
        if drawable(x, log_x) and drawable(edge, log_y)
    ]
    ends = [line[-1][-1] if line else None for line in runs]
    end_labels = [number(end[1], 3) if end else "" for end in ends]

    top = 12.0 + (24 if title else 0)
    legend, legend_height = _legend([one.name for one in series], top - 4, width)
    several = len(series) > 1
    top += (legend_height if several else 0) + (16 if y_label else 0)
    height += int(legend_height) - 20
    bottom = height - (42 if x_label else 26)
    right = width - 14 - CHARACTER * max((len(label) for label in end_labels), default=0)
    y_scale = scale_of(
        [y for _, y in points] + banded,
        bottom,
        top,
        log=log_y,
        rounded=0 if log_y else 4,
        include_zero=include_zero and not log_y,
    )
    y_ticks = y_scale.ticks(5)
    left = 16 + CHARACTER * max((len(label) for _, label in y_ticks), default=1)
    x_ticks = max(2, int((right - left) / 75))
    x_scale = scale_of([x for x, _ in points], left, right, log=log_x).to_near_ticks(x_ticks)

    parts = [heading(title, _description(series, x_label, y_label))]
    if several:
        parts.append(legend)
    if y_label:
        parts.append(text_at(y_label, 2, top - 8, "name"))
    parts.append(_grid(x_scale, y_scale, x_scale.ticks(x_ticks), y_ticks))
    if x_label:
        parts.append(text_at(x_label, (left + right) / 2, height - 6, "name", anchor="middle"))
    if not points:
        parts.append(
            text_at("no data", (left + right) / 2, (top + bottom) / 2, "name", anchor="middle")
        )
    for index, (one, line) in enumerate(zip(series, runs, strict=True)):
        parts.append(_band(one, index, x_scale, y_scale))
        parts.append(_line(one, line, index, x_scale, y_scale))
    parts.append(_ends(ends, end_labels, x_scale, y_scale, bottom))
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
        data_label=x_label,
        data_x=_scale_data(x_scale),
        data_y=_scale_data(y_scale),
    )


def bar_chart(
    items: Sequence[tuple[str, float]],
    *,
    title: str = "",
    x_label: str = "",
    value_text: Callable[[float], str] = number,
    names_up_to: int = 28,
    width: int = 560,
) -> Html:
    """Horizontal bars from zero, one for each (name, value), each with its value written.

    Names longer than `names_up_to` letters are cut. Values that are not finite have no bar.
    Returns one <svg> element.
    """
    row, top = 28, 14 + (24 if title else 0)
    names = [
        name if len(name) <= names_up_to else f"{name[: names_up_to - 1]}…" for name, _ in items
    ]
    left = 12 + _WIDE_CHARACTER * max((len(name) for name in names), default=0)
    texts = [value_text(value) for _, value in items]
    right = width - 14 - _WIDE_CHARACTER * max((len(text) for text in texts), default=0)
    values = [value for _, value in items if drawable(value)]
    scale = scale_of(values, left, max(right, left + 40), include_zero=True)
    height = top + row * len(items) + (30 if x_label else 8)
    zero = scale.place(0)

    parts = [
        heading(
            title,
            "; ".join(f"{name}: {text}" for (name, _), text in zip(items, texts, strict=True)),
        )
    ]
    for index, ((_, value), name, text) in enumerate(zip(items, names, texts, strict=True)):
        middle = top + row * index + row / 2
        parts.append(text_at(name, left - 8, middle + 4, "name", anchor="end"))
        end = scale.place(value) if drawable(value) else zero
        parts.append(
            element(
                "rect",
                class_="f0",
                fill=COLOURS_LIGHT[0],
                x=coordinate(min(zero, end)),
                y=coordinate(middle - 9),
                width=coordinate(abs(end - zero)),
                height=18,
                rx=3,
            )
        )
        parts.append(text_at(text, max(zero, end) + 6, middle + 4, "value"))
    parts.append(segment("axis", zero, top, zero, top + row * len(items)))
    if x_label:
        parts.append(text_at(x_label, (left + right) / 2, height - 8, "name", anchor="middle"))
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )


def _runs(one: Series, log_x: bool, log_y: bool) -> list[list[tuple[float, float]]]:
    """The stretches of drawable points between gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(one.x, one.y, strict=True):
        if drawable(x, log_x) and drawable(y, log_y):
            runs[-1].append((float(x), float(y)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _description(series: Sequence[Series], x_label: str, y_label: str) -> str:
    spans = []
    for one in series:
        values = [y for y in one.y if drawable(y)]
        if values:
            low, high, last = (number(v) for v in (min(values), max(values), values[-1]))
            spans.append(f"{one.name}: {len(values)} points, from {low} to {high}, last {last}")
    what = f"{y_label or 'value'} over {x_label or 'position'}"
    return f"Line chart of {what}. {'; '.join(spans) or 'No data'}."


def _legend(names: Sequence[str], y: float, width: int) -> tuple[Html, float]:
    """The names with their colours, in as many rows as needed, and the height of these."""
    parts, x, height = [], 2.0, 20.0
    for index, name in enumerate(names):
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        wide = 22 + CHARACTER * len(shown) + 28
        if x > 2 and x + wide > width:
            x, height = 2.0, height + 18
        middle = y + height - 20
        parts.append(_stroke("path", index, d=f"M{x:g},{middle:g}h16", stroke_width=3))
        parts.append(text_at(shown, x + 22, middle + 4, "name"))
        x += wide
    return Html("".join(parts)), height


def _grid(
    x_scale: Scale,
    y_scale: Scale,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
) -> Html:
    left, right, bottom = x_scale.start, x_scale.end, y_scale.start
    parts = []
    for value, label in y_ticks:
        y = y_scale.place(value)
        parts.append(segment("gridline", left, y, right, y))
        parts.append(text_at(label, left - 8, y + 4, "tick", anchor="end"))
    for value, label in x_ticks:
        x = x_scale.place(value)
        parts.append(segment("axis", x, bottom, x, bottom + 4))
        parts.append(text_at(label, x, bottom + 18, "tick", anchor="middle"))
    parts.append(segment("axis", left, bottom, right, bottom))
    return Html("".join(parts))


def _line(
    one: Series,
    runs: list[list[tuple[float, float]]],
    index: int,
    x_scale: Scale,
    y_scale: Scale,
) -> Html:
    placed = []
    for run in runs:
        flat = [(x_scale.place(x), y_scale.place(y)) for x, y in run]
        if all(before[0] <= after[0] for before, after in pairwise(flat)):
            columns = max(1, int(x_scale.end - x_scale.start))
            flat = thin([x for x, _ in flat], [y for _, y in flat], columns)
        placed.append(flat)
    path = "".join(
        "M" + "L".join(f"{coordinate(x)},{coordinate(y)}" for x, y in run) for run in placed
    )
    parts = [_stroke("path", index, class_="line", data_name=one.name, d=path)] if path else []
    alone = [run[0] for run in placed if len(run) == 1]
    for x, y in [point for run in placed for point in run] if one.markers else alone:
        parts.append(_dot(x, y, index, 2.5))
    return Html("".join(parts))


def _band(one: Series, index: int, x_scale: Scale, y_scale: Scale) -> Html:
    edges = [
        (x_scale.place(x), y_scale.place(low), y_scale.place(high))
        for x, low, high in zip(one.x, one.low, one.high, strict=False)
        if drawable(x, x_scale.log) and drawable(low, y_scale.log) and drawable(high, y_scale.log)
    ]
    if len(edges) < 2:
        return Html("")
    outline = [(x, high) for x, _, high in edges] + [(x, low) for x, low, _ in reversed(edges)]
    path = "M" + "L".join(f"{coordinate(x)},{coordinate(y)}" for x, y in outline) + "Z"
    return element(
        "path",
        class_=f"f{index % len(COLOURS_LIGHT)}",
        fill=colour(index),
        fill_opacity=0.16,
        d=path,
    )


def _ends(
    ends: Sequence[tuple[float, float] | None],
    labels: Sequence[str],
    x_scale: Scale,
    y_scale: Scale,
    bottom: float,
) -> Html:
    """A dot and the value at each line's end; values that would overlap are moved apart."""
    placed = sorted(
        (y_scale.place(end[1]), x_scale.place(end[0]), index)
        for index, end in enumerate(ends)
        if end
    )
    column = max((x for _, x, _ in placed), default=0.0)
    heights = [y for y, _, _ in placed]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + _LINE)
    for i in reversed(range(len(heights))):
        below = heights[i + 1] - _LINE if i + 1 < len(heights) else bottom - 2
        heights[i] = min(heights[i], below)
    parts = []
    for height, (y, x, index) in zip(heights, placed, strict=True):
        parts.append(_dot(x, y, index, 3.5))
        parts.append(text_at(labels[index], column + 8, height + 4, "value"))
    return Html("".join(parts))


def _stroke(tag: str, index: int, *, class_: str = "", **attributes: object) -> Html:
    return element(
        tag,
        class_=f"{class_} c{index % len(COLOURS_LIGHT)}".strip(),
        fill="none",
        stroke=colour(index),
        **{"stroke_width": 2, "stroke_linejoin": "round", "stroke_linecap": "round"} | attributes,
    )


def _dot(x: float, y: float, index: int, radius: float) -> Html:
    return element(
        "circle",
        class_=f"f{index % len(COLOURS_LIGHT)}",
        fill=colour(index),
        cx=coordinate(x),
        cy=coordinate(y),
        r=radius,
    )


def _scale_data(scale: Scale) -> str:
    ends = (scale.low, scale.high, scale.start, scale.end)
    return " ".join(f"{end:.9g}" for end in ends) + (" 1" if scale.log else " 0")
