"""Norm and rotation of rows: few passes over memory, forward and backward."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(rows: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """rows [..., D] divided by their root mean square, times weight [D]; arXiv 1910.07467.

    PyTorch's own composes it, and its gradient, from a dozen passes in float32 on a CPU.
    """
    if rows.device.type == "cpu" and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return _RootMeanSquareNorm.apply(rows, weight, eps)  # type: ignore[no-any-return, no-untyped-call]
    return F.rms_norm(rows, rows.shape[-1:], weight, eps)


class _RootMeanSquareNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor | None, eps: float) -> Tensor:
        width = rows.shape[-1]
        norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=_sum_dtype(rows))
        inverse = norms.square_().div_(width).add_(eps).rsqrt_()
        ctx.save_for_backward(rows, weight, inverse)
        normed: Tensor = rows * inverse.to(rows.dtype)
        return normed if weight is None else normed.mul_(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        rows, weight, inverse = ctx.saved_tensors
        width = rows.shape[-1]
        products = (gradients[0] * rows).reshape(-1, width)
        scale = inverse.to(rows.dtype)
        weight_gradient = None if weight is None else torch.mv(products.t(), scale.view(-1))
        # d/dx of x / rms(x): the part along x is taken out of the gradient.
        along = products.sum(-1) if weight is None else torch.mv(products, weight)
        along = (along.view(inverse.shape) * inverse.pow(3) / -width).to(rows.dtype)
        outer = gradients[0] if weight is None else gradients[0] * weight
        row_gradient = (outer * scale).addcmul_(rows, along)
        return row_gradient, weight_gradient, None


def _sum_dtype(rows: Tensor) -> torch.dtype:
    return torch.float64 if rows.dtype == torch.float64 else torch.float32


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn heads [..., T, H, E] by angles whose cosine and sine are [..., T, 1, R], R at most E.

    Of the first R dimensions, i turns together with i + R/2; the others stay as they are. The
    sine's first half carries the minus sign.
    """
    turning = cosine.shape[-1]
    if turning < heads.shape[-1]:
        turned = rotate(heads[..., :turning], cosine, sine)
        return torch.cat((turned, heads[..., turning:]), dim=-1)
    if heads.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return _Rotation.apply(heads, cosine, sine)  # type: ignore[no-any-return, no-untyped-call]
    return _turn(heads, cosine, sine)


def _turn(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    other_half = heads.roll(heads.shape[-1] // 2, dims=-1)
    return (heads * cosine).addcmul_(other_half, sine)


class _Rotation(torch.autograd.Function):
    """Its gradient is the rotation back, so nothing but the angles need be kept."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turn(heads, cosine, sine)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = ctx.saved_tensors
        return _turn(gradients[0], cosine, -sine), None, None
