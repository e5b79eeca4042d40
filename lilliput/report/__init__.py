"""Reports and charts: self-contained HTML pages, SVG, and line plots for the terminal."""

from lilliput.report.charts import bar_chart, line_chart
from lilliput.report.columns import column_chart
from lilliput.report.funnel import FunnelStep, funnel_chart
from lilliput.report.markup import Html, element, escape
from lilliput.report.page import (
    Section,
    TextSample,
    card,
    details,
    figure,
    grid,
    key_values,
    page,
    series_table,
    table,
    text_samples,
)
from lilliput.report.series import Blocks, Series
from lilliput.report.terminal import terminal_chart

__all__ = [
    "Blocks",
    "FunnelStep",
    "Html",
    "Section",
    "Series",
    "TextSample",
    "bar_chart",
    "card",
    "column_chart",
    "details",
    "element",
    "escape",
    "figure",
    "funnel_chart",
    "grid",
    "key_values",
    "line_chart",
    "page",
    "series_table",
    "table",
    "terminal_chart",
    "text_samples",
]
