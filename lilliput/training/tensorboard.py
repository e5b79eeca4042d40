"""The records of `metrics.jsonl` as TensorBoard events."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.errors import UserError
from lilliput.training.live import RecordSink

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_PREFIX = {"step": "train", "validation": "validation"}
_NOT_A_CURVE = ("step", "seconds_left")


class _Writer:
    def __init__(self, writer: "SummaryWriter") -> None:
        self._writer = writer

    def record(self, record: Mapping[str, Any]) -> None:
        """Write a record's numbers as curves over steps, samples and events as text."""
        kind, step = record["kind"], int(record["step"])
        if kind == "sample":
            text = f"**{record['prompt']}**{record['text']}"
            self._writer.add_text("sample", text, step)
        elif kind == "event":
            self._writer.add_text("event", record["message"], step)
        else:
            for name, value in _numbers(record):
                tag = f"{_PREFIX.get(kind, kind)}/{name}"
                self._writer.add_scalar(tag, value, step)


@contextmanager
def tensorboard_writer(folder: Path | str) -> Iterator[RecordSink]:
    """Yield an object whose `record(record)` writes TensorBoard events into `folder`.

    Raises UserError if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            "TensorBoard is not installed: pip install 'lilliput[tensorboard]', or leave it off"
        ) from None
    writer = SummaryWriter(str(folder))
    try:
        yield _Writer(writer)
    finally:
        writer.close()


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and math.isfinite(value) and name not in _NOT_A_CURVE:
            yield prefix + name, float(value)
