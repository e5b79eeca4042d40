"""How a tensor of transformers lies in a GGUF file, and back: reorderings, exact in any type.

Arrays have their slowest dimension first: a matrix is [outputs, inputs]. Sources of the layouts:
the loaders and graphs of llama.cpp (`src/models/*.cpp`) and the modelling files of transformers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lilliput.export.gguf.file import FloatArray


@dataclass(frozen=True)
class Sizes:
    """The numbers that layouts depend on."""

    layers: int
    heads: int
    kv_heads: int
    experts: int = 0


@dataclass(frozen=True)
class Layout:
    """Both directions: arrays of transformers → one array of the file, and its inverse."""

    to_file: Callable[[Sequence[FloatArray], Sizes], FloatArray]
    to_folder: Callable[[FloatArray, Sizes], list[FloatArray]]


def _interleaved(array: FloatArray, heads: int) -> FloatArray:
    """[heads * width, …]: rows i and i + width/2 of every head become neighbours."""
    halves = array.reshape(heads, 2, -1, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _half_split(array: FloatArray, heads: int) -> FloatArray:
    """The inverse of `_interleaved`."""
    pairs = array.reshape(heads, -1, 2, *array.shape[1:])
    return pairs.swapaxes(1, 2).reshape(array.shape)


def _grouped_to_stacked(array: FloatArray, sizes: Sizes) -> FloatArray:
    """Fused projections, per key/value head its queries, key and value → all queries, keys, values.

    [kv_heads * (heads/kv_heads + 2) * width, …], rows reordered.
    """
    group = sizes.heads // sizes.kv_heads
    parts = array.reshape(sizes.kv_heads, group + 2, -1, *array.shape[1:])
    pieces = (parts[:, :group], parts[:, group], parts[:, group + 1])
    return np.concatenate([piece.reshape(-1, *array.shape[1:]) for piece in pieces])


def _stacked_to_grouped(array: FloatArray, sizes: Sizes) -> FloatArray:
    """The inverse of `_grouped_to_stacked`."""
    group, kv_heads = sizes.heads // sizes.kv_heads, sizes.kv_heads
    parts = array.reshape(kv_heads * (group + 2), -1, *array.shape[1:])
    tail = parts.shape[1:]
    queries = parts[: sizes.heads].reshape(kv_heads, group, *tail)
    keys = parts[sizes.heads : sizes.heads + kv_heads][:, None]
    values = parts[sizes.heads + kv_heads :][:, None]
    return np.concatenate((queries, keys, values), axis=1).reshape(array.shape)


SAME = Layout(lambda arrays, _: arrays[0], lambda array, _: [array])
QUERY = Layout(
    lambda arrays, sizes: _interleaved(arrays[0], sizes.heads),
    lambda array, sizes: [_half_split(array, sizes.heads)],
)
"""Rotary pairs as neighbouring rows, which llama.cpp's classes of the Llama kind want."""
KEY = Layout(
    lambda arrays, sizes: _interleaved(arrays[0], sizes.kv_heads),
    lambda array, sizes: [_half_split(array, sizes.kv_heads)],
)
TRANSPOSED = Layout(lambda arrays, _: arrays[0].T, lambda array, _: [array.T])
"""GPT-2's matrices are [inputs, outputs] in transformers (its Conv1D); a bias stays itself."""
EXPERTS = Layout(lambda arrays, _: np.stack(arrays), lambda array, _: list(array))
ONE_ADDED = Layout(
    lambda arrays, _: arrays[0] + np.float32(1), lambda array, _: [array - np.float32(1)]
)
"""Gemma's norms scale by 1 + weight; the file holds the sum."""
FUSED = Layout(
    lambda arrays, sizes: _grouped_to_stacked(arrays[0], sizes),
    lambda array, sizes: [_stacked_to_grouped(array, sizes)],
)
"""Bloom's and Falcon's fused query, key and value."""
