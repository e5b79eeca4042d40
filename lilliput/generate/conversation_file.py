"""Conversations in files: every version of every turn, as lines of JSON.

The first line tells of the conversation, and each further one of a turn:

    {"format": "lilliput conversation", "version": 1, "tokenizer": hash, "mode": "complete",
     "system": "", "sampling": {…}, "current": {"complete": 2, "chat": null}}
    {"mode": "complete", "before": null, "said": "Once", "text": …, "finish": "length",
     "prompt": [ids], "written": [[id, log-probability in nats], …], "origin": null, "kept": 0, …}

Turns of a mode are numbered from 1 in the order in which they stand; `before`, `origin` and
`current` name earlier ones by number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lilliput.errors import UserError
from lilliput.files import write_text
from lilliput.generate.conversation import Conversation, Thread, Turn
from lilliput.generate.requests import FinishReason, Written
from lilliput.generate.sampling import Sampling
from lilliput.generate.turn_prompts import Mode

Number = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Token = tuple[Count, Annotated[float, Field(le=0.0)]]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Head(_Line):
    format: Literal["lilliput conversation"]
    version: Literal[1]
    tokenizer: str
    mode: Mode
    system: str
    sampling: Sampling
    current: dict[Mode, Number | None]


class _TurnLine(_Line):
    mode: Mode
    before: Number | None
    said: str
    text: str
    finish: FinishReason | None
    left_out: Count
    origin: Number | None
    kept: Count
    seed: Count
    sample: Count
    prompt: list[Count]
    written: list[Token]


Kind = TypeVar("Kind", bound=_Line)


def save_conversation(conversation: Conversation, path: Path) -> None:
    """Write a conversation to a file, in place of what was there. Raises UserError if it cannot."""
    numbers = _numbers(conversation.threads)
    lines: list[dict[str, Any]] = [
        {
            "format": "lilliput conversation",
            "version": 1,
            "tokenizer": conversation.model.tokenizer.hash,
            "mode": conversation.mode,
            "system": conversation.system,
            "sampling": asdict(conversation.sampling),
            "current": {
                mode: numbers.get(thread.current) for mode, thread in conversation.threads.items()
            },
        }
    ]
    lines += [
        _told(mode, turn, numbers)
        for mode, thread in conversation.threads.items()
        for turn in thread.turns
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    try:
        if path.exists() and not _is_ours(path):
            raise UserError(f"{path}: is there and no saved conversation: choose another name")
        write_text(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def load_conversation(conversation: Conversation, path: Path) -> None:
    """Put what a file holds in the place of a conversation's turns and settings.

    Where it was written with another tokenizer, the tokens are left out. Raises UserError if the
    file holds no conversation; nothing is changed then.
    """
    try:
        rows = [row for row in path.read_text(encoding="utf-8").split("\n") if row.strip()]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8") from None
    head = _parsed(_Head, rows[0] if rows else "", f"{path}, line 1")
    known = head.tokenizer == conversation.model.tokenizer.hash
    size = conversation.model.tokenizer.vocabulary_size
    threads: dict[Mode, Thread] = {"complete": Thread(), "chat": Thread()}
    for number, row in enumerate(rows[1:], 2):
        where = f"{path}, line {number}"
        line = _parsed(_TurnLine, row, where)
        thread = threads[line.mode]
        if any(one >= size for one in (*line.prompt, *(one for one, _ in line.written))) and known:
            raise UserError(f"{where}: holds an id that is no token")
        written = line.written if known else []
        thread.turns.append(
            Turn(
                _turn(thread.turns, line.before, where),
                line.said,
                tuple(line.prompt) if known else (),
                line.left_out,
                _turn(thread.turns, line.origin, where),
                min(line.kept, len(written)),
                line.seed,
                line.sample,
                [Written(token, score) for token, score in written],
                line.text,
                line.finish,
            )
        )
    for mode, thread in threads.items():
        thread.current = _turn(thread.turns, head.current.get(mode), f"{path}, line 1")
    conversation.switch(head.mode)
    conversation.system, conversation.threads = head.system, threads
    conversation.sampling = head.sampling
    conversation.replies = max(
        (turn.sample for thread in threads.values() for turn in thread.turns), default=0
    )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"lilliput conversation"' in file.readline(200)


def _told(mode: Mode, turn: Turn, numbers: Mapping[Turn | None, int]) -> dict[str, Any]:
    return {
        "mode": mode,
        "before": numbers.get(turn.before),
        "said": turn.said,
        "text": turn.text,
        "finish": turn.finish,
        "left_out": turn.left_out,
        "origin": numbers.get(turn.origin),
        "kept": turn.kept,
        "seed": turn.seed,
        "sample": turn.sample,
        "prompt": turn.prompt,
        "written": [(one.id, min(0.0, one.log_probability)) for one in turn.written],
    }


def _numbers(threads: Mapping[Mode, Thread]) -> dict[Turn | None, int]:
    return {
        turn: number for thread in threads.values() for number, turn in enumerate(thread.turns, 1)
    }


def _turn(turns: Sequence[Turn], number: int | None, where: str) -> Turn | None:
    if number is None:
        return None
    if number > len(turns):
        raise UserError(f"{where}: names turn {number}, which does not come before it")
    return turns[number - 1]


def _parsed(kind: type[Kind], row: str, where: str) -> Kind:
    try:
        return kind.model_validate(json.loads(row))
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not a saved conversation: {error.msg}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: not a saved conversation: {place}: {first['msg']}") from None
