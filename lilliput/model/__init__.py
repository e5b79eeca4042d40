"""ids → logits: configuration, blocks, the decoder, families, weight exchange."""

from lilliput.model.config import ModelConfig
from lilliput.model.decoder import Decoder
from lilliput.model.families import FAMILIES, Family, shape_of_depth
from lilliput.model.folder import load_config, load_model, save_model
from lilliput.model.initialise import initialise
from lilliput.model.kernels import attention, linear_cross_entropy
from lilliput.model.layers import Cache

__all__ = [
    "FAMILIES",
    "Cache",
    "Decoder",
    "Family",
    "ModelConfig",
    "attention",
    "initialise",
    "linear_cross_entropy",
    "load_config",
    "load_model",
    "save_model",
    "shape_of_depth",
]
