"""What the build did: the funnel, and each stage with samples of what it dropped and kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lilliput.corpus.corpus_report.changes import sample
from lilliput.quantities import byte_size, number
from lilliput.report import (
    FunnelStep,
    Html,
    Section,
    bar_chart,
    card,
    details,
    element,
    figure,
    funnel_chart,
    grid,
    key_values,
    table,
)

_MOST_RULES = 16
_MOST_COUNTS = 14
_PERSONAL = "personal_data"


def build_sections(facts: Mapping[str, Any]) -> Iterator[Section]:
    """The sections about the build; none for a corpus without a record of it."""
    if facts["dropped"] and any(facts["dropped"].values()):
        yield Section("Left out", [_bars("", {k: v for k, v in facts["dropped"].items() if v})])
    if not facts["funnel"]:
        return
    steps = [
        FunnelStep(step["step"].replace("_", " "), step["documents"], step["bytes"])
        for step in facts["funnel"]
    ]
    yield Section(
        "From what was found to what is left",
        [grid(figure(funnel_chart(steps), numbers=_funnel_table(steps)), _rules(facts["stages"]))],
        note=(
            "After each stage: documents to the left, their text to the right. A stage that edits "
            "texts changes the bytes without dropping a document."
        ),
    )
    stages = [stage for stage in facts["stages"] if stage["name"] != _PERSONAL]
    yield Section(
        "Stage by stage",
        [_stage(stage) for stage in stages],
        note=(
            "Samples are drawn by a hash of rule and document, so they are spread over the corpus. "
            "Of a long document its beginning is shown."
        ),
    )
    for stage in facts["stages"]:
        if stage["name"] == _PERSONAL:
            yield _personal(stage)


def _funnel_table(steps: Sequence[FunnelStep]) -> Html:
    rows = [[step.name, step.documents, byte_size(step.bytes)] for step in steps]
    return details("Show the numbers", table(["After", "Documents", "Text"], rows))


def _rules(stages: Sequence[Mapping[str, Any]]) -> Html:
    rules = [
        (_rule(stage["name"], rule), tally["documents"])
        for stage in stages
        for rule, tally in stage["dropped"].items()
        if tally["documents"]
    ]
    if not rules:
        return card(element("p", "No document was dropped."))
    rules.sort(key=lambda rule: (-rule[1], rule[0]))
    chart = bar_chart(rules[:_MOST_RULES], title="Documents dropped by each rule", names_up_to=36)
    rest = rules[_MOST_RULES:]
    caption = ""
    if rest:
        caption = f"{len(rest)} more rules dropped {number(sum(count for _, count in rest))} more."
    return figure(chart, caption=caption)


def _stage(stage: Mapping[str, Any]) -> Html:
    came, stayed = stage["came"], stage["stayed"]
    lost = came["documents"] - stayed["documents"]
    shrunk = came["bytes"] - stayed["bytes"]
    summary = (
        f"{number(came['documents'])} documents came, "
        + (
            f"{number(lost)} were dropped ({_share(lost, came['documents'])})"
            if lost
            else "all stayed"
        )
        + (
            f"; {byte_size(shrunk)} of text less ({_share(shrunk, came['bytes'])})"
            if shrunk
            else ""
        )
        + "."
    )
    charts = []
    dropped = {
        _words(rule): tally["documents"]
        for rule, tally in stage["dropped"].items()
        if tally["documents"]
    }
    if dropped:
        charts.append(_bars("Documents dropped", dropped))
    if stage["counts"]:
        charts.append(_bars("Counted", stage["counts"]))
    parts = [
        element("h3", _words(stage["name"]).capitalize()),
        element("p", summary, class_="note"),
        *([grid(*charts)] if charts else []),
        *_samples(stage),
    ]
    if stage["kept"]:
        shown = [sample(_origin(one), one["text"], one["after"]) for one in stage["kept"]]
        parts.append(details("Samples of what it kept", *shown))
    if stage["settings"]:
        settings = {name: _setting(value) for name, value in stage["settings"].items()}
        parts.append(details("Settings", key_values(settings)))
    return card(*parts)


def _samples(stage: Mapping[str, Any]) -> Iterator[Html]:
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for one in stage["samples"]:
        rules.setdefault(one["rule"], []).append(one)
    for rule, samples in rules.items():
        tally = stage["dropped"].get(rule)
        kind = "Dropped" if samples[0]["after"] is None else "Edited"
        if tally:
            kind = f"Dropped {number(tally['documents'])}"
        shown = [
            sample(
                " · ".join(filter(None, [one["detail"], _origin(one)])), one["text"], one["after"]
            )
            for one in samples
        ]
        yield details(f"{kind}: {_words(rule)}", *shown)


def _personal(stage: Mapping[str, Any]) -> Section:
    documents = stage["counts"].get("documents with personal data", 0)
    kinds = {
        kind: count
        for kind, count in stage["counts"].items()
        if kind != "documents with personal data"
    }
    share = _share(documents, stage["came"]["documents"])
    body: list[Html] = [_bars("Found", kinds)] if kinds else []
    rows = [
        [_words(one["rule"]), one["text"], "" if one["after"] == one["text"] else one["after"]]
        for one in stage["samples"]
        if one["after"] is not None
    ]
    if rows:
        body.append(card(table(["Kind", "Found (masked)", "Replaced by"], rows)))
    found = number(sum(kinds.values()))
    return Section(
        "Personal data",
        [
            grid(*body),
            *_samples(
                {**stage, "samples": [one for one in stage["samples"] if one["after"] is None]}
            ),
        ],
        note=f"{found} found, in {number(documents)} documents ({share}). Examples are masked.",
    )


def _bars(title: str, counts: Mapping[str, float]) -> Html:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    chart = bar_chart(ordered[:_MOST_COUNTS], title=title, names_up_to=36)
    rest = ordered[_MOST_COUNTS:]
    return figure(
        chart, numbers=details(f"{len(rest)} more", table(["", "Count"], rest)) if rest else ""
    )


def _origin(one: Mapping[str, Any]) -> str:
    return " · ".join(filter(None, [one["source"], one["id"]]))


def _setting(value: object) -> object:
    if isinstance(value, list | tuple):
        shown = ", ".join(map(str, value[:12]))
        return f"{shown}, … ({len(value)})" if len(value) > 12 else shown
    return value if isinstance(value, int | float | str | None) else str(value)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "0%"


def _rule(stage: str, rule: str) -> str:
    """A rule with its stage, without it where the rule's name says it ("near_duplicate")."""
    return _words(rule if rule.startswith(stage.removesuffix("s")) else f"{stage}: {rule}")


def _words(name: str) -> str:
    return name.replace("_", " ")
