"""`metrics.jsonl`: one JSON record a line, cut back to a checkpoint when a run resumes."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsFile:
    """An append-only file of records.

    `length` is the bytes written so far; a checkpoint stores it, and reopening at that length drops
    the records of steps that will be made again.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = path.open("r+b" if path.exists() else "w+b")
        self._handle.truncate(length)
        self._handle.seek(length)

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self._handle.tell()

    def record(self, record: Mapping[str, Any]) -> None:
        """Append one record; it is readable at once."""
        self._handle.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
        self._handle.flush()

    def sync(self) -> None:
        """Make sure what is written is on disk."""
        self._handle.flush()
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._handle.close()
