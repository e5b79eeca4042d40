"""Learning rate as a share of its peak, by how far the run is."""

import math
from dataclasses import dataclass, field
from typing import Literal

from lilliput.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Warm-up by steps, then a shape over the run's progress, which goes from 0 to 1."""

    shape: Literal["wsd", "cosine"] = field(
        default="wsd",
        metadata={"help": "wsd: warm-up, stable, linear decay (arXiv 2404.06395); or cosine"},
    )
    warmup_steps: int = field(default=20, metadata={"help": "steps of linear warm-up"})
    decay_share: float = field(
        default=0.6, metadata={"help": "last share of the run in which wsd decays"}
    )
    final_share: float = field(
        default=0.02, metadata={"help": "learning rate at the end, as a share of the peak"}
    )

    def __post_init__(self) -> None:
        if self.shape not in ("wsd", "cosine"):
            raise UserError(f"schedule.shape is {self.shape!r}: choose 'wsd' or 'cosine'")
        for name in ("decay_share", "final_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"schedule.{name} is {getattr(self, name)}: it must be in 0 to 1")

    def share(self, step: int, progress: float) -> float:
        """The factor on every peak learning rate at this step (from 0) and progress (0 to 1)."""
        warmup = min(1.0, (step + 1) / (self.warmup_steps + 1))
        return warmup * (self.final_share + (1 - self.final_share) * self._shape(progress))

    def _shape(self, progress: float) -> float:
        if self.shape == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        if self.decay_share == 0:
            return 1.0
        return min(1.0, max(0.0, (1 - progress) / self.decay_share))
