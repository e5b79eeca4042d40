"""Matrices in four bits a weight, laid out as onnxruntime's MatMulNBits reads them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lilliput.export.source import Matrix

BLOCK = 32
_ZERO = 8
_ROWS_AT_ONCE = 1 << 14
# A block's largest weight maps to -8 divided by these; the one with the least squared error is
# kept. Reaching a little past the grid loses the largest weight and serves all the others.
_REACHES = np.array((1.0, 1.05, 1.1, 1.15, 1.2, 0.95, 0.9, 0.85), np.float32)


@dataclass(frozen=True)
class FourBitMatrix:
    """A matrix [N, K]: codes 0 to 15 less 8, times one float32 scale for 32 columns of a row.

    `packed` is uint8 [N, blocks, 16], the even column in the low half of a byte; `scales` is
    float32 [N, blocks]. K is filled up with zeros to whole blocks.
    """

    columns: int
    packed: npt.NDArray[np.uint8]
    scales: Matrix

    @property
    def rows(self) -> int:
        """N."""
        return len(self.packed)

    @cached_property
    def values(self) -> Matrix:
        """The matrix it stands for, float32 [N, K]."""
        codes = np.stack((self.packed & 15, self.packed >> 4), axis=-1)
        codes = codes.reshape(*self.scales.shape, BLOCK)
        whole = (codes.astype(np.float32) - _ZERO) * self.scales[..., None]
        matrix: Matrix = whole.reshape(self.rows, -1)[:, : self.columns]
        return matrix


def quantise(matrix: Matrix) -> FourBitMatrix:
    """Round a matrix [N, K] to four bits, each block by the scale that fits it best."""
    pieces = [
        _quantise_rows(matrix[start : start + _ROWS_AT_ONCE])
        for start in range(0, len(matrix), _ROWS_AT_ONCE)
    ]
    codes, scales = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    packed = codes[..., 0::2] | (codes[..., 1::2] << 4)
    return FourBitMatrix(matrix.shape[1], packed, scales)


def _quantise_rows(rows: Matrix) -> tuple[npt.NDArray[np.uint8], Matrix]:
    filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK)))
    blocks = filled.reshape(len(rows), -1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    best_codes, best_scales = _round(blocks, largest / np.float32(-_ZERO))
    best_error = _squared_error(blocks, best_codes, best_scales)
    for reach in _REACHES[1:]:
        codes, scales = _round(blocks, largest / (reach * np.float32(-_ZERO)))
        error = _squared_error(blocks, codes, scales)
        better = error < best_error
        best_codes = np.where(better, codes, best_codes)
        best_scales = np.where(better, scales, best_scales)
        best_error = np.where(better, error, best_error)
    return (best_codes + _ZERO).astype(np.uint8), best_scales[..., 0]


def _round(blocks: Matrix, scales: Matrix) -> tuple[Matrix, Matrix]:
    """Codes -8 to 7 for these scales, and then the scale of least squares for the codes."""
    inverse = np.divide(1.0, scales, out=np.zeros_like(scales), where=scales != 0)
    codes = np.clip(np.rint(blocks * inverse), -_ZERO, _ZERO - 1).astype(np.float32)
    length = (codes * codes).sum(-1, keepdims=True)
    fitted = (codes * blocks).sum(-1, keepdims=True)
    scales = np.divide(fitted, length, out=np.zeros_like(fitted), where=length != 0)
    return codes, scales


def _squared_error(blocks: Matrix, codes: Matrix, scales: Matrix) -> Matrix:
    error: Matrix = ((blocks - codes * scales) ** 2).sum(-1, keepdims=True)
    return error
