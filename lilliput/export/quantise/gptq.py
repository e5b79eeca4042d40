"""GPTQ, arXiv 2210.17323: rounding column by column, what is lost made up for by the columns after.

The loss of a matrix W is the squared change of W x, over inputs x of the user's own text.
"""

import torch
from torch import Tensor

from lilliput.errors import WorkFailed
from lilliput.model.packed import Packing
from lilliput.model.rounding import best_scales, codes_of

_BLOCK = 128
_DAMPING = 0.01
_MOST_DAMPING = 1.0


def gptq(weight: Tensor, moments: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
    """A matrix [rows, columns] → codes uint8 [rows, columns] and scales [rows, groups].

    `moments` [columns, columns] is the sum of x xᵀ. Columns with the largest moments come first
    ("act-order"), with scales that were chosen for the weights as they are. Raises WorkFailed if
    the moments are not finite.
    """
    weight, moments = weight.detach().float().clone(), moments.float()
    importance = moments.diagonal()
    if not torch.isfinite(moments).all():
        raise WorkFailed("the calibration text gives states that are not finite")
    scales = best_scales(weight, packing, importance.clamp_min(0) / importance.mean())
    wide = scales.float().repeat_interleave(packing.group_width(weight.shape[1]), dim=1)
    order = importance.argsort(descending=True)
    factors = _inverse_factor(moments[order][:, order])
    weight, wide = weight[:, order], wide[:, order]
    codes = torch.empty(weight.shape, dtype=torch.uint8)
    columns = weight.shape[1]
    for start in range(0, columns, _BLOCK):
        stop = min(start + _BLOCK, columns)
        errors = torch.empty(len(weight), stop - start)
        for column in range(start, stop):
            scale = wide[:, column]
            codes[:, column] = codes_of(weight[:, column], scale, packing)
            rounded = (codes[:, column].float() - packing.zero) * scale
            error = (weight[:, column] - rounded) / factors[column, column]
            weight[:, column:stop].addr_(error, factors[column, column:stop], alpha=-1)
            errors[:, column - start] = error
        weight[:, stop:].addmm_(errors, factors[start:stop, stop:], alpha=-1)
    return codes[:, order.argsort()], scales


def _inverse_factor(moments: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of the moments, made regular."""
    mean = moments.diagonal().mean().clamp_min(1e-12)
    damping = _DAMPING
    while True:
        damped = moments.double() + damping * mean * torch.eye(len(moments), dtype=torch.float64)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            inverse = torch.cholesky_inverse(lower)
            upper, failed = torch.linalg.cholesky_ex(inverse, upper=True)
            if not failed:
                return torch.as_tensor(upper, dtype=torch.float32)
        if damping >= _MOST_DAMPING:
            raise WorkFailed("the calibration text is too short or too uniform for GPTQ")
        damping *= 10
