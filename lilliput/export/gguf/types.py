"""Which type each tensor is stored as, and how far that may move it."""

from typing import Literal, get_args

import numpy as np

from lilliput.errors import UserError
from lilliput.export.gguf.file import FloatArray, gguf_package

Kind = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "tq1_0", "tq2_0"]

_ALWAYS_FLOAT32 = ("position_embd.weight", "ffn_gate_inp.weight", ".bias")
_TABLES = ("token_embd.weight", "output.weight")
# What a row too short for a type's blocks is stored as instead.
_WIDER = {"TQ1_0": "Q8_0", "TQ2_0": "Q8_0", "Q4_0": "F16", "Q8_0": "F16"}
_LARGEST_FLOAT16 = 65_504.0
# Largest error of a value, as a share of the largest magnitude in its block, and an absolute part
# for scales below float16's normal range: half a step of the type and the rounding of its scale.
_SHARE = {
    "F32": 0.0,
    "F16": 2**-11,
    "BF16": 2**-8,
    "Q8_0": 1 / 254 + 2**-11,
    "Q4_0": 1 / 8 + 2**-10,
    "TQ1_0": 1 / 2 + 2**-10,
    "TQ2_0": 1 / 2 + 2**-10,
}
_ABSOLUTE = {"F32": 0.0, "F16": 2**-25, "BF16": 0.0}
_ABSOLUTE_OF_BLOCKS = 128 * 2**-25


def check_kind(kind: str) -> None:
    """Raise UserError for a kind that there is none of."""
    if kind not in get_args(Kind):
        raise UserError(f"{kind!r} is no kind of GGUF: choose {', '.join(get_args(Kind))}")


def wanted_type(name: str, shape: tuple[int, ...], kind: Kind) -> str:
    """The type policy asks for, before rows are looked at.

    Vectors, learned positions and a router stay float32: they are small and rounding them costs
    much. Embedding and head stay at 8 bits where the rest has fewer.
    """
    if len(shape) == 1 or name.endswith(_ALWAYS_FLOAT32):
        return "F32"
    if name in _TABLES and kind in ("q4_0", "tq1_0", "tq2_0"):
        return "Q8_0"
    return kind.upper()


def stored_type(name: str, values: FloatArray, kind: Kind) -> str:
    """The type a tensor is stored as: the wanted one, or a wider one that its rows fit.

    Raises UserError if a value is not finite.
    """
    largest = float(np.abs(values).max())
    if not np.isfinite(largest):
        raise UserError(f"tensor {name} holds a value that is not finite: the model is broken")
    package = gguf_package()
    found = wanted_type(name, values.shape, kind)
    while values.shape[-1] % package.GGML_QUANT_SIZES[package.GGMLQuantizationType[found]][0]:
        found = _WIDER[found]
    return "F32" if found == "F16" and largest > _LARGEST_FLOAT16 else found


def error_share(type_name: str, source: FloatArray, stored: FloatArray) -> float:
    """The largest error of a stored tensor, as a share of what its type allows (1: all of it)."""
    if type_name == "F32":
        return 0.0 if np.array_equal(source, stored) else float("inf")
    package = gguf_package()
    block = package.GGML_QUANT_SIZES[package.GGMLQuantizationType[type_name]][0]
    error = np.abs(stored - source).reshape(-1, block)
    scale = np.abs(source).reshape(-1, block).max(axis=1, keepdims=True)
    allowed = scale * _SHARE[type_name] + _ABSOLUTE.get(type_name, _ABSOLUTE_OF_BLOCKS)
    ratio = np.divide(error, allowed, out=np.zeros_like(error), where=error > 0)
    return float(np.nan_to_num(ratio, nan=np.inf).max())
