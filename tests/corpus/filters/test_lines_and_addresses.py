"""Length, block lists of addresses, and lines that are not the text."""

from pathlib import Path

import pytest
from filter_batches import batch_of, kept_texts, rules

from lilliput.corpus.filters.boilerplate import Boilerplate
from lilliput.corpus.filters.length import Length
from lilliput.corpus.filters.urls import Urls
from lilliput.errors import UserError

PROSE = [f"This is line {name} of the text, and it goes on." for name in "abcdefghijklm"]


@pytest.mark.parametrize(
    ("settings", "rule", "detail"),
    [
        ({"fewest_characters": 12}, "fewest_characters", "11 characters"),
        ({"most_characters": 10}, "most_characters", "11 characters"),
        ({"fewest_words": 4}, "fewest_words", "3 words"),
        ({"most_words": 2}, "most_words", "3 words"),
        ({"fewest_lines": 3}, "fewest_lines", "2 lines"),
        ({"most_lines": 1}, "most_lines", "2 lines"),
    ],
)
def test_length(settings: dict[str, float], rule: str, detail: str) -> None:
    dropped = Length(**settings)(batch_of(["one two\n\nab"])).dropped
    assert [(one.rule, one.detail) for one in dropped] == [(rule, detail)]


def test_length_bounds_are_allowed_themselves() -> None:
    bounds = Length(11, 11, 3, 3, 2, 2)
    assert not bounds(batch_of(["one two\n\nab"])).dropped
    assert rules(Length()(batch_of(["", " "]))) == ["fewest_characters"]
    with pytest.raises(UserError, match="fewest_words"):
        Length(fewest_words=2, most_words=1)


@pytest.fixture
def lists(tmp_path: Path) -> str:
    """Lists as in UT1: a folder per category."""
    for name, content in {
        "adult/domains": "# comment\nbad.example\nWWW.Worse.example\n",
        "games/domains": "play.example.org\n",
        "adult/urls": "host.example/bad-page\n",
        "words.txt": "casino\n",
        "soft_words.txt": "bet\nwin\n",
        "subwords.txt": "xxx\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("http://bad.example/", "domains"),
        ("https://a.b.BAD.example:80/page?q=1", "domains"),
        ("www.worse.example", "domains"),
        ("https://play.example.org/a", "domains"),
        ("https://example.org/a", None),
        ("https://notbad.example/", None),
        ("https://host.example/bad-page/", "urls"),
        ("https://host.example/bad-page/more", None),
        ("https://x.example/my-Casino/", "words"),
        ("https://x.example/casinos/", None),
        ("https://x.example/bet_win", "soft_words"),
        ("https://x.example/bet", None),
        ("https://x.example/a-x-x-x-b", "subwords"),
        ("http://[broken", None),
        (None, None),
    ],
)
def test_addresses(lists: str, address: str | None, rule: str | None) -> None:
    stage = Urls(lists, lists, lists, lists, lists)
    outcome = stage(batch_of(["text"], url=[address]))
    assert rules(outcome) == ([rule] if rule else [])
    assert outcome.counts == ({} if address else {"documents without a URL": 1})


def test_without_addresses_nothing_goes(lists: str) -> None:
    outcome = Urls(domains=lists)(batch_of(["a", "b"]))
    assert outcome.batch.num_rows == 2
    assert outcome.counts == {"documents without a URL": 2}
    with pytest.raises(UserError, match="domains"):
        Urls()
    (Path(lists) / "empty").mkdir()
    with pytest.raises(UserError, match="no file called domains"):
        Urls(domains=f"{lists}/empty")(batch_of(["a"], url=["b"]))


def removed(stage: Boilerplate, lines: list[str]) -> list[str]:
    (kept,) = kept_texts(stage(batch_of(["\n".join(lines)])))
    left = kept.split("\n")
    return [line for line in lines if line not in left]


@pytest.mark.parametrize(
    "line",
    [
        "Skip to main content",
        "Home | About us | Contact",
        "Products » Shoes » Boots",
        "Log in or Register",
        "Share this on Facebook",
        "Read more…",
        "12 comments",
        "© 2019 Some Company, Inc. All rights reserved.",
        "Previous page",
        "Leave a comment",
    ],
)
def test_navigation_goes(line: str) -> None:
    assert removed(Boilerplate(), [PROSE[0], line, PROSE[1]]) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "Home is where the heart is.",
        "1 | 2 | 3",
        "Share prices fell on Monday, analysts said.",
        "The help came late.",
        "He said: yes / no / maybe.",
        "",
    ],
)
def test_prose_stays(line: str) -> None:
    assert removed(Boilerplate(code=1, licences=True), [PROSE[0], line, PROSE[1]]) == []


def test_running_heads_and_page_numbers_go() -> None:
    pages = [
        line
        for page in range(4)
        for line in (f"My Book  {page}", *(f"{chr(97 + page)} {one}" for one in PROSE))
    ]
    assert removed(Boilerplate(), pages) == [f"My Book  {page}" for page in range(4)]
    assert removed(Boilerplate(repeated=0), pages) == []
    refrain = [line for verse in "abcd" for line in (f"Verse of {verse}", "And so it goes")]
    assert removed(Boilerplate(), refrain) == []


CODE = ["def f(x):", "    y = x + 1", "", "    return {y};", "}"]


def test_runs_of_code_go() -> None:
    assert removed(Boilerplate(code=3), [*PROSE, *CODE, *PROSE]) == CODE
    assert removed(Boilerplate(code=9), [*PROSE, *CODE, *PROSE]) == []
    assert removed(Boilerplate(), [*PROSE, *CODE, *PROSE]) == []


@pytest.mark.parametrize(
    "licence",
    [
        ["# Copyright 2020 Somebody", "# Licensed under the Apache License"],
        ["/* SPDX-License-Identifier: MIT", "   no warranty */"],
        ["// Copyright (c) Somebody", "//"],
    ],
)
def test_licences_of_source_files_go(licence: list[str]) -> None:
    source = ["int main() { return 0; }", "// a comment that stays"]
    stage = Boilerplate(navigation=False, licences=True)
    assert removed(stage, ["#!/bin/sh", *licence, *source]) == licence
    assert removed(stage, ["// What this file does", *source]) == []


def test_documents_of_nothing_else_go() -> None:
    outcome = Boilerplate()(batch_of(["Home\nLog in\n\n", PROSE[0]]))
    assert [(one.row, one.rule, one.detail) for one in outcome.dropped] == [
        (0, "nothing_left", "2 lines")
    ]
    assert outcome.counts == {"lines removed: navigation": 2}
    assert [one.before for one in outcome.examples] == ["Home", "Log in"]
