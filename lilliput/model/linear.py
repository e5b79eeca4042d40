"""Matrices that are rounded in training, so that rounding them for good costs nothing later."""

import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.config import ModelConfig

_BITS = {"int8": 8, "int4": 4, "int2": 2}


def make_linear(config: ModelConfig, inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
    """A matrix inside a block, as `config.linear` says."""
    if config.linear == "full":
        return nn.Linear(inputs, outputs, bias=bias)
    return RoundedLinear(inputs, outputs, bias=bias, kind=config.linear)


class RoundedLinear(nn.Linear):
    """A linear layer that computes with rounded weights and learns the weights before rounding.

    The gradient passes the rounding as if it were not there (straight-through estimator,
    arXiv 1308.3432).
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool, kind: str) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.kind = kind

    def forward(self, rows: Tensor) -> Tensor:
        """[..., inputs] → [..., outputs]."""
        if self.kind == "ternary":
            rows = straight_through(rows, rounded_activations(rows))
        weight = straight_through(self.weight, rounded_weight(self.weight, self.kind))
        return F.linear(rows, weight, self.bias)


def straight_through(exact: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` with the gradient of `exact`."""
    return exact + (rounded - exact).detach()


def rounded_weight(weight: Tensor, kind: str) -> Tensor:
    """[outputs, inputs] → the values a rounded matrix has.

    "ternary": -1, 0 or 1 times the mean magnitude of the matrix (BitNet b1.58, arXiv 2402.17764).
    Else whole numbers of so many bits times each row's largest magnitude (arXiv 1712.05877).
    """
    if kind == "ternary":
        scale = weight.float().abs().mean().clamp_min(1e-5)
        ternary: Tensor = (weight / scale).round().clamp(-1, 1) * scale
        return ternary.to(weight.dtype)
    largest = 2 ** (_BITS[kind] - 1) - 1
    scale = weight.float().abs().amax(dim=-1, keepdim=True).clamp_min(1e-8) / largest
    rounded: Tensor = (weight / scale).round().clamp(-largest - 1, largest) * scale
    return rounded.to(weight.dtype)


def rounded_activations(rows: Tensor) -> Tensor:
    """Rows [..., D] as 8-bit whole numbers times their largest magnitude / 127."""
    scale: Tensor = rows.float().abs().amax(dim=-1, keepdim=True).clamp_min(1e-5) / 127
    return ((rows / scale).round().clamp(-128, 127) * scale).to(rows.dtype)


def linear_weight(layer: nn.Linear) -> Tensor:
    """The matrix that `layer` multiplies with."""
    if isinstance(layer, RoundedLinear):
        return rounded_weight(layer.weight, layer.kind)
    return layer.weight
