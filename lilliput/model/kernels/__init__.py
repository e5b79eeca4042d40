"""Operations whose general form wastes time or memory on a CPU, with their gradients by hand."""

from lilliput.model.kernels.attention import attention, attention_weights, explicit_attention
from lilliput.model.kernels.elementwise import rms_norm, rotate
from lilliput.model.kernels.loss import linear_cross_entropy
from lilliput.model.kernels.visible import Reach, Visible, visible_to

__all__ = [
    "Reach",
    "Visible",
    "attention",
    "attention_weights",
    "explicit_attention",
    "linear_cross_entropy",
    "rms_norm",
    "rotate",
    "visible_to",
]
