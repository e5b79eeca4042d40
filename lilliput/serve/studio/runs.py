"""Training runs below a folder, finished and going on: the data of the training page."""

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from lilliput.errors import UserError
from lilliput.serve.studio.pages import report_page
from lilliput.serve.studio.run_curves import RunReading
from lilliput.serve.studio.settings import settings_of

runs = APIRouter()

_METRICS = "metrics.jsonl"
_DEEPEST, _MOST_RUNS = 3, 200
_LIVE_SECONDS = 90.0
"""A run that has written within this time is taken to be going on."""


class _Readings:
    """The readings of runs asked for lately."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._readings: dict[Path, RunReading] = {}
        self._lock = threading.Lock()

    def of(self, path: Path) -> RunReading:
        with self._lock:
            return self._refreshed(path)

    def _refreshed(self, path: Path) -> RunReading:
        reading = self._readings.pop(path, None) or RunReading(path)
        try:
            reading = reading.refresh()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        self._readings[path] = reading
        while len(self._readings) > self._most:
            del self._readings[next(iter(self._readings))]
        return reading


_readings = _Readings(_MOST_RUNS)


@runs.get("/studio/data/runs")
def list_runs(request: Request) -> dict[str, Any]:
    """Every run below the folder, the one written last first."""
    root = settings_of(request).runs
    if root is None:
        raise UserError(
            "no folder of runs is shown: start with `lilliput serve MODEL --runs runs/`"
        )
    found = sorted(_run_folders(root), key=_written_at, reverse=True)[:_MOST_RUNS]
    return {"folder": str(root), "runs": [_headline(root, folder) for folder in found]}


@runs.get("/studio/data/runs/curves")
def curves(request: Request, name: str, read: int = -1) -> dict[str, Any]:
    """The curves, samples and events of one run; `read` is what the last answer said, to spare
    sending the same again.
    """
    folder = _folder_of(request, name)
    reading = _readings.of(folder / _METRICS)
    root = settings_of(request).runs
    assert root is not None
    answer: dict[str, Any] = {"read": reading.read, "headline": _headline(root, folder)}
    if reading.read != read:
        answer |= {
            "training": reading.training.columns(),
            "validation": reading.validation.columns(),
            "samples": reading.samples.items() if reading.samples.seen else [],
            "events": reading.events.items() if reading.events.seen else [],
        }
    return answer


@runs.get("/studio/data/runs/report")
def report(request: Request, name: str) -> Response:
    """The run's own report.html."""
    path = _folder_of(request, name) / "report.html"
    if not path.is_file():
        raise HTTPException(404, "this run has no report yet")
    return report_page(path)


def _run_folders(root: Path) -> Iterator[Path]:
    """Folders that hold metrics, `root` itself among them."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if (folder / _METRICS).is_file():
            yield folder
        elif depth < _DEEPEST and folder.is_dir():
            inside = (one for one in folder.iterdir() if one.is_dir() and one.name[0] != ".")
            waiting += [(one, depth + 1) for one in inside]


def _folder_of(request: Request, name: str) -> Path:
    """The folder of a run that the list names."""
    root = settings_of(request).runs
    for folder in _run_folders(root) if root is not None else ():
        if _name_of(root, folder) == name:
            return folder
    raise UserError(f"no run is called {name!r}")


def _name_of(root: Path | None, folder: Path) -> str:
    if root is None or folder == root:
        return folder.resolve().name
    return folder.relative_to(root).as_posix()


def _written_at(folder: Path) -> float:
    try:
        return (folder / _METRICS).stat().st_mtime
    except OSError:
        return 0.0


def _headline(root: Path, folder: Path) -> dict[str, Any]:
    reading = _readings.of(folder / _METRICS)
    last, age = reading.last_step, time.time() - _written_at(folder)
    progress = last.get("progress")
    done = isinstance(progress, int | float) and progress >= 1
    shown = (
        "step", "tokens", "seconds", "loss", "bits_per_byte", "tokens_per_second", "peak_share",
        "memory_bytes", "joules", "dollars", "seconds_left", "progress",
    )  # fmt: skip
    return {
        "name": _name_of(root, folder),
        "state": "finished" if done else "live" if age < _LIVE_SECONDS else "stopped",
        "age": round(age, 1),
        "device": reading.device,
        "flops": reading.training.points[-1]["flops"] if reading.training.points else None,
        "validation_bits_per_byte": _finite(reading.last_validation.get("bits_per_byte")),
        "report": (folder / "report.html").is_file(),
        "last": {name: _finite(last.get(name)) for name in shown},
    }


def _finite(value: Any) -> float | None:
    """A number that JSON can hold."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None
