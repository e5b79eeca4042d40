"""Lines around the text that are not the text: menus, running heads, code, licence notices."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lilliput.corpus.filters.validation import check_not_negative, wrong
from lilliput.corpus.stages import Dropped, Example, Outcome, keeping, texts_of, with_texts

_MOST_EXAMPLES = 20
_LONGEST_NAVIGATION = 120
_LONGEST_HEADER = 80
_FEWEST_LINES_BETWEEN = 10

_SEPARATOR = re.compile(r"\s*[|»›•·→/]\s*|\s{3,}|\s+[>-]\s+")
# Whole lines, capitals aside, that lead around a site.
_NAVIGATION = re.compile(
    r"""(?:
    (?:skip|jump)\ to\ (?:main\ )?(?:content|navigation|search) | (?:back\ to\ )?top(?:\ of\ page)?
    | (?:log|sign)\ ?(?:in|out|up)(?:\ (?:/|or)\ (?:register|(?:log|sign)\ ?(?:in|up)))?
    | register | subscribe(?:\ (?:now|today|to\ our\ newsletter))? | (?:my\ )?account
    | (?:add\ to\ )?(?:cart|basket|wishlist) | search(?:\ (?:this\ site|for:?))? | (?:main\ )?menu
    | (?:read|learn|show|view|see|load)\ (?:more|less|all)(?:\ \.\.\.|…)? | home(?:page)?
    | (?:click|tap)\ here(?:\ to\ .{1,40})? | (?:previous|next|older|newer)(?:\ (?:page|posts?))?
    | (?:share|tweet|pin|like|follow)(?:\ (?:this|us|on|via|it)\b.{0,40})?
    | (?:leave|post|add)\ a\ (?:comment|reply)
    | (?:comments?|replies|tags?|categor(?:y|ies)|filed\ under|posted\ (?:in|by|on))\ ?:.{0,80}
    | (?:\d+|no)\ (?:comments?|replies|shares|views|likes) | related\ (?:posts?|articles?|stories)
    | advertisements? | sponsored(?:\ content)? | print(?:\ this)?(?:\ page)? | e-?mail(?:\ this)?
    | (?:about|contact)(?:\ us)? | site\ ?map | faqs? | help | careers | privacy(?:\ policy)?
    | terms(?:\ (?:of\ (?:use|service)|(?:and|&)\ conditions))? | cookie(?:s|\ (?:policy|settings))?
    | (?:copyright\ )?(?:©|\(c\)).{0,80} | all\ rights\ reserved\.? | powered\ by\ .{1,40}
    )\W*""",
    re.IGNORECASE | re.VERBOSE,
)
_CODE = re.compile(
    r"""\s*(?:
    .*[;{}]\s*(?://.*)? | [)\]}]+[;,]?\s*
    | (?:def|class)\ \w+.*:\s* | (?:from\ [\w.]+\ )?import\ [\w.,{}*\ ]+
    | \#\s*(?:include|define|ifdef|ifndef|endif|pragma)\b.* | <\??/?\w+(?:\s[^<>]*)?/?>.*
    | (?:public|private|protected|static|const|let|var|function|fn|func|return)\b.*[=({;]\s*
    | (?:if|for|while|elif|else|try|except|with)\b[^.?!]*:\s* | @\w+(?:\(.*\))?\s*
    | [\w.\[\]]+\s*[-+*/|&]?=\s*\S.* | (?:\$|>>>|\.\.\.)\ \S.* | (?:sudo|pip|npm|git|apt-get)\ \S.*
    )""",
    re.VERBOSE,
)
_COMMENT_LINE = re.compile(r"\s*(?:#(?!!)|//|--|;|%|\*|'|\"\"\"|/\*|<!--|rem\b|dnl\b)", re.I)
_LICENCE = re.compile(r"copyright|licen[cs]ed?\b|spdx-|all rights reserved|warranty", re.IGNORECASE)
_KEPT_AT_TOP = re.compile(r"#!|.{0,4}coding[:=]")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Boilerplate:
    """Takes lines out that are not the document's text; a document of nothing else goes.

    navigation: lines of menus and of calls to log in, share or read on, and copyright lines; also
        lines of at least three short pieces between signs such as | or ».
    repeated: short lines that stand in the text at least this often and far from each other (on
        average 10 lines), numbers in them aside: running heads, page numbers. 0 turns it off.
    code: runs of at least this many lines that look like program code. 0 turns it off.
    licences: the comment at the top of a source file if it speaks of copyright or licences.
    """

    navigation: bool = True
    repeated: int = 4
    code: int = 0
    licences: bool = False

    def __post_init__(self) -> None:
        check_not_negative(self, "repeated", "code")
        if self.repeated == 1:
            raise wrong(self, "repeated", "is 1: at least 2 occurrences are a repetition")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        texts = texts_of(batch)
        dropped: list[Dropped] = []
        counts = Counter[str]()
        examples: list[Example] = []
        for row, text in enumerate(texts):
            lines = text.split("\n")
            marked = self._marked(lines)
            if not marked:
                continue
            counts.update(f"lines removed: {rule}" for rule in marked.values())
            wanted = list(marked.items())[: _MOST_EXAMPLES - len(examples)]
            examples += (Example(row, rule, lines[place], "") for place, rule in wanted)
            kept = [line for place, line in enumerate(lines) if place not in marked]
            texts[row] = "\n".join(kept).strip("\n")
            if not texts[row].strip():
                dropped.append(Dropped(row, "nothing_left", f"{len(marked)} lines"))
        return keeping(with_texts(batch, texts), dropped, counts=counts, examples=examples)

    def _marked(self, lines: Sequence[str]) -> Mapping[int, str]:
        """The lines to take out, by place, each with its rule; the first rule that says so."""
        marked: dict[int, str] = {}
        if self.licences:
            marked.update(dict.fromkeys(_licence_lines(lines), "licences"))
        if self.navigation:
            for place, line in enumerate(lines):
                if place not in marked and _is_navigation(line):
                    marked[place] = "navigation"
        if self.repeated:
            for place in _repeated_lines(lines, self.repeated):
                marked.setdefault(place, "repeated")
        if self.code:
            for place in _code_lines(lines, self.code):
                marked.setdefault(place, "code")
        return dict(sorted(marked.items()))


def _is_navigation(line: str) -> bool:
    line = line.strip()
    if not line or len(line) > _LONGEST_NAVIGATION:
        return False
    if _NAVIGATION.fullmatch(line):
        return True
    if line[-1] in ".?!":
        return False
    pieces = [piece for piece in _SEPARATOR.split(line) if piece]
    # Words alone: tables of numbers have separators too.
    return len(pieces) >= 3 and all(
        len(piece.split()) <= 3 and any(map(str.isalpha, piece)) for piece in pieces
    )


def _repeated_lines(lines: Sequence[str], fewest: int) -> list[int]:
    places: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        line = line.strip()
        if line and len(line) <= _LONGEST_HEADER and any(map(str.isalnum, line)):
            places.setdefault(_DIGITS.sub("0", line), []).append(place)
    return [
        place
        for found in places.values()
        if len(found) >= fewest and found[-1] - found[0] >= _FEWEST_LINES_BETWEEN * (len(found) - 1)
        for place in found
    ]


def _code_lines(lines: Sequence[str], fewest: int) -> list[int]:
    """Runs of code; empty lines inside a run belong to it, and do not count."""
    found: list[int] = []
    run: list[int] = []
    code = 0
    for place, line in enumerate([*lines, "."]):
        if _CODE.fullmatch(line):
            run.append(place)
            code += 1
        elif run and not line.strip():
            run.append(place)
        else:
            if code >= fewest:
                found += run
            run, code = [], 0
    return found


def _licence_lines(lines: Sequence[str]) -> list[int]:
    """The first comment of a source file, if it is about copyright or a licence."""
    start = 0
    while start < len(lines) and (not lines[start].strip() or _KEPT_AT_TOP.match(lines[start])):
        start += 1
    end, block = start, False
    while end < len(lines):
        line = lines[end]
        block = block or line.lstrip().startswith(("/*", "<!--"))
        if not (block or _COMMENT_LINE.match(line)):
            break
        end += 1
        if block and ("*/" in line or "-->" in line):
            break
    if _LICENCE.search("\n".join(lines[start:end])):
        return list(range(start, end))
    return []
