"""Repeated passages, against a dictionary of all windows."""

import random
from itertools import chain, pairwise

import numpy as np
import pytest
from corpora_with_copies import cut, decided, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus.deduplication import substrings
from lilliput.corpus.deduplication.substrings import SubstringDuplicates
from lilliput.errors import UserError


def covered(documents: list[list[str]], length: int, *, keep_first: bool) -> list[set[int]]:
    """The units inside copies, by the definition in `SubstringDuplicates`."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for number, units in enumerate(documents):
        for start in range(len(units) - length + 1):
            places.setdefault(tuple(units[start : start + length]), []).append((number, start))
    found: list[set[int]] = [set() for _ in documents]
    for windows in places.values():
        document, first = windows[0]
        copies = [
            (number, start)
            for number, start in windows
            if number != document or start >= first + length
        ]
        for number, start in copies if keep_first else windows if copies else []:
            found[number] |= set(range(start, start + length))
    return found


SOME = st.sampled_from("ab")
MIXED = st.one_of(st.lists(SOME, max_size=25), st.lists(st.sampled_from("abcdefgh"), max_size=40))
SHARED = st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=12)


@st.composite
def documents_with_copies(draw: st.DrawFn) -> list[list[str]]:
    shared = draw(SHARED)
    parts = st.lists(st.one_of(MIXED, st.just(shared)), max_size=4)
    return [list(chain(*draw(parts))) for _ in range(draw(st.integers(0, 5)))]


@given(documents_with_copies(), st.integers(4, 9), st.booleans(), st.integers(1, 3))
@settings(max_examples=300)
def test_exactly_the_copies_are_cut(
    documents: list[list[str]], length: int, keep_first: bool, pieces: int
) -> None:
    expected = []
    for units, gone in zip(
        documents, covered(documents, length, keep_first=keep_first), strict=True
    ):
        if not units or len(gone) < len(units):
            expected.append([unit for place, unit in enumerate(units) if place not in gone])
    for unit, joint in (("words", " "), ("characters", "")):
        texts = [joint.join(units) for units in documents]
        stage = SubstringDuplicates(length=length, unit=unit, keep_first=keep_first)
        left = cut(texts, decided(stage, texts, pieces))
        assert left == [joint.join(units) for units in expected]


def test_spaces_do_not_matter_to_words_and_stay_around_the_cut() -> None:
    passage = "on the day that the ship came in"
    texts = [
        f"Nobody knew. {passage}",
        "It was quiet\n\n" + passage.replace(" ", "\n ") + "  and then it was not.",
        f"We waited,  {passage}",
    ]
    left = cut(texts, decided(SubstringDuplicates(length=8), texts))
    assert left == [texts[0], "It was quiet\n\nand then it was not.", "We waited,"]


def test_a_document_cut_whole_is_dropped() -> None:
    text = " ".join(prose(random.Random(1), 60))
    found = decided(SubstringDuplicates(), ["Before. " + text, text])
    assert dict(found.dropped) == {1: ("only_duplicates", "all of it is repeated")}
    assert not found.cuts


def planted(dice: random.Random) -> list[str]:
    passages = [prose(dice, 60) for _ in range(5)]
    return [
        " ".join(prose(dice, dice.randrange(40)) + dice.choice(passages) + prose(dice, 20))
        for _ in range(60)
    ]


def test_parts_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = planted(random.Random(2))
    at_once = cut(texts, decided(SubstringDuplicates(), texts))
    assert sum(map(len, at_once)) < 0.6 * sum(map(len, texts))
    monkeypatch.setattr(substrings, "WINDOWS_AT_ONCE", 50)
    monkeypatch.setattr(substrings, "_TEXTS_AT_ONCE", 7)
    assert cut(texts, decided(SubstringDuplicates(), texts)) == at_once


def test_equal_hashes_of_different_texts_cut_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = planted(random.Random(3))
    honest = substrings.span_hashes

    def poor(*spans: np.ndarray) -> np.ndarray:
        return honest(*spans) & np.uint64(0xFF)

    monkeypatch.setattr(substrings, "span_hashes", poor)
    found = decided(SubstringDuplicates(), texts)
    assert found.counts["different texts with equal hashes"] > 0
    documents = [text.split() for text in texts]
    allowed = covered(documents, 50, keep_first=True)
    for number, gone in enumerate(allowed):
        words = [text.split() for text in cut([texts[number]], _only(found, number))]
        assert all(len(one) >= len(documents[number]) - len(gone) for one in words)


def _only(found: substrings.Decisions, number: int) -> substrings.Decisions:
    return substrings.Decisions(
        dropped={0: found.dropped[number]} if number in found.dropped else {},
        cuts={0: found.cuts[number]} if number in found.cuts else {},
    )


def test_cuts_are_ascending_and_apart() -> None:
    texts = planted(random.Random(4))
    found = decided(SubstringDuplicates(length=5, unit="characters"), texts)
    for spans in found.cuts.values():
        assert all(start < stop for start, stop in spans)
        assert all(one[1] < other[0] for one, other in pairwise(spans))


@pytest.mark.parametrize("wrong", [{"unit": "lines"}, {"length": 3}])
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        SubstringDuplicates(**wrong)  # type: ignore[arg-type]
