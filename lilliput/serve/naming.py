"""The names under which models are served."""

from collections.abc import Iterable
from pathlib import Path

from lilliput.errors import UserError
from lilliput.generate.language_model import base_and_adapter, model_folder


def named_folders(given: Iterable[str]) -> dict[str, Path]:
    """Models by name, from `PATH` (named by its run or folder) or `NAME=PATH`.

    A model with an adapter, `MODEL+ADAPTER`, is named by both. Raises UserError if a folder holds
    no model, or two have the same name.
    """
    folders: dict[str, Path] = {}
    for text in given:
        name, path = _name_and_path(text)
        base, adapter = base_and_adapter(path)
        folder = model_folder(base)
        own_name = _own_name(folder)
        if adapter is not None:
            folder, own_name = Path(f"{folder}+{adapter}"), f"{own_name}+{adapter.resolve().name}"
        name = name or own_name
        if name in folders:
            raise UserError(
                f"two models are called {name}: give one of them another name, as other={path}"
            )
        folders[name] = folder
    return folders


def _name_and_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        return "", Path(text)
    if not name or not path:
        raise UserError(f"{text}: write NAME=PATH, or a path alone")
    return name, Path(path)


def _own_name(folder: Path) -> str:
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name
