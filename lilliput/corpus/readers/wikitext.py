"""Wikitext to plain text, by substitutions from the innermost brackets outwards.

Headings, lists ("- ") and tables (a line a row, cells between bars) are kept as lines; templates,
references, files, categories and formulas are left out. A parser builds a tree of the same things
at a twentieth of the speed.
"""

import html
import re
from collections.abc import Callable

FILE_AND_CATEGORY = frozenset({"file", "image", "media", "category"})

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NOWIKI = re.compile(r"<nowiki>(.*?)</nowiki>|<nowiki\s*/>", re.DOTALL | re.IGNORECASE)
# What these enclose is no text.
_SILENT = (
    "ref|references|math|chem|ce|gallery|timeline|score|imagemap|hiero|graph|mapframe|maplink|"
    "templatestyles|templatedata|categorytree|inputbox|section|indicator|style|script"
)
_SILENT_EMPTY = re.compile(rf"<(?:{_SILENT})\b[^<>]*/>", re.IGNORECASE)
_SILENT_PAIR = re.compile(rf"<({_SILENT})\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_BRACES = re.compile(r"\{\{|\}\}")
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_ADDRESS = re.compile(r"\[(?:(?:https?|ftp|mailto|irc|news):|//)[^\s\[\]]*[ \t]*([^\[\]\n]*)\]")
_OTHER_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z-]+)?")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__[A-Z]+__")
_HEADING = re.compile(r"(={1,6})\s*(.*?)\s*\1")
_LIST = re.compile(r"[*#:;]+")
_CELL_SETTINGS = re.compile(r"""\s*(?:[\w-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'|]+)\s*)+\|(?!\|)""")
_EMPTY_BRACKETS = re.compile(r"[ \t]*\([\s,;:]*\)")
_LEFT_OVER = re.compile(r"\([\s,;:]+")
_SPACES = re.compile(r"[ \t\xa0]{2,}")
_MOST_DEPTH = 40


def plain_text(wikitext: str, dropped_links: frozenset[str] = FILE_AND_CATEGORY) -> str:
    """The text of an article. `dropped_links` are namespaces, in lower case, of links left out."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[1] or "")
        return f"\x00{len(kept) - 1}\x00"

    text = wikitext.replace("\x00", "")
    if "<" in text:
        text = _COMMENT.sub("", text)
        text = _NOWIKI.sub(keep, text)
        text = _SILENT_EMPTY.sub("", text)
        text = _SILENT_PAIR.sub("", text)
        text = _BREAK.sub("\n", text)
    text = _inside_out(_PARAMETER, lambda match: "", text)
    text = _inside_out(_TEMPLATE, _template, text)
    if "{{" in text:
        text = _without_braced(text)
    text = _inside_out(_LINK, lambda match: _link(match[1], dropped_links), text)
    text = _ADDRESS.sub(r"\1", text)
    text = _TAG.sub("", text)
    text = _QUOTES.sub("", text)
    text = _SWITCH.sub("", text)
    text = "\n".join(_without_empty_sections(_lines(text)))
    if "&" in text:
        text = html.unescape(text)
    text = _LEFT_OVER.sub("(", _EMPTY_BRACKETS.sub("", text))
    text = _SPACES.sub(" ", text)
    if kept:
        text = re.sub("\x00(\\d+)\x00", lambda match: kept[int(match[1])], text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _inside_out(
    pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str], text: str
) -> str:
    """Replace until nothing is left to replace; the pattern matches what holds no further one."""
    for _ in range(_MOST_DEPTH):
        text, count = pattern.subn(replacement, text)
        if not count:
            break
    return text


def _without_braced(text: str) -> str:
    """The text without what double braces enclose that has single ones within."""
    parts: list[str] = []
    depth = end = 0
    for match in _BRACES.finditer(text):
        if match[0] == "{{":
            if not depth:
                parts.append(text[end : match.start()])
                end = match.start()
            depth += 1
        elif depth:
            depth -= 1
            end = match.end() if not depth else end
    # Braces that are never closed are taken for text.
    return "".join(parts) + text[end:].replace("{{", "") if depth else "".join(parts) + text[end:]


def _template(match: re.Match[str]) -> str:
    """The text of the few templates that carry words of the sentence; of all others nothing."""
    name, *values = match[1].split("|")
    name = name.strip().casefold()
    plain = [value for value in values if "=" not in value]
    if name in ("lang", "nowrap", "nobr", "nobold", "small", "big", "transl", "transliteration"):
        return plain[-1] if plain else ""
    if name in ("convert", "cvt") and len(plain) >= 2:
        return f"{plain[0].strip()} {plain[1].strip()}"
    return ""


def _link(inside: str, dropped_links: frozenset[str]) -> str:
    target, bar, label = inside.partition("|")
    space, colon, _ = target.partition(":")
    if colon and space:
        space = space.strip().casefold()
        if space in dropped_links or (not bar and _OTHER_LANGUAGE.fullmatch(space)):
            return ""
    return label.rpartition("|")[2] if bar and label else target.removeprefix(":")


def _lines(text: str) -> list[str]:
    """The lines of a text, with tables and lists as lines and headings between blank ones.

    A heading's line begins with a form feed for each level.
    """
    lines: list[str] = []
    depth = 0
    cells: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.startswith("{|"):
            cells = _end_row(lines, cells)
            depth += 1
        elif depth and stripped.startswith("|}"):
            depth -= 1
            cells = _end_row(lines, cells)
            if not depth:
                lines.append("")
        elif depth:
            cells = _table_line(stripped, lines, cells)
        else:
            lines.append(_line(line.rstrip()))
    _end_row(lines, cells)
    return lines


def _line(line: str) -> str:
    first = line[:1]
    if first == "=":
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            return "\f" * len(heading[1]) + heading[2]
    elif first in ("*", "#", ":", ";") and first:
        marks = _LIST.match(line)
        if marks is not None:
            rest = line[marks.end() :].strip()
            bullet = "" if marks[0][-1] in ":;" else "- "
            return bullet + rest if rest else ""
    elif line == "----":
        return ""
    return line.strip()


def _table_line(line: str, lines: list[str], cells: list[str]) -> list[str]:
    if line.startswith("|-"):
        return _end_row(lines, cells)
    if line.startswith("|+"):
        lines.append(_CELL_SETTINGS.sub("", line[2:], count=1).strip())
        return cells
    if line[:1] in ("|", "!"):
        parts = re.split(r"\|\||!!", line[1:]) if line[0] == "!" else line[1:].split("||")
        return cells + [_CELL_SETTINGS.sub("", part, count=1).strip() for part in parts]
    line = _line(line)
    if cells and line:
        cells[-1] = f"{cells[-1]} {line}".strip()
    return cells


def _end_row(lines: list[str], cells: list[str]) -> list[str]:
    filled = [cell for cell in cells if cell]
    if filled:
        lines.append(" | ".join(filled))
    return []


def _without_empty_sections(lines: list[str]) -> list[str]:
    """The lines, less the headings under which nothing stands."""
    kept: list[str] = []
    below = 0
    # From the end: a heading stays if text stood below it before another of its level or higher.
    for line in reversed(lines):
        if not line.startswith("\f"):
            kept.append(line)
            below = 99 if line else below
            continue
        level = len(line) - len(line.lstrip("\f"))
        if below > level:
            kept += ["", line.lstrip("\f"), ""]
            below = level
        # Only the headings above, of a higher level, have this text below them too.
    return kept[::-1]
