"""Repeated paragraphs, against a set of those seen before."""

import re
from collections import Counter

import pytest
from corpora_with_copies import cut, decided
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.deduplication.paragraphs import ParagraphDuplicates
from lilliput.errors import UserError

PARAGRAPH = st.sampled_from(["one two", "One, two!", "three", "four\nfive", "x"])
TEXTS = st.lists(st.lists(PARAGRAPH, min_size=1, max_size=5).map("\n\n".join), max_size=6)


@given(TEXTS, st.booleans(), st.integers(0, 4), st.integers(2, 3), st.booleans(), st.integers(1, 3))
def test_paragraphs_are_cut_where_seen_before(
    texts: list[str], simplify: bool, shortest: int, copies: int, keep_first: bool, pieces: int
) -> None:
    def form(paragraph: str) -> str:
        plain = re.sub(r"[^\w\s]", "", paragraph.lower()) if simplify else paragraph
        return " ".join(plain.split())

    cut_paragraphs = [text.split("\n\n") for text in texts]
    long = [one for text in cut_paragraphs for one in text if len(one) >= shortest]
    often = {one for one, count in Counter(map(form, long)).items() if count >= copies}
    seen: set[str] = set()
    expected = []
    for paragraphs in cut_paragraphs:
        left = []
        for paragraph in paragraphs:
            known = form(paragraph) in often and len(paragraph) >= shortest
            if not known or (keep_first and form(paragraph) not in seen):
                left.append(paragraph)
            if len(paragraph) >= shortest:
                seen.add(form(paragraph))
        if left:
            expected.append("\n\n".join(left))
    stage = ParagraphDuplicates(
        simplify=simplify, shortest=shortest, copies=copies, keep_first=keep_first
    )
    assert cut(texts, decided(stage, texts, pieces)) == expected


def test_lines_are_cut_with_their_line_breaks() -> None:
    texts = [
        "Menu of the site\nA story begins.\nAll rights reserved",
        "Another.\n  MENU of the site",
    ]
    texts.append("All rights: reserved\n\nMenu of the site\n")
    found = decided(ParagraphDuplicates(unit="lines", shortest=10), texts)
    assert cut(texts, found) == [texts[0], "Another."]
    assert dict(found.dropped) == {2: ("only_duplicates", "all its lines are repeated")}
    assert found.counts["repeated lines"] == 3


def test_short_paragraphs_stay() -> None:
    texts = ["Yes.\n\n" + "A long paragraph of its own. " * 3, "Yes.\n\nNo."]
    assert cut(texts, decided(ParagraphDuplicates(), texts)) == texts


@pytest.mark.parametrize("wrong", [{"unit": "words"}, {"copies": 1}])
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        ParagraphDuplicates(**wrong)  # type: ignore[arg-type]
