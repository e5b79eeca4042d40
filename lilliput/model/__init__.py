"""ids → logits: configuration, blocks, the decoder, families, weight exchange."""

from lilliput.model.cache import Cache, KeyValueCache
from lilliput.model.config import ModelConfig
from lilliput.model.decoder import Decoder
from lilliput.model.families import FAMILIES, SIZES, Family, shape_of_depth, shape_of_size
from lilliput.model.folder import load_config, load_model, save_model
from lilliput.model.initialise import initialise
from lilliput.model.kernels import attention, linear_cross_entropy

__all__ = [
    "FAMILIES",
    "SIZES",
    "Cache",
    "Decoder",
    "Family",
    "KeyValueCache",
    "ModelConfig",
    "attention",
    "initialise",
    "linear_cross_entropy",
    "load_config",
    "load_model",
    "save_model",
    "shape_of_depth",
    "shape_of_size",
]
