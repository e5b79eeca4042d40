"""Operations whose general form wastes time or memory on a CPU, with their gradients by hand."""

from lilliput.model.kernels.attention import (
    Reach,
    Visible,
    attention,
    explicit_attention,
    visible_to,
)
from lilliput.model.kernels.elementwise import rms_norm, rotate
from lilliput.model.kernels.loss import linear_cross_entropy

__all__ = [
    "Reach",
    "Visible",
    "attention",
    "explicit_attention",
    "linear_cross_entropy",
    "rms_norm",
    "rotate",
    "visible_to",
]
