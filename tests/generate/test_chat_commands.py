"""What a person enters in `lilliput chat`, and how it is read and shown."""

import json
import os
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Timer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.cells import cell_len

from lilliput.cli.chat_commands import (
    COMMANDS,
    NAMES,
    NUMBERS,
    Entry,
    completions,
    entry_of,
    help_text,
    nearest,
    parse_branch,
    parse_command,
    parse_number,
    parse_place,
    parse_strings,
    parse_switch,
)
from lilliput.cli.chat_display import (
    Screen,
    ShownToken,
    WordWrap,
    percent,
    printable,
    quoted,
    shortened,
    tokens_table,
)
from lilliput.cli.chat_input import FENCE, edited_entry, entries, terminal_entries
from lilliput.errors import UserError

lines_of_text = st.text(st.characters(exclude_categories=("Cs", "Cc"))).filter(
    lambda line: line.strip() != FENCE
)


# Commands


@given(st.sampled_from(sorted(NAMES)), st.text(string.printable), st.sampled_from(["", " ", "  "]))
def test_a_command_is_its_name_and_the_rest(name: str, rest: str, space: str) -> None:
    argument = rest.strip()
    line = f"/{space}{name.upper()} {rest}"
    if argument and not NAMES[name].takes:
        with pytest.raises(UserError, match="takes nothing"):
            parse_command(line)
    else:
        assert parse_command(line) == (NAMES[name].name, argument)


@given(st.text())
def test_any_line_is_a_command_or_one_message(rest: str) -> None:
    try:
        name, _ = parse_command("/" + rest)
    except UserError as error:
        assert "\n" not in str(error).replace(rest, "")
    else:
        assert name in {one.name for one in COMMANDS}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("temprature", "temperature"), ("temp", "temperature"), ("tokns", "tokens"),
        ("alt", "alternatives"), ("to", "top"), ("xyzzy", None), ("", None),
    ],
)  # fmt: skip
def test_an_unknown_command_names_the_nearest(typed: str, meant: str | None) -> None:
    assert nearest(typed) == meant
    with pytest.raises(UserError, match=f"/{meant}" if meant else "/help"):
        parse_command(f"/{typed}")


def test_every_command_is_in_the_help_and_completes() -> None:
    for one in COMMANDS:
        assert f"/{one.name} {one.takes}".strip() in help_text()
        assert one in completions(f"/{one.name[:3]}")
    assert {one.name for one in completions("/to")} == {"tokens", "top-k", "top-p"}
    assert not completions("to") and not completions("/tokens all")
    assert max(map(len, help_text().splitlines())) <= 100


@given(st.sampled_from(sorted(NUMBERS)), st.integers(-(2**53), 2**53) | st.floats(allow_nan=False))
def test_numbers_of_settings(name: str, value: float) -> None:
    if NUMBERS[name] is int and isinstance(value, float):
        with pytest.raises(UserError, match="whole number"):
            parse_number(name, repr(value))
    else:
        assert parse_number(name, repr(value)) == value


@given(st.lists(st.text(min_size=1), min_size=1))
def test_stop_strings_come_back_from_quotes(strings: list[str]) -> None:
    assert parse_strings(" ".join(json.dumps(one) for one in strings)) == tuple(strings)


@pytest.mark.parametrize(
    ("argument", "strings"),
    [("off", ()), ("", ()), ("The end", ("The end",)), ('"a" "b c"', ("a", "b c")),
     (r'"\n"', ("\n",))],
)  # fmt: skip
def test_stop_strings(argument: str, strings: tuple[str, ...]) -> None:
    assert parse_strings(argument) == strings


def test_branches_switches_and_places() -> None:
    assert parse_branch("3 2") == (3, 2)
    assert parse_branch('12  " a dragon"') == (12, " a dragon")
    assert parse_place("top", "7") == 7
    assert parse_switch("stats", "", True) is False
    assert parse_switch("stats", "on", True) is True
    for wrong in ("3", "x 2", "3 x", "0 1", "3 0", '3 "a" "b"', '3 "a', "", "-1 2", "²  1"):
        with pytest.raises(UserError):
            parse_branch(wrong)
    for wrong in ('"a', 'a "b"', '"a""b"', r'"\q"'):
        with pytest.raises(UserError):
            parse_strings(wrong)
    with pytest.raises(UserError, match="on or off"):
        parse_switch("stats", "maybe", True)


# Entries


@given(st.lists(lines_of_text, min_size=1))
def test_a_block_is_one_message_as_it_is(block: list[str]) -> None:
    lines = [FENCE, *block, f" {FENCE} ", "/help"]
    expected = Entry("\n".join(block), False)
    assert list(entries(iter(lines))) == [expected, Entry("/help", True)]
    assert edited_entry("\n".join(lines[:-1])) == expected
    assert list(entries(iter(lines[:-2]))) == [expected]  # not closed before the end


@given(st.lists(lines_of_text.map(lambda line: "x" + line.rstrip("\\")), min_size=1))
def test_a_backslash_at_the_end_goes_on_in_the_next_line(parts: list[str]) -> None:
    lines = [part + "\\" for part in parts[:-1]] + parts[-1:]
    assert list(entries(iter([*lines, "after"]))) == [
        Entry("\n".join(parts), False),
        Entry("after", False),
    ]


@given(st.lists(lines_of_text.filter(lambda line: not line.endswith("\\"))))
def test_other_lines_are_entries_each(lines: list[str]) -> None:
    assert [one.text for one in entries(iter(lines))] == [
        line.removeprefix("/") if line.startswith("//") else line for line in lines
    ]


def test_what_is_a_command() -> None:
    assert entry_of("/help") == Entry("/help", True)
    assert entry_of("//help") == Entry("/help", False)
    assert entry_of(" /help") == Entry(" /help", False)
    assert edited_entry("/a\nb\n") == Entry("/a\nb", False)
    assert edited_entry("a\\\r\nb") == Entry("a\\\nb", False)  # pasted: as it is


@contextmanager
def typed(keys: str, history: Path | None = None) -> Iterator[Iterator[Entry]]:
    """What comes of keys pressed at a terminal."""
    with (
        create_pipe_input() as pipe,
        create_app_session(input=pipe, output=DummyOutput()),
    ):
        pipe.send_text(keys)
        giving_up = Timer(20, pipe.close)
        giving_up.start()
        try:
            yield terminal_entries(history, lambda: "> ", lambda: None)
        finally:
            giving_up.cancel()


ALT_ENTER, CONTROL_C = "\x1b\r", "\x03"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("hello\r", "hello"),
        ("helo\x1b[Dl\r", "hello"),
        (f"one{ALT_ENTER}two\r", "one\ntwo"),
        ("one\\\rtwo\r", "one\ntwo"),
        ('"""\rone\r/two\\\r"""\r', "one\n/two"),
        ("\x1b[200~one\\\ntwo\n\x1b[201~\r", "one\\\ntwo"),
        (f"lost{CONTROL_C}kept\r", "kept"),
    ],
)
def test_editing(keys: str, text: str) -> None:
    with typed(keys) as found:
        assert next(found).text.rstrip() == text


def test_history_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history"
    with typed("first one\r", path) as found:
        assert next(found).text == "first one"
    with typed("not kept\r") as found:
        assert next(found).text == "not kept"
    assert path.read_text(encoding="utf-8").splitlines()[2:] == ["+first one"]
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_history_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with typed("hello\r", tmp_path / "file" / "history") as found:
        assert next(found).text == "hello"


# What is shown


@given(st.lists(st.text(st.sampled_from("ab\n \t漢é\u0301.😀"))), st.integers(2, 30))
def test_wrapping_changes_spaces_alone(pieces: list[str], width: int) -> None:
    wrap = WordWrap(width)
    shown = "".join(wrap.write(piece) for piece in pieces) + wrap.close()
    assert shown.split() == "".join(pieces).split()
    whole = WordWrap(width)
    assert shown == whole.write("".join(pieces)) + whole.close()


@given(st.lists(st.text(st.sampled_from("abcde"), min_size=1, max_size=9), min_size=1))
def test_no_line_is_too_long_or_begins_with_a_space(words: list[str]) -> None:
    wrap = WordWrap(12)
    shown = wrap.write(" ".join(words)) + wrap.close()
    lines = shown.split("\n")
    assert all(cell_len(line) <= 12 and line == line.strip() for line in lines)
    for line, following in pairwise(lines):
        assert cell_len(line) + 1 + cell_len(following.split()[0]) > 12


@given(st.text())
def test_nothing_shown_controls_the_terminal(text: str) -> None:
    for shown in (printable(text), quoted(text), shortened(text, 20)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert len(shortened(text, 20)) <= 20
    assert len(shortened(text, 20, from_end=True)) <= 20


@pytest.mark.parametrize("wide", [20, 40, 100])
def test_tokens_are_shown_in_the_colour_of_their_probability(wide: int) -> None:
    text = "Once upon a time, 漢字 there was a café by the sea."
    parts = re.findall(r" ?[^ ]+", text)
    tokens = [
        ShownToken(number, 100 + number, part, part.encode(), probability)
        for number, (part, probability) in enumerate(
            zip(parts, [0.9, 0.3, 0.1, 0.01] * 5, strict=False), 1
        )
    ]
    shown = tokens_table(Screen(wide, colours=True), tokens)
    for colour in (32, 36, 33, 31):
        assert f"\x1b[{colour}m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert " ".join(plain.split("\n\n")[0].split()) == text
    assert re.sub(r"\x1b\[[0-9;]*m", "", tokens_table(Screen(wide), tokens)) in plain
    rows = tokens_table(Screen(), tokens).splitlines()
    assert rows[0] == '1\t101\t0.900000\t"Once"'
    assert len(rows) == len(tokens)


def test_bytes_of_a_character_are_shown_once_it_is_whole() -> None:
    tokens = [
        ShownToken(1, 5, "\\xc3", b"\xc3", 0.5),
        ShownToken(2, 6, "\\xa9", b"\xa9", 0.5),
        ShownToken(3, 7, "\x1b", b"\x1b", None),
    ]
    shown = tokens_table(Screen(80), tokens)
    assert shown.startswith("é\ufffd\n")


def test_percent() -> None:
    assert [percent(one) for one in (1, 0.1234, 0.001, 0.0001, 0)] == [
        "100.0%", "12.3%", "0.1%", "<0.1%", "<0.1%",
    ]  # fmt: skip
