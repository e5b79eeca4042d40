"""Answers kept on disk by what was asked, so that no question is asked, or paid for, twice."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lilliput.errors import UserError

_SECONDS_FOR_OTHERS = 60.0
_KEYS_AT_ONCE = 500


class AnswerStore:
    """An SQLite file of answers; several processes may use it. Neither texts nor keys are in it."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(self._path, timeout=_SECONDS_FOR_OTHERS)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (question TEXT PRIMARY KEY, answer TEXT)"
            )
            self._connection.commit()
        except sqlite3.Error as error:
            raise UserError(f"{self._path}: no store of answers: {error}") from None

    def __enter__(self) -> "AnswerStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def find(self, questions: Iterable[str]) -> dict[str, Any]:
        """The answers known, by question."""
        wanted = sorted(set(questions))
        found: dict[str, Any] = {}
        for first in range(0, len(wanted), _KEYS_AT_ONCE):
            some = wanted[first : first + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._connection.execute(
                f"SELECT question, answer FROM answers WHERE question IN ({marks})", some
            )
            found.update((question, json.loads(answer)) for question, answer in rows)
        return found

    def keep(self, question: str, answer: Any) -> None:
        """Write an answer; once this returns it is on disk."""
        self._connection.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?)",
            (question, json.dumps(answer, ensure_ascii=False)),
        )
        self._connection.commit()


def question_key(parts: Mapping[str, Any]) -> str:
    """What a question is known by: the SHA-256 of its parts, as hexadecimal digits."""
    written = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(written.encode("utf-8")).hexdigest()
