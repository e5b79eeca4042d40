"""float32 master weights under a model that computes in another number format."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lilliput.model import Trunk


class MasterWeights:
    """The weights the optimiser moves, float32, and the model's copies of them.

    Those that want no gradient are frozen: kept as they are, and never touched.
    Computing in bfloat16 from weights stored in bfloat16 costs nothing at each layer (autocast
    casts every weight in every layer of every pass); the small updates survive in the masters.
    """

    def __init__(self, model: Trunk, dtype: torch.dtype) -> None:
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        masters = {
            name: parameter.detach().float().clone() for name, parameter in model.named_parameters()
        }
        self.weights = {name: master for name, master in masters.items() if name in trained}
        self.frozen = {name: master for name, master in masters.items() if name not in trained}
        self.model = model.to(dtype)
        self.copies = {
            name: copy for name, copy in self.model.named_parameters() if name in trained
        }
        self.gradients = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}

    @property
    def complete(self) -> dict[str, Tensor]:
        """All float32 weights of the model, the frozen ones among them."""
        return self.frozen | self.weights

    def publish(self) -> None:
        """Copy the masters into the model."""
        with torch.no_grad():
            torch._foreach_copy_(list(self.copies.values()), list(self.weights.values()))

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over saved masters and publish them."""
        for name, weight in self.weights.items():
            weight.copy_(weights[name])
        self.publish()

    def collect_gradients(self) -> None:
        """Add the model's gradients to the float32 sums and clear the model's."""
        for name, copy in self.copies.items():
            if copy.grad is not None:
                self.gradients[name].add_(copy.grad)
                copy.grad = None

    def clear_gradients(self) -> None:
        """Set the float32 sums to zero."""
        torch._foreach_zero_(list(self.gradients.values()))

    def scale_gradients(self, factor: float, largest_norm: float) -> float:
        """Multiply the sums by `factor`, clip their joint norm, return the norm before clipping."""
        sums = list(self.gradients.values())
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(sums)))) * factor
        if largest_norm > 0 and norm > largest_norm:
            factor *= largest_norm / norm
        torch._foreach_mul_(sums, factor)
        return norm
