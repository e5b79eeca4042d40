"""The attribution file: whose text a corpus holds, under which licences, and what these ask."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lilliput.corpus.mixing.licences import Licence, licence_of
from lilliput.quantities import byte_size, number

_OPERATOR = re.compile(r"\s+(?:OR|AND|WITH)\s+|[()]")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&])")


@dataclass(frozen=True)
class LicensedSource:
    """A source as the user described it."""

    name: str
    location: str
    license: str | None = None
    attribution: str | None = None


def attribution(
    sources: Sequence[LicensedSource],
    counts: Mapping[tuple[str, str | None], tuple[int, int]],
    *,
    title: str = "this corpus",
) -> str:
    """The text of `attribution.md` (Markdown).

    `counts` says, for each (source name, licence of its documents or None), the documents and the
    bytes of text that the corpus holds. Licences are recognised by `licence_of`; of an SPDX
    expression ("MIT OR Apache-2.0") each part is explained. The same facts give the same text.
    """
    ordered = sorted(counts.items(), key=lambda one: (one[0][0], one[0][1] or ""))
    lines = [
        f"# Sources and licences of {_plain(title)}",
        "",
        "Every document keeps its source (and its licence, where known) in the corpus itself. "
        "What follows was put together by a program: it helps to keep the licences and is no legal "
        "advice.",
        "",
        "## Sources",
        "",
    ]
    for source in sources:
        lines += _source_lines(source, [one for one in ordered if one[0][0] == source.name])
    described = {source.name for source in sources}
    for name in dict.fromkeys(name for (name, _), _ in ordered if name not in described):
        lines += _source_lines(
            LicensedSource(name, ""), [one for one in ordered if one[0][0] == name]
        )
    lines += ["## What the licences ask", ""]
    lines += _duty_lines([(licence, tally) for (_, licence), tally in ordered])
    return "\n".join(lines).rstrip() + "\n"


def _source_lines(
    source: LicensedSource, counts: Sequence[tuple[tuple[str, str | None], tuple[int, int]]]
) -> list[str]:
    lines = [f"### {_plain(source.name)}", ""]
    if source.location and source.location != source.name:
        lines.append(f"- From: {_plain(source.location)}")
    if source.attribution:
        lines.append(f"- By: {_plain(source.attribution)}")
    for (_, licence), tally in counts:
        shown = _plain(licence) if licence else "licence unknown"
        lines.append(f"- {_amount([tally])}: {shown}")
    if not counts:
        lines.append("- No document of it is in the corpus.")
    return [*lines, ""]


def _duty_lines(counts: Sequence[tuple[str | None, tuple[int, int]]]) -> list[str]:
    lines: list[str] = []
    found: dict[str, Licence] = {}
    for text in dict.fromkeys(text for text, _ in counts if text):
        amount = _amount(tally for licence, tally in counts if licence == text)
        whole = licence_of(text)
        parts = [text] if whole else [part for part in _OPERATOR.split(text) if part.strip()]
        known = [licence for licence in map(licence_of, parts) if licence]
        found |= {licence.identifier: licence for licence in known}
        if not known:
            explained = (
                "Not a licence that Lilliput knows: read it before you pass the text, or a model "
                "trained on it, on."
            )
        elif len(parts) == 1:
            explained = _explained(known[0])
        else:
            explained = "An expression of several licences. " + " ".join(
                f"{licence.identifier}: {licence.duties}" for licence in known
            )
            if len(known) < len(parts):
                explained += " The rest of it is not known to Lilliput."
        lines += [f"- **{_plain(text)}** ({amount}). {explained}"]
    unknown = [tally for licence, tally in counts if not licence]
    if unknown:
        lines.append(
            f"- **Licence unknown** ({_amount(unknown)}). Nobody said under which licence these "
            "texts may be used. Without one, the authors keep all rights; say `license` for the "
            "source in corpus.toml once you know."
        )
    return [*lines, "", *_conclusions(found.values(), bool(unknown))]


def _explained(licence: Licence) -> str:
    return f"{licence.name}, <{licence.url}>. {licence.duties}"


def _conclusions(licences: Iterable[Licence], unknown: bool) -> list[str]:
    licences = sorted(licences, key=lambda licence: licence.identifier)
    lines = []
    alike = [licence.identifier for licence in licences if licence.share_alike]
    if alike:
        lines.append(
            f"Share-alike text is in the corpus ({', '.join(alike)}): pass the corpus on only "
            "under those licences, each part under its own."
        )
    if len(alike) > 1:
        lines.append(
            "Several share-alike licences do not mix in one work: keep the parts apart, as the "
            "`license` column does."
        )
    if any(licence.no_commerce for licence in licences):
        lines.append("Some text may not be used commercially.")
    if any(licence.no_changes for licence in licences):
        lines.append(
            "Some text may not be passed on changed; filters and cuts change it. Do not publish "
            "those documents."
        )
    if any(licence.attribution for licence in licences):
        lines.append("Keep this file with the corpus: it gives the attribution that is asked for.")
    if unknown:
        lines.append("Do not publish the documents whose licence is unknown.")
    return [line for paragraph in lines for line in (paragraph, "")]


def _amount(tallies: Iterable[tuple[int, int]]) -> str:
    pairs = list(tallies)
    documents, size = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return f"{number(documents)} document{'' if documents == 1 else 's'}, {byte_size(size)}"


def _plain(text: str) -> str:
    """One line of text that Markdown shows as it is written; addresses stay links."""
    line = " ".join(text.split())
    return line if re.fullmatch(r"https?://[^\s<>]+", line) else _MARKUP.sub(r"\\\1", line)
