"""Checks of the settings of a filter: each failure names the stage and the setting."""

import math
from collections.abc import Sequence
from pathlib import Path

from lilliput.errors import UserError


def check_not_negative(stage: object, *fields: str) -> None:
    """Each of these settings is a number of at least 0 (infinity turns an upper bound off)."""
    for field in fields:
        value = getattr(stage, field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(stage, field, "is not a number")
        if math.isnan(value) or value < 0:
            raise wrong(stage, field, f"is {value}: it must be at least 0")


def check_in_order(stage: object, low: str, high: str) -> None:
    """The setting `low` is not above the setting `high`."""
    if getattr(stage, low) > getattr(stage, high):
        raise wrong(stage, low, f"is above {high}, so that every document would go")


def check_words(stage: object, field: str) -> None:
    """The setting is a sequence of strings, none of them empty (a single string is a mistake)."""
    value: Sequence[str] = getattr(stage, field)
    if isinstance(value, str) or not all(isinstance(one, str) and one.strip() for one in value):
        raise wrong(stage, field, "must be a list of strings, none of them empty")


def wrong(stage: object, field: str, what: str) -> UserError:
    """The error that names the stage's class and its setting."""
    return UserError(f"{type(stage).__name__}: {field} {what}")


def read_lines(path: str) -> list[str]:
    """The lines of a UTF-8 list, stripped; empty lines and those that begin with # are left out."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read the list {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"the list {path} is not UTF-8 text: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
