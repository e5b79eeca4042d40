"""The report of a training run: `report.html` to look at, `report.json` with the same facts."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.files import write_json, write_text
from lilliput.quantities import byte_size, dollars, duration, energy, large_count, number, scaled
from lilliput.report import (
    Blocks,
    Html,
    Section,
    Series,
    TextSample,
    card,
    details,
    figure,
    grid,
    key_values,
    line_chart,
    page,
    series_table,
    table,
    text_samples,
)
from lilliput.training.run_summary import RunSummary, quantity, read_summary


def write_run_report(run_folder: Path | str) -> Path:
    """Write `report.html` and `report.json` of a run from its `metrics.jsonl` and `recipe.toml`.

    Works at any moment of a run, also one that was stopped or has not begun; each file is written
    whole or not at all. Returns the path of `report.html`. Raises UserError if the folder does
    not exist or its recipe is malformed.
    """
    run_folder = Path(run_folder)
    if not run_folder.is_dir():
        raise UserError(f"{run_folder}: no such run folder")
    summary = read_summary(run_folder / "metrics.jsonl")
    recipe = _read_recipe(run_folder / "recipe.toml")
    name = run_folder.resolve().name
    write_json(run_folder / "report.json", _json_ready(_facts_of_run(name, summary, recipe)))
    sections = [
        *_curve_sections(summary),
        *_sample_sections(summary),
        *_event_sections(summary),
        *_recipe_sections(recipe),
    ]
    report = run_folder / "report.html"
    html = page(name, sections, _headlines(summary, recipe), subtitle=_subtitle(summary))
    write_text(report, html)
    return report


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a valid recipe: {error}") from None


def _facts_of_run(name: str, summary: RunSummary, recipe: Mapping[str, Any]) -> dict[str, Any]:
    last, validation = summary.last_step, summary.last_validation
    return {
        "run": name,
        "state": _state(summary),
        "validation_bits_per_byte": quantity(validation, "bits_per_byte"),
        "validation_loss": quantity(validation, "loss"),
        "best_validation_bits_per_byte": quantity(summary.best_validation, "bits_per_byte"),
        "best_validation_step": quantity(summary.best_validation, "step"),
        "train_bits_per_byte": quantity(last, "bits_per_byte"),
        "train_loss": quantity(last, "loss"),
        "steps": quantity(last, "step"),
        "tokens": quantity(last, "tokens"),
        "seconds": quantity(last, "seconds"),
        "tokens_per_second": _mean_speed(summary),
        "floating_point_operations": summary.floating_point_operations,
        "peak_share": _mean(summary, "peak_share"),
        "most_memory_bytes": summary.most_memory,
        "joules": quantity(last, "joules"),
        "dollars": quantity(last, "dollars"),
        "skipped_steps": quantity(last, "skipped_steps"),
        "progress": quantity(last, "progress"),
        "device": summary.device or _device(recipe),
        "unreadable_lines": summary.unreadable_lines,
        "validations": summary.validations.items(),
        "samples": summary.samples.items(),
        "events": summary.events.items(),
        "recipe": recipe,
    }


def _headlines(summary: RunSummary, recipe: Mapping[str, Any]) -> dict[str, object]:
    last = summary.last_step
    shown = {
        "Validation bits/byte": _text(
            quantity(summary.last_validation, "bits_per_byte"), lambda bits: f"{bits:.4f}"
        ),
        "Training bits/byte": _text(quantity(last, "bits_per_byte"), lambda bits: f"{bits:.4f}"),
        "Steps": _text(quantity(last, "step"), lambda steps: number(int(steps))),
        "Tokens seen": _text(quantity(last, "tokens"), large_count),
        "Time": _text(quantity(last, "seconds"), duration),
        "Tokens per second": _text(_mean_speed(summary), lambda rate: number(round(rate))),
        "Compute": _text(
            summary.floating_point_operations or math.nan, lambda flops: scaled(flops, "FLOP")
        ),
        "Matmul peak used": _text(_mean(summary, "peak_share"), lambda share: f"{share:.0%}"),
        "Most memory": _text(summary.most_memory or math.nan, byte_size),
        "Energy": _text(quantity(last, "joules"), energy),
        "Cost": _text(quantity(last, "dollars"), dollars),
        "Skipped steps": _text(
            quantity(last, "skipped_steps") or math.nan, lambda steps: number(int(steps))
        ),
        "Device": summary.device or _device(recipe),
    }
    return {name: text for name, text in shown.items() if text}


def _text(value: float, write: Any) -> str | None:
    return str(write(value)) if math.isfinite(value) else None


def _subtitle(summary: RunSummary) -> str:
    return {
        "not begun": "A training run that has not recorded a step yet.",
        "finished": "A training run, finished.",
        "unknown": "A training run.",
    }.get(_state(summary), f"A training run, {_state(summary)} of its budget used so far.")


def _state(summary: RunSummary) -> str:
    progress = quantity(summary.last_step, "progress")
    if not summary.last_step:
        return "not begun"
    if math.isnan(progress):
        return "unknown"
    return "finished" if progress >= 1 else f"{progress:.0%}"


def _mean_speed(summary: RunSummary) -> float:
    seconds = summary.stepping_seconds
    return quantity(summary.last_step, "tokens") / seconds if seconds > 0 else math.nan


def _mean(summary: RunSummary, name: str) -> float:
    curve = summary.curves.get(name)
    return curve.mean() if curve else math.nan


def _device(recipe: Mapping[str, Any]) -> str | None:
    named = [value for name, value in _flat(recipe) if name.split(".")[-1] == "device"]
    return str(named[0]) if named and named[0] != "auto" else None


def _curve_sections(summary: RunSummary) -> Iterator[Section]:
    if not summary.last_step and not summary.validations.seen:
        yield Section("Curves", ["No step has been recorded in metrics.jsonl."])
        return
    time_scale, time_label = _time_unit(quantity(summary.last_step, "seconds"))
    over_steps = [
        _curve(summary, "bits_per_byte", "training"),
        summary.validation_over_steps.series("validation", markers=True, band=False),
    ]
    over_time = [
        _scaled_x(summary.train_over_time.series("training"), time_scale),
        _scaled_x(
            summary.validation_over_time.series("validation", markers=True, band=False), time_scale
        ),
    ]
    yield Section(
        "Learning",
        [
            grid(
                _figure(over_steps, "Bits per byte over steps", "step", log_y=True),
                _figure(over_time, "Bits per byte over time", time_label, log_y=True),
            ),
            _validation_table(summary),
        ],
        note=(
            "Bits per byte compare across tokenizers; lower is better. Where many records share a"
            " point, the line is their mean and the band goes from the lowest to the highest."
            " The vertical axis is logarithmic, so that late progress shows."
        ),
    )
    rates = [
        _curve(summary, name, name.partition(".")[2])
        for name in summary.curves
        if name.startswith("learning_rate.")
    ]
    yield Section(
        "Optimisation",
        [
            grid(
                _figure(rates, "Learning rate", "step"),
                _figure([_curve(summary, "gradient_norm")], "Gradient norm", "step", log_y=True),
            )
        ],
    )
    charts = [
        _figure([_curve(summary, "tokens_per_second")], "Tokens per second", "step", zero=True),
        _figure(
            [_scaled_y(_curve(summary, "peak_share"), 100)],
            "Share of the measured matmul peak, %",
            "step",
            zero=True,
        ),
        _figure(
            [_scaled_y(_curve(summary, "memory_bytes"), 1e-6)], "Memory, MB", "step", zero=True
        ),
        _figure([_scaled_y(_curve(summary, "joules"), 1e-3)], "Energy, kJ", "step", zero=True),
    ]
    yield Section("Speed and cost", [grid(*(chart for chart in charts if chart))])


def _figure(
    series: list[Series], title: str, x_label: str, *, log_y: bool = False, zero: bool = False
) -> Html:
    drawn = [one for one in series if one.x]
    if not drawn:
        return Html("")
    chart = line_chart(drawn, title=title, x_label=x_label, log_y=log_y, include_zero=zero)
    return figure(chart, numbers=series_table(drawn, x_label))


def _curve(summary: RunSummary, name: str, shown: str = "") -> Series:
    return summary.curves.get(name, Blocks()).series(shown or name.replace("_", " "))


def _scaled_x(series: Series, factor: float) -> Series:
    x = [value * factor for value in series.x]
    return Series(series.name, x, series.y, series.low, series.high, series.markers)


def _scaled_y(series: Series, factor: float) -> Series:
    y, low, high = (
        [value * factor for value in values] for values in (series.y, series.low, series.high)
    )
    return Series(series.name, series.x, y, low, high, series.markers)


def _time_unit(seconds: float) -> tuple[float, str]:
    if seconds >= 2 * 3600:
        return 1 / 3600, "hours"
    return (1 / 60, "minutes") if seconds >= 120 else (1.0, "seconds")


def _validation_table(summary: RunSummary) -> Html:
    rows = [
        [
            record.get("step"),
            record.get("tokens"),
            _text(quantity(record, "seconds"), duration),
            _text(quantity(record, "loss"), lambda loss: f"{loss:.4f}"),
            _text(quantity(record, "bits_per_byte"), lambda bits: f"{bits:.4f}"),
            *(f"{value:.1%}" for value in _measures(record).values()),
        ]
        for record in summary.validations.items()
    ]
    if not rows:
        return Html("")
    columns = ["Step", "Tokens", "Time", "Loss (nats per token)", "Bits per byte"]
    columns += [name.replace("_", " ").capitalize() for name in _measures(summary.last_validation)]
    seen = summary.validations.seen
    heading = "Every validation" if len(rows) == seen else f"{len(rows)} of {seen} validations"
    return details(heading, card(table(columns, rows)))


def _measures(record: Mapping[str, Any]) -> Mapping[str, float]:
    measures = record.get("measures")
    return measures if isinstance(measures, Mapping) else {}


def _sample_sections(summary: RunSummary) -> Iterator[Section]:
    samples = [
        TextSample(
            f"Step {_text(quantity(record, 'step'), lambda step: number(int(step))) or '?'}",
            str(record.get("text", "")) + _expected(record),
            str(record.get("prompt", "")) + ("\n" if "expected" in record else ""),
        )
        for record in summary.samples.items()
    ]
    if not samples:
        return
    newest = [sample for sample in samples if sample.heading == samples[-1].heading]
    older = [sample for sample in reversed(samples) if sample.heading != samples[-1].heading]
    body = [text_samples(newest)]
    if older:
        body.append(details("Earlier samples, newest first", text_samples(older)))
    yield Section("Samples", body, note="What the model wrote as it learned, after the prompt.")


def _expected(record: Mapping[str, Any]) -> str:
    return f"\n(expected: {record['expected']})" if "expected" in record else ""


def _event_sections(summary: RunSummary) -> Iterator[Section]:
    rows = [
        [record.get("step"), str(record.get("message", ""))] for record in summary.events.items()
    ]
    if summary.unreadable_lines:
        rows.append([None, f"{summary.unreadable_lines} lines of metrics.jsonl could not be read"])
    if not rows:
        return
    left_out = summary.events.seen - len(summary.events.items())
    note = f"{left_out} more are in metrics.jsonl." if left_out else ""
    yield Section("Events", [card(table(["Step", "What happened"], rows))], note=note)


def _recipe_sections(recipe: Mapping[str, Any]) -> Iterator[Section]:
    if not recipe:
        return
    loose = {name: value for name, value in recipe.items() if not isinstance(value, Mapping)}
    tables: dict[str, Mapping[str, Any]] = {"": loose} if loose else {}
    tables |= {name: value for name, value in recipe.items() if isinstance(value, Mapping)}
    cards = [
        card(key_values(dict(_flat(values)), caption=f"[{name}]" if name else ""))
        for name, values in tables.items()
    ]
    yield Section(
        "Configuration",
        [grid(*cards)],
        note="recipe.toml, complete: `lilliput train recipe.toml` starts the same run again.",
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables as pairs of dotted names and values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _json_ready(value: Any) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become null, dates text."""
    if isinstance(value, Mapping):
        return {str(name): _json_ready(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(inner) for inner in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
