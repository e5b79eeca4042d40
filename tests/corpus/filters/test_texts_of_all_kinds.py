"""What holds for every filter and any text: no crash, true reports, no dependence on the batch."""

import json
from pathlib import Path

import pytest
from filter_batches import batch_of, kept_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus.filters.boilerplate import Boilerplate
from lilliput.corpus.filters.c4 import C4
from lilliput.corpus.filters.characters import (
    LETTER,
    NOT_PUNCTUATION,
    PUNCTUATION,
    SPACE,
    kinds_of_characters,
)
from lilliput.corpus.filters.fineweb import FineWeb
from lilliput.corpus.filters.gopher_quality import GopherQuality
from lilliput.corpus.filters.gopher_repetition import GopherRepetition
from lilliput.corpus.filters.keywords import Keywords
from lilliput.corpus.filters.language import Language
from lilliput.corpus.filters.length import Length
from lilliput.corpus.filters.machine_phrases import machine_phrases
from lilliput.corpus.filters.readability import Readability
from lilliput.corpus.filters.simplify import Simplify
from lilliput.corpus.filters.urls import Urls
from lilliput.corpus.filters.vocabulary import Vocabulary
from lilliput.corpus.stages import Stage

# White space, marks, letters and lines of the kind that filters look for.
PIECES = st.sampled_from(
    [
        *(" ", "\n", "\n\n", "\t", "\x85", "the", "and", "word.", "© 2020", "Home", "Read more"),
        *("{", "}", "utilize", "UTILIZED", "an endeavour", "- ", "•", "…", "javascript", "[1]"),
        *("def f():", "/*", "# Copyright", "party", "c++", "1.", "½", "ß", "İ", "中", "\u200b"),
        *("\x00", "a" * 40),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)).map(
    lambda text: text.encode("utf-8", "ignore").decode()
)
DROPPING = ["gopher_quality", "gopher_repetition", "fineweb", "length", "keywords", "urls"]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    folder: Path = tmp_path_factory.mktemp("lists")
    (folder / "words.txt").write_text("the\nand\nword\n", encoding="utf-8")
    (folder / "topics.json").write_text(json.dumps({"code": ["c++", "def"]}), encoding="utf-8")
    return {
        "gopher_quality": GopherQuality(fewest_words=2),
        "gopher_repetition": GopherRepetition(),
        "c4": C4(fewest_sentences=1, bad_words=str(folder / "words.txt")),
        "fineweb": FineWeb(),
        "language": Language(keep=("en",)),
        "readability": Readability(),
        "vocabulary": Vocabulary(str(folder / "words.txt")),
        "simplify": Simplify(),
        "keywords": Keywords(("the", "c++"), topics=str(folder / "topics.json")),
        "length": Length(fewest_words=2, most_lines=5),
        "urls": Urls(words=str(folder / "words.txt")),
        "boilerplate": Boilerplate(repeated=2, code=1, licences=True),
    }


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_no_text_is_too_strange(stages: dict[str, Stage], texts: list[str]) -> None:
    for name, stage in stages.items():
        outcome = stage(batch_of(texts, url=texts))
        rows = [one.row for one in outcome.dropped]
        assert rows == sorted(set(rows)), name
        assert outcome.batch.column("id").to_pylist() == [
            str(row) for row in range(len(texts)) if row not in rows
        ], name
        assert all(one.rule.isidentifier() for one in outcome.dropped), name
        assert all(0 <= one.row < len(texts) for one in outcome.examples), name


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_what_a_filter_kept_it_keeps(stages: dict[str, Stage], texts: list[str]) -> None:
    for name in DROPPING:
        kept = stages[name](batch_of(texts, url=texts)).batch
        assert stages[name](kept).batch.equals(kept), name


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(TEXTS, min_size=2, max_size=4))
def test_a_text_is_judged_alone(stages: dict[str, Stage], texts: list[str]) -> None:
    for name, stage in stages.items():
        together = stage(batch_of(texts, url=texts))
        alone = [stage(batch_of([text], url=[text])) for text in texts]
        assert kept_texts(together) == [text for one in alone for text in kept_texts(one)], name
        details = [(one.rule, one.detail) for one in together.dropped]
        assert details == [(d.rule, d.detail) for one in alone for d in one.dropped], name


def test_machine_phrases_are_counted() -> None:
    text = "It’s important to note: we DELVE into a rich tapestry. It's important to note. Delves!"
    assert machine_phrases(text) == {
        "delve": 2,
        "it's important to note": 2,
        "rich tapestry": 1,
    }
    assert machine_phrases("A plain sentence.") == {}


def test_kinds_of_all_characters() -> None:
    kinds = kinds_of_characters().tolist()
    for character in map(chr, range(0x110000)):
        kind = kinds[ord(character)]
        assert bool(kind & SPACE) == character.isspace()
        assert bool(kind & LETTER) == character.isalpha()
        proper = not character.isspace() and character not in PUNCTUATION
        assert bool(kind & NOT_PUNCTUATION) == proper
