"""Charts: well-formed SVG whose marks lie where the data says."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.report import Blocks, Series, bar_chart, line_chart
from lilliput.report.scale import scale_of
from lilliput.report.series import thin

SVG = "{http://www.w3.org/2000/svg}"
ANY = st.floats(allow_nan=True, allow_infinity=True)
POINTS = st.lists(st.tuples(ANY, ANY), max_size=30)


def _elements(svg: str, tag: str, class_: str = "") -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    return [
        e for e in root.iter(f"{SVG}{tag}") if class_ in e.get("class", "").split() or not class_
    ]


def _data_points(svg: str) -> list[tuple[float, float]]:
    """The drawn points, brought back to data by the scales the chart declares."""
    root = ElementTree.fromstring(svg)

    def inverse(name: str, place: float) -> float:
        low, high, start, end, log = map(float, root.get(f"data-{name}", "").split())
        share = (place - start) / (end - start)
        return low * (high / low) ** share if log else low + share * (high - low)

    paths = _elements(svg, "path", "line")
    pairs = re.findall(r"(-?[\d.]+),(-?[\d.]+)", "".join(p.get("d", "") for p in paths))
    return [(inverse("x", float(x)), inverse("y", float(y))) for x, y in pairs]


@given(st.lists(POINTS, max_size=3), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_data_makes_well_formed_svg_with_all_marks_in_sight(
    data: list[list[tuple[float, float]]], log_x: bool, log_y: bool, zero: bool
) -> None:
    series = [
        Series(f"s{i}", [x for x, _ in line], [y for _, y in line], markers=bool(i))
        for i, line in enumerate(data)
    ]
    svg = line_chart(series, log_x=log_x, log_y=log_y, include_zero=zero)
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(element.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert -60 <= float(element.get(name, 0)) <= height + 1
    assert "nan" not in svg and "inf" not in svg.replace("infinity", "")


@pytest.mark.parametrize("log", [False, True])
def test_points_lie_where_the_data_says(log: bool) -> None:
    x, y = [1, 10, 50, 400, 1000], [9.0, 4.5, 2.25, 1.5, 1.2]
    svg = line_chart([Series("loss", x, y)], title="Loss", log_x=log, log_y=log)
    drawn = _data_points(svg)
    assert [x for x, _ in drawn] == pytest.approx(x, rel=0.02, abs=0.05)
    assert [y for _, y in drawn] == pytest.approx(y, rel=0.001)
    assert [e.text for e in _elements(svg, "text", "value")] == ["1.2"]


def test_gaps_stay_gaps() -> None:
    svg = line_chart([Series("x", [1, 2, 3, 4, 5], [1, 2, math.nan, 4, 5])])
    (path,) = _elements(svg, "path", "line")
    assert path.get("d", "").count("M") == 2
    logarithmic = line_chart([Series("x", [1, 2, 3], [1, 0, 3])], log_y=True)
    assert _elements(logarithmic, "path", "line")[0].get("d", "").count("M") == 2


def test_title_description_and_legend_say_what_is_shown() -> None:
    series = [Series("training", [1, 2], [3, 2.5]), Series("validation", [1, 2], [3.5, 2.75])]
    svg = line_chart(series, title="Loss over steps", x_label="step", y_label="nats per token")
    assert _elements(svg, "title")[0].text == "Loss over steps"
    description = _elements(svg, "desc")[0].text or ""
    assert "validation: 2 points, from 2.75 to 3.5, last 2.75" in description
    texts = [e.text for e in _elements(svg, "text")]
    assert {"training", "validation", "step", "nats per token", "2.5", "2.75"} <= set(texts)


def test_value_labels_do_not_overlap_nor_leave_the_plot() -> None:
    series = [Series(f"s{i}", [1, 2], [1.0, 5 + i / 1000]) for i in range(6)]
    heights = sorted(float(e.get("y", 0)) for e in _elements(line_chart(series), "text", "value"))
    assert all(b - a >= 14 for a, b in pairwise(heights))


def test_a_long_series_is_small_and_keeps_its_peaks() -> None:
    x = list(range(200_000))
    y = [2 + math.sin(i / 9000) for i in x]
    y[123_456], y[70_001] = 50.0, -40.0
    svg = line_chart([Series("x", x, y)])
    assert len(svg) < 60_000
    drawn = [value for _, value in _data_points(svg)]
    assert max(drawn) == pytest.approx(50, abs=0.02)
    assert min(drawn) == pytest.approx(-40, abs=0.02)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=300),
    st.integers(1, 20),
)
def test_thinning_keeps_ends_and_extremes(points: list[tuple[float, float]], columns: int) -> None:
    points = sorted(points)
    kept = thin([x for x, _ in points], [y for _, y in points], columns)
    assert len(kept) <= max(4 * columns, 0)
    assert kept[0] == points[0] and kept[-1] == points[-1]
    for extreme in (min, max):
        assert extreme(y for _, y in kept) == extreme(y for _, y in points)
    assert kept == sorted(kept, key=lambda point: point[0])
    assert set(kept) <= set(points)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(4, 50))
def test_blocks_are_bounded_and_keep_mean_and_extremes(values: list[float], limit: int) -> None:
    blocks = Blocks(limit)
    for step, value in enumerate(values):
        blocks.add(step, value)
    series = blocks.series("x")
    assert len(blocks) <= limit
    assert blocks.mean() == pytest.approx(sum(values) / len(values), rel=1e-6, abs=1e-4)
    assert (series.x[0], series.y[0]) == (0, values[0])
    assert (series.x[-1], series.y[-1]) == (len(values) - 1, values[-1])
    if len(values) <= limit:
        assert list(series.y) == values and series.low == ()
    else:
        assert min(series.low) == min(values)
        assert max(series.high) == max(values)
        slack = 1e-6 * max(map(abs, values))
        edges = zip(series.low, series.y, series.high, strict=True)
        assert all(low - slack <= y <= high + slack for low, y, high in edges)


def test_blocks_drop_what_is_not_finite() -> None:
    blocks = Blocks()
    for value in (1.0, math.nan, math.inf, 3.0):
        blocks.add(1, value)
    assert blocks.series("x").y == [1.0, 3.0]
    assert math.isnan(Blocks().mean())


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5),
    st.integers(2, 10),
    st.sampled_from([0, 4]),
)
def test_ticks_are_round_within_the_range_and_labelled_truly(
    values: list[float], count: int, rounded: int
) -> None:
    scale = scale_of(values, 0, 100, rounded=rounded)
    assert scale.low <= min(values) and max(values) <= scale.high
    ticks = scale.ticks(count)
    assert 1 <= len(ticks) <= 2 * count + 1
    step = (scale.high - scale.low) / count
    for value, label in ticks:
        assert -1e-6 <= scale.place(value) <= 100 + 1e-6
        assert _value(label) == pytest.approx(value, abs=step / 50)
    assert len({label for _, label in ticks}) == len(ticks)


@given(st.lists(st.floats(1e-9, 1e12), min_size=2, max_size=5), st.integers(3, 8))
def test_logarithmic_ticks(values: list[float], count: int) -> None:
    scale = scale_of(values, 0, 100, log=True)
    ticks = scale.ticks(count)
    assert 1 <= len(ticks) <= 2 * count + 1
    for value, label in ticks:
        assert scale.low * 0.999 <= value <= scale.high * 1.001
        assert _value(label) == pytest.approx(value, rel=0.02)


def _value(label: str) -> float:
    factor = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(label[-1])
    number = float((label[:-1] if factor else label).replace(",", ""))
    return number * (factor or 1)


def test_familiar_axes() -> None:
    assert [label for _, label in scale_of([0, 1000], 0, 1).ticks(5)] == [
        "0",
        "200",
        "400",
        "600",
        "800",
        "1,000",
    ]
    assert [label for _, label in scale_of([0, 4e6], 0, 1).ticks(4)] == [
        "0",
        "1M",
        "2M",
        "3M",
        "4M",
    ]
    assert [label for _, label in scale_of([0.001, 1], 0, 1, log=True).ticks(5)] == [
        "0.001",
        "0.01",
        "0.1",
        "1",
    ]


@given(st.lists(st.tuples(st.text(max_size=40), ANY), max_size=8))
@settings(deadline=None)
def test_bars_are_well_formed_and_true_to_scale(items: list[tuple[str, float]]) -> None:
    svg = bar_chart(items, title="t", x_label="x")
    widths = [float(e.get("width", 0)) for e in _elements(svg, "rect")]
    assert len(widths) == len(items)
    shown = [(abs(v), w) for (_, v), w in zip(items, widths, strict=True) if abs(v) < 1e100]
    largest = max(shown, default=(0, 0))
    for value, bar in shown:
        if largest[0] > 1e-90:
            assert bar == pytest.approx(value / largest[0] * largest[1], abs=0.02)


def test_series_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 x for 1 y"):
        Series("x", [1, 2], [1])
    with pytest.raises(ValueError, match="low and high"):
        Series("x", [1], [1], low=[1])
