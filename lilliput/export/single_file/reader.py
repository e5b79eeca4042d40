"""Reading a single file back in NumPy: the format's second implementation, beside `run_model.c`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.errors import UserError
from lilliput.export.single_file.format import (
    HEADER,
    HEADER_BYTES,
    KIND_NUMBERS,
    MAGIC,
    VERSION,
    Int8Matrix,
    aligned,
    parts,
)
from lilliput.export.source import EMBEDDING, FINAL_NORM, HEAD, Matrix, Shape, layer_name


@dataclass(frozen=True)
class SingleFile:
    """A single file's weights; a stored matrix goes by the first tensor it is made of."""

    shape: Shape
    frequencies: Matrix
    tensors: dict[str, Matrix]

    def logits(self, ids: Sequence[int]) -> Matrix:
        """Logits [T, V], without a cache."""
        shape, angles = self.shape, np.arange(len(ids), dtype=np.float32)[:, None]
        turn = np.exp(1j * angles * self.frequencies)
        residual = self.tensors[EMBEDDING][list(ids)]
        for layer in range(shape.n_layers):
            rows = self._norm(residual, layer_name(layer, "input_layernorm"))
            mixed = self._attend(rows, layer, turn)
            residual = residual + mixed @ self._tensor(layer, "self_attn.o_proj").T
            rows = self._norm(residual, layer_name(layer, "post_attention_layernorm"))
            gate, up = np.split(rows @ self._tensor(layer, "mlp.gate_proj").T, 2, axis=-1)
            inner = gate / (1 + np.exp(-gate)) * up
            residual = residual + inner @ self._tensor(layer, "mlp.down_proj").T
        head = self.tensors[EMBEDDING if shape.tied else HEAD]
        logits: Matrix = (self._norm(residual, FINAL_NORM) @ head.T).astype(np.float32)
        return logits

    def _tensor(self, layer: int, part: str) -> Matrix:
        return self.tensors[layer_name(layer, part)]

    def _norm(self, rows: Matrix, name: str) -> Matrix:
        mean = (rows * rows).mean(axis=-1, keepdims=True)
        normed: Matrix = rows / np.sqrt(mean + self.shape.norm_eps) * self.tensors[name]
        return normed

    def _attend(self, rows: Matrix, layer: int, turn: np.ndarray) -> Matrix:
        shape, time = self.shape, len(rows)
        joined = rows @ self._tensor(layer, "self_attn.q_proj").T
        heads = joined.reshape(time, -1, shape.head_dim).swapaxes(0, 1)
        query, key, value = np.split(heads, [shape.n_heads, shape.n_heads + shape.n_kv_heads])
        if shape.qk_norm:
            query = self._norm(query, layer_name(layer, "self_attn.q_norm"))
            key = self._norm(key, layer_name(layer, "self_attn.k_norm"))
        query, key = _turned(query, turn), _turned(key, turn)
        groups = shape.n_heads // shape.n_kv_heads
        key, value = key.repeat(groups, axis=0), value.repeat(groups, axis=0)
        scores = query @ key.swapaxes(1, 2) / np.sqrt(shape.head_dim)
        scores = np.where(np.tri(time, dtype=bool), scores, -np.inf)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed: Matrix = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        return mixed.swapaxes(0, 1).reshape(time, -1)


def read_single_file(path: Path | str) -> SingleFile:
    """Read a file that `write_single_file` wrote. Raises UserError if it is none, or cut off."""
    data = np.fromfile(path, np.uint8)
    if len(data) < HEADER_BYTES or data[: len(MAGIC)].tobytes() != MAGIC:
        raise UserError(f"{path}: not a model written as a single file")
    header = data[:HEADER_BYTES].view(HEADER)[0]
    if header["version"] != VERSION or header["size"] != len(data):
        raise UserError(f"{path}: cut off, or written by another version; export the model again")
    shape = _shape(header)
    place = int(header["weights"])

    def take(count: int, dtype: str) -> np.ndarray:
        nonlocal place
        size = count * np.dtype(dtype).itemsize
        found: np.ndarray = data[place : place + size].view(dtype)
        place += aligned(size)
        return found

    tensors: dict[str, Matrix] = {}
    group = int(header["group"])
    for part in parts(shape):
        columns = -(-part.columns // group) * group
        if not part.columns:
            tensor = take(part.rows, "<f4")
        elif header["kind"] == KIND_NUMBERS["f32"]:
            tensor = take(part.rows * columns, "<f4").reshape(part.rows, columns)
            tensor = tensor[:, : part.columns]
        else:
            codes = take(part.rows * columns, "i1").reshape(part.rows, columns)
            scales = take(part.rows * columns // group, "<f4").reshape(part.rows, -1)
            tensor = Int8Matrix(codes, scales).values(part.columns)
        tensors[part.names[0]] = tensor
    start, half = int(header["frequencies"]), shape.head_dim // 2
    frequencies = data[start : start + 4 * half].view("<f4")
    return SingleFile(shape, frequencies, tensors)


def _shape(header: np.void) -> Shape:
    sizes: dict[str, Any] = {
        name: int(header[name])
        for name in (
            "vocabulary_size",
            "context_length",
            "n_layers",
            "d_model",
            "n_heads",
            "n_kv_heads",
            "head_dim",
            "d_ff",
        )
    }
    qk_norm = bool(header["qk_norm"])
    return Shape(
        model_type="qwen3" if qk_norm else "llama",
        norm_eps=float(header["norm_eps"]),
        rope_theta=0.0,  # the file holds the frequencies themselves
        qk_norm=qk_norm,
        tied=bool(header["tied"]),
        **sizes,
    )


def _turned(heads: Matrix, turn: np.ndarray) -> Matrix:
    """Rotate element i with i + head_dim / 2, as one complex number."""
    first, second = np.split(heads, 2, axis=-1)
    turned = (first + 1j * second) * turn
    return np.concatenate((turned.real, turned.imag), axis=-1)
