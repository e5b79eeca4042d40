"""Quantities as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.quantities import (
    byte_size,
    dollars,
    duration,
    energy,
    large_count,
    number,
    scaled,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (2.71828, "2.718"),
        (12345.678, "12,346"),
        (0.00012346, "0.0001235"),
        (0.000012345, "1.23e-05"),
        (1e20, "1e+20"),
        (math.nan, "not a number"),
        (-math.inf, "-∞"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(min_value=1e-4, max_value=1e14))
def test_number_keeps_four_digits(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=6e-4)


@given(st.floats(min_value=1, max_value=1e26))
def test_scaled_keeps_three_digits_and_stays_short(value: float) -> None:
    shown, unit = scaled(value, "B").split(" ")
    factor = 1000 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"].index(unit)
    assert float(shown.replace(",", "")) * factor == pytest.approx(value, rel=6e-3)
    assert len(shown) <= 4


def test_units_turn_over_when_rounding_reaches_a_thousand() -> None:
    assert byte_size(999) == "999 B"
    assert byte_size(999_999) == "1 MB"
    assert scaled(3.2e12, "FLOP/s") == "3.2 TFLOP/s"


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.6, 3599, 3600, 90_061, math.inf, -1)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:00:00",
        "1 d 1:01:01",
        "?",
        "0:00",
    ]


def test_energy_and_money() -> None:
    assert energy(12) == "12 J"
    assert energy(18_200) == "18.2 kJ (5.06 Wh)"
    assert [dollars(a) for a in (0, 0.00421, 12.3, 1234.5)] == [
        "$0.00",
        "$0.0042",
        "$12.30",
        "$1,234.50",
    ]


def test_large_counts() -> None:
    assert [large_count(c) for c in (16_384, 98.3e6, 16.42e9, 2e12)] == [
        "16,384",
        "98.3 million",
        "16.4 billion",
        "2 trillion",
    ]
