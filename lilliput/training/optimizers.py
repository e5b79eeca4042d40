"""Muon for the matrices inside blocks, AdamW for everything else; or AdamW for all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lilliput.errors import UserError

# Steps 2 to 5 of Polar Express (arXiv 2505.16932, table 1). Its first step is for matrices scaled
# by their Frobenius norm, which is far above the spectral norm; `orthogonalise` has a closer bound.
_POLAR_EXPRESS = (
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
_OF_BLOCKS = ("blocks.", "future.", "retrieval.", "encoder.")
_STATE_SPACE = (".decay_log", ".convolution.weight", ".step.weight", ".selection.weight")
SELECTION_BIAS = ".selection_bias"
"""End of the names of biases that balance experts: their gradient is the load above the mean, and
the optimiser steps against its sign (arXiv 2408.15664)."""
MATRIX_LEARNING_RATE = 0.03
"""Of Muon, for new weights; of any width, as its update has a fixed spectral norm."""
_LARGEST_SINGULAR_VALUE = 1.95
"""What step 2 expects at most (1.99), with room for rounding."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Peak learning rates and the optimisers' constants."""

    name: Literal["muon", "adamw"] = field(
        default="muon", metadata={"help": "muon (matrices; AdamW the rest) or adamw for all"}
    )
    matrix_learning_rate: float | None = field(
        default=None,
        metadata={"help": "peak learning rate of Muon: 0.03; less for a model begun from another"},
    )
    learning_rate: float | None = field(
        default=None,
        metadata={
            "help": "peak learning rate of AdamW; by the model's width, and less for a model begun "
            "from another"
        },
    )
    embedding_learning_rate: float | None = field(
        default=None, metadata={"help": "AdamW's for the embedding; by the model's width"}
    )
    momentum: float = field(default=0.95, metadata={"help": "momentum of Muon, after its warm-up"})
    momentum_warmup_steps: int = field(
        default=300, metadata={"help": "steps over which momentum rises from 0.85"}
    )
    beta1: float = field(default=0.8, metadata={"help": "AdamW's decay of the first moment"})
    beta2: float = field(default=0.95, metadata={"help": "AdamW's decay of the second moment"})
    weight_decay: float = field(
        default=0.1, metadata={"help": "decoupled weight decay of matrices (norms: none)"}
    )
    selection_bias_rate: float = field(
        default=0.001, metadata={"help": "step of the bias that balances experts (DeepSeek-V3)"}
    )
    gradient_clip: float = field(
        default=1.0, metadata={"help": "largest norm of the whole gradient; 0 leaves it"}
    )

    @property
    def matrix_peak(self) -> float:
        """Peak learning rate of Muon, where it is left open that of new weights."""
        return self.matrix_learning_rate or MATRIX_LEARNING_RATE

    def __post_init__(self) -> None:
        if self.name not in ("muon", "adamw"):
            raise UserError(f"optimizer.name is {self.name!r}: choose 'muon' or 'adamw'")
        for name in ("matrix_learning_rate", "learning_rate", "embedding_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise UserError(f"optimizer.{name} is {rate}: it must be above 0")


class Optimizer:
    """Updates named float32 weights in place; its whole state is named tensors.

    Muon: arXiv 2502.16982 and its reference by K. Jordan, with the orthogonalisation of Polar
    Express and the per-neuron second moment of NorMuon (arXiv 2510.05491). Matrices of one shape
    are updated as one batch, so that a step is a few large operations.
    """

    def __init__(self, weights: Mapping[str, Tensor], settings: OptimizerSettings) -> None:
        self.settings = settings
        self.weights = weights
        self.steps = 0
        by_shape: dict[tuple[int, ...], list[str]] = {}
        if settings.name == "muon":
            for name, weight in weights.items():
                if _is_muons(name, weight):
                    by_shape.setdefault(tuple(weight.shape), []).append(name)
        self.stacks = list(by_shape.values())
        self.momenta = [
            torch.zeros_like(torch.cat([_matrices(weights[name]) for name in names]))
            for names in self.stacks
        ]
        self.row_moments = [momentum.new_zeros(momentum.shape[:2]) for momentum in self.momenta]
        muon_names = {name for names in self.stacks for name in names}
        self.balancing = [name for name in weights if name.endswith(SELECTION_BIAS)]
        others = muon_names.union(self.balancing)
        self.rest = [name for name in weights if name not in others]
        self.adamw = torch.optim.AdamW(
            [
                {
                    "params": [weights[name]],
                    "weight_decay": settings.weight_decay if _decays(name, weights[name]) else 0.0,
                    "peak": self._peak(name),
                }
                for name in self.rest
            ],
            betas=(settings.beta1, settings.beta2),
            eps=1e-10,
            fused=True,
        )

    def _peak(self, name: str) -> float:
        settings = self.settings
        embedding = name == "embedding.weight"
        rate = settings.embedding_learning_rate if embedding else settings.learning_rate
        if rate is None:
            raise ValueError("the learning rates of AdamW are open: see planner.optimizer_for")
        return rate

    def step(self, gradients: Mapping[str, Tensor], share: float) -> None:
        """One update with every peak learning rate times `share`; gradients are float32."""
        for name in self.rest:
            self.weights[name].grad = gradients[name]
        for group in self.adamw.param_groups:
            group["lr"] = group["peak"] * share
        self.adamw.step()
        rate = self.settings.matrix_peak * share
        for index, names in enumerate(self.stacks):
            matrices = torch.cat([_matrices(gradients[name]) for name in names])
            update = self._muon_update(index, matrices)
            decay = 1 - rate * self.settings.weight_decay
            for name, change in zip(names, update.chunk(len(names)), strict=True):
                weight = self.weights[name]
                weight.mul_(decay).sub_(change.view(weight.shape), alpha=rate)
        for name in self.balancing:
            signs = gradients[name].sign()
            self.weights[name].sub_(signs, alpha=self.settings.selection_bias_rate * share)
        self.steps += 1

    def _muon_update(self, index: int, gradient: Tensor) -> Tensor:
        ramp = min(1.0, self.steps / max(1, self.settings.momentum_warmup_steps))
        momentum = 0.85 + (self.settings.momentum - 0.85) * ramp
        buffer = self.momenta[index].lerp_(gradient, 1 - momentum)
        update = orthogonalise(gradient.lerp_(buffer, momentum))
        rows, columns = gradient.shape[-2:]
        squares = torch.linalg.vector_norm(update, dim=-1, dtype=torch.float32).square_()
        moments = self.row_moments[index].lerp_(squares / columns, 0.05)
        corrected = moments / (1 - 0.95 ** (self.steps + 1))
        scale = 1 / (corrected.sqrt() + 1e-8)
        # The norm of the whole matrix stays. One behind a zero matrix has no gradient at first:
        # its update must be 0, not 0/0.
        before, after = squares.sum(-1, True), (squares * scale.square()).sum(-1, True)
        scale *= (before / (after + 1e-24)).sqrt() * max(1.0, rows / columns) ** 0.5
        return update.mul_(scale.unsqueeze(-1).to(update.dtype))

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, by name."""
        tensors = {"steps": torch.tensor(self.steps)}
        for index, names in enumerate(self.stacks):
            for kind, stack in (("momentum", self.momenta), ("row_moment", self.row_moments)):
                for name, part in zip(names, stack[index].chunk(len(names)), strict=True):
                    tensors[f"{kind}/{name}"] = part.clone()
        for name in self.rest:
            for key, value in self.adamw.state[self.weights[name]].items():
                tensors[f"{key}/{name}"] = value
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state written by `state`."""
        self.steps = int(tensors["steps"])
        for index, names in enumerate(self.stacks):
            for kind, stack in (("momentum", self.momenta), ("row_moment", self.row_moments)):
                for name, part in zip(names, stack[index].chunk(len(names)), strict=True):
                    part.copy_(tensors[f"{kind}/{name}"])
        for name in self.rest:
            weight = self.weights[name]
            self.adamw.state[weight] = {
                key: tensors[f"{key}/{name}"].to(weight.device, copy=True)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}/{name}" in tensors
            }


def _is_muons(name: str, weight: Tensor) -> bool:
    """Whether Muon moves a weight: the matrices of blocks, but of a state space's only those into
    and out of it (benchmarks/RESULTS.md).
    """
    in_block = name.startswith(_OF_BLOCKS) and "depth_router" not in name
    return in_block and _is_matrix(name, weight) and not name.endswith(_STATE_SPACE)


def _is_matrix(name: str, weight: Tensor) -> bool:
    """Whether it multiplies vectors: gains of heads and biases of experts are tables, not that."""
    return weight.ndim >= 2 and "norm" not in name and not name.endswith("bias")


def _decays(name: str, weight: Tensor) -> bool:
    return _is_matrix(name, weight) and not name.endswith(_STATE_SPACE[:2])


def _matrices(tensor: Tensor) -> Tensor:
    """One matrix, or those of all experts, as [n, rows, columns]."""
    return tensor.view(-1, *tensor.shape[-2:])


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices, approximately: singular values near 1.

    [n, rows, columns] float32 in, bfloat16 out. The matrices are first scaled by
    the square root of the Frobenius norm of their Gram matrix, an upper bound of the spectral norm
    that four of Polar Express's five steps do with.
    """
    transposed = matrices.shape[-2] > matrices.shape[-1]
    matrices = matrices.mT if transposed else matrices
    current: Tensor = (matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-12)).bfloat16()
    gram = current @ current.mT
    bound = gram.norm(dim=(-2, -1), keepdim=True, dtype=torch.float32) + 1e-12
    gram *= (_LARGEST_SINGULAR_VALUE**2 / bound).to(gram.dtype)
    current *= (_LARGEST_SINGULAR_VALUE / bound.sqrt()).to(current.dtype)
    for step, (linear, cubic, quintic) in enumerate(_POLAR_EXPRESS):
        gram = gram if step == 0 else current @ current.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
        current = torch.baddbmm(current, polynomial, current, beta=linear)
    return current.mT if transposed else current
