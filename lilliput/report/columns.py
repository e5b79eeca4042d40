"""A histogram: columns over a number line, linear or logarithmic."""

from collections.abc import Callable, Sequence

from lilliput.quantities import number
from lilliput.report.marks import CHARACTER, colour, coordinate, heading, segment, text_at
from lilliput.report.markup import Html, element
from lilliput.report.scale import Scale, scale_of

Column = tuple[float, float, float]


def column_chart(
    columns: Sequence[Column],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    marks: Sequence[tuple[str, float]] = (),
    value_text: Callable[[float], str] = number,
    width: int = 560,
    height: int = 280,
) -> Html:
    """Columns from zero, one for each (low, high, value) in order of low, each with its read-out.

    `marks` are named values on the x axis, drawn as rules. On a logarithmic axis ends must be above
    zero. Returns one <svg> element.
    """
    top = 12.0 + (24 if title else 0) + (16 if y_label else 0) + (16 if marks else 0)
    bottom = height - (42 if x_label else 26)
    values = [value for _, _, value in columns]
    y_scale = scale_of(values, bottom, top, rounded=4, include_zero=True)
    y_ticks = y_scale.ticks(5)
    left = 16 + CHARACTER * max((len(label) for _, label in y_ticks), default=1)
    ends = [end for low, high, _ in columns for end in (low, high)]
    x_scale = scale_of(ends, left, width - 14, log=log_x)
    described = f"Columns of {y_label or 'value'} over {x_label or 'value'}." + "".join(
        f" {name}: {number(value)}." for name, value in marks
    )
    parts = [heading(title, described)]
    if y_label:
        parts.append(text_at(y_label, 2, top - 8 - (16 if marks else 0), "name"))
    for value, label in y_ticks:
        y = y_scale.place(value)
        parts.append(segment("gridline", left, y, width - 14, y))
        parts.append(text_at(label, left - 8, y + 4, "tick", anchor="end"))
    for value, label in x_scale.ticks(max(2, int((width - left) / 75))):
        x = x_scale.place(value)
        parts.append(segment("axis", x, bottom, x, bottom + 4))
        parts.append(text_at(label, x, bottom + 18, "tick", anchor="middle"))
    parts += [_column(column, x_scale, y_scale, value_text) for column in columns]
    parts.append(segment("axis", left, bottom, width - 14, bottom))
    right_of_last = -100.0
    for name, value in marks:
        x = x_scale.place(value)
        parts.append(segment("axis", x, top, x, bottom))
        if x - right_of_last > CHARACTER * len(name) / 2 + 6:
            parts.append(text_at(name, x, top - 6, "name", anchor="middle"))
            right_of_last = x + CHARACTER * len(name) / 2
    if x_label:
        parts.append(text_at(x_label, (left + width - 14) / 2, height - 6, "name", anchor="middle"))
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )


def _column(
    column: Column, x_scale: Scale, y_scale: Scale, value_text: Callable[[float], str]
) -> Html:
    low, high, value = column
    left, right = x_scale.place(low), x_scale.place(high)
    gap = min(1.5, (right - left) / 6)
    zero, end = y_scale.place(0), y_scale.place(value)
    return element(
        "rect",
        element("title", f"{number(low)} to {number(high)}: {value_text(value)}"),
        class_="f0",
        fill=colour(0),
        x=coordinate(left + gap / 2),
        y=coordinate(end),
        width=coordinate(max(0.5, right - left - gap)),
        height=coordinate(max(0.0, zero - end)),
    )
