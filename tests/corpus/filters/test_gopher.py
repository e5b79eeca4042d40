"""Gopher's rules, each broken by a text that breaks no other before it."""

import pytest
from filter_batches import batch_of, rules

from lilliput.corpus.filters import text_statistics
from lilliput.corpus.filters.gopher_quality import GopherQuality
from lilliput.corpus.filters.gopher_repetition import GopherRepetition
from lilliput.errors import UserError

# 60 different words of four letters and two stop words.
WORDS = [f"{a}{b}xy" for a in "abcdefghij" for b in "klmnop"]
GOOD = "the and " + " ".join(WORDS)


@pytest.mark.parametrize(
    ("text", "rule", "detail"),
    [
        ("the and " + " ".join(WORDS[:47]), "fewest_words", "49 words"),
        ("the and of to " + "a b c d e f " * 20, "shortest_mean_word", "1.05 characters"),
        (GOOD.replace("xy", "xy" * 7), "longest_mean_word", "15.58 characters"),
        (GOOD + " #" * 7, "most_hashes", "7 in 69 words"),
        (GOOD + " …" * 4 + " ..." * 4, "most_ellipses", "8 in 70 words"),
        ("\n- ".join(["- the and", *WORDS]), "most_bullet_lines", "100.0% of the lines"),
        (GOOD + "...\nyes\nno…", "most_ellipsis_lines", "66.7% of the lines"),
        (GOOD + " 12" * 20, "fewest_words_with_letters", "75.6% of the words"),
        ("The and " + " ".join(WORDS), "fewest_stop_words", "1 of 8"),
    ],
)
def test_quality_rules(text: str, rule: str, detail: str) -> None:
    dropped = GopherQuality()(batch_of([GOOD, text])).dropped
    assert [(one.row, one.rule, one.detail) for one in dropped] == [(1, rule, detail)]


def test_quality_bounds_are_allowed_themselves() -> None:
    fifty = " ".join(["the and", *WORDS[:48]])
    assert not GopherQuality(most_words=50)(batch_of([fifty])).dropped
    assert rules(GopherQuality(fewest_words=0, most_words=49)(batch_of([fifty]))) == ["most_words"]


def test_words_of_punctuation_alone_do_not_make_a_text_long() -> None:
    assert rules(GopherQuality()(batch_of(["the and " + "- " * 60 + "yes"]))) == ["fewest_words"]


def test_stop_words_stand_alone_and_as_written() -> None:
    quality = GopherQuality(fewest_words=0, stop_words=("der", "und"))
    kept = quality(batch_of(["Haus\nder\tund Hof", "wunder Hunde und", "Der und"]))
    assert [one.row for one in kept.dropped] == [1, 2]


@pytest.mark.parametrize(
    ("text", "rule", "detail"),
    [
        ("", "empty", ""),
        ("a\n\nb\n\n\na\n\na", "duplicated_paragraphs", "50.0% of the paragraphs"),
        (
            "first\n\nsecond\n\nthird\n\nfourth\n\n" + "long paragraph\n\n" * 2,
            "duplicated_paragraph_characters",
            "22.6% of the characters",
        ),
        ("a\nb\na\na", "duplicated_lines", "50.0% of the lines"),
        (
            "first\nsecond\nthird\nfourth\nlong line here\nlong line here",
            "duplicated_line_characters",
            "25.5% of the characters",
        ),
        ("red fox " * 3 + GOOD[:60], "top_2gram_characters", "25.0% of the characters"),
    ],
)
def test_repetition_rules(text: str, rule: str, detail: str) -> None:
    dropped = GopherRepetition()(batch_of([GOOD, text])).dropped
    assert [(one.row, one.rule, one.detail) for one in dropped] == [(1, rule, detail)]


@pytest.mark.parametrize("size", [5, 6, 7, 8, 9, 10])
def test_repeated_ngrams_of_each_size(size: int) -> None:
    """A phrase of `size` words, each time between other words, is found by that rule alone."""
    phrase = " ".join(WORDS[:size])
    others = [f"u{number:03}" for number in range(200)]
    text = " ".join(f"{phrase} {others[number]}" for number in range(8))
    text += " " + " ".join(others[8 : 8 + 6 * size])
    off = {name: float("inf") for name in GopherRepetition.__dataclass_fields__}
    for ngram in (5, 6, 7, 8, 9, 10):
        rule = f"duplicated_{ngram}gram_characters"
        found = GopherRepetition(**(off | {rule: 0.15}))(batch_of([text, GOOD]))
        assert rules(found) == ([rule] if ngram <= size else [])


def test_same_words_in_other_texts_are_no_repetition() -> None:
    assert not GopherRepetition()(batch_of([GOOD] * 30)).dropped


def test_a_verdict_does_not_depend_on_the_batch() -> None:
    texts = [GOOD, "a b " * 40, GOOD * 3, "", "x " * 500, " ".join(WORDS * 40), GOOD + " yes"] * 9
    together = {one.row: one for one in GopherRepetition()(batch_of(texts)).dropped}
    for row, text in enumerate(texts):
        alone = GopherRepetition()(batch_of([text])).dropped
        assert [(one.rule, one.detail) for one in alone] == (
            [(together[row].rule, together[row].detail)] if row in together else []
        )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GopherQuality(fewest_words=-1),
        lambda: GopherQuality(fewest_words=10, most_words=9),
        lambda: GopherQuality(stop_words="the"),  # type: ignore[arg-type]
        lambda: GopherQuality(stop_words=("of the",)),
        lambda: GopherQuality(most_hashes="many"),  # type: ignore[arg-type]
        lambda: GopherRepetition(duplicated_lines=float("nan")),
    ],
)
def test_wrong_settings_are_named(wrong: object) -> None:
    with pytest.raises(UserError, match=r"^Gopher\w+: \w+ "):
        wrong()  # type: ignore[operator]


@pytest.mark.parametrize("power", [4, 6])
def test_hashes_of_words_written_together(power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal for equal letters wherever they stand, in texts longer than the table of powers too."""
    monkeypatch.setattr(text_statistics, "_POWERS", 1 << power)
    text_statistics._first_powers.cache_clear()
    text = "ab cd  ef\ngh ab\tcd é𝒳 ab cdé 𝒳 abc d" * 5
    (block,) = text_statistics.word_blocks([text])
    sums, inverses = block.prefix_hashes()
    words = text.split()
    seen: dict[str, int] = {}
    for start in range(len(words)):
        for end in range(start + 1, min(start + 5, len(words)) + 1):
            found = int((sums[end] - sums[start]) * inverses[start])
            assert seen.setdefault("".join(words[start:end]), found) == found
    assert len(set(seen.values())) == len(seen)
    text_statistics._first_powers.cache_clear()
