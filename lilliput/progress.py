"""Progress of long operations: a live bar on a terminal, plain lines in a log.

Everything goes to standard error. The environment variable LILLIPUT_PROGRESS chooses by hand:
`live` (the bar), `plain` (lines) or `none`.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Literal, cast, get_args

from lilliput.errors import UserError
from lilliput.quantities import byte_size, duration, number

if TYPE_CHECKING:
    from rich.console import Console

Mode = Literal["live", "plain", "none"]

QUIET_SECONDS = 0.5
LINE_SECONDS = 10.0
_RATE_MEMORY_SECONDS = 10.0


def progress_mode() -> Mode:
    """How progress is shown here: by LILLIPUT_PROGRESS, else live on a terminal, plain elsewhere.

    Raises UserError if the variable holds anything but live, plain or none.
    """
    chosen = os.environ.get("LILLIPUT_PROGRESS", "")
    for mode in get_args(Mode):
        if chosen == mode:
            return cast(Mode, mode)
    if chosen:
        raise UserError(f"LILLIPUT_PROGRESS={chosen}: choose live, plain or none")
    # There is no standard error at all in a windowed Python on Windows.
    if sys.stderr is None:
        return "none"
    return "live" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"


@cache
def terminal() -> "Console":
    """The one rich console on standard error; live views must share it in order to stack."""
    from rich.console import Console

    return Console(stderr=True, force_terminal=True, highlight=False)


@contextmanager
def progress(label: str, *, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    """Show the progress of the block; yields `advance(amount)`, callable from any thread.

    `total` may be None when it is not known. Unit "B" is shown as kB, MB, GB; any other unit is a
    plural noun ("stories"). Blocks may be nested.
    """
    tally = Tally(label, total, unit)
    mode = progress_mode()
    display = {"live": _live, "plain": _plain, "none": _hidden}[mode](tally)
    with display:
        try:
            yield tally.advance
        except BaseException:
            tally.broken = True
            raise


class Tally:
    """What has been done, how fast, and how long the rest will take."""

    def __init__(
        self,
        label: str,
        total: float | None,
        unit: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.broken = False
        self._clock = clock
        self._lock = threading.Lock()
        self._start = clock()
        self._rate: float | None = None
        self._sampled = (self._start, 0.0)

    def advance(self, amount: float = 1) -> None:
        """Count `amount` more units as done."""
        with self._lock:
            self.done += amount

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def mean_rate(self) -> float:
        """Units a second since the start."""
        return self.done / max(self.elapsed, 1e-9)

    def rate(self) -> float:
        """Units a second now: an exponential mean over the last ten seconds or so."""
        with self._lock:
            now = self._clock()
            then, done_then = self._sampled
            passed = now - then
            if passed >= 0.2 or (self._rate is None and passed > 0):
                recent = (self.done - done_then) / passed
                # Early on the memory is as short as the run itself, so that the first slow moment
                # (start of workers, cold caches) does not weigh for long.
                memory = min(_RATE_MEMORY_SECONDS, max(now - self._start, 1e-9))
                keep = 0.0 if self._rate is None else max(0.0, 1 - passed / memory)
                self._rate = keep * (self._rate or 0.0) + (1 - keep) * recent
                self._sampled = (now, self.done)
            return self._rate or 0.0

    def seconds_left(self) -> float | None:
        """Seconds until `total` at the present rate, or None where that cannot be known."""
        rate = self.rate()
        if self.total is None or rate <= 0:
            return None
        return max(0.0, self.total - self.done) / rate

    def amount(self, value: float, *, noun: bool = True) -> str:
        """`value` with its unit."""
        if self.unit == "B":
            return byte_size(value)
        return f"{number(round(value))} {self.unit}" if noun else number(round(value))

    def rate_text(self, rate: float) -> str:
        """A rate with its unit."""
        if self.unit == "B":
            return f"{byte_size(rate)}/s"
        shown = number(rate, 3) if rate < 100 else number(round(rate))
        return f"{shown} {self.unit}/s"

    def done_text(self) -> str:
        """What is done of what."""
        if self.total is None:
            return self.amount(self.done)
        return f"{self.amount(self.done, noun=False)} of {self.amount(self.total)}"

    def line(self) -> str:
        """The state as one line of a log."""
        parts = [self.done_text()]
        if self.total:
            parts.insert(0, f"{min(1.0, self.done / self.total):.0%}")
        parts.append(self.rate_text(self.rate()))
        left = self.seconds_left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        return f"{self.label}: {', '.join(parts)}"

    def closing_line(self) -> str:
        """The totals as one line of a log."""
        if self.broken:
            return f"{self.label}: stopped at {self.done_text()} after {duration(self.elapsed)}"
        return (
            f"{self.label}: {self.amount(self.done)} in {_span(self.elapsed)}"
            f" ({self.rate_text(self.mean_rate)})"
        )


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _hidden(tally: Tally) -> AbstractContextManager[None]:
    return nullcontext()


def write_line(text: str) -> None:
    """Write a line of a log to standard error, where there is one."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _plain(tally: Tally) -> Iterator[None]:
    finished = threading.Event()

    def report() -> None:
        if finished.wait(QUIET_SECONDS):
            return
        total = f" {tally.amount(tally.total)}" if tally.total is not None else ""
        write_line(f"{tally.label}:{total} ...")
        tally.rate()
        while not finished.wait(LINE_SECONDS):
            write_line(tally.line())

    reporter = threading.Thread(target=report, name="progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        finished.set()
        reporter.join()
        if tally.elapsed >= QUIET_SECONDS:
            write_line(tally.closing_line())


@contextmanager
def _live(tally: Tally) -> Iterator[None]:
    from rich.errors import LiveError
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = terminal()

    def render() -> Table:
        line = Table.grid(padding=(0, 2, 0, 0))
        left = tally.seconds_left()
        line.add_row(
            Text(tally.label, style="bold", overflow="ellipsis", no_wrap=True),
            ProgressBar(
                total=tally.total or None,
                completed=tally.done,
                width=max(10, min(40, console.width // 4)),
                pulse=not tally.total,
                animation_time=tally.elapsed,
            ),
            Text(tally.done_text(), no_wrap=True),
            Text(tally.rate_text(tally.rate()), style="cyan", no_wrap=True),
            Text("" if left is None else f"{duration(left)} left", style="dim", no_wrap=True),
        )
        return line

    live = Live(get_renderable=render, console=console, refresh_per_second=8, transient=True)
    try:
        live.start()
    except LiveError:
        # Another live view has the screen (rich before 14.1 allows one): it goes on alone.
        yield
        return
    try:
        yield
    finally:
        live.stop()
        closing = Text(tally.closing_line())
        closing.stylize("bold", 0, len(tally.label))
        console.print(closing)
