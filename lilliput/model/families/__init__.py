"""Families as a table: each is a row of values, and a dial that gives a size its shape."""

from typing import Any

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
from lilliput.model.families import gpt, llama, mixtures
from lilliput.model.families.family import Family

__all__ = ["FAMILIES", "SIZES", "Family", "family_named", "shape_of_depth", "shape_of_size"]

FAMILIES = {
    family.name: family
    for family in sorted(
        (*gpt.FAMILIES, *llama.FAMILIES, *mixtures.FAMILIES), key=lambda one: (one.year, one.name)
    )
}
SIZES = {
    "xs": (4, 64),
    "s": (6, 128),
    "m": (8, 256),
    "l": (8, 512),
    "xl": (12, 768),
}
"""Layers and width of the named sizes."""
WIDTH_PER_LAYER = 64
"""Aspect ratio of the dial: nanochat's sweeps (its log, January 2026) prefer 64 to 128."""


def family_named(name: str) -> Family:
    """The row of this name. Raises UserError if there is none."""
    if name not in FAMILIES:
        raise UserError(f"model.family {name!r} is unknown: choose {', '.join(FAMILIES)}")
    return FAMILIES[name]


def shape_of_depth(
    depth: int, *, vocabulary_size: int, family: str = "lilliput", **overrides: Any
) -> ModelConfig:
    """The one dial: a depth in layers gives width, heads and feed-forward; any can be overridden.

    Width is 64 a layer. Heads are 64 wide: on the lengths tiny models train at, half as many heads
    cost half the softmax. Raises UserError for an unknown family or a field that does not exist.
    """
    row = family_named(family)
    if depth < 1:
        raise UserError(f"model.depth is {depth}: it must be at least 1")
    chosen = {"d_model": depth * WIDTH_PER_LAYER, "n_layers": depth, **overrides}
    return row.shape(vocabulary_size=vocabulary_size, **chosen)


def shape_of_size(
    size: str, *, vocabulary_size: int, family: str = "lilliput", **overrides: Any
) -> ModelConfig:
    """A family at a named size: xs, s, m, l or xl. Raises UserError for another name."""
    row = family_named(family)
    if size not in SIZES:
        raise UserError(f"size {size!r} is unknown: choose {', '.join(SIZES)}")
    layers, width = SIZES[size]
    chosen = {"n_layers": layers, "d_model": width, **overrides}
    return row.shape(vocabulary_size=vocabulary_size, **chosen)
