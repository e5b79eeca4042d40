"""The live view of a training run: a panel on a terminal, readable lines in a log.

It is fed the records of `metrics.jsonl` (docs/reports.md) and writes to standard error.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lilliput.progress import LINE_SECONDS, progress_mode, terminal, write_line
from lilliput.quantities import byte_size, dollars, duration, energy, large_count, number, scaled
from lilliput.report import Blocks, terminal_chart

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_REFRESHES_PER_SECOND = 2
_PANEL_WIDTH = 104
_CHART_MIN_WIDTH = 78
_VALUE_WIDTH = 27
_CHART_MARGIN = 50  # borders and paddings of the panel, names (13) and values of the facts
_SAMPLE_CHARACTERS = 280

Record = Mapping[str, Any]


class RecordSink(Protocol):
    """What takes the records of a run as they come: a live view, a TensorBoard writer."""

    def record(self, record: Record) -> None:
        """Take in one record of `metrics.jsonl`."""


@contextmanager
def live_view(run_name: str, budget_text: str) -> Iterator[RecordSink]:
    """Show a run while it trains; yields an object with `record(record)`.

    A record costs well under a millisecond: on a terminal the panel is redrawn by a thread of its
    own, twice a second; in a log one line is written each ten seconds or so, and one for each
    validation and event. LILLIPUT_PROGRESS=live, plain or none chooses by hand.
    """
    mode = progress_mode()
    views: dict[str, Callable[[], AbstractContextManager[RecordSink]]] = {
        "live": lambda: _panel(run_name, budget_text),
        "plain": lambda: _log(run_name, budget_text),
        "none": _hidden,
    }
    with views[mode]() as view:
        yield view


class _NoView:
    def record(self, record: Record) -> None:
        """Show nothing."""


@contextmanager
def _hidden() -> Iterator[RecordSink]:
    yield _NoView()


class LogView:
    """One line for each record worth one."""

    def __init__(
        self,
        write: Callable[[str], None] = write_line,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._written = float("-inf")
        self._waiting: Record | None = None

    def record(self, record: Record) -> None:
        """Write a line for a validation or an event; for a step, if ten seconds have passed."""
        if record.get("kind") == "step":
            self._waiting = record
            if self._clock() - self._written >= LINE_SECONDS:
                self.flush()
        elif record.get("kind") in ("validation", "event"):
            self._write(_event_line(record))

    def flush(self) -> None:
        """Write the last step, if it has not been written."""
        if self._waiting is not None:
            self._write(step_line(self._waiting))
            self._waiting = None
            self._written = self._clock()


@contextmanager
def _log(run_name: str, budget_text: str) -> Iterator[RecordSink]:
    write_line(f"training {run_name}: {budget_text}")
    view = LogView()
    try:
        yield view
    finally:
        view.flush()


def step_line(record: Record) -> str:
    """A step as one line: `step 120  41%  loss 2.31  0.98 bits/byte  14,200 tokens/s …`."""
    parts = [f"step {number(record.get('step', 0))}"]
    formats: dict[str, Callable[[Any], str]] = {
        "progress": lambda value: f"{value:.0%}",
        "loss": lambda value: f"loss {value:.3f}",
        "bits_per_byte": lambda value: f"{value:.3f} bits/byte",
        "tokens_per_second": lambda value: f"{number(round(value))} tokens/s",
        "peak_share": lambda value: f"peak {value:.0%}",
        "skipped_steps": lambda value: f"{value} skipped" if value else "",
        "seconds_left": lambda value: f"{duration(value)} left",
    }
    parts += [
        write(record[name]) for name, write in formats.items() if record.get(name) is not None
    ]
    return "  ".join(part for part in parts if part)


def _event_line(record: Record) -> str:
    step = f"step {number(record.get('step', 0))}"
    if record["kind"] == "event":
        return f"{step}  {record.get('message', '')}"
    loss, bits = record.get("loss", float("nan")), record.get("bits_per_byte", float("nan"))
    measures = "".join(
        f"  {name.replace('_', ' ')} {value:.1%}"
        for name, value in record.get("measures", {}).items()
    )
    return f"{step}  validation  {bits:.4f} bits/byte  loss {loss:.4f}{measures}"


@dataclass
class PanelView:
    """What the panel shows, and its drawing."""

    run_name: str
    budget_text: str
    clock: Callable[[], float] = time.monotonic
    announce: Callable[[str], None] = lambda line: None
    encoding: str = "utf-8"
    _step: Record = field(default_factory=dict)
    _step_at: float = 0.0
    _validation: Record = field(default_factory=dict)
    _sample: Record = field(default_factory=dict)
    _train_curve: Blocks = field(default_factory=Blocks)
    _validation_curve: Blocks = field(default_factory=Blocks)
    _chart: tuple[tuple[int, int, int], str] = ((0, 0, 0), "")
    _records: int = 0

    def record(self, record: Record) -> None:
        """Take in a record; it is seen at the next drawing."""
        kind, step = record.get("kind"), record.get("step", 0)
        bits = record.get("bits_per_byte")
        self._records += 1
        if kind == "step":
            self._step, self._step_at = record, self.clock()
            if bits is not None:
                self._train_curve.add(step, bits)
        elif kind == "validation":
            self._validation = record
            if bits is not None:
                self._validation_curve.add(step, bits)
        elif kind == "sample":
            self._sample = record
        elif kind == "event":
            self.announce(_event_line(record))

    def draw(self, console_width: int) -> "RenderableType":
        """The panel, for a terminal of this width."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        width = min(console_width, _PANEL_WIDTH)
        body: list[RenderableType] = [self._bar(width - 4), Text()]
        facts = self._facts()
        if width >= _CHART_MIN_WIDTH:
            columns = Table.grid(padding=(0, 2, 0, 0))
            columns.add_row(facts, Text.from_ansi(self._chart_text(width - _CHART_MARGIN)))
            body.append(columns)
        else:
            body.append(facts)
        sample = self._sample_text()
        if sample:
            body += [Text(), sample]
        title = Text.assemble((self.run_name, "bold"), f"  {self.budget_text}")
        return Panel(Group(*body), title=title, title_align="left", width=width, border_style="dim")

    def _bar(self, width: int) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        share = float(self._step.get("progress") or 0.0)
        left = self._step.get("seconds_left")
        if left is not None:
            left = f"{duration(left - (self.clock() - self._step_at))} left"
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(
            ProgressBar(total=1.0, completed=share, width=max(10, width - 26)),
            Text(f"{share:.0%}", style="bold"),
            Text(left or "starting", style="dim"),
        )
        return line

    def _facts(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        facts = Table.grid(padding=(0, 2, 0, 0))
        facts.add_column(style="dim", no_wrap=True, width=13)
        facts.add_column(width=_VALUE_WIDTH, no_wrap=True, overflow="ellipsis")
        for name, value in self._fact_texts().items():
            facts.add_row(name, Text(value))
        return facts

    def _fact_texts(self) -> dict[str, str]:
        step = self._step

        def shown(name: str, write: Callable[[Any], str]) -> str:
            return "" if step.get(name) is None else write(step[name])

        bits = shown("bits_per_byte", lambda value: f"{value:.3f} training")
        if self._validation.get("bits_per_byte") is not None:
            bits = f"{self._validation['bits_per_byte']:.3f}  ({bits})"
        compute = shown("flops_per_second", lambda value: scaled(value, "FLOP/s"))
        if step.get("peak_share") is not None:
            compute += f"  ({step['peak_share']:.0%} of peak)"
        rates = step.get("learning_rate") or {}
        texts = {
            "step": shown("step", number),
            "bits per byte": bits,
            "loss": shown("loss", lambda value: f"{value:.3f} nats per token"),
            "tokens": shown("tokens", large_count),
            "speed": shown("tokens_per_second", lambda value: f"{number(round(value))} tokens/s"),
            "compute": compute,
            "memory": shown("memory_bytes", byte_size),
            "energy": shown("joules", energy),
            "cost": shown("dollars", dollars),
            "learning rate": ", ".join(f"{name} {number(rate, 2)}" for name, rate in rates.items()),
            "skipped steps": shown("skipped_steps", lambda value: number(value) if value else ""),
        }
        return {name: text for name, text in texts.items() if text}

    def _chart_text(self, width: int) -> str:
        height = 11
        key = (self._records, width, height)
        if self._chart[0] != key:
            series = [self._train_curve.series("training", band=False)]
            if len(self._validation_curve):
                series.append(self._validation_curve.series("validation", band=False))
            text = terminal_chart(
                series,
                width,
                height,
                y_label="bits per byte",
                colour=True,
                encoding=self.encoding,
            )
            self._chart = (key, "" if len(self._train_curve) < 2 else text)
        return self._chart[1]

    def _sample_text(self) -> "Text | None":
        from rich.text import Text

        if not self._sample:
            return None
        prompt, text = (_printable(str(self._sample.get(name, ""))) for name in ("prompt", "text"))
        if len(text) > _SAMPLE_CHARACTERS:
            text = f"{text[:_SAMPLE_CHARACTERS].rsplit(' ', 1)[0]} …"
        if "expected" in self._sample:
            expected = _printable(str(self._sample["expected"]))
            prompt, text = f"{prompt} ", f"{text}  (expected: {expected})"
        return Text.assemble(
            (f"step {number(self._sample.get('step', 0))}  ", "dim"), (prompt, "bold"), text
        )


def _printable(text: str) -> str:
    """On one line, and without the control codes an untrained model may write."""
    text = " ".join(text.split()) if not text[:1].isspace() else " " + " ".join(text.split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@contextmanager
def _panel(run_name: str, budget_text: str) -> Iterator[RecordSink]:
    from rich.errors import LiveError
    from rich.live import Live
    from rich.text import Text

    console = terminal()
    view = PanelView(
        run_name,
        budget_text,
        announce=lambda line: console.print(Text(line)),
        encoding=console.encoding,
    )
    live = Live(
        get_renderable=lambda: view.draw(console.width),
        console=console,
        refresh_per_second=_REFRESHES_PER_SECOND,
    )
    try:
        live.start()
    except LiveError:
        # Another live view has the screen (rich before 14.1 allows one): lines go above it.
        with _log(run_name, budget_text) as log:
            yield log
        return
    try:
        yield view
    finally:
        live.stop()
