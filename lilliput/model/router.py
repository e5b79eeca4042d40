"""Which experts a token goes through, and how the load is kept balanced."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.config import ModelConfig

_SIGN_ONLY = 1e-6


class Router(nn.Module):
    """Scores every expert for every token and picks the best few.

    Balance is kept by a loss on the weights (arXiv 2101.03961), or by `selection_bias`, which joins
    the choice but not the weights and moves against the load (arXiv 2408.15664), or by both.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_experts, config.d_model))
        self.bias = nn.Parameter(torch.zeros(config.n_experts)) if config.router_bias else None
        if config.router_selection_bias:
            self.selection_bias = nn.Parameter(torch.zeros(config.n_experts))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """rows [N, D] → experts [N, k] int64 and their weights [N, k] float32."""
        config = self.config
        logits = F.linear(rows.float(), self.weight.float(), _float(self.bias))
        sigmoid = config.router == "sigmoid"
        scores = logits.sigmoid() if sigmoid else logits.softmax(-1)
        ranked = scores.detach()
        if config.router_selection_bias:
            ranked = ranked + self.selection_bias.detach().float()
        if config.router_groups > 1:
            ranked = self._within_best_groups(ranked)
        chosen = ranked.topk(config.experts_per_token, dim=-1).indices
        weights = scores.gather(1, chosen)
        if config.router_normalise:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        weights = weights * config.router_scale
        if torch.is_grad_enabled():
            weights = with_loss(weights, self._losses(logits, scores, chosen))
        return chosen, weights

    def _within_best_groups(self, ranked: Tensor) -> Tensor:
        """Scores [N, X] outside a token's best groups at minus infinity; arXiv 2405.04434."""
        groups = ranked.view(len(ranked), self.config.router_groups, -1)
        if self.config.router_group_score == "max":
            group_scores = groups.amax(-1)
        else:
            group_scores = groups.topk(2, dim=-1).values.sum(-1)
        best = group_scores.topk(self.config.router_top_groups, dim=-1).indices
        outside = torch.ones_like(group_scores, dtype=torch.bool).scatter(1, best, False)
        return groups.masked_fill(outside[:, :, None], -torch.inf).flatten(1)

    def _losses(self, logits: Tensor, scores: Tensor, chosen: Tensor) -> Tensor | None:
        """What is added to the sum of the tokens' losses, in nats times tokens."""
        config, losses = self.config, []
        load = torch.bincount(chosen.flatten(), minlength=config.n_experts) / chosen.numel()
        if config.router_balance_loss:
            shares = scores / scores.sum(-1, keepdim=True)
            balance = config.n_experts * (load * shares.mean(0)).sum()
            losses.append(config.router_balance_loss * len(logits) * balance)
        if config.router_z_loss:
            losses.append(config.router_z_loss * torch.logsumexp(logits, dim=-1).square().sum())
        if config.router_selection_bias:
            # Not a loss: its gradient is the load above the mean, whose sign the optimiser follows,
            # too small to count in the gradient's norm.
            excess = (load - load.mean()) * len(logits)
            losses.append(_SIGN_ONLY * (self.selection_bias.float() * excess).sum())
        return torch.stack(losses).sum() if losses else None


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()


def with_loss(carrier: Tensor, loss: Tensor | None) -> Tensor:
    """`carrier`, whose backward pass also starts `loss`'s: no layer above need know of it."""
    return carrier if loss is None else _Carrier.apply(carrier, loss)  # type: ignore[no-untyped-call]


class _Carrier(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, carrier: Tensor, loss: Tensor) -> Tensor:
        ctx.kind = loss.dtype
        return carrier.view_as(carrier)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        return gradients[0], torch.ones((), dtype=ctx.kind, device=gradients[0].device)
