"""Line plots for the terminal, drawn with braille dots (2 × 4 to a character)."""

from collections.abc import Sequence
from itertools import groupby

from lilliput.report.scale import Scale, scale_of
from lilliput.report.series import Series, drawable

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_COLOURS = (34, 33, 32, 35, 36, 31)
_ASCII_MARKS = "*+xo#@"
_PLAIN = str.maketrans("│└─┴━", "|+-+=")


def terminal_chart(
    series: Sequence[Series],
    width: int = 72,
    height: int = 14,
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_y: bool = False,
    colour: bool = False,
    encoding: str | None = "utf-8",
) -> str:
    """The series as lines of text, at most `width` characters by about `height` lines.

    `colour` adds ANSI colours. Where `encoding` (that of the stream to print on) has no braille
    dots, the plot is drawn in ASCII. Returned without a newline at the end.
    """
    ascii_only = not _has_braille(encoding)
    lines = [_drawable_points(one, log_y) for one in series]
    points = [point for line in lines for point in line]
    if not points:
        return "\n".join(part for part in (title, "(no data)") if part)
    heading = _heading(series, title, y_label, width, colour, ascii_only)
    rows = max(3, height - 2 - (1 if x_label else 0) - len(heading))
    y_scale = scale_of(
        (y for _, y in points), rows * 4 - 1, 0, log=log_y, rounded=0 if log_y else 8
    )
    y_labels = {
        round(y_scale.place(value)) // 4: label
        for value, label in y_scale.ticks(min(6, max(3, rows // 2)))
    }
    margin = max((len(label) for label in y_labels.values()), default=0) + 1
    columns = max(8, width - margin - 2)
    x_scale = scale_of((x for x, _ in points), 0, columns * 2 - 1)

    canvas = _Canvas(columns, rows, ascii_only, colour)
    for index, line in enumerate(lines):
        _draw(canvas, line, x_scale, y_scale, index)
    body = [f"{y_labels.get(row, ''):>{margin}} │{canvas.row(row)}" for row in range(rows)]
    axis, x_labels = _x_axis(x_scale, columns)
    body.append(f"{'':>{margin}} └{axis}")
    body.append(f"{'':>{margin}}  {x_labels}".rstrip())
    if x_label:
        body.append(f"{'':>{margin}}  {x_label:^{columns}}".rstrip())
    text = "\n".join(heading + body)
    return text.translate(_PLAIN) if ascii_only else text


class _Canvas:
    """A grid of characters, addressed by dots: 2 across and 4 down to each."""

    def __init__(self, columns: int, rows: int, ascii_only: bool, colour: bool) -> None:
        self._dots = [[0] * columns for _ in range(rows)]
        self._owner = [[0] * columns for _ in range(rows)]
        self._ascii_only = ascii_only
        self._colour = colour

    def mark(self, x: int, y: int, owner: int) -> None:
        self._dots[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
        self._owner[y // 4][x // 2] = owner

    def row(self, row: int) -> str:
        stretches = groupby(
            zip(self._dots[row], self._owner[row], strict=True),
            key=lambda cell: cell[1] if cell[0] else None,
        )
        parts = []
        for owner, cells in stretches:
            dots = [dots for dots, _ in cells]
            if owner is None:
                parts.append(" " * len(dots))
            elif self._ascii_only:
                parts.append(_ASCII_MARKS[owner % len(_ASCII_MARKS)] * len(dots))
            else:
                braille = "".join(chr(0x2800 + dot) for dot in dots)
                parts.append(_paint(braille, owner, self._colour))
        return "".join(parts).rstrip()


def _draw(
    canvas: _Canvas,
    points: Sequence[tuple[float, float]],
    x_scale: Scale,
    y_scale: Scale,
    owner: int,
) -> None:
    """Join the points by straight lines, one dot for each dot column or row they cross."""
    placed = [(round(x_scale.place(x)), round(y_scale.place(y))) for x, y in points]
    for (x0, y0), (x1, y1) in zip(placed, placed[1:] or placed, strict=False):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            x = x0 + round((x1 - x0) * step / steps)
            y = y0 + round((y1 - y0) * step / steps)
            canvas.mark(x, y, owner)


def _drawable_points(one: Series, log_y: bool) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for x, y in zip(one.x, one.y, strict=True)
        if drawable(x) and drawable(y, log_y)
    ]


def _heading(
    series: Sequence[Series], title: str, y_label: str, width: int, colour: bool, ascii_only: bool
) -> list[str]:
    """Title, legend and the name of the y axis, in as few lines as fit."""
    heading = [title[:width]] if title else []
    if len(series) == 1:
        return [*heading, y_label[:width]] if y_label else heading
    room = max(1, (width + 3) // len(series) - 6)
    names = [one.name[:room] for one in series]
    marks = ["━━"] * len(series)
    if ascii_only:
        marks = [_ASCII_MARKS[index % len(_ASCII_MARKS)] for index in range(len(series))]
    plain = "   ".join(f"{mark} {name}" for mark, name in zip(marks, names, strict=True))
    legend = "   ".join(
        f"{_paint(mark, index, colour)} {name}"
        for index, (mark, name) in enumerate(zip(marks, names, strict=True))
    )
    if y_label and len(plain) + len(y_label) + 5 <= width:
        return [*heading, f"{legend}   ({y_label})"]
    return [*heading, legend, *([y_label[:width]] if y_label else [])]


def _x_axis(x_scale: Scale, columns: int) -> tuple[str, str]:
    """The axis line with its ticks, and the labels below them."""
    axis, labels = ["─"] * columns, [" "] * columns
    free = 0
    for value, label in x_scale.ticks(max(2, columns // 14)):
        column = round(x_scale.place(value)) // 2
        start = min(max(column - len(label) // 2, 0), columns - len(label))
        if start < free or start < 0:
            continue
        axis[column] = "┴"
        labels[start : start + len(label)] = label
        free = start + len(label) + 1
    return "".join(axis), "".join(labels)


def _paint(text: str, index: int, colour: bool) -> str:
    return f"\x1b[{_COLOURS[index % len(_COLOURS)]}m{text}\x1b[0m" if colour else text


def _has_braille(encoding: str | None) -> bool:
    try:
        "⣿━│".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
