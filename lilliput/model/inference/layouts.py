"""Matrices as decode.c multiplies them: in panels of as many rows as a vector has lanes."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.config import ModelConfig
from lilliput.model.linear import linear_weight
from lilliput.model.packed import PackedMatrix, Packing
from lilliput.model.rounding import nearest, usual_packing

WeightKind = Literal["float32", "bfloat16", "int8", "int4"]
_KINDS = {"float32": 0, "bfloat16": 1, "int8": 2, "int4": 3, "int2": 4}


@dataclass(frozen=True)
class Panels:
    """A matrix as decode.c reads it; see its `Matrix`. The tensors own the memory."""

    kind: int
    rows: int
    columns: int
    """Filled up with zeros to whole words and groups."""
    weights: Tensor
    scales: Tensor | None = None
    group: int = 1
    zero: int = 0
    bias: Tensor | None = None


def float_panels(weight: Tensor, kind: WeightKind, lanes: int) -> Panels:
    """A matrix [rows, columns] in float32 or bfloat16."""
    rows, columns = weight.shape
    if kind == "float32":
        panels = _in_panels(weight.float(), lanes).transpose(1, 2)
        return Panels(0, rows, columns, panels.contiguous())
    weight = F.pad(weight.to(torch.bfloat16), (0, columns % 2))
    panels = _in_panels(weight, lanes)
    panels = panels.view(*panels.shape[:2], -1, 2)
    return Panels(1, rows, weight.shape[1], panels.transpose(1, 2).contiguous())


def code_panels(codes: Tensor, scales: Tensor, packing: Packing, lanes: int) -> Panels:
    """Codes uint8 [rows, columns] and scales [rows, groups]."""
    rows, columns = codes.shape
    per_word = 32 // packing.bits
    group = packing.group or -(-columns // 16) * 16
    filled = -(-columns // group) * group
    codes = F.pad(codes, (0, filled - columns), value=packing.zero)
    # A word of 4 bytes holds 4 columns in its lowest bits, the next 4 above them, and so on.
    panels = _in_panels(codes, lanes)
    quads = panels.view(*panels.shape[:2], -1, per_word // 4, 4)
    words = quads[:, :, :, 0].clone()
    for quad in range(1, per_word // 4):
        words |= quads[:, :, :, quad] << (quad * packing.bits)
    return Panels(
        _KINDS[f"int{packing.bits}"],
        rows,
        filled,
        words.transpose(1, 2).contiguous(),
        _in_panels(scales, lanes).transpose(1, 2).contiguous(),
        group,
        packing.zero,
    )


def panels_of(
    modules: list[nn.Module], kind: WeightKind | None, config: ModelConfig, lanes: int
) -> Panels:
    """Matrices with the same input as one, their rows one after the other.

    `kind` None: as they are stored. Matrices that training made ternary are always codes.
    """
    packed = [module for module in modules if isinstance(module, PackedMatrix)]
    rounds_input = any(getattr(module, "rounds_input", False) for module in packed)
    if len(packed) == len(modules) and (kind is None or rounds_input):
        codes = torch.cat([m.packing.unpack(m.codes, m.columns) for m in packed])
        panels = code_panels(codes, torch.cat([m.scales for m in packed]), packed[0].packing, lanes)
    elif all(getattr(module, "kind", "") == "ternary" for module in modules):
        packing = Packing("ternary", 0)
        parts = [nearest(module.weight, packing) for module in modules]  # type: ignore[arg-type]
        codes, scales = (torch.cat([part[place] for part in parts]) for place in (0, 1))
        panels = code_panels(codes, scales, packing, lanes)
    else:
        weight = torch.cat([_weight(module) for module in modules]).float()
        if kind in ("int8", "int4"):
            packing = usual_packing(config, 8 if kind == "int8" else 4)
            panels = code_panels(*nearest(weight, packing), packing, lanes)
        else:
            panels = float_panels(weight, kind or "float32", lanes)
    biases = [getattr(module, "bias", None) for module in modules]
    if any(bias is not None for bias in biases):
        whole = torch.cat(
            [
                torch.zeros(_weight_rows(module)) if bias is None else bias.detach().float()
                for module, bias in zip(modules, biases, strict=True)
            ]
        )
        panels = Panels(**{**vars(panels), "bias": whole})
    return panels


def _weight(module: nn.Module) -> Tensor:
    if isinstance(module, nn.Linear):
        return linear_weight(module).detach()
    assert isinstance(module, nn.Embedding | PackedMatrix)
    return module.weight.detach()


def _weight_rows(module: nn.Module) -> int:
    return module.rows if isinstance(module, PackedMatrix) else len(_weight(module))


def _in_panels(matrix: Tensor, lanes: int) -> Tensor:
    """[rows, columns] → [panels, lanes, columns], filled up with rows of zeros."""
    filled = F.pad(matrix, (0, 0, 0, -len(matrix) % lanes))
    return filled.view(-1, lanes, matrix.shape[1])
