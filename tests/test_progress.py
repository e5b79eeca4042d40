"""Progress on a terminal and in a log."""

import os
import subprocess
import sys
import threading
import time

import pytest

from lilliput import progress as progress_module
from lilliput.errors import UserError
from lilliput.progress import Tally, progress, progress_mode


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_follow_a_steady_pace() -> None:
    clock = Clock()
    tally = Tally("Reading", 1000, "stories", clock)
    for _ in range(40):
        clock.now += 0.5
        tally.advance(10)
        rate = tally.rate()
    assert rate == pytest.approx(20)
    assert tally.seconds_left() == pytest.approx(600 / 20)
    assert tally.mean_rate == pytest.approx(20)


def test_rate_forgets_a_slow_start_and_does_not_jump() -> None:
    clock = Clock()
    tally = Tally("Reading", None, "stories", clock)
    clock.now += 30  # start of the workers
    tally.rate()
    rates = []
    for _ in range(120):
        clock.now += 0.5
        tally.advance(10)
        rates.append(tally.rate())
    assert rates[-1] == pytest.approx(20, rel=0.02)
    assert rates == sorted(rates)
    assert rates[0] < 2
    assert tally.seconds_left() is None


def test_no_time_left_before_anything_is_done() -> None:
    clock = Clock()
    tally = Tally("Reading", 10, "stories", clock)
    clock.now += 1
    assert tally.seconds_left() is None
    assert tally.line() == "Reading: 0%, 0 of 10 stories, 0 stories/s"


def test_lines_speak_of_bytes_and_of_things() -> None:
    clock = Clock()
    tally = Tally("Tokenizing", 5e9, "B", clock)
    for _ in range(10):
        clock.now += 1
        tally.advance(123e6)
        tally.rate()
    assert tally.line() == "Tokenizing: 25%, 1.23 GB of 5 GB, 123 MB/s, 0:31 left"
    assert tally.closing_line() == "Tokenizing: 1.23 GB in 10.0 s (123 MB/s)"
    things = Tally("Generating", 50_000, "stories", clock)
    clock.now += 2
    things.advance(12_345)
    assert things.line() == "Generating: 25%, 12,345 of 50,000 stories, 6,172 stories/s, 0:06 left"
    things.broken = True
    assert things.closing_line() == ("Generating: stopped at 12,345 of 50,000 stories after 0:02")


def test_advances_from_many_threads_are_all_counted() -> None:
    tally = Tally("x", None, "steps")
    threads = [
        threading.Thread(target=lambda: [tally.advance(1) for _ in range(2000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.done == 16_000


def test_a_log_gets_a_line_at_the_start_while_working_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LILLIPUT_PROGRESS", "plain")
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.05)
    with progress("Tokenizing", total=2_000_000, unit="B") as advance:
        advance(1_000_000)
        deadline = time.monotonic() + 30
        seen = ""
        while "50%" not in seen and time.monotonic() < deadline:
            time.sleep(0.01)
            seen += capsys.readouterr().err
        advance(1_000_000)
    seen += capsys.readouterr().err
    lines = seen.splitlines()
    assert lines[0] == "Tokenizing: 2 MB ..."
    assert lines[1].startswith("Tokenizing: 50%, 1 MB of 2 MB, ")
    assert lines[-1].startswith("Tokenizing: 2 MB in ")


def test_a_log_hears_nothing_of_short_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LILLIPUT_PROGRESS", "plain")
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 1000.0)
    with progress("Quick", total=10, unit="files") as advance:
        advance(10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", ["plain", "live", "none"])
def test_an_error_inside_passes_and_threads_end(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LILLIPUT_PROGRESS", mode)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), progress("x", total=None, unit="B") as advance:
        advance(1 / 0)
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_mode_is_plain_off_a_terminal_and_may_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LILLIPUT_PROGRESS", raising=False)
    assert progress_mode() == "plain"
    monkeypatch.setenv("LILLIPUT_PROGRESS", "none")
    assert progress_mode() == "none"
    monkeypatch.setenv("LILLIPUT_PROGRESS", "loud")
    with pytest.raises(UserError, match="LILLIPUT_PROGRESS=loud"):
        progress_mode()
    monkeypatch.delenv("LILLIPUT_PROGRESS")
    monkeypatch.setattr(sys, "stderr", None)
    assert progress_mode() == "none"


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )


def test_the_live_bar_leaves_the_terminal_clean() -> None:
    code = """
from lilliput.progress import progress
with progress("Outer", total=3, unit="files") as outer:
    outer(3)
    with progress("Inner", total=None, unit="B") as inner:
        inner(5_000_000)
print("done")
"""
    shown = _run(code, LILLIPUT_PROGRESS="live", TERM="xterm-256color", COLUMNS="100")
    assert shown.stdout == "done\n"
    assert shown.stderr.count("\x1b[?25l") == shown.stderr.count("\x1b[?25h") > 0
    plain = shown.stderr.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "Outer: 3 files in " in plain
    assert "Inner: 5 MB in " in plain


def test_rich_is_not_loaded_for_a_log() -> None:
    code = """
import sys
from lilliput.progress import progress
with progress("x", total=3, unit="files") as advance:
    advance(3)
print("rich" in sys.modules)
"""
    assert _run(code, LILLIPUT_PROGRESS="plain").stdout == "False\n"
