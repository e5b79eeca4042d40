"""Checkpoints: folders that are whole or absent, the newest few kept."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lilliput.errors import UserError
from lilliput.files import fsync_folder, read_json, write_bytes, write_text

_FOLDER = "checkpoints"


@dataclass(frozen=True)
class Checkpoint:
    """Weights and optimiser state by name, and the loop's state as plain values."""

    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]


def save_checkpoint(run: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write `checkpoints/step-0000100/` under the run's folder, then drop all but the newest.

    The folder is filled under a temporary name, synced and renamed, so that a checkpoint seen is
    a checkpoint whole.
    """
    folder = run / _FOLDER / f"step-{checkpoint.state['step']:07d}"
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    write_bytes(temporary / "weights.safetensors", save(_contiguous(checkpoint.weights)))
    write_bytes(temporary / "optimizer.safetensors", save(_contiguous(checkpoint.optimizer)))
    write_text(temporary / "state.json", json.dumps(checkpoint.state, indent=2) + "\n")
    _drop(folder)
    temporary.replace(folder)
    fsync_folder(folder.parent)
    for old in list_checkpoints(run)[:-keep]:
        _drop(old)
    return folder


def _drop(folder: Path) -> None:
    """Remove a checkpoint; it is out of sight before its first file goes."""
    if folder.exists():
        leaving = folder.with_name(f".{folder.name}.leaving.tmp")
        shutil.rmtree(leaving, ignore_errors=True)
        folder.replace(leaving)
        shutil.rmtree(leaving, ignore_errors=True)


def list_checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    folders = (run / _FOLDER).glob("step-*")
    return sorted(folder for folder in folders if (folder / "state.json").is_file())


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint. Raises UserError if a file is missing or cut off."""
    try:
        weights = load((folder / "weights.safetensors").read_bytes())
        optimizer = load((folder / "optimizer.safetensors").read_bytes())
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: not a whole checkpoint ({error}): remove this folder and resume again"
        ) from None
    return Checkpoint(weights, optimizer, read_json(folder / "state.json"))


def clear_leftovers(run: Path) -> None:
    """Remove what an earlier, killed process left half-written."""
    for folder in (run / _FOLDER).glob(".step-*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
