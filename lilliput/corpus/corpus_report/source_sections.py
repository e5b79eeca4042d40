"""Where the documents come from, under which licences, and how they were mixed."""

from collections.abc import Iterator, Mapping
from typing import Any

from lilliput.quantities import byte_size, number
from lilliput.report import (
    Html,
    Section,
    bar_chart,
    card,
    details,
    figure,
    grid,
    key_values,
    table,
)

_MOST_BARS = 16


def source_sections(facts: Mapping[str, Any]) -> Iterator[Section]:
    """Sources, licences and mixing, as far as they are known."""
    profile = facts["profile"]
    charts = []
    if facts["sources"]:
        shares = {source["name"]: source["written"]["bytes"] for source in facts["sources"]}
    else:
        shares = {name: measures["bytes"] for name, measures in profile["sources"].items()}
    if shares:
        charts.append(_bars("Text by source", shares))
    licenses = {name: measures["bytes"] for name, measures in profile["licenses"].items()}
    if licenses:
        charts.append(_bars("Text by licence", licenses))
    body: list[Html] = [grid(*charts)] if charts else []
    if facts["sources"]:
        body.append(card(_source_table(facts["sources"])))
    if body:
        note = "" if licenses else "No licence is known of any document."
        yield Section("Sources and licences", body, note=note)
    if facts["mixing"]:
        yield Section("Mixing", [card(key_values(_said(facts["mixing"])))])
    if facts["settings"]:
        yield Section(
            "Settings",
            [details("What made this corpus", card(key_values(_flat(facts["settings"]))))],
            note=f"Content hash {facts['hash']}",
        )


def _source_table(sources: list[Mapping[str, Any]]) -> Html:
    rows = [
        [
            source["name"],
            source["license"] or "unknown",
            source["read"]["documents"],
            byte_size(source["read"]["bytes"]),
            source["written"]["documents"],
            byte_size(source["written"]["bytes"]),
            _share(source["written"]["bytes"], source["read"]["bytes"]),
        ]
        for source in sources
    ]
    columns = ["Source", "Licence", "Read", "Text read", "Kept", "Text kept", "Share"]
    return table(columns, rows)


def _said(mixing: Mapping[str, Any]) -> dict[str, object]:
    """The settings of a mixture that say something, in words."""
    shown: dict[str, object] = {}
    for name, value in mixing.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{source}: {part}" for source, part in value.items())
        if value not in (None, ""):
            shown[name.replace("_", " ")] = value
    return shown


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for place, one in enumerate(value, 1):
                flat |= _flat(one, f"{prefix}{name} {place}.")
        elif value is not None:
            flat[prefix + name] = value if isinstance(value, int | float | str) else str(value)
    return flat


def _bars(title: str, sizes: Mapping[str, int]) -> Html:
    whole = sum(sizes.values()) or 1
    ordered = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))
    chart = bar_chart(
        ordered[:_MOST_BARS],
        title=title,
        value_text=lambda size: f"{byte_size(size)} ({size / whole:.1%})",
    )
    rest = len(ordered) - _MOST_BARS
    return figure(chart, caption=f"{number(rest)} more are in report.json." if rest > 0 else "")


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""
