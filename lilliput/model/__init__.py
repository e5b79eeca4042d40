"""ids → logits: configuration, blocks, the decoder, families, weight exchange."""

from lilliput.model.cache import Cache, KeyValueCache
from lilliput.model.config import LAYER_KINDS, ModelConfig, field_types
from lilliput.model.decoder import Decoder
from lilliput.model.families import FAMILIES, SIZES, Family, shape_of_depth, shape_of_size
from lilliput.model.folder import becomes, export_class, load_config, load_model, save_model
from lilliput.model.kernels import attention, linear_cross_entropy
from lilliput.model.trunks import (
    TRUNK_FAMILIES,
    Trunk,
    TrunkConfig,
    build,
    cached_numbers,
    initialise,
    shape_of,
)

__all__ = [
    "FAMILIES",
    "LAYER_KINDS",
    "SIZES",
    "TRUNK_FAMILIES",
    "Cache",
    "Decoder",
    "Family",
    "KeyValueCache",
    "ModelConfig",
    "Trunk",
    "TrunkConfig",
    "attention",
    "becomes",
    "build",
    "cached_numbers",
    "export_class",
    "field_types",
    "initialise",
    "linear_cross_entropy",
    "load_config",
    "load_model",
    "save_model",
    "shape_of",
    "shape_of_depth",
    "shape_of_size",
]
