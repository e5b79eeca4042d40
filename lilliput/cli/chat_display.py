"""How `lilliput chat` shows things: wrapped text, tokens by probability, tables."""

import codecs
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
from rich.cells import cell_len

_LONGEST_HELD = 24  # a longer word is shown before it is complete
_SHADES = ((0.5, "green"), (0.2, "cyan"), (0.05, "yellow"), (0.0, "red"))
_CELL = 33


@dataclass(frozen=True)
class Screen:
    """What is printed on: `wide` columns of a terminal, or none for a pipe or file."""

    wide: int | None = None
    colours: bool = False

    def styled(self, text: str, **style: bool | str) -> str:
        """The text in a style, where there are colours."""
        return click.style(text, **style) if self.colours else text  # type: ignore[arg-type]

    def dim(self, text: str) -> str:
        """The text set back."""
        return self.styled(text, dim=True)


@dataclass(frozen=True)
class ShownToken:
    """A token to show: its place in the answer, if it is part of it, and its probability."""

    place: int | None
    id: int
    name: str
    token_bytes: bytes
    probability: float | None


class WordWrap:
    """Text that comes in pieces, broken between words; a word waits until it is complete."""

    def __init__(self, width: int) -> None:
        self._width, self._column = max(1, width), 0
        self._space = self._word = ""

    def write(self, piece: str) -> str:
        """What can be shown now."""
        shown = ""
        for part in re.findall(r"\n|[^\S\n]+|\S+", piece):
            if part == "\n":
                shown += self.close() + "\n"
                self._column = 0
            elif part.isspace():
                shown += self._flush()
                self._space += part.replace("\t", "    ")
            else:
                self._word += part
                if cell_len(self._word) >= _LONGEST_HELD:
                    shown += self._flush()
        return shown

    def close(self) -> str:
        """What is still waiting; space at the end of a line is left out."""
        shown = self._flush()
        self._space = ""
        return shown

    def _flush(self) -> str:
        if not self._word:
            return ""
        width = cell_len(self._word)
        space, word = self._space, self._word
        self._space = self._word = ""
        if self._column and self._column + len(space) + width > self._width and space:
            self._column = width
            return "\n" + word
        reached = self._column + len(space) + width
        self._column = reached if reached <= self._width else reached % self._width
        return space + word


def printable(text: str) -> str:
    """The text without characters that would control a terminal."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)


def percent(probability: float) -> str:
    """A probability in few digits."""
    return "<0.1%" if probability < 0.0005 else f"{100 * probability:.1f}%"


def quoted(text: str) -> str:
    """A token's text between quotes, on one line."""
    return printable(json.dumps(text, ensure_ascii=False))


def tokens_table(screen: Screen, tokens: Sequence[ShownToken]) -> str:
    """Tokens with number, id and probability: cells on a terminal, elsewhere a line each."""
    if screen.wide is None:
        return "\n".join(
            f"{token.place or '-'}\t{token.id}\t"
            f"{'-' if token.probability is None else format(token.probability, '.6f')}\t"
            f"{quoted(token.name)}"
            for token in tokens
        )
    columns = max(1, screen.wide // _CELL)
    cells = [_cell(screen, token) for token in tokens]
    rows = ["".join(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    legend = "  ".join(
        screen.styled(label, fg=colour)
        for label, (_, colour) in zip(("50%+", "20-50%", "5-20%", "below 5%"), _SHADES, strict=True)
    )
    shown = [_coloured_text(screen, tokens), "", *rows]
    return "\n".join([*shown, "", legend] if screen.colours else shown)


def alternatives_table(
    screen: Screen, rows: Sequence[tuple[int, str, int, float, float]], chosen: int
) -> str:
    """Alternatives: rank, token, id, the model's probability and that under the settings."""
    names = [quoted(name) for _, name, *_ in rows]
    width = max([len("token"), *map(cell_len, names)])
    lines = [screen.dim(f"       #  {'token':<{width}}  {'id':>6}  {'model':>7}  {'as set':>7}")]
    for name, (rank, _, token, own, sampled) in zip(names, rows, strict=True):
        padded = name + " " * (width - cell_len(name))
        mark = ">" if token == chosen else " "
        line = f"  {mark} {rank:>4}  {padded}  {token:>6}  {percent(own):>7}  {percent(sampled):>7}"
        lines.append(screen.styled(line, bold=True) if token == chosen else line)
    return "\n".join(lines)


def shortened(text: str, most: int, *, from_end: bool = False) -> str:
    """A text on one line, cut to so many characters."""
    text = printable(" ".join(text.split()))
    if len(text) <= most:
        return text
    return "…" + text[1 - most :] if from_end else text[: most - 1] + "…"


def _cell(screen: Screen, token: ShownToken) -> str:
    share = "" if token.probability is None else percent(token.probability)
    place = "" if token.place is None else str(token.place)
    name = quoted(token.name)
    room = _CELL - 22
    while cell_len(name) > room:
        name = name[:-2] + "…"
    name += " " * (room - cell_len(name))
    return f"{place:>4} {_shade(screen, token)(name)} {token.id:>6} {share:>6}   "


def _coloured_text(screen: Screen, tokens: Sequence[ShownToken]) -> str:
    """The tokens' text, each in the colour of its probability, broken between words."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown, column = "", 0
    group: list[tuple[str, Callable[[str], str]]] = []

    def flush() -> None:
        nonlocal shown, column, group
        plain = "".join(text for text, _ in group)
        if column and column + cell_len(plain) > (screen.wide or 80):
            shown, column = shown + "\n", 0
            group = [
                (text.lstrip(" ") if n == 0 else text, style)
                for n, (text, style) in enumerate(group)
            ]
        shown += "".join(style(text) for text, style in group)
        tail = "".join(text for text, _ in group)
        column = cell_len(tail.rpartition("\n")[2]) + (0 if "\n" in tail else column)
        group = []

    for token in tokens:
        text = printable(decoder.decode(token.token_bytes)) or ""
        if text[:1].isspace():
            flush()
        group.append((text, _shade(screen, token)))
    flush()
    return shown


def _shade(screen: Screen, token: ShownToken) -> Callable[[str], str]:
    probability = token.probability
    if probability is None:
        return screen.dim
    colour = next(colour for least, colour in _SHADES if probability >= least)
    return lambda text: screen.styled(text, fg=colour) if text else ""
