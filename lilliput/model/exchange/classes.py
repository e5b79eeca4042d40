"""What a transformers class is to us: its configuration's fields and its tensors' names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lilliput.model.config import ModelConfig
from lilliput.model.exchange.rules import Rule
from lilliput.model.exchange.values import layer_kinds

_TRAINING_ONLY = {
    "family", "router_balance_loss", "router_z_loss", "n_future_tokens", "future_loss",
}  # fmt: skip


def _nothing(_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class ForeignClass:
    """One class of transformers.

    `fields` maps our fields to theirs where only the name differs; `fixed` are those of ours that
    the class has no choice in; `to_values` and `from_values` do the rest, in both directions.
    `rules` lists the tensors of a configuration; a rule whose tensors a model lacks is left out.
    """

    model_type: str
    architecture: str
    family: str
    rules: Callable[[ModelConfig], Iterable[Rule]]
    fields: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    to_values: Callable[[ModelConfig], dict[str, Any]] = _nothing
    from_values: Callable[[Mapping[str, Any]], dict[str, Any]] = _nothing

    def values_of(self, config: ModelConfig) -> dict[str, Any]:
        """Their fields for our configuration, as far as they can say it."""
        plain = {foreign: getattr(config, own) for own, foreign in self.fields.items()}
        return plain | self.to_values(config)

    def config_of(self, values: Mapping[str, Any]) -> ModelConfig:
        """Our configuration of their fields. Raises KeyError for a missing one, UserError for
        what we cannot compute.
        """
        plain = {
            own: values[foreign]
            for own, foreign in self.fields.items()
            if values.get(foreign) is not None or own in _NEEDED
        }
        return ModelConfig(
            **{"family": self.family, **self.fixed, **plain, **self.from_values(values)}
        )

    def difference(self, config: ModelConfig) -> str | None:
        """The first field whose value this class cannot hold, in words; None if it holds all."""
        ours = meaning_of(config)
        theirs = meaning_of(self.config_of(self.values_of(config)))
        for name, value in ours.items():
            if theirs[name] != value:
                return (
                    f"model.{name} is {value!r}, but {self.architecture} computes with "
                    f"{theirs[name]!r}"
                )
        return None


_NEEDED = {"vocabulary_size", "n_layers", "d_model", "n_heads"}


def meaning_of(config: ModelConfig) -> dict[str, Any]:
    """The fields that decide what a trained model computes, in one form for equal meanings."""
    values = {
        item.name: getattr(config, item.name)
        for item in fields(config)
        if item.name not in _TRAINING_ONLY
    }
    kinds = layer_kinds(config)
    values["layer_pattern"] = kinds
    values["window"] = config.window if set(kinds) & set("LC") else 0
    values["attention_scale"] = config.attention_scale or (
        (config.head_dim + config.latent_rope_dim) ** -0.5
    )
    if not config.n_experts:
        values = {
            name: value
            for name, value in values.items()
            if not name.startswith(("router_", "experts_", "first_dense", "d_ff_expert"))
        }
    elif not config.d_ff_expert:
        values["d_ff_expert"] = config.d_ff
    if not config.attention_temperature:
        del values["attention_temperature_from"]
    if config.positions != "rotary":
        values = {name: value for name, value in values.items() if not name.startswith("rope_")}
    return values
