"""Words and hashes of spans, against the plain way to find them."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.deduplication.words import (
    Words,
    blocks,
    characters,
    exact_words,
    ngrams,
    simplified_words,
)

TEXTS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.text(alphabet="aBé.,'1239 \n-日本ไ\u0301\u00ad", max_size=30),
    ),
    min_size=1,
    max_size=6,
)


def by_hand(text: str, *, numbers: bool) -> list[str]:
    """The definition in `simplified_words`, one character at a time."""
    kept = []
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        if category in ("Mn", "Me", "Cf"):
            continue
        if category == "Nd":
            kept.append("0" if numbers else str(unicodedata.digit(character)))
        elif (
            numbers
            and character in ".,"
            and 0 < place < len(text) - 1
            and all(unicodedata.category(text[near]) == "Nd" for near in (place - 1, place + 1))
        ):
            kept.append("0")
        elif category[0] in "LNM":
            bare = [
                one
                for one in unicodedata.normalize("NFD", character.lower())
                if unicodedata.category(one) != "Mn"
            ]
            kept.append(bare[0] if len(bare) == 1 else character)
        else:
            kept.append(" ")
    plain = "".join(kept)
    spaceless = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    spaceless += "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    plain = re.sub(f"({spaceless})", r" \1 ", plain)
    return (re.sub("00+", "0", plain) if numbers else plain).split(" ")


def spelled(words: Words) -> list[list[str]]:
    return [
        words.spelled(start, stop).split(" ") if stop > start else []
        for start, stop in zip(words.offsets[:-1], words.offsets[1:], strict=True)
    ]


@given(TEXTS, st.booleans())
def test_simplified_words_are_those_found_by_hand(texts: list[str], numbers: bool) -> None:
    expected = [[word for word in by_hand(text, numbers=numbers) if word] for text in texts]
    assert spelled(simplified_words(texts, numbers=numbers)) == expected


def test_numbers_case_marks_and_punctuation_do_not_count() -> None:
    words = simplified_words(["The 1,234.5 cafés—don\u2019t!", "THE 7 CAFÉS DON T"])
    assert spelled(words) == [["the", "0", "cafes", "don", "t"]] * 2
    assert (words.hashes[:5] == words.hashes[5:]).all()


def test_digits_count_on_request() -> None:
    assert spelled(simplified_words(["17 or \u0661\u0668"], numbers=False)) == [["17", "or", "18"]]


@given(TEXTS)
def test_exact_words_are_split_words_at_their_places(texts: list[str]) -> None:
    texts = [text.replace("\0", "") for text in texts]
    words = exact_words(texts)
    for number, text in enumerate(texts):
        here = range(words.offsets[number], words.offsets[number + 1])
        assert [text[words.starts[one] : words.stops[one]] for one in here] == text.split()


@given(TEXTS)
def test_a_simplified_word_lies_where_it_is_written(texts: list[str]) -> None:
    words = simplified_words(texts)
    for number, text in enumerate(texts):
        for one in range(words.offsets[number], words.offsets[number + 1]):
            written = text[words.starts[one] : words.stops[one]]
            assert spelled(simplified_words([written])) == [[words.spelled(one, one + 1)]]


@given(TEXTS)
def test_hashes_are_equal_where_words_are(texts: list[str]) -> None:
    words = exact_words(texts)
    known: dict[str, int] = {}
    for number in range(len(words.hashes)):
        known.setdefault(words.spelled(number, number + 1), int(words.hashes[number]))
        assert known[words.spelled(number, number + 1)] == words.hashes[number]
    assert len(set(known.values())) == len(known)


@given(TEXTS)
def test_characters_are_words(texts: list[str]) -> None:
    words = characters(texts)
    for number, text in enumerate(texts):
        here = slice(words.offsets[number], words.offsets[number + 1])
        assert "".join(map(chr, words.codes[here])) == text
        assert words.starts[here].tolist() == list(range(len(text)))


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=5), st.integers(1, 6))
def test_ngrams_are_those_of_each_document(documents: list[list[str]], length: int) -> None:
    words = exact_words([" ".join(document) for document in documents] or [""])
    hashes, offsets = ngrams(words.hashes, words.offsets, length)
    known: dict[tuple[str, ...], int] = {}
    for number, document in enumerate(documents):
        runs = [
            tuple(document[start : start + length])
            for start in range(max(len(document) - length + 1, min(len(document), 1)))
        ]
        found = hashes[offsets[number] : offsets[number + 1]].tolist()
        assert len(found) == len(runs)
        for run, value in zip(runs, found, strict=True):
            assert known.setdefault(run, value) == value
    assert len(set(known.values())) == len(known)


@given(st.lists(st.text(max_size=9), max_size=20), st.integers(1, 30))
def test_blocks_are_all_texts_in_order(texts: list[str], size: int) -> None:
    found = list(blocks(texts, size))
    assert [text for _, block in found for text in block] == texts
    assert [texts[first] for first, _ in found] == [block[0] for _, block in found]
    assert all(len(block) == 1 or sum(map(len, block)) <= size for _, block in found)
