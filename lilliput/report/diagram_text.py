"""A diagram in characters. Every node is lines of one width, the stream in the middle of them."""

import textwrap

from lilliput.report.diagram import (
    Beside,
    Box,
    Column,
    Diagram,
    Node,
    Repeat,
    Residual,
    factor_text,
    unbroken,
)

_WIDEST_BOX = 62
_NARROWEST = 60
_RAIL = 3  # columns from the right edge to the line that goes past a residual's inside
_PLAIN = str.maketrans("┌┐└┘├┬┴┼─│┏┓┗┛━┃┷┯▼◄⊕×·–→", "++++++++-|++++=|++v<+x/->")


def text_drawing(diagram: Diagram, width: int = 80, *, encoding: str | None = "utf-8") -> str:
    """The diagram, at most `width` characters wide (but at least 60).

    Where `encoding` (that of the stream to print on) lacks the characters, it is drawn in ASCII.
    """
    width = max(_NARROWEST, width)
    lines = [diagram.title, *(part for fact in diagram.facts for part in _wrapped(fact, width)), ""]
    lines += [_centred(diagram.start, width), *_column(diagram.column, width)]
    lines += [_at_port("▼", width), _centred(diagram.end, width)]
    if diagram.training_only:
        lines += ["", _centred("only in training, beside the head:", width)]
        lines += _column(diagram.training_only, width, arrows=False)
    text = "\n".join(line.rstrip() for line in lines)
    return text if _can_say(text, encoding) else text.translate(_PLAIN)


def _can_say(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _column(column: Column, width: int, *, arrows: bool = True) -> list[str]:
    return [line for node in column for line in _node(node, width, arrows=arrows)]


def _node(node: Node, width: int, *, arrows: bool = True) -> list[str]:
    match node:
        case Box():
            return _box(node, width, arrows=arrows)
        case Residual():
            return _residual(node, width)
        case Beside():
            return _beside(node, width)
        case Repeat():
            return _repeat(node, width)


def _box(box: Box, width: int, *, arrows: bool) -> list[str]:
    outer = min(width, _WIDEST_BOX)
    left = (width - outer) // 2
    port, inner = width // 2 - left, outer - 4
    edge = "─" * (outer - 2)
    top, bottom = f"┌{edge}┐", f"└{edge}┘"
    if arrows:
        top, bottom = _put(top, port, "▼"), _put(bottom, port, "┬")
    body = [f"│ {line:<{inner}} │" for line in _box_lines(box, inner)]
    return [f"{'':<{left}}{line}".ljust(width) for line in (top, *body, bottom)]


def _box_lines(box: Box, width: int) -> list[str]:
    room = width - len(box.size) - 2
    title = _wrapped(box.title, room if room >= len(box.title) else width)
    if box.size and len(title[-1]) + 2 + len(box.size) <= width:
        title[-1] = f"{title[-1]:<{width - len(box.size)}}{box.size}"
    elif box.size:
        title += [f"{line:>{width}}" for line in _wrapped(box.size, width)]
    facts = [line for fact in box.facts for line in _wrapped(fact, width)]
    # A name stays on one line with its number, where both fit.
    items = "\u00a0· ".join(
        item.replace(" ", "\u00a0") if len(item) + 2 <= width else item for item in box.items
    )
    return title + facts + _wrapped(items, width)


def _residual(residual: Residual, width: int) -> list[str]:
    port, rail = width // 2, width - _RAIL
    past = "─" * (rail - port - 1)
    margin = _RAIL + 1
    inner = _column(residual.inside, width - 2 * margin)
    label = factor_text(residual)
    top = f"{'':<{port}}├{past}┐".ljust(width)
    bottom = f"{label + ' ' if label else '':>{port}}⊕◄{past[1:]}┘".ljust(width)
    return [
        top,
        *(f"{'':<{margin}}{line} │".ljust(width) for line in inner),
        bottom,
    ]


def _beside(beside: Beside, width: int) -> list[str]:
    count, gap, port = len(beside.branches), 2, width // 2
    each = (width - gap * (count - 1)) // count
    left = 0
    if count % 2:  # the middle branch stands right below the stream
        each -= 1 - each % 2
        left = port - count // 2 * (each + gap) - each // 2
    ports = [left + index * (each + gap) + each // 2 for index in range(count)]
    drawn = [_column(branch, each) for branch in beside.branches]
    height = max(map(len, drawn))
    below = _at_port("│", each)
    rows = [
        (
            " " * left
            + (" " * gap).join(lines[row] if row < len(lines) else below for lines in drawn)
        ).ljust(width)
        for row in range(height)
    ]
    return [
        _fork(ports, port, width, "┌┬┐", "┼" if port in ports else "┴"),
        *rows,
        _fork(ports, port, width, "└┴┘", "⊕"),
    ]


def _fork(ports: list[int], port: int, width: int, corners: str, middle: str) -> str:
    first, last = min(*ports, port), max(*ports, port)
    line = " " * first + "─" * (last - first + 1)
    for index, place in enumerate(ports):
        corner = corners[0] if index == 0 else corners[2] if index == len(ports) - 1 else corners[1]
        line = _put(line, place, corner)
    return _put(line, port, middle).ljust(width)


def _repeat(repeat: Repeat, width: int) -> list[str]:
    port, inner = width // 2, width - 4
    first, *more = _wrapped(repeat.label, inner - 4)
    top = f"┏━ {first} {'':━<{width - 5 - len(first)}}┓"
    if len(first) + 4 < port:
        top = _put(top, port, "┷")
    label = [f"┃  {line:<{width - 5}} ┃" for line in more]
    label = [line if line[port] != " " else _put(line, port, "│") for line in label]
    body = [f"┃ {line} ┃" for line in _column(repeat.inside, inner)]
    bottom = _put(f"┗{'':━<{width - 2}}┛", port, "┯")
    return [top, *label, *body, bottom]


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(unbroken(text), max(8, width), break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def _centred(text: str, width: int) -> str:
    return f"{'':<{max(0, width // 2 - len(text) // 2)}}{text}"


def _at_port(mark: str, width: int) -> str:
    return _put(" " * width, width // 2, mark)


def _put(line: str, place: int, mark: str) -> str:
    return line[:place] + mark + line[place + 1 :]
