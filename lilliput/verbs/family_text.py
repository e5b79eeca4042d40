"""Families as text: the list and the facts of one for the terminal, tables for the docs' page."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from lilliput.model import TRUNK_FAMILIES
from lilliput.report.diagram_text import text_drawing
from lilliput.verbs.families import (
    VOCABULARY,
    Exports,
    FamilyFacts,
    FamilyShown,
    Switch,
    groups_of_switches,
    list_families,
)

DRAWN = ("mixtral", "s")
"""The family and the size that the docs' page shows."""
_BEGIN, _END = "<!-- {name}: written by `lilliput families page` -->", "<!-- end of {name} -->"
_LONGEST_VALUE = 40


def families_text(families: Sequence[FamilyFacts], width: int, vocabulary_size: int) -> str:
    """Each family in a line of numbers and a few of words, at most `width` (80 or more) wide."""
    name_width = max(len(one.name) for one in families)
    sizes = list(families[0].parameters)
    head = f"{'family':<{name_width}}  year" + "".join(f"{size:>6}" for size in sizes)
    lines = [head + "  gguf  onnx  single file"]
    for one in families:
        counts = "".join(f"{short_count(one.parameters[size]):>6}" for size in sizes)
        marks = (one.exports.gguf, one.exports.onnx, one.exports.single_file)
        gguf, onnx, single = ("yes" if mark else "no" for mark in marks)
        lines.append(
            f"{one.name:<{name_width}}  {one.year}{counts}  {gguf:<4}  {onnx:<4}  {single}"
        )
        loads = f"; loads as {one.exports.transformers}" if one.exports.transformers else ""
        lines += _wrapped(f"{one.distinctive} ({one.paper}){loads}", width, indent=4)
    closing = (
        f"Parameters with a vocabulary of {vocabulary_size:,}. A trained model's folder loads in "
        "transformers as the class named. `lilliput families show NAME` draws one."
    )
    return "\n".join([*lines, "", *_wrapped(closing, width)])


def family_text(shown: FamilyShown, width: int, encoding: str | None = "utf-8") -> str:
    """The drawing of a family, where it goes, and every switch that differs from Llama's."""
    row = shown.family
    lines = [
        *_wrapped(f"{row.name} ({row.paper}, {row.year}): {row.distinctive}", width),
        "",
        text_drawing(shown.diagram, width, encoding=encoding),
        "",
        *_exports_lines(shown.exports, width),
        "",
        _heading(shown),
    ]
    for switch in shown.switches:
        default = "" if switch.default is None else f" (default {_value(switch.default)})"
        lines.append(f"  {switch.name} = {_value(switch.value)}{default}")
        lines += _wrapped(switch.help, width, indent=6)
    return "\n".join(lines)


def _heading(shown: FamilyShown) -> str:
    if shown.family.name in TRUNK_FAMILIES:
        return "Fields of its own"
    return "Switches that differ from Llama's defaults" + ("" if shown.switches else ": none")


def page_blocks() -> dict[str, str]:
    """What the docs' page holds between its markers, by name."""
    return {
        "families": _families_table(list_families()),
        "switches": "\n\n".join(
            f"**{group}**\n\n{_switches_table(found)}"
            for group, found in groups_of_switches().items()
        ),
    }


def filled_page(page: str) -> str:
    """The docs' page with what is between its markers written anew."""
    for name, block in page_blocks().items():
        begin, end = _BEGIN.format(name=name), _END.format(name=name)
        if begin not in page or end not in page.split(begin, 1)[1]:
            raise ValueError(f"the page lacks {begin} or {end}")
        before, rest = page.split(begin, 1)
        page = f"{before}{begin}\n\n{block}\n\n{end}{rest.split(end, 1)[1]}"
    return page


def short_count(count: int) -> str:
    """A count in three digits: "755k", "12.3M", "1.2B"."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size * 0.9995:
            scaled = count / size
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{letter}"
    return str(count)


def _exports_lines(exports: Exports, width: int) -> Iterator[str]:
    targets = {
        "transformers": exports.transformers,
        "gguf": "yes" if exports.gguf else None,
        "onnx": "yes" if exports.onnx else None,
        "single-file": "yes" if exports.single_file else None,
    }
    yield "Exports"
    for target, found in targets.items():
        told = found or f"no: {exports.refusals[target]}"
        yield from _wrapped(f"{target}: {told}", width, indent=2, hanging=2)


def _wrapped(text: str, width: int, *, indent: int = 0, hanging: int = 0) -> list[str]:
    """Lines of at most `width`; a paper's number stays beside its "arXiv"."""
    lines = textwrap.wrap(
        text.replace("arXiv ", "arXiv\u00a0"),
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]


def _families_table(families: Sequence[FamilyFacts]) -> str:
    sizes = list(families[0].parameters)
    rows = [
        (
            f"`{one.name}`",
            f"{one.paper}" if str(one.year) in one.paper else f"{one.paper} ({one.year})",
            one.distinctive,
            *(short_count(one.parameters[size]) for size in sizes),
            _elsewhere(one.exports),
        )
        for one in families
    ]
    heads = ("family", "paper", "distinctive", *sizes, "goes to")
    table = _table(heads, rows, right=tuple(range(3, 3 + len(sizes))))
    return f"{table}\n\nParameters with a vocabulary of {VOCABULARY:,}."


def _elsewhere(exports: Exports) -> str:
    formats = (("GGUF", exports.gguf), ("ONNX", exports.onnx), ("one file", exports.single_file))
    named = [name for name, reached in formats if reached]
    return ", ".join([f"`{exports.transformers}`"] * bool(exports.transformers) + named) or "–"


def _switches_table(found: Sequence[Switch]) -> str:
    rows = [(f"`{one.name}`", _default(one), _told(one)) for one in found]
    return _table(("field", "default", "what it is"), rows)


def _told(switch: Switch) -> str:
    choices = ", ".join(f"`{choice}`" for choice in switch.choices)
    return f"{switch.help} ({choices})" if choices else switch.help


def _default(switch: Switch) -> str:
    return "" if switch.default is None else f"`{_value(switch.default)}`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    rule = ["---:" if index in right else "---" for index in range(len(heads))]
    cells = [heads, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _value(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
