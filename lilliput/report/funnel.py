"""A funnel: what is left after each step, in two measures mirrored about one axis."""

from collections.abc import Sequence
from dataclasses import dataclass

from lilliput.quantities import byte_size, number
from lilliput.report.marks import CHARACTER, colour, coordinate, heading, segment, text_at
from lilliput.report.markup import Html, element

_ROW, _BAR = 50, 22


@dataclass(frozen=True)
class FunnelStep:
    """What is left after a step of a build: documents, and bytes of their text."""

    name: str
    documents: int
    bytes: int


def funnel_chart(steps: Sequence[FunnelStep], *, title: str = "", width: int = 640) -> Html:
    """Bars that narrow from step to step: documents to the left, bytes to the right of the axis.

    The widest bar is the largest of its measure. Each row says what the step lost. Returns one
    <svg> element.
    """
    top = 18 + (26 if title else 0)
    middle, half = width / 2, width / 2 - 4
    most = max((step.documents for step in steps), default=0) or 1
    largest = max((step.bytes for step in steps), default=0) or 1
    described = "; ".join(
        f"{step.name}: {number(step.documents)} documents, {byte_size(step.bytes)}"
        for step in steps
    )
    parts = [heading(title, described)]
    parts.append(text_at("documents", middle - 8, top, "name", anchor="end"))
    parts.append(text_at("text", middle + 8, top, "name"))
    top += 12
    ends = [
        (middle - half * step.documents / most, middle + half * step.bytes / largest)
        for step in steps
    ]
    parts.append(_silhouette(ends, top))
    before: FunnelStep | None = None
    for row, (step, (left, right)) in enumerate(zip(steps, ends, strict=True)):
        y = top + row * _ROW
        parts.append(_named(step, before, y, width))
        for index, (start, stop) in enumerate(((left, middle), (middle, right))):
            parts.append(_bar(index, start, stop, y + 22))
        parts.append(_amount(number(step.documents), middle, left, y + 37, -1))
        parts.append(_amount(byte_size(step.bytes), middle, right, y + 37, 1))
        before = step
    height = top + _ROW * len(steps) + 2
    parts.append(segment("axis", middle, top + 18, middle, height - 2))
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )


def _named(step: FunnelStep, before: FunnelStep | None, y: float, width: float) -> Html:
    name = step.name if len(step.name) <= 34 else f"{step.name[:33]}…"
    change = ""
    if before is not None:
        documents, size = step.documents - before.documents, step.bytes - before.bytes
        change = "nothing dropped"
        if documents or size:
            share = abs(documents) / before.documents if before.documents else 0.0
            sign = "−" if documents < 0 else "+"
            change = f"{sign}{number(abs(documents))} ({share:.1%}), " if documents else "edited: "
            change += f"{'−' if size < 0 else '+'}{byte_size(abs(size))}"
    return Html(
        text_at(name, 2, y + 14, "value") + text_at(change, width - 2, y + 14, "name", anchor="end")
    )


def _bar(index: int, start: float, stop: float, y: float) -> Html:
    return element(
        "rect",
        class_=f"f{index}",
        fill=colour(index),
        x=coordinate(start),
        y=coordinate(y),
        width=coordinate(max(0.5, stop - start)),
        height=_BAR,
    )


def _amount(text: str, middle: float, end: float, y: float, side: int) -> Html:
    """The amount: inside its bar where it fits, else beyond the bar's end."""
    needed = CHARACTER * len(text) * 1.15 + 14
    inside = abs(end - middle) >= needed
    x = middle + side * 8 if inside else end + side * 6
    return text_at(
        text,
        x,
        y,
        "inside" if inside else "value",
        anchor="end" if side < 0 else "start",
    )


def _silhouette(ends: Sequence[tuple[float, float]], top: float) -> Html:
    """The faint shape that the bars narrow in."""
    left, right = [], []
    for row, (start, stop) in enumerate(ends):
        for y in (top + row * _ROW + 22, top + row * _ROW + 22 + _BAR):
            left.append(f"{coordinate(start)},{coordinate(y)}")
            right.append(f"{coordinate(stop)},{coordinate(y)}")
    if not left:
        return Html("")
    path = "M" + "L".join([*left, *reversed(right)]) + "Z"
    return element("path", class_="f0", fill=colour(0), fill_opacity=0.1, d=path)
