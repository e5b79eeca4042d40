"""Line plots in the terminal."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.report import Series, terminal_chart

ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(st.lists(st.tuples(ANY, ANY), max_size=20), min_size=1, max_size=3),
    st.integers(40, 120),
    st.integers(8, 30),
    st.booleans(),
    st.sampled_from(["utf-8", "cp1252", "ascii", None]),
)
@settings(max_examples=150, deadline=None)
def test_any_data_fits_its_box_and_its_encoding(
    data: list[list[tuple[float, float]]],
    width: int,
    height: int,
    log_y: bool,
    encoding: str | None,
) -> None:
    series = [
        Series(f"a long name {i}", [x for x, _ in d], [y for _, y in d]) for i, d in enumerate(data)
    ]
    text = terminal_chart(
        series,
        width,
        height,
        x_label="step",
        y_label="nats per token",
        log_y=log_y,
        encoding=encoding,
    )
    text.encode(encoding or "ascii")
    lines = text.split("\n")
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


def _dots(text: str) -> list[str]:
    return [line.split("│")[1] for line in text.splitlines() if "│" in line]


def test_a_rising_line_rises() -> None:
    rows = _dots(terminal_chart([Series("x", [0, 1], [0, 1])], 40, 12))
    first = [len(row) - len(row.lstrip()) for row in rows]
    assert first == sorted(first, reverse=True)
    assert first[0] > first[-1]
    assert all(row.strip() for row in rows)


def test_axes_are_labelled() -> None:
    text = terminal_chart(
        [Series("loss", [0, 1000], [4.0, 1.0])],
        72,
        14,
        title="Loss",
        x_label="step",
        y_label="nats per token",
    )
    assert text.splitlines()[:2] == ["Loss", "nats per token"]
    assert text.splitlines()[-1].strip() == "step"
    assert re.search(r"^ *4 │", text, re.MULTILINE)
    assert {"0", "500", "1,000"} <= set(text.splitlines()[-2].split())


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", "━━"), ("cp1252", "*")])
def test_several_lines_have_a_legend(encoding: str, marks: str) -> None:
    series = [Series("training", [0, 1], [1, 2]), Series("validation", [0, 1], [2, 3])]
    assert f"{marks} training" in terminal_chart(series, encoding=encoding)


def test_colour_changes_only_the_colour() -> None:
    series = [Series("a", [0, 1, 2], [1, 2, 5]), Series("b", [0, 1, 2], [2, 3, 1])]
    coloured = terminal_chart(series, colour=True)
    assert "\x1b[34m" in coloured and "\x1b[33m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == terminal_chart(series)


def test_no_data_says_so() -> None:
    assert terminal_chart([], title="Loss") == "Loss\n(no data)"
