"""C4's rules about lines and pages, and FineWeb's about documents."""

from pathlib import Path

import pytest
from filter_batches import batch_of, kept_texts, rules

from lilliput.corpus.filters.c4 import C4, count_sentences
from lilliput.corpus.filters.fineweb import FineWeb
from lilliput.errors import UserError

PROSE = "\n".join(f"This is sentence number {number} of the page." for number in range(6))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("y" * 1001 + " is a long word.", "longest_word"),
        ("A line without its end", "terminal_punctuation"),
        ("A line that trails off...", "terminal_punctuation"),
        ("Two words.", "fewest_words_in_line"),
        ("Please enable JavaScript in your browser.", "javascript"),
        ("See our Privacy Policy for more.", "policies"),
        ("This site uses cookies, all of them.", "policies"),
    ],
)
def test_lines_that_go(line: str, rule: str) -> None:
    outcome = C4()(batch_of([f"{line}\n{PROSE}"]))
    assert kept_texts(outcome) == [PROSE]
    assert outcome.counts == {f"lines removed: {rule}": 1}
    assert [(one.rule, one.before, one.after) for one in outcome.examples] == [(rule, line, "")]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"Here is Lorem ipsum for you.\n{PROSE}", "lorem_ipsum"),
        (f"Here is a {{ bracket.\n{PROSE}", "curly_brackets"),
        ("One is here. Two is here. Three is here. Four is here.", "fewest_sentences"),
    ],
)
def test_pages_that_go(text: str, rule: str) -> None:
    assert rules(C4()(batch_of([text]))) == [rule]


def test_each_rule_can_be_turned_off() -> None:
    text = "if (x) { javascript } lorem ipsum\nterms of use [1]\nshort"
    everything = C4(
        citations=False,
        terminal_punctuation=False,
        fewest_words_in_line=0,
        lorem_ipsum=False,
        javascript=False,
        curly_brackets=False,
        policies=False,
        fewest_sentences=0,
    )
    assert kept_texts(everything(batch_of([text]))) == [text]


def test_citations_are_taken_out_and_counted() -> None:
    outcome = C4()(
        batch_of([PROSE + "\nA fact[12] and a claim[citation needed] stand here.[edit]"])
    )
    assert kept_texts(outcome) == [PROSE + "\nA fact and a claim stand here."]
    assert outcome.counts == {"citations removed": 3}


def test_a_phrase_parted_by_a_citation_is_found() -> None:
    assert rules(C4()(batch_of([PROSE + "\nHere is lorem[1] ipsum for you."]))) == ["lorem_ipsum"]


def test_paragraphs_of_mc4() -> None:
    long = "This line goes on and on, and on, as paragraphs of real pages do. " * 4
    strict = C4(fewest_paragraphs=3)
    assert not strict(batch_of(["\n".join([long.strip()] * 3)])).dropped
    assert rules(strict(batch_of(["\n".join([long.strip()] * 2)]))) == ["fewest_paragraphs"]


def test_bad_words_come_from_the_user_s_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("# a comment\nDarn\noh heck\n", encoding="utf-8")
    stage = C4(bad_words=str(path))
    texts = [f"{PROSE}\nThe {word} line is here." for word in ("darning", "DARN", "oh heck")]
    dropped = stage(batch_of(texts)).dropped
    assert [(one.row, one.rule, one.detail) for one in dropped] == [
        (1, "bad_words", "darn"),
        (2, "bad_words", "oh heck"),
    ]
    with pytest.raises(UserError, match="cannot read the list"):
        C4(bad_words=str(tmp_path / "none.txt"))(batch_of([PROSE]))


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("", 1),
        ("No end", 1),
        ("One. Two! Three?", 3),
        ('He said "Stop!" She ran. It was 3.14 or so', 3),
        ("Wait... what", 2),
        ("(Really.) Yes.", 2),
    ],
)
def test_sentences(line: str, count: int) -> None:
    assert count_sentences(line, 100) == count
    assert count_sentences(line, 1) == 1


LINES = [f"The line with number {number} is long enough." for number in range(10)]


@pytest.mark.parametrize(
    ("text", "rule", "detail"),
    [
        (" \n\t\n", "empty", ""),
        (
            "\n".join([*LINES[:1], *(line[:-1] for line in LINES[1:])]),
            "fewest_ended_lines",
            "10.0%",
        ),
        ("\n".join(LINES[:3] + [f"Short {n}." for n in range(7)]), "most_short_lines", "70.0%"),
        ("\n".join([*LINES, LINES[0]]), "duplicated_lines", "9.1%"),
        ("\n".join(LINES) + "\n" * 60, "most_line_breaks", "69 in 80 words"),
    ],
)
def test_fineweb_rules(text: str, rule: str, detail: str) -> None:
    dropped = FineWeb()(batch_of(["\n".join(LINES), text])).dropped
    assert [(one.row, one.rule) for one in dropped] == [(1, rule)]
    assert dropped[0].detail.startswith(detail)


def test_both_published_thresholds_of_duplicated_lines() -> None:
    text = "\n".join([*LINES, LINES[0]])  # 9.1 % of the characters
    assert rules(FineWeb(duplicated_lines="code")(batch_of([text]))) == ["duplicated_lines"]
    assert not FineWeb(duplicated_lines="paper")(batch_of([text])).dropped
    assert not FineWeb(duplicated_lines=0.2)(batch_of([text])).dropped
    with pytest.raises(UserError, match="duplicated_lines"):
        FineWeb(duplicated_lines="blog")


def test_a_sentence_may_end_in_any_script() -> None:
    texts = ["这是一个足够长的句子，它有结尾，并且超过三十个字符，我们再写一些字来凑够长度吧。"]
    assert not FineWeb(most_line_breaks=1)(batch_of(texts)).dropped
