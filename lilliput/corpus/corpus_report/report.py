"""`report.html` to look at, and `report.json` with the same facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.corpus.corpus_report.build_sections import build_sections
from lilliput.corpus.corpus_report.content_sections import content_sections
from lilliput.corpus.corpus_report.facts import corpus_facts
from lilliput.corpus.corpus_report.source_sections import source_sections
from lilliput.files import write_json, write_text
from lilliput.quantities import byte_size, large_count, number
from lilliput.report import page


def write_corpus_report(folder: Path | str) -> Path:
    """Write `report.html` and `report.json` of a corpus folder, whoever made it.

    What a build dropped is read from `build.json`, where there is one; what the corpus holds from
    the profile in it, else it is counted now, with progress. The same corpus gives the same bytes.
    Returns the path of `report.html`. Raises UserError if the folder is no corpus or is damaged.
    """
    folder = Path(folder)
    facts = corpus_facts(folder)
    sections = [*build_sections(facts), *content_sections(facts), *source_sections(facts)]
    write_json(folder / "report.json", facts)
    report = folder / "report.html"
    write_text(
        report, page(facts["corpus"], sections, _headlines(facts), subtitle=_subtitle(facts))
    )
    return report


def _headlines(facts: Mapping[str, Any]) -> dict[str, object]:
    profile = facts["profile"]
    shown: dict[str, object] = {
        "Documents": number(facts["documents"]),
        "Text": byte_size(facts["bytes"]),
        "Words": large_count(profile["words"]),
        "Different words": _of_sample(profile["vocabulary"]),
        "Exact copies left": f"{profile['copies']['share']:.2%}",
    }
    funnel = facts["funnel"]
    if funnel and funnel[0]["documents"]:
        read, kept = funnel[0], funnel[-1]
        shown["Documents kept"] = f"{kept['documents'] / read['documents']:.1%}"
        shown["Text kept"] = f"{kept['bytes'] / max(1, read['bytes']):.1%}"
    if profile["languages"]:
        shown["Languages"] = len(profile["languages"])
    shown["Sources"] = len(facts["sources"]) or len(profile["sources"]) or 1
    return shown


def _of_sample(vocabulary: Mapping[str, Any]) -> str:
    distinct = large_count(vocabulary["distinct"])
    one_in = vocabulary["one_in"]
    return distinct if one_in == 1 else f"{distinct} in 1/{one_in} of it"


def _subtitle(facts: Mapping[str, Any]) -> str:
    if facts["funnel"]:
        return "A corpus: what was read, what was dropped and why, and what is left."
    return "A corpus: what it holds. It has no build.json, so what was left out is not known."
