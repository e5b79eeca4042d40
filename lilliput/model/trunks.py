"""The trunks: what a configuration is built into, whichever kind of model it is.

All stand behind the interface of `Decoder`: `config`, `head_weight`, `hidden`, `logits_of`, `loss`,
`make_cache`, and calling one gives logits.
"""

from typing import Any

from lilliput.errors import UserError
from lilliput.model.cache import columns_of
from lilliput.model.config import ModelConfig
from lilliput.model.decoder import Decoder
from lilliput.model.families import FAMILIES, SIZES, WIDTH_PER_LAYER, shape_of_depth
from lilliput.model.initialise import initialise_decoder
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.trunk import Mamba, initialise_mamba
from lilliput.model.retro.config import RETRIEVAL_FIELDS, RetroConfig
from lilliput.model.retro.trunk import Retro, initialise_retro
from lilliput.model.t5.config import T5_SWITCHES, T5Config, t5_of_depth
from lilliput.model.t5.trunk import T5, initialise_t5

Trunk = Decoder | Mamba | T5  # Retro is a Decoder
TrunkConfig = ModelConfig | MambaConfig | T5Config
TRUNK_FAMILIES = ("mamba", "retro", *T5_SWITCHES)
"""Families that are no rows of the table, since they are no decoders."""


def build(config: TrunkConfig) -> Trunk:
    """A model of this configuration, its weights as PyTorch makes them."""
    if isinstance(config, MambaConfig):
        return Mamba(config)
    if isinstance(config, RetroConfig):
        return Retro(config)
    return T5(config) if isinstance(config, T5Config) else Decoder(config)


def cached_numbers(config: TrunkConfig, tokens: int) -> int:
    """Numbers that a cache holds for a text of so many tokens."""
    if isinstance(config, MambaConfig):
        return config.cached_per_row
    if isinstance(config, T5Config) or not any(config.windows):
        return config.cached_per_token * tokens
    shares = [
        min(tokens, columns_of(window)) / tokens if window else 1.0
        for window in config.windows[: config.n_layers - config.shared_kv_layers]
    ]
    return int(config.cached_per_token * tokens * sum(shares) / len(shares))


def initialise(model: Trunk, seed: int) -> None:
    """Fill `model` in place, the same on every machine for the same seed."""
    if isinstance(model, Mamba):
        initialise_mamba(model, seed)
    elif isinstance(model, T5):
        initialise_t5(model, seed)
    elif isinstance(model, Retro):
        initialise_retro(model, seed)
    else:
        initialise_decoder(model, seed)


def shape_of(
    family: str,
    *,
    vocabulary_size: int,
    end_of_text: int,
    depth: int | None = None,
    size: str | None = None,
    **overrides: Any,
) -> TrunkConfig:
    """The configuration of a family at a depth (the one dial) or a named size.

    `vocabulary_size` and `end_of_text` are the tokenizer's; T5 adds its sentinels and begins its
    answers with the end of text. Raises UserError for an unknown family, size or field.
    """
    if family not in FAMILIES and family not in TRUNK_FAMILIES:
        known = ", ".join((*FAMILIES, *TRUNK_FAMILIES))
        raise UserError(f"model.family {family!r} is unknown: choose {known}")
    if size is not None:
        if size not in SIZES:
            raise UserError(f"model.size {size!r} is unknown: choose {', '.join(SIZES)}")
        depth, width = SIZES[size]
        overrides = {"d_model": width, **overrides}
    if depth is None or depth < 1:
        raise UserError(f"model.depth is {depth}: it must be at least 1")
    if family == "mamba":
        chosen = {"d_model": depth * WIDTH_PER_LAYER, "n_layers": depth, **overrides}
        return MambaConfig.from_dict({**chosen, "vocabulary_size": vocabulary_size})
    if family == "retro":
        own = {name: overrides.pop(name) for name in RETRIEVAL_FIELDS if name in overrides}
        base_family = own.pop("base_family", "lilliput")
        base = shape_of_depth(
            depth, vocabulary_size=vocabulary_size, family=base_family, **overrides
        )
        return RetroConfig.over(base, **own)
    if family in T5_SWITCHES:
        return t5_of_depth(
            depth,
            tokenizer_vocabulary_size=vocabulary_size,
            start_token=end_of_text,
            family=family,
            **overrides,
        )
    return shape_of_depth(depth, vocabulary_size=vocabulary_size, family=family, **overrides)
