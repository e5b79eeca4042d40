"""What a family is, and how a size becomes a configuration that keeps the family's ratios."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lilliput.model.config import ModelConfig

MULTI_QUERY = 0
"""`queries_per_key` of families whose query heads all share one key head."""


def _nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One architecture of the literature.

    `switches` are the ModelConfig fields that define it. The ratios are those of the published
    model: `feed_forward` is d_ff / d_model, `expert` the width of an expert / d_ff, `heads_width`
    the width of all query heads / d_model, `window` the share of the context a local layer sees.
    `derived` computes what depends on the size otherwise. `model_type` is the class of transformers
    that computes the same, if there is one.
    """

    name: str
    year: int
    paper: str
    distinctive: str
    model_type: str | None
    switches: Mapping[str, Any]
    feed_forward: float = 8 / 3
    queries_per_key: int = 1
    heads_width: float = 1.0
    fewest_heads: int = 4
    window: float = 0.25
    expert: float = 1.0
    derived: Callable[[Mapping[str, Any]], dict[str, Any]] = field(default=_nothing)

    def shape(self, *, n_layers: int, d_model: int, **chosen: Any) -> ModelConfig:
        """A configuration of this family; `chosen` fields win over what the ratios give."""
        values: dict[str, Any] = {
            "family": self.name, "context_length": 512, **self.switches,
            "n_layers": n_layers, "d_model": d_model, **chosen,
        }  # fmt: skip
        head_dim = values.setdefault("head_dim", self._head_dim(values))
        heads = max(1, round(d_model * self.heads_width / head_dim))
        values.setdefault("n_heads", heads)
        values.setdefault("n_kv_heads", self._kv_heads(values["n_heads"]))
        values.setdefault("d_ff", _multiple(d_model * self.feed_forward, 16))
        if set(values.get("layer_pattern", "G")) & set("LC"):
            values.setdefault("window", max(1, int(values["context_length"] * self.window)))
        if values.get("n_experts") and self.expert != 1:
            values.setdefault("d_ff_expert", _multiple(values["d_ff"] * self.expert, 16))
        return ModelConfig.from_dict({**values, **self.derived(values), **chosen})

    def _head_dim(self, values: Mapping[str, Any]) -> int:
        """64, or less where there would be too few heads."""
        width = int(values["d_model"])
        if "n_heads" in values:
            return max(1, int(width * self.heads_width) // int(values["n_heads"]))
        for head_dim in (64, 32, 16):
            whole = width * self.heads_width % head_dim == 0
            if whole and width // head_dim >= self.fewest_heads:
                return head_dim
        return 16 if width % 16 == 0 else width

    def _kv_heads(self, heads: int) -> int:
        if self.queries_per_key == MULTI_QUERY:
            return 1
        wanted = max(1, heads // self.queries_per_key)
        return next(count for count in range(wanted, 0, -1) if heads % count == 0)


def _multiple(width: float, of: int) -> int:
    return max(of, round(width / of) * of)
