"""JSON files with errors that say which file and line."""

import json
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.files.atomic import write_text


def read_json(path: Path | str) -> Any:
    """Parse a JSON file. Raises UserError if it is missing or malformed."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from None


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` to `path` atomically, indented, with a final newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
