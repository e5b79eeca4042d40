"""Weights to codes and scales by rounding to the nearest."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.model.config import ModelConfig
from lilliput.model.packed import Packing

_SMALLEST = 1e-8
_GROUPS = (128, 96, 64, 48)
_SHRINKS = tuple(1 - 0.05 * step for step in range(7))
"""Scales tried below the one that fits the largest weight: clipping it can cost less than coarser
steps for all others."""


def usual_packing(config: ModelConfig, bits: int) -> Packing:
    """int8 or int4 in the groups that suit a model.

    8 bits lose as good as nothing in large groups, which are quicker to multiply: the largest that
    divides every width. 4 bits want small ones.
    """
    if bits == 4:
        return Packing("int4", 32)
    widths = {config.d_model, config.n_heads * config.head_dim, config.d_ff}
    fitting = (size for size in _GROUPS if not any(width % size for width in widths))
    return Packing("int8", next(fitting, 32))


def nearest(
    weight: Tensor, packing: Packing, importance: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A matrix [rows, columns] → codes uint8 [rows, columns] and scales [rows, groups].

    A ternary matrix has one scale, its mean magnitude (BitNet b1.58, arXiv 2402.17764); a row
    without groups the one that takes its largest weight to the largest code, as training rounds.
    Else, of several, the scale with the least squared error, weighted by `importance` [columns].
    """
    weight = weight.detach().float()
    if packing.format == "ternary":
        scale = weight.abs().mean().clamp_min(1e-5)
        codes = ((weight / scale).round().clamp(-1, 1) + 1).to(torch.uint8)
        return codes, scale.expand(len(weight), 1).contiguous()
    half = 1 << (packing.bits - 1)
    if not packing.group:
        scales = weight.abs().amax(dim=1, keepdim=True).clamp_min(_SMALLEST) / (half - 1)
    else:
        scales = best_scales(weight, packing, importance)
    wide = scales.float().repeat_interleave(packing.group_width(weight.shape[1]), dim=1)
    wide = wide[:, : weight.shape[1]]
    return codes_of(weight, wide, packing), scales


def codes_of(weight: Tensor, scales: Tensor, packing: Packing) -> Tensor:
    """The nearest codes, uint8, of weights times 1 / scales, which broadcast to their shape."""
    half = 1 << (packing.bits - 1)
    return ((weight / scales).round().clamp(-half, half - 1) + half).to(torch.uint8)


def best_scales(weight: Tensor, packing: Packing, importance: Tensor | None = None) -> Tensor:
    """Of several scales for each group of a matrix, those with the least error: bfloat16.

    A negative scale gives the extra code of two's complement to the positive side.
    """
    rows, columns = weight.shape
    pad = packing.groups(columns) * packing.group - columns
    grouped = F.pad(weight, (0, pad)).view(rows, -1, packing.group)
    weights = torch.ones(columns) if importance is None else importance
    weights = F.pad(weights, (0, pad)).view(-1, packing.group)
    half = 1 << (packing.bits - 1)
    largest = grouped.abs().amax(dim=2)
    extreme = grouped.gather(2, grouped.abs().argmax(dim=2, keepdim=True)).squeeze(2)
    best = torch.full_like(largest, torch.inf)
    chosen = torch.ones_like(largest, dtype=torch.bfloat16)
    candidates = [largest / (half - 1)]
    if packing.bits < 8:
        candidates = [
            shrink * full for full in (largest / (half - 1), extreme / -half) for shrink in _SHRINKS
        ]
    for candidate in candidates:
        sign = torch.where(candidate < 0, -1.0, 1.0)
        scale = (sign * candidate.abs().clamp_min(_SMALLEST)).to(torch.bfloat16)
        wide = scale.float()[..., None]
        rounded = (grouped / wide).round().clamp(-half, half - 1) * wide
        error = ((rounded - grouped).square() * weights).sum(dim=2)
        better = error < best
        best = torch.where(better, error, best)
        chosen = torch.where(better, scale, chosen)
    return chosen
