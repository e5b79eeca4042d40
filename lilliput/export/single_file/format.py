"""The single file: header, tokenizer and weights of one model, as `run_model.c` maps them.

docs/export.md describes every field; this module is the one place in Python that knows them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lilliput.export.source import (
    EMBEDDING,
    FINAL_NORM,
    HEAD,
    Matrix,
    Shape,
    Weights,
    layer_name,
)

Kind = Literal["f32", "int8"]
KIND_NUMBERS: dict[Kind, int] = {"f32": 0, "int8": 1}
PATTERN_NUMBERS = {"gpt2": 0, "gpt4": 1, "qwen2": 2}
MAGIC, VERSION = b"lilliput", 1
HEADER_BYTES, ALIGNMENT, MOST_ENDS = 256, 64, 8
# Groups of int8 weights that share a scale, the first that divides every width. run_model.c takes
# multiples of 32 up to 128, beyond which its 32-bit sums could overflow.
GROUPS = (128, 96, 64, 32)

_COUNTS = (
    "version",
    "kind",
    "vocabulary_size",
    "tokens",
    "context_length",
    "n_layers",
    "d_model",
    "n_heads",
    "n_kv_heads",
    "head_dim",
    "d_ff",
    "qk_norm",
    "tied",
    "group",
    "pattern",
    "beginning",
    "n_merges",
    "n_classes",
    "n_ends",
)
_PLACES = (
    "token_starts",
    "token_bytes",
    "byte_ids",
    "merges",
    "classes",
    "frequencies",
    "weights",
    "size",
)
HEADER = np.dtype(
    [
        ("magic", "S8"),
        *((name, "<i4") for name in _COUNTS),
        ("ends", "<i4", (MOST_ENDS,)),
        ("norm_eps", "<f4"),
        *((name, "<i8") for name in _PLACES),
        ("unused", "V72"),
    ]
)


@dataclass(frozen=True)
class Part:
    """One stored tensor: tensors of transformers, by rows; `columns` is 0 for a vector."""

    names: tuple[str, ...]
    rows: int
    columns: int = 0

    def of(self, weights: Weights) -> Matrix:
        """The tensor [rows, columns] or [rows]."""
        return np.concatenate([weights[name] for name in self.names])


@dataclass(frozen=True)
class Int8Matrix:
    """A matrix [R, C]: codes -127 to 127, int8 [R, P], times one scale a group of columns.

    `scales` is float32 [R, P / group]; P is C filled up with zeros to whole groups.
    """

    codes: npt.NDArray[np.int8]
    scales: Matrix

    def values(self, columns: int) -> Matrix:
        """The first `columns` columns of the matrix it stands for, float32."""
        grouped = self.codes.reshape(*self.scales.shape, -1).astype(np.float32)
        matrix: Matrix = (grouped * self.scales[..., None]).reshape(len(self.codes), -1)
        return matrix[:, :columns]


def parts(shape: Shape) -> Iterator[Part]:
    """The stored tensors in the order of the file."""
    query, key = shape.n_heads * shape.head_dim, shape.n_kv_heads * shape.head_dim
    yield Part((EMBEDDING,), shape.vocabulary_size, shape.d_model)
    for layer in range(shape.n_layers):

        def names(*ends: str, layer: int = layer) -> tuple[str, ...]:
            return tuple(layer_name(layer, end) for end in ends)

        yield Part(names("input_layernorm"), shape.d_model)
        yield Part(
            names("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            query + 2 * key,
            shape.d_model,
        )
        if shape.qk_norm:
            yield Part(names("self_attn.q_norm"), shape.head_dim)
            yield Part(names("self_attn.k_norm"), shape.head_dim)
        yield Part(names("self_attn.o_proj"), shape.d_model, query)
        yield Part(names("post_attention_layernorm"), shape.d_model)
        yield Part(names("mlp.gate_proj", "mlp.up_proj"), 2 * shape.d_ff, shape.d_model)
        yield Part(names("mlp.down_proj"), shape.d_model, shape.d_ff)
    yield Part((FINAL_NORM,), shape.d_model)
    if not shape.tied:
        yield Part((HEAD,), shape.vocabulary_size, shape.d_model)


def group_of(shape: Shape, kind: Kind) -> int:
    """How many columns share a scale; float32 rows are filled up to the same multiple of 32."""
    if kind == "f32":
        return GROUPS[-1]
    widths = (shape.d_model, shape.n_heads * shape.head_dim, shape.d_ff)
    return next((size for size in GROUPS if not any(w % size for w in widths)), GROUPS[-1])


def filled(matrix: Matrix, group: int) -> Matrix:
    """The matrix with zero columns up to whole groups."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % group)))


def round_to_int8(matrix: Matrix, group: int) -> Int8Matrix:
    """Each group by the scale that takes its largest weight to 127."""
    grouped = filled(matrix, group).reshape(len(matrix), -1, group)
    scales = np.abs(grouped).max(axis=-1) / np.float32(127)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)
    codes = np.rint(grouped * inverse[..., None]).astype(np.int8)
    return Int8Matrix(codes.reshape(len(matrix), -1), scales)


def aligned(size: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-size // ALIGNMENT) * ALIGNMENT
