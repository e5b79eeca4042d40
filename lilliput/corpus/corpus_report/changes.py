"""Texts as samples: as they are, or before and after an edit with the change marked."""

import re
from difflib import SequenceMatcher

from lilliput.report import Html, element, escape

MOST_CHARACTERS = 1200
_PIECES = re.compile(r"\s+|\w+|[^\w\s]")


def sample(heading: str, text: str, after: str | None = None) -> Html:
    """A document in a report: dropped or kept (`after` is None), or edited."""
    if after is None or after == text:
        shown = Html(element("p", _cut(text), dir="auto"))
    else:
        before_shown, after_shown = changed(_cut(text), _cut(after))
        shown = Html(element("p", before_shown, dir="auto") + element("p", after_shown, dir="auto"))
    return element("div", element("h3", element("bdi", heading)), shown, class_="sample")


def changed(before: str, after: str) -> tuple[Html, Html]:
    """Both texts with what went marked as `del` and what came as `ins`, word by word."""
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    removed, added = [], []
    for kind, start, stop, new_start, new_stop in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        gone, come = "".join(old[start:stop]), "".join(new[new_start:new_stop])
        removed.append(element("del", gone) if kind != "equal" and gone else escape(gone))
        added.append(element("ins", come) if kind != "equal" and come else escape(come))
    return Html("".join(removed)), Html("".join(added))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
