"""The live view of a run: lines in a log, a panel on a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from lilliput.training.live import LogView, PanelView, live_view, step_line


def step(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "step",
        "step": number,
        "tokens": number * 16384,
        "seconds": number * 0.5,
        "loss": 2.31,
        "bits_per_byte": 0.98,
        "learning_rate": {"muon": 0.02, "adamw": 0.003},
        "gradient_norm": 0.5,
        "tokens_per_second": 14200.4,
        "flops_per_second": 3.1e11,
        "peak_share": 0.33,
        "memory_bytes": 812_000_000,
        "joules": 7200.0,
        "dollars": 0.0123,
        "skipped_steps": 0,
        "progress": 0.41,
        "seconds_left": 72.0,
    } | changes


def validation(number: int, bits: float = 1.0123) -> dict[str, Any]:
    return {"kind": "validation", "step": number, "loss": 2.4, "bits_per_byte": bits}


def test_a_step_is_one_readable_line() -> None:
    assert step_line(step(1200)) == (
        "step 1,200  41%  loss 2.310  0.980 bits/byte  14,200 tokens/s  peak 33%  1:12 left"
    )
    assert step_line({"kind": "step", "step": 1, "peak_share": None}) == "step 1"
    assert "2 skipped" in step_line(step(1, skipped_steps=2))


def test_a_log_has_steps_each_ten_seconds_and_every_validation_and_event() -> None:
    now = 0.0
    lines: list[str] = []
    view = LogView(lines.append, lambda: now)
    for number in range(25):
        view.record(step(number))
        now += 1
    view.record(validation(25))
    view.record({"kind": "sample", "step": 25, "prompt": "Once", "text": " upon"})
    view.record({"kind": "event", "step": 26, "message": "interrupted"})
    view.flush()
    view.flush()
    starts = [line.split("  ")[0] for line in lines]
    assert starts == ["step 0", "step 10", "step 20", "step 25", "step 26", "step 24"]
    assert lines[3] == "step 25  validation  1.0123 bits/byte  loss 2.4000"
    assert lines[4] == "step 26  interrupted"


def _drawn(view: PanelView, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view.draw(width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 104, 200])
def test_the_panel_shows_the_facts_and_fits(width: int) -> None:
    now = 100.0
    view = PanelView("story", "3 minutes", clock=lambda: now)
    assert "starting" in "\n".join(_drawn(view, width))
    for number in range(1, 500):
        view.record(step(number, bits_per_byte=3 / number**0.2))
    view.record(validation(499, 0.8765))
    sample = "\x1b[31m, a fox [bold]named[/bold] Tim.\n\nHe \x07ran. " + "Word " * 100
    view.record({"kind": "sample", "step": 499, "prompt": "Once upon a time", "text": sample})
    now += 12
    lines = _drawn(view, width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= min(width, 104)
    for fact in ("story", "41%", "1:00 left", "0.876", "14,200 tokens/s", "812 MB", "499"):
        assert fact in text
    if width >= 80:
        for fact in ("310 GFLOP/s  (33% of peak)", "7.2 kJ (2 Wh)", "$0.0123", "adamw 0.003"):
            assert fact in text
        assert "validation" in text and "⠉" in text
        assert sum("│" in line.strip("│ ") for line in lines) >= 5
    flat = " ".join(text.replace("│", " ").split())
    assert "Once upon a time\ufffd[31m, a fox [bold]named[/bold] Tim. He" in flat
    assert "\x1b" not in text and "\x07" not in text


def test_missing_measures_are_left_out() -> None:
    view = PanelView("story", "3 minutes")
    view.record(step(1, joules=None, dollars=None, peak_share=None))
    text = "\n".join(_drawn(view, 104))
    assert "energy" not in text and "cost" not in text and "of peak" not in text
    assert "310 GFLOP/s" in text


@pytest.mark.parametrize("mode", ["live", "plain", "none"])
def test_the_view_follows_the_chosen_mode(
    mode: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LILLIPUT_PROGRESS", mode)
    monkeypatch.setenv("TERM", "xterm-256color")
    with pytest.raises(KeyboardInterrupt), live_view("story", "3 minutes") as view:
        view.record(step(1))
        view.record({"kind": "event", "step": 1, "message": "a message"})
        view.record(step(2))
        raise KeyboardInterrupt
    shown = capsys.readouterr()
    assert shown.out == ""
    if mode == "none":
        assert shown.err == ""
    else:
        assert "story" in shown.err and "a message" in shown.err and "14,200" in shown.err
    if mode == "live":
        assert shown.err.count("\x1b[?25l") == shown.err.count("\x1b[?25h") == 1
    if mode == "plain":
        assert shown.err.splitlines()[-1].startswith("step 2  41%")
