"""Readability, vocabulary, easy words, keywords and language."""

import json
from pathlib import Path

import pytest
from filter_batches import batch_of, kept_texts, rules
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lilliput.corpus.filters import language
from lilliput.corpus.filters.inflections import Form, base_forms, inflect, inflections
from lilliput.corpus.filters.keywords import Keywords
from lilliput.corpus.filters.language import Language, identify
from lilliput.corpus.filters.plain_words import PLAIN_WORDS
from lilliput.corpus.filters.readability import Readability, count_syllables, flesch_kincaid_grade
from lilliput.corpus.filters.simplify import Simplify
from lilliput.corpus.filters.vocabulary import Vocabulary
from lilliput.corpus.filters.word_maps import build_word_map, read_levels, write_word_map
from lilliput.errors import UserError

# Syllables as in the CMU pronouncing dictionary.
SYLLABLES = """cat 1 table 2 apple 2 little 2 banana 3 make 1 makes 1 houses 2 walked 1 wanted 2
created 3 people 2 beautiful 3 something 2 everything 3 created 3 sentence 2 idea 3 area 3 science 2
being 2 seeing 2 radio 3 piano 3 nation 2 special 2 question 2 language 2 guess 1 quite 1 usual 3
completely 3 movement 2 hopeful 2 careless 2 player 2 employer 3 quiet 2 rhythm 2 the 1
strength 1 university 5 communication 5 capitalism 5 loved 1 watches 2
horses 2 clothes 1 smiled 1"""
LANGUAGES = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}


def test_syllables_as_in_the_dictionary() -> None:
    pairs = SYLLABLES.split()
    wrong = {
        word: (count_syllables(word), int(count))
        for word, count in zip(pairs[::2], pairs[1::2], strict=True)
        if count_syllables(word) != int(count)
    }
    assert len(wrong) <= 3, wrong  # the rule is right for 94 % of the dictionary's words


@pytest.mark.parametrize(
    ("text", "words", "sentences", "syllables"),
    [
        ("The cat sat on the mat.", 6, 1, 6),
        ("The cat sat.\nThe dog ran. He said “stop!” We did", 11, 4, 11),
        ("A heading\n\nA table of 3.5 apples", 6, 2, 9),
        ("1. Go home", 2, 1, 2),
    ],
)
def test_flesch_kincaid(text: str, words: int, sentences: int, syllables: int) -> None:
    grade = flesch_kincaid_grade(text)
    assert grade == pytest.approx(0.39 * words / sentences + 11.8 * syllables / words - 15.59)


def test_readability_keeps_up_to_a_grade() -> None:
    texts = [
        "The cat sat.",
        "Extraordinary considerations necessitate comprehensive documentation.",
        "1 2",
    ]
    outcome = Readability()(batch_of(texts))
    assert kept_texts(outcome) == ["The cat sat."]
    assert rules(outcome) == ["most_grade", "no_words"]
    all_kept = Readability(most_grade=float("inf"))(batch_of(texts)).batch
    grades = all_kept.column("grade").to_pylist()
    assert grades[0] == pytest.approx(0.39 * 3 + 11.8 - 15.59, abs=1e-5) and grades[2] is None


def test_vocabulary_counts_what_is_missing(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("the\ncat\nwalk\nbe\nmouse\nhappy\nwell\nknown\n", encoding="utf-8")
    texts = ["The cats walked. The mice were happier, well-known.", "The aardvark walks", ""]
    outcome = Vocabulary(str(words), least_share=0.9)(batch_of(texts))
    assert [(one.row, one.rule, one.detail) for one in outcome.dropped] == [
        (1, "least_share", "66.7% of the words")
    ]
    assert outcome.counts == {
        "words": 11,
        "words outside the list": 1,
        "outside the list: aardvark": 1,
    }
    assert outcome.batch.column("vocabulary_share").to_pylist() == [1.0, 1.0]
    strict = Vocabulary(str(words), least_share=0.9, inflections=False)
    assert [one.row for one in strict(batch_of(texts)).dropped] == [0, 1]


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("We utilize it.", "We use it."),
        ("UTILIZED and Utilizing", "USED and Using"),
        ("They purchased it.", "They bought it."),
        ("She was commencing an endeavour.", "She was starting a try."),
        ("Dwellings and residences", "Homes and homes"),
        ("He has perceived it, they perceived it.", "He has seen it, they saw it."),
        ("In order to go, prior to noon", "To go, before noon"),
        ("It ceases to be an option.", "It stops to be a choice."),
        ("A rapid verification of underutilizedness", "A fast verification of underutilizedness"),
    ],
)
def test_easy_words_keep_form_and_capitals(text: str, simple: str) -> None:
    outcome = Simplify()(batch_of([text]))
    assert kept_texts(outcome) == [simple]
    assert sum(outcome.counts.values()) == len(outcome.examples) > 0


def test_simplify_says_which_and_how_often() -> None:
    outcome = Simplify()(batch_of(["Plain words.", "Utilize it, then utilized it."]))
    assert outcome.counts == {"utilize → use": 2}
    first = outcome.examples[0]
    assert (first.row, first.rule) == (1, "utilize → use")
    assert first.before.startswith("Utilize it") and first.after.startswith("Use it")


def test_simplifying_twice_changes_nothing_more() -> None:
    hard_forms = {form for hard in PLAIN_WORDS for _, form in inflections(hard)}
    assert not hard_forms & set(PLAIN_WORDS.values())


def test_a_map_from_a_graded_list_and_wordnet(tmp_path: Path) -> None:
    levels = tmp_path / "cefr.csv"
    levels.write_text(
        "headword,CEFR\nbig,A1\nuse,A1\nhelp,A1\nlarge,A2\nassist,B2\nutilize,C1\nsizeable,C2\n"
        "obscure,C1\n",
        encoding="utf-8",
    )
    database = tmp_path / "wordnet"
    database.mkdir()
    for part in ("noun", "verb", "adv"):
        (database / f"index.{part}").write_text("  1 licence\n", encoding="utf-8")
        (database / f"data.{part}").write_text("  1 licence\n", encoding="utf-8")
    (database / "index.adj").write_text(
        "  1 licence\nsizeable a 1 1 & 1 1 00000042  \n", encoding="utf-8"
    )
    (database / "data.adj").write_text(
        "  1 licence\n00000042 00 a 04 ample 0 Large(a) 0 big 0 sizeable 0 000 | of some size\n",
        encoding="utf-8",
    )
    made = build_word_map(read_levels(str(levels)), wordnet=database)
    assert made.words == {"assist": "help", "sizeable": "big", "utilize": "use"}
    assert made.origins["sizeable"] == "WordNet" and made.origins["assist"] == "plain words"
    assert made.without == ["obscure"]
    write_word_map(made, tmp_path / "map.csv")
    outcome = Simplify(str(tmp_path / "map.csv"))(batch_of(["A sizeable obscure house"]))
    assert kept_texts(outcome) == ["A big obscure house"]


def test_word_maps_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    for content in ("[]", "{", "{}", '{"a": 1}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match="word map"):
            Simplify(str(path))(batch_of(["a"]))


@pytest.mark.parametrize(
    ("word", "form", "surface"),
    [
        ("try", Form.S, "tries"),
        ("play", Form.S, "plays"),
        ("watch", Form.S, "watches"),
        ("stop", Form.PAST, "stopped"),
        ("help", Form.PAST, "helped"),
        ("use", Form.ING, "using"),
        ("see", Form.ING, "seeing"),
        ("give up", Form.PAST, "gave up"),
        ("take", Form.PARTICIPLE, "taken"),
        ("person", Form.S, "people"),
        ("visit", Form.ING, "visiting"),
    ],
)
def test_inflections(word: str, form: Form, surface: str) -> None:
    assert inflect(word, form) == surface
    assert " " in word or word in set(base_forms(surface))


def test_keywords_are_literal_and_bounded() -> None:
    texts = ["The party ended.", "Modern art!", "I like C++.", "ice\ncream", "c+++"]
    kept = Keywords(("art", "c++", "ice cream"))(batch_of(texts))
    assert kept_texts(kept) == ["Modern art!", "I like C++.", "ice\ncream", "c+++"]
    dropped = Keywords(("art", "c++", "ice cream"), action="drop", case=True)(batch_of(texts))
    assert kept_texts(dropped) == ["The party ended.", "I like C++."]
    assert {one.detail for one in dropped.dropped} == {"1 found"}


def test_topics_are_named(tmp_path: Path) -> None:
    path = tmp_path / "topics.json"
    path.write_text(json.dumps({"sport": ["goal", "match"], "food": ["soup"]}), encoding="utf-8")
    texts = ["A goal in the match after soup.", "Soup and goal.", "Soup.", "Nothing"]
    outcome = Keywords(topics=str(path), action="mark")(batch_of(texts))
    assert outcome.batch.column("topic").to_pylist() == ["sport", "sport", "food", None]
    assert outcome.counts == {"topic sport": 2, "topic food": 1}
    two = Keywords(topics=str(path), fewest=2)(batch_of(texts))
    assert two.batch.column("topic").to_pylist() == ["sport", "sport"]
    path.write_text('{"sport": []}', encoding="utf-8")
    for wrong in (lambda: Keywords(topics=str(tmp_path / "none")), lambda: Keywords(())):
        with pytest.raises(UserError):
            wrong()(batch_of(texts))


def test_languages_are_told_apart() -> None:
    found = identify(list(LANGUAGES.values()))
    assert [code for code, _ in found] == list(LANGUAGES)
    assert all(score > 0.5 for _, score in found)


def test_languages_are_those_of_py3langid(prose: list[str]) -> None:
    oracle = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    texts = [text[:300] for text in prose[::6]] + list(LANGUAGES.values()) + ["ABC DEF", "x\ud7ff"]
    for (code, score), text in zip(identify(texts), texts, strict=True):
        expected, confidence = oracle.classify(text)
        if code != "und":
            assert (code, score) == (expected, pytest.approx(confidence, abs=1e-3))


def test_texts_of_all_lengths_walk_together(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text[: 3 * number] for number, text in enumerate(LANGUAGES.values())] * 5
    expected = identify(texts)
    monkeypatch.setattr(language, "_MOST_CELLS", 40)
    assert identify(texts) == expected


def test_language_keeps_those_wanted() -> None:
    texts = [*LANGUAGES.values(), "", "12"]
    outcome = Language(keep=("de", "fr"), least_score=0.5)(batch_of(texts))
    assert outcome.batch.column("language").to_pylist() == ["de", "fr"]
    assert set(rules(outcome)) == {"keep"}
    assert rules(Language(keep=("de",), least_score=1)(batch_of([LANGUAGES["de"][:20]]))) == [
        "least_score"
    ]
    everything = Language()(batch_of(texts))
    assert not everything.dropped
    assert everything.batch.column("language").to_pylist()[-2] == "und"
    with pytest.raises(UserError, match="english"):
        Language(keep=("english",))(batch_of(texts))
