"""Low-rank adapters in PEFT's folders, added to a model's weights as they are read.

LoRA, arXiv 2106.09685; scaled by the root of the rank, arXiv 2312.03732; DoRA, arXiv 2402.09353.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lilliput.errors import UserError
from lilliput.files import read_json

CONFIG_NAME, WEIGHTS_NAME = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PART = re.compile(
    r"(?P<module>.+)\.(?:lora_(?P<linear>[AB])\.weight|lora_embedding_(?P<embedding>[AB])"
    r"|lora_(?P<magnitude>magnitude_vector)(?:\.weight)?)"
)


@dataclass
class _Delta:
    """What the adapter holds for one matrix: A [r, in], B [out, r], DoRA's magnitude [out]."""

    a: Tensor | None = None
    b: Tensor | None = None
    magnitude: Tensor | None = None
    embedding: bool = False


def with_adapter(
    tensors: Mapping[str, Tensor], folder: Path, *, tied_rows: int | None
) -> dict[str, Tensor]:
    """The tensors of a transformers class with an adapter's changes, in float32 where it does any.

    `tied_rows`: the rows of the matrix that is embedding and head at once, None without one.
    Raises UserError if the folder holds no adapter, one of another kind than LoRA, or one that
    was made for another model.
    """
    config = _config(folder)
    found = dict(tensors)
    deltas: dict[str, _Delta] = {}
    for key, tensor in _read(folder / WEIGHTS_NAME).items():
        name = key.removeprefix(_PREFIX)
        part = _PART.fullmatch(name)
        if part is None:
            if "lora_" in name:
                raise UserError(f"{folder / WEIGHTS_NAME}: {key} is of a kind that is not read")
            # A matrix kept whole beside its adapter, or tuned whole.
            place = _place(name.replace(".base_layer.", "."), found, folder)
            _check_shape(found[place], tensor, place, folder)
            found[place] = tensor.float()
            continue
        delta = deltas.setdefault(part["module"], _Delta())
        if part["magnitude"]:
            delta.magnitude = tensor.float().flatten()
        else:
            delta.embedding = part["embedding"] is not None
            which = part["linear"] or part["embedding"]
            setattr(delta, which.lower(), tensor.float())
    for module, delta in deltas.items():
        place = _place(f"{module}.weight", found, folder)
        found[place] = _changed(found[place].float(), delta, config, module, folder)
    for name in tensors:
        if found[name] is not tensors[name] and tied_rows == len(tensors[name]):
            # It was trained as one of the two, and would be added to both.
            raise UserError(
                f"{folder}: this adapter changes {name}, which in this model is embedding and "
                "head at once: it cannot be added"
            )
    return found


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise UserError(f"{folder}: not an adapter (no {CONFIG_NAME})")
    config: dict[str, Any] = read_json(path)
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UserError(f"{path}: field 'peft_type' is {kind!r}: only LORA is read")
    if config.get("target_parameters"):
        raise UserError(f"{path}: field 'target_parameters' is set, which is not read")
    if not isinstance(config.get("lora_alpha"), int | float):
        raise UserError(f"{path}: field 'lora_alpha' must be a number")
    return config


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        pickled = path.with_suffix(".bin").is_file()
        reason = " (adapter_model.bin is a pickle, which can run code)" if pickled else ""
        raise UserError(f"{path}: no such file; weights are read from safetensors only{reason}")
    try:
        with safe_open(path, framework="pt") as handle:
            return {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file: {error}") from None


def _place(name: str, tensors: Mapping[str, Tensor], folder: Path) -> str:
    """The model's name of a tensor: files of some classes lack the first part of it."""
    for known in (name, name.partition(".")[2]):
        if known in tensors:
            return known
    raise UserError(f"{folder}: this adapter changes {name}, which the model does not have")


def _changed(
    weight: Tensor, delta: _Delta, config: Mapping[str, Any], module: str, folder: Path
) -> Tensor:
    if delta.a is None or delta.b is None:
        raise UserError(f"{folder / WEIGHTS_NAME}: {module} has only one of its two matrices")
    rank = delta.a.shape[0]
    if delta.b.shape[-1] != rank:
        raise UserError(f"{folder / WEIGHTS_NAME}: the matrices of {module} do not fit together")
    alpha = _of_module(config.get("alpha_pattern") or {}, module, config["lora_alpha"])
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    added = delta.b @ delta.a * scale
    # PEFT keeps an embedding's product the other way round, and so GPT-2's matrices.
    if delta.embedding or config.get("fan_in_fan_out"):
        added = added.T
    _check_shape(weight, added, module, folder)
    if delta.magnitude is None:
        return weight + added
    out = 1 if config.get("fan_in_fan_out") else 0
    shape = [1, 1]
    shape[out] = -1
    directed = weight + added
    norms = torch.linalg.vector_norm(directed, dim=1 - out, keepdim=True)
    turned: Tensor = directed * (delta.magnitude.reshape(shape) / norms)
    return turned


def _of_module(patterns: Mapping[str, float], module: str, default: float) -> float:
    """The value of the first pattern that matches a module's name to its end."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _check_shape(weight: Tensor, other: Tensor, name: str, folder: Path) -> None:
    if weight.shape != other.shape:
        raise UserError(
            f"{folder}: this adapter's {name} has shape {tuple(other.shape)}, the model's "
            f"{tuple(weight.shape)}: they do not belong together"
        )
