"""The same verdict, rule and text as datatrove's filters, given white space between words.

datatrove is what made FineWeb; its word and sentence splitters are replaced by `str.split` and by
C4's sentence rule here, everything else is its own code.
"""

import random
from collections.abc import Callable, Iterator

import datatrove.utils.word_tokenizers as word_tokenizers
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.text import TERMINAL_PUNCTUATION as THEIR_TERMINAL_PUNCTUATION
from filter_batches import batch_of, kept_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus.filters.c4 import C4, count_sentences
from lilliput.corpus.filters.characters import PUNCTUATION, TERMINAL_PUNCTUATION
from lilliput.corpus.filters.fineweb import FineWeb
from lilliput.corpus.filters.gopher_quality import GopherQuality
from lilliput.corpus.filters.gopher_repetition import GopherRepetition
from lilliput.corpus.stages import Stage

RULES = {
    "dup_para_frac": "duplicated_paragraphs",
    "dup_para_char_frac": "duplicated_paragraph_characters",
    "dup_line_frac": "duplicated_lines",
    "dup_line_char_frac": "duplicated_line_characters",
    **{f"top_{n}_gram": f"top_{n}gram_characters" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"duplicated_{n}gram_characters" for n in range(5, 11)},
    "gopher_short_doc": "fewest_words",
    "gopher_long_doc": "most_words",
    "gopher_below_avg_threshold": "shortest_mean_word",
    "gopher_above_avg_threshold": "longest_mean_word",
    "gopher_too_many_hashes": "most_hashes",
    "gopher_too_many_ellipsis": "most_ellipses",
    "gopher_too_many_bullets": "most_bullet_lines",
    "gopher_too_many_end_ellipsis": "most_ellipsis_lines",
    "gopher_below_alpha_threshold": "fewest_words_with_letters",
    "gopher_enough_stop_words": "fewest_stop_words",
    "lorem_ipsum": "lorem_ipsum",
    "curly_bracket": "curly_brackets",
    "too_few_sentences": "fewest_sentences",
    "empty": "empty",
    "line_punct_ratio": "fewest_ended_lines",
    "short_line_ratio": "most_short_lines",
    "char_dup_ratio": "duplicated_lines",
    "list_ratio": "most_line_breaks",
}
LOOSE = {"fewest_words": 5, "most_words": 60}
PAIRS: dict[str, tuple[Stage, Callable[[], BaseFilter]]] = {
    "repetition": (GopherRepetition(), GopherRepetitionFilter),
    "top n-grams": (
        GopherRepetition(duplicated_lines=1, duplicated_line_characters=1),
        lambda: GopherRepetitionFilter(dup_line_frac=1, dup_line_char_frac=1),
    ),
    "duplicated n-grams": (
        GopherRepetition(
            duplicated_lines=1,
            duplicated_line_characters=1,
            top_2gram_characters=0.9,
            top_3gram_characters=0.9,
            top_4gram_characters=0.9,
        ),
        lambda: GopherRepetitionFilter(
            dup_line_frac=1, dup_line_char_frac=1, top_n_grams=((2, 0.9), (3, 0.9), (4, 0.9))
        ),
    ),
    "quality": (GopherQuality(), GopherQualityFilter),
    "quality of short texts": (
        GopherQuality(**LOOSE),
        lambda: GopherQualityFilter(min_doc_words=5, max_doc_words=60),
    ),
    "c4": (C4(), C4QualityFilter),
    "c4 in FineWeb": (
        C4(terminal_punctuation=False, fewest_sentences=2),
        lambda: C4QualityFilter(filter_no_terminal_punct=False, min_num_sentences=2),
    ),
    "fineweb": (FineWeb(), FineWebQualityFilter),
    "fineweb by its paper": (
        FineWeb(duplicated_lines="paper", most_line_breaks=2),
        lambda: FineWebQualityFilter(char_duplicates_ratio=0.1, new_line_ratio=2),
    ),
}
WORDS = [
    "the",
    "be",
    "a",
    "b",
    "ab",
    "cd",
    "to",
    "of",
    "1",
    "11",
    "111",
    "e",
    "mail",
    "email",
    "that",
    "and",
    "have",
    "—",
    "…",
    "...",
    "#",
    "##",
    "•",
    "-",
    "word.",
    "naïve",
    "{",
    "}",
    "javascript",
    "JavaScript",
    "[1]",
    "[edit]",
    "[citation",
    "needed]",
    "lorem",
    "ipsum",
    "Lorem",
    "ipsum",
    "Cookie",
    "policy",
    "cookies",
    "use",
    "terms",
    "İ",
    "ß",
    "ſ",
    "中文",
    "。",
    "؟",
    "Hello!",
    "and.",
    '"Yes."',
    "'tis'",
    "no...",
    "\ufeff",
    "\u200b",
    "\x00",
    "𝒳",
    "👍",
    "Kooĸies",
]
WORDS += ["x" * 1001, "Cookie Policy", "[citation needed]", "x\x85y", "terms of use", "Straße."]
SEPARATORS = [" "] * 8 + [
    "  ",
    "\n",
    "\n",
    "\n\n",
    "\n\n\n",
    "\t",
    "\r\n",
    "\u3000",
    "\x0b",
    "\x1c",
]
SEPARATORS += ["\u2028", "\x85", " \n"]


class Split(word_tokenizers.WordTokenizer):  # type: ignore[misc]
    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        raise NotImplementedError

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))] * count_sentences(text, len(text) + 1)


@pytest.fixture(autouse=True, scope="module")
def split_words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_tokenizers, "load_word_tokenizer", lambda language: Split())
        yield


def theirs(judge: BaseFilter, text: str) -> tuple[str | None, str]:
    document = Document(text=text, id="0")
    try:
        verdict = judge.filter(document)
    except ZeroDivisionError:  # texts without a word, where we have a verdict
        return "no verdict", text
    return (None if verdict is True else RULES[verdict[1]]), document.text


def compare(stage: Stage, judge: BaseFilter, texts: list[str]) -> set[str | None]:
    """Both on all texts; returns the verdicts met."""
    outcome = stage(batch_of(texts))
    dropped = {one.row: one.rule for one in outcome.dropped}
    kept = iter(kept_texts(outcome))
    met = set()
    for row, text in enumerate(texts):
        verdict, after = theirs(judge, text)
        mine = (dropped.get(row), text if row in dropped else next(kept))
        if verdict != "no verdict":
            assert mine == (verdict, mine[1] if verdict else after), repr(text)
        met.add(verdict)
    return met


def synthetic_text(seed: int) -> str:
    """Some of WORDS, often few different ones, with parts said again."""
    choose = random.Random(seed)
    words = choose.sample(WORDS, choose.randint(1, choose.choice([3, 8, len(WORDS)])))
    separators = choose.choice([[" "], SEPARATORS[:9], SEPARATORS])
    length = choose.choice([0, 1, 3, 12, 40, 90, 250])
    pieces = [choose.choice(words) + choose.choice(separators) for _ in range(length)]
    if choose.random() < 0.3:  # mostly different words, so that only the copies repeat
        pieces = [f"w{choose.randint(0, 999)}" + choose.choice(separators) for _ in pieces]
    for _ in range(choose.choice([0, 0, 1, 2, 5]) if pieces else 0):
        start = choose.randrange(len(pieces))
        place = choose.randrange(len(pieces))
        pieces[place:place] = pieces[start : start + choose.randint(2, 14)]
    edges = ["", "", "\n", "\n\n\n", " "]
    return choose.choice(edges) + "".join(pieces) + choose.choice(edges)


@pytest.mark.parametrize("name", PAIRS)
def test_same_verdicts_on_synthetic_texts(name: str) -> None:
    stage, judge = PAIRS[name]
    met = compare(stage, judge(), [synthetic_text(seed) for seed in range(1500)])
    assert len(met) >= 3, "the texts must break several rules"


@pytest.mark.parametrize("name", PAIRS)
def test_same_verdicts_on_prose(name: str, prose: list[str]) -> None:
    stage, judge = PAIRS[name]
    compare(stage, judge(), prose)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(), max_size=6), st.sampled_from(sorted(PAIRS)))
def test_same_verdicts_on_any_text(texts: list[str], name: str) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    stage, judge = PAIRS[name]
    compare(stage, judge(), texts)


def test_every_repetition_rule_is_met() -> None:
    met = set[str | None]()
    for name in ("repetition", "top n-grams", "duplicated n-grams"):
        stage, _ = PAIRS[name]
        outcome = stage(batch_of([synthetic_text(seed) for seed in range(1500)]))
        met |= {one.rule for one in outcome.dropped}
    assert met >= {*GopherRepetition.__dataclass_fields__} - {
        # Who breaks these breaks an earlier one, nearly always.
        *(f"duplicated_{size}gram_characters" for size in (6, 7, 8, 9, 10)),
        "top_4gram_characters",
        "duplicated_paragraph_characters",
    }


def test_punctuation_is_fineweb_s() -> None:
    assert TERMINAL_PUNCTUATION == THEIR_TERMINAL_PUNCTUATION
    assert PUNCTUATION == PUNCTUATION_SET
