"""The function of a build, packed to be called in a process of another machine."""

import importlib.util
import os
import pickle
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.corpus.building.executor import picklable
from lilliput.errors import UserError

Reply = tuple[Any, Exception | None]
"""What a call returned, or the error that it raised: engines wrap errors in their own."""


@dataclass(frozen=True)
class RemoteCall:
    """A pickled function, and where relative paths and the modules of stages are looked for."""

    function: bytes
    folder: str
    module_folders: tuple[str, ...]


def pack(function: Callable[[Any], Any]) -> RemoteCall:
    """Pack `function` as it would work here. Raises UserError if it cannot be sent."""
    try:
        packed = pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"a stage cannot be sent to workers ({error}); define its function in a module"
        ) from None
    return RemoteCall(packed, str(Path.cwd()), tuple(sys.path))


def perform(call: RemoteCall, item: Any) -> Reply:
    """Call the function on `item`, in the worker."""
    try:
        return _function(call)(item), None
    except Exception as error:
        return None, picklable(error)


def _function(call: RemoteCall) -> Callable[[Any], Any]:
    try:
        os.chdir(call.folder)
    except OSError:
        raise UserError(
            f"{socket.gethostname()}: no folder {call.folder}; all machines need the same folders "
            "under the same paths"
        ) from None
    sys.path += [folder for folder in call.module_folders if folder not in sys.path]
    try:
        function: Callable[[Any], Any] = pickle.loads(call.function)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"{socket.gethostname()}: a stage cannot be loaded ({error}); define its function in "
            "a module that all machines have"
        ) from None
    return function


def unwrapped(reply: Reply) -> Any:
    """The value of a reply, or its error raised."""
    value, error = reply
    if error is not None:
        raise error
    return value


def need(module: str, extra: str) -> None:
    """Raise UserError if an engine's package is not installed."""
    if importlib.util.find_spec(module) is None:
        raise UserError(f"the executor {extra} needs: pip install 'lilliput[{extra}]'")
