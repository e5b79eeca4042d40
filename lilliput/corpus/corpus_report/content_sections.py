"""What the corpus holds: lengths, languages, readability, words, topics, copies, phrases."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lilliput.corpus.profile import CHARACTERS_BIN_RATIO, HARDEST
from lilliput.quantities import byte_size, large_count, number
from lilliput.report import (
    Html,
    Section,
    Series,
    bar_chart,
    card,
    column_chart,
    details,
    element,
    figure,
    grid,
    line_chart,
    series_table,
    table,
)

_MOST_BARS = 16
_MOST_TOPICS = 16
_WORDS_SHOWN = 40


def content_sections(facts: Mapping[str, Any]) -> Iterator[Section]:
    """The sections about the corpus as it is."""
    profile = facts["profile"]
    if not profile["documents"]:
        yield Section("Contents", ["The corpus holds no documents."])
        return
    charts = [_lengths(profile["lengths"]), _characters(profile["characters_by_kind"])]
    if profile["languages"]:
        charts.append(_languages(profile["languages"]))
    if profile["grades"]:
        charts.append(_grades(profile["grades"], profile["reading_one_in"]))
    yield Section("Documents", [grid(*charts)])
    if profile["vocabulary"]["distinct"]:
        yield _vocabulary(profile["vocabulary"])
    yield from _topics(profile["topics"])
    yield from _copies(profile["copies"])
    yield from _phrases(profile["phrases"], profile["reading_one_in"])


def _lengths(lengths: Mapping[str, Any]) -> Html:
    columns = [
        (max(low, 1.0), max(low, 1.0) * CHARACTERS_BIN_RATIO, count)
        for low, count in lengths["bins"]
    ]
    quantiles = lengths["quantiles"]
    marks = [
        (name, max(1, quantiles[share]))
        for name, share in (("10%", "0.1"), ("median", "0.5"), ("90%", "0.9"))
    ]
    chart = column_chart(
        columns,
        title="Length of documents",
        x_label="characters",
        y_label="documents",
        log_x=True,
        marks=marks,
        value_text=lambda count: f"{number(int(count))} documents",
    )
    rows = [[f"{float(share):.0%}", value] for share, value in quantiles.items()]
    numbers = table(["Of documents", "Characters at most (± 5%)"], rows)
    return figure(
        chart,
        caption=f"Half of the documents have at most about {number(quantiles['0.5'])} characters.",
        numbers=details("Show the numbers", numbers),
    )


def _characters(kinds: Mapping[str, float]) -> Html:
    shown = [(kind, share) for kind, share in kinds.items() if share]
    chart = bar_chart(shown, title="Characters by kind", value_text=lambda share: f"{share:.2%}")
    return figure(chart, caption="Letters, digits and punctuation are those of ASCII.")


def _languages(languages: Mapping[str, Any]) -> Html:
    whole = sum(measures["documents"] for measures in languages.values())
    shown = [(name, float(measures["documents"])) for name, measures in languages.items()]
    chart = bar_chart(
        sorted(shown, key=lambda one: -one[1])[:_MOST_BARS],
        title="Languages",
        x_label="documents",
        value_text=lambda count: f"{number(int(count))} ({count / whole:.1%})",
    )
    return figure(chart, caption=_more(len(shown) - _MOST_BARS, "languages").strip())


def _grades(grades: Mapping[str, int], one_in: int) -> Html:
    numbers = {int(grade): count for grade, count in grades.items()}
    whole, so_far, median = sum(numbers.values()), 0, 0
    for median in sorted(numbers):
        so_far += numbers[median]
        if 2 * so_far >= whole:
            break
    chart = column_chart(
        [(grade, grade + 1, count) for grade, count in sorted(numbers.items())],
        title="Readability",
        x_label="Flesch-Kincaid grade (years of school)",
        y_label="documents",
        marks=[("median", median + 0.5)],
        value_text=lambda count: f"{number(int(count))} documents",
    )
    caption = _sampled(one_in)
    if HARDEST in numbers:
        caption += f" Grade {HARDEST} holds all above: lists, tables, texts without full stops."
    return figure(chart, caption=caption.strip())


def _vocabulary(vocabulary: Mapping[str, Any]) -> Section:
    coverage = vocabulary["coverage"]
    covering = vocabulary["covering"]
    curve = Series(
        "running words", [rank for rank, _ in coverage], [share * 100 for _, share in coverage]
    )
    reached = [share for share in ("0.5", "0.9", "0.95", "0.99") if share in covering]
    # Points alone: a gap after each leaves no line between them.
    points = Series(
        "50, 90, 95, 99%",
        [covering[share] for share in reached for _ in range(2)],
        [value for share in reached for value in (float(share) * 100, math.nan)],
        markers=True,
    )
    chart = line_chart(
        [curve, points],
        title="How many words cover the text",
        x_label="different words, the commonest first",
        y_label="running words covered, %",
        log_x=True,
        include_zero=True,
    )
    frequencies = vocabulary["frequencies"]
    zipf = Series(
        "occurrences", [rank for rank, _ in frequencies], [count for _, count in frequencies]
    )
    frequency = line_chart(
        [zipf],
        title="Frequency by rank",
        x_label="rank of the word",
        y_label="occurrences",
        log_x=True,
        log_y=True,
    )
    covered = ", ".join(
        f"{number(covering[share])} cover {float(share):.0%}" for share in reached[1:]
    )
    note = (
        f"{large_count(vocabulary['distinct'])} different words in "
        f"{large_count(vocabulary['words'])} running words: {covered}. "
        f"{vocabulary['seen_once']:.0%} of the different words are seen once. "
        f"{_sampled(vocabulary['one_in'])}"
    )
    commonest = [[word, count] for word, count in vocabulary["commonest"]]
    return Section(
        "Words",
        [
            grid(
                figure(chart, numbers=series_table([curve], "words", rows=20)),
                figure(frequency),
            ),
            details(
                "The commonest words", card(table(["Word", "Count"], commonest[:_WORDS_SHOWN]))
            ),
        ],
        note=note.strip(),
    )


def _topics(topics: Mapping[str, Any]) -> Iterator[Section]:
    cards = []
    for name, measures in list(topics.items())[:_MOST_TOPICS]:
        words = [word for word, _ in measures["characteristic"]]
        if not words:
            continue
        amount = f"{number(measures['documents'])} documents, {byte_size(measures['bytes'])}"
        cards.append(
            card(
                element("h3", element("bdi", name or "All documents")),
                element("p", amount, class_="note"),
                element("p", element("bdi", ", ".join(words))),
            )
        )
    if not cards:
        return
    note = (
        "The words most characteristic of each against the others (log-odds with a prior), without "
        "the commonest words of all."
        if len(topics) > 1
        else "The commonest words after those that make up half of all text."
    )
    yield Section("Topics", [grid(*cards)], note=note + _more(len(topics) - _MOST_TOPICS, "topics"))


def _copies(copies: Mapping[str, Any]) -> Iterator[Section]:
    sampled = "" if copies["one_in"] == 1 else f" From a sample of 1 text in {copies['one_in']}."
    if not copies["repeats"]:
        yield Section("Copies left", [f"No text is there twice, exactly.{sampled}"])
        return
    chart = bar_chart(
        [(f"{size} documents", count) for size, count in copies["cluster_sizes"]],
        title="Groups of equal texts by size",
        x_label="groups",
    )
    yield Section(
        "Copies left",
        [grid(figure(chart))],
        note=(
            f"{copies['share']:.2%} of the documents repeat the very text of an earlier one "
            f"({number(copies['repeats'])} of {number(copies['documents'])}); the largest group "
            f"has {number(copies['largest_cluster'])}.{sampled}"
        ),
    )


def _phrases(phrases: Mapping[str, Any], one_in: int) -> Iterator[Section]:
    if not phrases:
        return
    totals = {source: sum(one["per_million"].values()) for source, one in phrases.items()}
    everywhere: dict[str, float] = {}
    words = sum(one["words"] for one in phrases.values())
    for one in phrases.values():
        for phrase, rate in one["per_million"].items():
            everywhere[phrase] = everywhere.get(phrase, 0.0) + rate * one["words"] / words
    by_source = bar_chart(
        sorted(totals.items(), key=lambda one: -one[1])[:_MOST_BARS],
        title="By source",
        x_label="phrases in a million words",
        value_text=lambda rate: number(rate, 3),
    )
    charts = [figure(by_source, caption=_more(len(totals) - _MOST_BARS, "sources"))]
    if everywhere:
        by_phrase = bar_chart(
            sorted(everywhere.items(), key=lambda one: -one[1])[:_MOST_BARS],
            title="By phrase",
            x_label="in a million words",
            value_text=lambda rate: number(rate, 3),
        )
        charts.append(figure(by_phrase))
    yield Section(
        "Phrases that machines like",
        [grid(*charts)] if everywhere else ["None of them is in the corpus."],
        note=(
            "Such phrases have become much commoner in web text since 2023 (arXiv 2406.17557). "
            f"A hint, no proof: people write them too. {_sampled(one_in)}"
        ).strip(),
    )


def _sampled(one_in: int) -> str:
    return "" if one_in == 1 else f"Counted in 1 of {one_in} documents, drawn by hash of the text."


def _more(count: int, what: str) -> str:
    return f" {number(count)} more {what} are in report.json." if count > 0 else ""
