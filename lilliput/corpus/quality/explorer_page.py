"""The threshold explorer's page: a histogram with a slider for each metric."""

import json

from lilliput.corpus.quality.explorer import Comparison, MetricComparison
from lilliput.quantities import byte_size, number
from lilliput.report import Html, Section, details, page, table
from lilliput.report.markup import element, escape
from lilliput.report.scale import scale_of

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM = 560, 190, 8, 552, 160

_STYLE = """
.explore output{display:block;font-size:.9rem;font-variant-numeric:tabular-nums;min-height:1.5em}
.explore input[type=range]{width:100%;margin:.2rem 0;accent-color:var(--accent)}
.explore fieldset{border:0;padding:0;margin:0;display:flex;gap:1rem;font-size:.875rem;
color:var(--soft);flex-wrap:wrap}
.explore .kept{fill:var(--ink);fill-opacity:.07}
.explore .cut{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}
.explore .why{color:var(--soft);font-size:.875rem;margin:.1rem 0 .4rem}
.explore svg .f0,.explore svg .f1{fill-opacity:.55}
.explore .key{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin:0 .35em 0 0}
.explore .good{background:var(--colour-0)}.explore .bad{background:var(--colour-1)}
.explore code{font-size:.8rem}
"""

_SCRIPT = """
(() => {
  const percent = share => (100 * share).toFixed(1) + '%';
  const shown = value => Number(value.toPrecision(4)).toLocaleString('en');
  for (const card of document.querySelectorAll('.explore[data-metric]')) {
    const data = JSON.parse(card.dataset.metric);
    const slider = card.querySelector('input[type=range]');
    const said = card.querySelector('output');
    const shade = card.querySelector('.kept'), cut = card.querySelector('.cut');
    const draw = () => {
      const side = card.querySelector('input[type=radio]:checked').value;
      const at = Number(slider.value), threshold = data.thresholds[at];
      const share = Math.min(1, Math.max(0, (threshold - data.low) / (data.high - data.low)));
      const x = data.left + share * (data.right - data.left);
      const below = side === 'below';
      shade.setAttribute('x', below ? data.left : x);
      shade.setAttribute('width', below ? x - data.left : data.right - x);
      cut.setAttribute('x1', x);
      cut.setAttribute('x2', x);
      const bad = data['bad_' + side][at], good = data['good_' + side][at];
      said.textContent = 'Drop ' + side + ' ' + shown(threshold) + ': ' + percent(bad) +
        ' of bad dropped (' + percent(1 - bad) + ' kept), ' + percent(good) +
        ' of good lost (' + percent(1 - good) + ' kept)';
      slider.setAttribute('aria-valuetext', said.textContent);
    };
    card.addEventListener('input', draw);
    draw();
  }
})();
"""


def explorer_page(comparison: Comparison, *, good: str, bad: str) -> str:
    """The whole page; `good` and `bad` say where the two sets came from."""
    best = comparison.metrics[0] if comparison.metrics else None
    facts = {
        "Good": f"{number(comparison.good_documents)} documents",
        "Bad": f"{number(comparison.bad_documents)} documents",
        "Text": f"{byte_size(comparison.good_bytes)}, {byte_size(comparison.bad_bytes)}",
        "Metrics": len(comparison.metrics),
        "Tells best": best.name if best else "",
    }
    rows = [_row(metric) for metric in comparison.metrics]
    columns = ("Metric", "Distance", "Drop", "Bad dropped", "Good lost", "Related setting")
    sections = [
        Section(
            "Ranking",
            [table(columns, rows)],
            note=(
                "The Wasserstein distance between the two sets, from 0 (alike) to 1 (apart). "
                "Each rule drops the most bad documents while it loses at most "
                f"{comparison.most_good_lost:.0%} of the good ones. One rule alone: together they "
                "overlap."
            ),
        ),
        Section(
            "Thresholds",
            [
                element("style", Html(_STYLE)),
                element("div", *(_card(i, m) for i, m in enumerate(comparison.metrics)),
                        class_="grid"),
            ],
            note="Move a slider: what is shaded is dropped.",
        ),
    ]  # fmt: skip
    return page(
        "Which threshold?", sections, facts, subtitle=f"Good: {good}. Bad: {bad}.", script=_SCRIPT
    )


def _row(metric: MetricComparison) -> tuple[object, ...]:
    rule = metric.suggestion
    if rule is None:
        return (metric.name, metric.distance, "no rule", None, None, metric.setting)
    return (
        metric.name,
        metric.distance,
        f"{rule.drop} {number(rule.threshold)}",
        f"{rule.bad_dropped:.1%}",
        f"{rule.good_lost:.1%}",
        metric.setting,
    )


def _card(index: int, metric: MetricComparison) -> Html:
    rule, grid = metric.suggestion, metric.grid
    side = rule.drop if rule else "below"
    start = grid.thresholds.index(rule.threshold) if rule else 0
    data = {
        "low": metric.edges[0], "high": metric.edges[-1], "left": _LEFT, "right": _RIGHT,
        "thresholds": [float(f"{value:.6g}") for value in grid.thresholds],
        "good_below": grid.good_below, "bad_below": grid.bad_below,
        "good_above": grid.good_above, "bad_above": grid.bad_above,
    }  # fmt: skip
    setting = (
        element("span", " · related setting ", element("code", metric.setting))
        if metric.setting
        else Html("")
    )
    choices = element(
        "fieldset",
        *(_choice(index, one, one == side) for one in ("below", "above")),
        element("span", element("span", class_="key good"), "good"),
        element("span", element("span", class_="key bad"), "bad"),
    )
    slider = Html(
        f'<input type="range" min="0" max="{len(grid.thresholds) - 1}" value="{start}" '
        f'aria-label="Threshold of {escape(metric.name)}">'
    )
    return element(
        "div",
        element("h3", metric.name),
        element("p", metric.description, setting, class_="why"),
        _histogram(metric),
        choices,
        slider,
        element("output"),
        details("Numbers", _numbers(metric)),
        class_="card explore",
        data_metric=json.dumps(data),
    )


def _choice(index: int, side: str, checked: bool) -> Html:
    mark = " checked" if checked else ""
    return Html(
        f'<label><input type="radio" name="side-{index}" value="{side}"{mark}> drop {side}</label>'
    )


def _histogram(metric: MetricComparison) -> Html:
    tallest = max((*metric.good_histogram, *metric.bad_histogram, 1e-9))
    width = (_RIGHT - _LEFT) / len(metric.good_histogram)
    parts = [
        element("title", f"Histogram of {metric.name}: good against bad"),
        element("rect", class_="kept", x=_LEFT, y=8, width=0, height=_BOTTOM - 8),
    ]
    for number_of_set, shares in enumerate((metric.good_histogram, metric.bad_histogram)):
        for place, share in enumerate(shares):
            # The root lets a bin of one in a hundred be seen beside one that holds most.
            height = (share / tallest) ** 0.5 * (_BOTTOM - 12)
            if share:
                parts.append(
                    element("rect", class_=f"f{number_of_set}", x=f"{_LEFT + place * width:.1f}",
                            y=f"{_BOTTOM - height:.1f}", width=f"{width - 0.6:.1f}",
                            height=f"{height:.1f}")
                )  # fmt: skip
    parts.append(element("line", class_="cut", x1=_LEFT, x2=_LEFT, y1=4, y2=_BOTTOM))
    parts.append(element("line", class_="axis", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM))
    scale = scale_of((metric.edges[0], metric.edges[-1]), _LEFT, _RIGHT)
    for value, label in scale.ticks(6):
        x = f"{scale.place(value):.1f}"
        parts.append(element("text", label, class_="tick", x=x, y=_BOTTOM + 18,
                             text_anchor="middle"))  # fmt: skip
    return element("svg", *parts, class_="chart", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img")


def _numbers(metric: MetricComparison) -> Html:
    rows = [
        (name, *percentiles.values())
        for name, percentiles in (
            ("good", metric.good_percentiles),
            ("bad", metric.bad_percentiles),
        )
    ]
    columns = ("Set", *(f"{percent}%" for percent in metric.good_percentiles))
    distance = f"Wasserstein distance {number(metric.wasserstein)}"
    return table(
        columns, rows, caption=f"Percentiles. {distance}, by spread {number(metric.distance)}."
    )
