"""The feed-forward: one for all tokens, or a mixture of experts.

Shapes are named by letters: D width of the residual stream, F inner width, N tokens, X experts.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.config import ModelConfig
from lilliput.model.linear import make_linear
from lilliput.model.norms import make_norm
from lilliput.model.router import Router

_CLAMP, _SWISH = 7.0, 1.702  # gpt-oss's, as in its reference code
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda inner: F.gelu(inner, approximate="tanh"),
    "relu": F.relu,
    "relu2": lambda inner: F.relu(inner).square(),
    "clamped_swish": lambda inner: _swish(inner.clamp(max=_CLAMP)),
}


def _swish(inner: Tensor) -> Tensor:
    return inner * torch.sigmoid(_SWISH * inner)


def activate(config: ModelConfig, gate: Tensor, up: Tensor | None) -> Tensor:
    """The feed-forward's middle: the activation of `gate`, times `up` where it is gated."""
    activated = _ACTIVATIONS[config.activation](gate)
    if up is None:
        return activated
    if config.activation == "clamped_swish":
        up = up.clamp(-_CLAMP, _CLAMP) + 1
    return activated * up


class FeedForward(nn.Module):
    """Two matrices around a non-linearity, or three when gated."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.config = config
        bias = config.feed_forward_bias
        if config.gated:
            self.gate = make_linear(config, config.d_model, width, bias=bias)
        self.up = make_linear(config, config.d_model, width, bias=bias)
        self.sub_norm = make_norm(config, width) if config.sub_norm else nn.Identity()
        self.down = make_linear(config, width, config.d_model, bias=bias)

    def forward(self, residual: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        if self.config.gated:
            inner = activate(self.config, self.gate(residual), self.up(residual))
        else:
            inner = activate(self.config, self.up(residual), None)
        return self.down(self.sub_norm(inner))  # type: ignore[no-any-return]


class Mixture(nn.Module):
    """A router that sends each token to a few of many feed-forwards; arXiv 2101.03961.

    The matrices of all experts are one tensor each: gate and up [X, F, D], down [X, D, F].
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        experts, width = config.n_experts, config.d_ff_expert or config.d_ff
        self.router = Router(config)
        if config.gated:
            self.gate = nn.Parameter(torch.empty(experts, width, config.d_model))
        self.up = nn.Parameter(torch.empty(experts, width, config.d_model))
        self.down = nn.Parameter(torch.empty(experts, config.d_model, width))
        if config.feed_forward_bias:
            if config.gated:
                self.gate_bias = nn.Parameter(torch.empty(experts, width))
            self.up_bias = nn.Parameter(torch.empty(experts, width))
            self.down_bias = nn.Parameter(torch.empty(experts, config.d_model))
        if config.n_shared_experts:
            self.shared = FeedForward(config, config.n_shared_experts * width)

    def forward(self, residual: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        rows = residual.flatten(0, -2)
        chosen, weights = self.router(rows)
        output = self.shared(rows) if self.config.n_shared_experts else torch.zeros_like(rows)
        # Tokens sorted by expert: each expert multiplies one run of rows.
        order = chosen.flatten().argsort(stable=True)
        tokens = order // chosen.shape[1]
        weight = weights.flatten()[order, None].to(rows.dtype)
        counts = torch.bincount(chosen.flatten(), minlength=self.config.n_experts).tolist()
        inputs = rows[tokens]
        if self.config.router_scales_input:
            inputs = inputs * weight
        pieces = [
            self._expert(expert, part)
            for expert, part in enumerate(torch.split(inputs, counts))
            if len(part)
        ]
        outputs = torch.cat(pieces)
        if not self.config.router_scales_input:
            outputs = outputs * weight
        return output.index_add(0, tokens, outputs).view(residual.shape)

    def _expert(self, expert: int, rows: Tensor) -> Tensor:
        """rows [N, D] through one expert."""
        biases = self.config.feed_forward_bias
        up = F.linear(rows, self.up[expert], self.up_bias[expert] if biases else None)
        if self.config.gated:
            gate_bias = self.gate_bias[expert] if biases else None
            gate = F.linear(rows, self.gate[expert], gate_bias)
            inner = activate(self.config, gate, up)
        else:
            inner = activate(self.config, up, None)
        return F.linear(inner, self.down[expert], self.down_bias[expert] if biases else None)
