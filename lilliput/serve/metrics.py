"""What a server counts, as Prometheus reads it (text exposition format 0.0.4)."""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from lilliput.generate.engine import Statistics
    from lilliput.serve.served_model import ServedModel

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Labels = tuple[str, ...]


class Counter:
    """A number for each combination of labels; only grows."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, tuple(labels)
        self.values: dict[Labels, float] = defaultdict(float)

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count `amount` more."""
        self.values[labels] += amount

    def lines(self) -> Iterator[str]:
        """The series, in exposition format."""
        yield from heading(self.name, "counter", self.help_text)
        for labels, value in self.values.items():
            yield sample(self.name, dict(zip(self.labels, labels, strict=True)), value)


class Histogram:
    """How many observations were at most so many seconds, for each combination of labels."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, tuple(labels)
        self._counts: dict[Labels, list[int]] = defaultdict(lambda: [0] * (len(SECONDS) + 1))
        self._sums: dict[Labels, float] = defaultdict(float)

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one duration."""
        self._counts[labels][bisect_left(SECONDS, seconds)] += 1
        self._sums[labels] += seconds

    def lines(self) -> Iterator[str]:
        """The series, in exposition format."""
        yield from heading(self.name, "histogram", self.help_text)
        for labels, counts in self._counts.items():
            named, total = dict(zip(self.labels, labels, strict=True)), 0
            for bound, count in zip((*SECONDS, "+Inf"), counts, strict=True):
                total += count
                yield sample(f"{self.name}_bucket", {**named, "le": str(bound)}, total)
            yield sample(f"{self.name}_sum", named, self._sums[labels])
            yield sample(f"{self.name}_count", named, total)


@dataclass
class Metrics:
    """Everything counted; touched on the event loop alone."""

    requests: Counter = field(
        default_factory=lambda: Counter(
            "lilliput_requests_total", "Requests answered.", ("route", "status")
        )
    )
    request_seconds: Histogram = field(
        default_factory=lambda: Histogram(
            "lilliput_request_seconds", "From a request's arrival to its last byte.", ("route",)
        )
    )
    prompt_tokens: Counter = field(
        default_factory=lambda: Counter("lilliput_prompt_tokens_total", "Tokens read.", ("model",))
    )
    completion_tokens: Counter = field(
        default_factory=lambda: Counter(
            "lilliput_completion_tokens_total", "Tokens written.", ("model",)
        )
    )
    finished: Counter = field(
        default_factory=lambda: Counter(
            "lilliput_answers_total", "Answers ended, by reason.", ("model", "reason")
        )
    )
    first_token_seconds: Histogram = field(
        default_factory=lambda: Histogram(
            "lilliput_time_to_first_token_seconds", "From submission to first token.", ("model",)
        )
    )
    token_seconds: Histogram = field(
        default_factory=lambda: Histogram(
            "lilliput_time_per_token_seconds",
            "Mean time between the tokens of an answer.",
            ("model",),
        )
    )
    in_progress: int = 0

    def text(self, models: "Iterable[ServedModel]") -> str:
        """The page that Prometheus reads."""
        families = (
            self.requests, self.request_seconds, self.prompt_tokens, self.completion_tokens,
            self.finished, self.first_token_seconds, self.token_seconds,
        )  # fmt: skip
        lines = [line for family in families for line in family.lines()]
        lines += gauge(
            "lilliput_requests_in_progress", "Requests open now.", {(): self.in_progress}
        )
        lines += _engine_gauges(models)
        return "\n".join(lines) + "\n"


def _engine_gauges(models: "Iterable[ServedModel]") -> list[str]:
    served = list(models)
    statistics: dict[Labels, Statistics] = {(one.name,): one.statistics for one in served}
    gauges: dict[str, tuple[str, dict[Labels, float]]] = {
        "lilliput_open_answers": (
            "Answers open: written, waiting, or other work.",
            {(one.name,): one.open_requests for one in served},
        ),
        "lilliput_rows_in_use": (
            "Answers being written now.",
            {name: one.rows for name, one in statistics.items()},
        ),
        "lilliput_queue_length": (
            "Answers that wait for a row.",
            {name: one.waiting for name, one in statistics.items()},
        ),
        "lilliput_cache_bytes": (
            "Memory of keys and values held.",
            {name: one.cache_bytes for name, one in statistics.items()},
        ),
    }
    return [
        line
        for name, (help_text, values) in gauges.items()
        for line in gauge(name, help_text, values, ("model",))
    ]


def gauge(
    name: str, help_text: str, values: Mapping[Labels, float], labels: Sequence[str] = ()
) -> list[str]:
    """The lines of numbers that go up and down."""
    samples = [
        sample(name, dict(zip(labels, of, strict=True)), value) for of, value in values.items()
    ]
    return [*heading(name, "gauge", help_text), *samples]


def heading(name: str, kind: str, help_text: str) -> list[str]:
    """What introduces a family of series."""
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """One line: a series and its value."""
    shown = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
    number = str(int(value)) if value == int(value) else repr(value)
    return f"{name}{{{shown}}} {number}" if shown else f"{name} {number}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Meter:
    """Middleware: counts every request and times it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, started, status = self._metrics, time.perf_counter(), "left"

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        metrics.in_progress += 1
        try:
            await self._app(scope, receive, note)
        except Exception:
            status = "500"
            raise
        finally:
            metrics.in_progress -= 1
            # The template of the route, not the path: clients could make up any number of those.
            route = getattr(scope.get("route"), "path", "other")
            metrics.requests.add(route, status)
            metrics.request_seconds.observe(time.perf_counter() - started, route)
