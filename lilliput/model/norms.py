"""Norms over the last dimension, in every kind the families use."""

import torch
from torch import Tensor, nn

from lilliput.model.config import ModelConfig
from lilliput.model.kernels import rms_norm


class RMSNorm(nn.Module):
    """Rows divided by their root mean square, times a gain if there is one; arXiv 1910.07467."""

    def __init__(self, shape: tuple[int, ...], eps: float, *, gain: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(shape)) if gain else None

    def forward(self, rows: Tensor) -> Tensor:
        """[..., D] → [..., D]; a gain of shape [H, D] is one for each head of [..., H, D]."""
        if self.weight is None or self.weight.ndim == 1:
            return rms_norm(rows, self.weight, self.eps)
        return rms_norm(rows, None, self.eps) * self.weight


class LayerNorm(nn.Module):
    """Rows less their mean, divided by their deviation, arXiv 1607.06450; gain and bias if any."""

    def __init__(
        self, shape: tuple[int, ...], eps: float, *, gain: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(shape)) if gain else None
        self.bias = nn.Parameter(torch.zeros(shape)) if bias else None

    def forward(self, rows: Tensor) -> Tensor:
        """[..., D] → [..., D]; a gain of shape [H, D] is one for each head of [..., H, D]."""
        width = rows.shape[-1:]
        if self.weight is None or self.weight.ndim == 1:
            return nn.functional.layer_norm(rows, width, self.weight, self.bias, self.eps)
        normed = nn.functional.layer_norm(rows, width, None, None, self.eps) * self.weight
        return normed if self.bias is None else normed + self.bias


def make_norm(config: ModelConfig, *shape: int) -> nn.Module:
    """The configuration's norm over a last dimension of this width, or [heads, width]."""
    gain = config.norm_gain != "none"
    if config.norm == "rmsnorm":
        return RMSNorm(shape, config.norm_eps, gain=gain)
    return LayerNorm(shape, config.norm_eps, gain=gain, bias=config.norm_gain == "weight_bias")


def make_head_norm(config: ModelConfig, layer: int, heads: int) -> nn.Module:
    """The norm of queries or keys [B, T, heads, head_dim] that `config.qk_norm` names."""
    head_dim = config.head_dim
    if config.qk_norm == "head":
        return make_norm(config, head_dim)
    if config.qk_norm == "head_weights":
        return make_norm(config, heads, head_dim)
    if config.qk_norm == "full":
        return AcrossHeads(make_norm(config, heads * head_dim))
    if config.qk_norm == "unit" and config.kind(layer) != "N":
        return RMSNorm((head_dim,), config.norm_eps, gain=False)
    return nn.Identity()


class AcrossHeads(nn.Module):
    """A norm of all heads of a token together."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, heads: Tensor) -> Tensor:
        """[B, T, H, E] → [B, T, H, E]."""
        normed: Tensor = self.norm(heads.flatten(2)).view(heads.shape)
        return normed
