"""How a tensor of transformers lies in a GGUF file, and back: reorderings, exact in any type.

Arrays have their slowest dimension first: a matrix is [outputs, inputs]. Sources of the layouts:
the loaders and graphs of llama.cpp (`src/models/*.cpp`) and the modelling files of transformers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lilliput.export.gguf.file import FloatArray


@dataclass(frozen=True)
class Sizes:
    """The numbers that layouts depend on."""

    layers: int
    heads: int
    kv_heads: int
    width: int
    rotary: int = 0
    experts: int = 0
    first_mixture: int = 0
    mixture_step: int = 1
    latent_key: int = 0

    def is_mixture(self, layer: int) -> bool:
        """Whether a layer, counted from 0, is a mixture of experts."""
        if not self.experts or layer < self.first_mixture:
            return False
        return (layer + 1) % self.mixture_step == 0


Arrays = Sequence[FloatArray]


@dataclass(frozen=True)
class Layout:
    """Both directions: arrays of transformers → arrays of the file, and its inverse."""

    to_file: Callable[[Arrays, Sizes], list[FloatArray]]
    to_folder: Callable[[Arrays, Sizes], list[FloatArray]]


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


def _partly_half_split(array: FloatArray, heads: int, rotary: int) -> FloatArray:
    """[heads * width, …]: of every head the first `rotary` rows from interleaved to half-split."""
    rows = array.reshape(heads, -1, *array.shape[1:])
    turned = _half_split(rows[:, :rotary].reshape(-1, *array.shape[1:]), heads)
    turned = turned.reshape(heads, rotary, *array.shape[1:])
    return np.concatenate((turned, rows[:, rotary:]), axis=1).reshape(array.shape)


def _latent_to_file(array: FloatArray, sizes: Sizes) -> list[FloatArray]:
    """[heads * (key + value), rank] → keys [heads, rank, key] and values [heads, value, rank]."""
    rows = array.reshape(sizes.heads, -1, array.shape[-1])
    return [rows[:, : sizes.latent_key].swapaxes(1, 2), rows[:, sizes.latent_key :]]


def _latent_to_folder(arrays: Arrays, _: Sizes) -> list[FloatArray]:
    keys, values = arrays
    rows = np.concatenate((keys.swapaxes(1, 2), values), axis=1)
    return [rows.reshape(-1, rows.shape[-1])]


def _doubled(array: FloatArray) -> tuple[int, int, int]:
    experts, outputs, inputs = array.shape
    return experts, 2 * outputs, inputs


def _one(change: Callable[[FloatArray, Sizes], FloatArray]) -> Callable[[Arrays, Sizes], Any]:
    return lambda arrays, sizes: [change(arrays[0], sizes)]


SAME = Layout(lambda arrays, _: list(arrays), lambda arrays, _: list(arrays))
QUERY = Layout(
    _one(lambda array, sizes: _interleaved(array, sizes.heads)),
    _one(lambda array, sizes: _half_split(array, sizes.heads)),
)
"""Rotary pairs as neighbouring rows, which llama.cpp's classes of the Llama kind want."""
KEY = Layout(
    _one(lambda array, sizes: _interleaved(array, sizes.kv_heads)),
    _one(lambda array, sizes: _half_split(array, sizes.kv_heads)),
)
HALF_SPLIT = Layout(
    _one(lambda array, sizes: _partly_half_split(array, sizes.heads, sizes.rotary)), SAME.to_folder
)
"""GPT-J's rotary pairs, neighbouring rows, as the halves that the class it is written as wants."""
TRANSPOSED = Layout(_one(lambda array, _: array.T), _one(lambda array, _: array.T))
"""GPT-2's matrices are [inputs, outputs] in transformers (its Conv1D); a bias stays itself."""
EXPERTS = Layout(lambda arrays, _: [np.stack(arrays)], lambda arrays, _: list(arrays[0]))
TRANSPOSED_EXPERTS = Layout(
    _one(lambda array, _: array.swapaxes(1, 2)), _one(lambda array, _: array.swapaxes(1, 2))
)
"""Experts' matrices [experts, inputs, outputs] of transformers."""
ALTERNATE_EXPERTS = Layout(
    lambda arrays, _: [arrays[0][..., half::2].swapaxes(1, 2) for half in (0, 1)],
    lambda arrays, _: [np.stack(arrays, axis=2).reshape(*_doubled(arrays[0])).swapaxes(1, 2)],
)
"""gpt-oss's gate and up in one [experts, inputs, 2 * outputs], outputs taking turns."""
ALTERNATE_BIASES = Layout(
    lambda arrays, _: [arrays[0][..., half::2] for half in (0, 1)],
    lambda arrays, _: [np.stack(arrays, axis=-1).reshape(arrays[0].shape[0], -1)],
)
HALVED_EXPERTS = Layout(
    lambda arrays, _: [half.swapaxes(1, 2) for half in np.split(arrays[0], 2, axis=2)],
    lambda arrays, _: [np.concatenate([array.swapaxes(1, 2) for array in arrays], axis=2)],
)
"""Llama 4's gate and up in one [experts, inputs, 2 * outputs], gate first."""
ONE_ADDED = Layout(
    _one(lambda array, _: array + np.float32(1)), _one(lambda array, _: array - np.float32(1))
)
"""Gemma's and Nemotron's norms scale by 1 + weight; the file holds the sum."""
FUSED = Layout(_one(_grouped_to_stacked), _one(_stacked_to_grouped))
"""Bloom's, Falcon's and StarCoder's fused query, key and value."""
LATENT = Layout(lambda arrays, sizes: _latent_to_file(arrays[0], sizes), _latent_to_folder)
"""DeepSeek's up-projection of keys and values, as llama.cpp multiplies it into the queries."""
ZEROS = Layout(lambda _, sizes: [np.zeros(sizes.width, np.float32)], lambda *_: [])
"""A bias that the class it is written as has and this one has not."""
