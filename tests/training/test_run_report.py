"""The report of a run: true to metrics.jsonl, whatever state the run is in."""

import json
import math
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.training.run_report import write_run_report
from lilliput.training.run_summary import Spread, read_summary

RECIPE = """
seed = 1
[model]
family = "lilliput"
d_model = 384
[train]
minutes = 3.0
device = "cpu"
prompts = ["Once upon a time", "One day"]
[train.optimiser]
name = "muon"
"""


def records(steps: int, every: int = 10, total: int | None = None) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for index in range(1, steps + 1):
        common = {"step": index * every, "tokens": index * 4096, "seconds": index * 6.0}
        bits = 1 + 2 / index
        made.append(
            {
                "kind": "step",
                **common,
                "loss": bits * 2,
                "bits_per_byte": bits,
                "learning_rate": {"muon": 0.02, "adamw": 0.003},
                "gradient_norm": 0.5,
                "tokens_per_second": 2048.0,
                "flops_per_second": 1e9,
                "peak_share": 0.4 if index % 2 else 0.2,
                "memory_bytes": 1_000_000 + (5_000_000 if index == 2 else 0),
                "joules": index * 60.0,
                "dollars": index * 0.001,
                "skipped_steps": 1,
                "progress": index / (total or steps),
                "seconds_left": 2.0 * ((total or steps) - index),
            }
        )
        if index % 5 == 0:
            # The best validation is not the last one.
            score = 1.5 if index != 10 else 1.25
            made.append({"kind": "validation", **common, "loss": 3.0, "bits_per_byte": score})
            text = f", <b>story</b> {index}"
            made.append({"kind": "sample", "step": index * every, "prompt": "Once", "text": text})
    return made


def make_run(folder: Path, lines: Sequence[object], recipe: str | None = RECIPE) -> Path:
    folder.mkdir(parents=True)
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    if recipe is not None:
        (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    return folder


def facts(run: Path) -> dict[str, Any]:
    write_run_report(run)
    read = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


def test_facts_of_a_finished_run(tmp_path: Path) -> None:
    event = {"kind": "event", "step": 30, "message": "loss not finite: step skipped <1>"}
    run = make_run(tmp_path / "story", [*records(20), event])
    found = facts(run)
    expected = {
        "run": "story",
        "state": "finished",
        "validation_bits_per_byte": 1.5,
        "best_validation_bits_per_byte": 1.25,
        "best_validation_step": 100,
        "train_bits_per_byte": 1.1,
        "steps": 200,
        "tokens": 81920,
        "seconds": 120,
        "tokens_per_second": 2048,
        "floating_point_operations": 40e9,
        "most_memory_bytes": 6_000_000,
        "joules": 1200,
        "dollars": 0.02,
        "skipped_steps": 1,
        "device": "cpu",
        "unreadable_lines": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["peak_share"] == pytest.approx(0.3)
    assert [sample["step"] for sample in found["samples"]] == [50, 100, 150, 200]
    assert found["events"] == [event]
    assert found["recipe"]["train"]["optimiser"] == {"name": "muon"}
    html = (run / "report.html").read_text(encoding="utf-8")
    for shown in (
        "1.5000",
        "1.2 kJ",
        "optimiser.name",
        "Once upon a time, One day",
        "step skipped &lt;1&gt;",
        ", &lt;b&gt;story&lt;/b&gt; 20<",
        "Bits per byte over time",
    ):
        assert shown in html
    assert html.count("<svg") == 8
    assert sorted(path.name for path in run.iterdir()) == [
        "metrics.jsonl",
        "recipe.toml",
        "report.html",
        "report.json",
    ]


def test_a_run_that_has_not_begun(tmp_path: Path) -> None:
    run = tmp_path / "new"
    run.mkdir()
    assert facts(run)["state"] == "not begun"
    assert "No step has been recorded" in (run / "report.html").read_text(encoding="utf-8")


def test_a_run_killed_while_writing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "killed", records(7, total=20))
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('{"kind":"step","step":80,"lo')
    found = facts(run)
    assert (found["state"], found["steps"], found["unreadable_lines"]) == ("35%", 70, 0)
    assert "35% of its budget" in (run / "report.html").read_text(encoding="utf-8")


def test_damage_in_the_middle_is_counted_and_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "damaged", [*records(3), "not a record", [1, 2], *records(4)[3:]])
    found = facts(run)
    assert (found["steps"], found["unreadable_lines"]) == (40, 2)
    assert "2 lines of metrics.jsonl" in (run / "report.html").read_text(encoding="utf-8")


def test_losses_that_are_not_finite_become_null(tmp_path: Path) -> None:
    last = records(4)[-1] | {"loss": math.nan, "bits_per_byte": math.inf, "joules": None}
    run = make_run(tmp_path / "nan", [*records(3), last])
    found = facts(run)
    assert found["train_loss"] is None and found["joules"] is None
    assert found["steps"] == 40


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run"):
        write_run_report(tmp_path / "absent")
    run = make_run(tmp_path / "bad", records(1), recipe="[train\n")
    with pytest.raises(UserError, match=r"recipe\.toml: not a valid recipe"):
        write_run_report(run)


def test_long_runs_make_small_reports_in_little_memory(tmp_path: Path) -> None:
    run = tmp_path / "long"
    run.mkdir()
    lines = [json.dumps(record) for record in records(5_000)]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    del lines
    tracemalloc.start()
    found = facts(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["steps"] == 50_000
    assert peak < 4_000_000
    assert (run / "report.html").stat().st_size < 500_000
    assert found["samples"][-1]["step"] == 50_000 and len(found["samples"]) <= 41


NUMBER = st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.none() | st.text()
RECORD = st.fixed_dictionaries(
    {"kind": st.sampled_from(["step", "validation", "sample", "event", "new"])},
    optional=dict.fromkeys(
        ("step", "seconds", "tokens", "bits_per_byte", "joules", "progress", "dollars"), NUMBER
    )
    | {name: NUMBER | st.dictionaries(st.text(), NUMBER) for name in ("text", "learning_rate")},
)


@given(lines=st.lists(RECORD.map(json.dumps).map(str.encode) | st.binary(max_size=30), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_content_makes_a_report(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("any")
    (run / "metrics.jsonl").write_bytes(b"\n".join(lines))
    report = write_run_report(run)
    assert report.read_text(encoding="utf-8").endswith("</html>\n")
    text = (run / "report.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_missing_file_is_an_empty_run(tmp_path: Path) -> None:
    assert read_summary(tmp_path / "metrics.jsonl").last_step == {}


@given(st.integers(0, 300), st.integers(2, 20))
def test_a_spread_keeps_both_ends_evenly(count: int, limit: int) -> None:
    spread = Spread[int](limit)
    for item in range(count):
        spread.add(item)
    items = spread.items()
    assert spread.seen == count
    assert len(items) <= limit + 1
    assert items[:1] + items[-1:] == ([0, count - 1] if count else [])
    gaps = {after - before for before, after in pairwise(items[:-1])}
    assert len(gaps) <= 1
