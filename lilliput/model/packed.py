"""Matrices stored as small whole numbers with a scale for every group of columns.

A weight is (code - zero) * scale. Codes lie row by row, the first column in a byte's lowest bits;
ternary ones five to a byte, as digits of base 3. docs/quantise.md describes the format.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.model.decoder import Decoder
from lilliput.model.linear import rounded_activations

Format = Literal["int8", "int4", "int2", "ternary"]
_BITS: dict[str, int] = {"int8": 8, "int4": 4, "int2": 2, "ternary": 2}
_DIGITS = 5  # 3^5 = 243: five ternary digits fit a byte
CONFIG_KEY = "lilliput_weights"


@dataclass(frozen=True)
class Packing:
    """How the matrices of a part of the model are stored."""

    format: Format
    group: int = 32
    """Columns that share a scale, which is bfloat16; 0: the whole row, whose scale is float32."""

    def __post_init__(self) -> None:
        if self.format not in _BITS:
            raise UserError(f"packed weights of {self.format!r}: known are {', '.join(_BITS)}")
        if self.group < 0 or self.group % 16:
            raise UserError(f"a group of {self.group} weights: give a multiple of 16, or 0")

    @property
    def bits(self) -> int:
        """Bits of a code in memory."""
        return _BITS[self.format]

    @property
    def zero(self) -> int:
        """The code of weight 0."""
        return 1 if self.format == "ternary" else 1 << (self.bits - 1)

    @property
    def largest(self) -> int:
        """The largest code."""
        return 2 if self.format == "ternary" else (1 << self.bits) - 1

    @property
    def scale_dtype(self) -> torch.dtype:
        """The number format of the scales."""
        return torch.bfloat16 if self.group else torch.float32

    def group_width(self, columns: int) -> int:
        """Columns that share a scale in rows of so many."""
        return self.group or columns

    def groups(self, columns: int) -> int:
        """Scales of a row."""
        return -(-columns // self.group_width(columns))

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row's codes; a row of groups is filled up to whole ones."""
        filled = self.groups(columns) * self.group_width(columns)
        per_byte = _DIGITS if self.format == "ternary" else 8 // self.bits
        return -(-filled // per_byte)

    def pack(self, codes: Tensor) -> Tensor:
        """Codes uint8 [rows, columns] → bytes uint8 [rows, row_bytes]."""
        per_byte = _DIGITS if self.format == "ternary" else 8 // self.bits
        count = self.row_bytes(codes.shape[1]) * per_byte
        filled = F.pad(codes, (0, count - codes.shape[1]), value=self.zero)
        parts = filled.view(len(codes), -1, per_byte).int()
        base = 3 if self.format == "ternary" else 1 << self.bits
        places = torch.tensor([base**place for place in range(per_byte)], dtype=torch.int32)
        return (parts * places).sum(dim=-1).to(torch.uint8)

    def unpack(self, packed: Tensor, columns: int) -> Tensor:
        """The inverse of `pack`: bytes [..., row_bytes] → codes uint8 [..., columns]."""
        if self.bits == 8:
            return packed[..., :columns]
        if self.format == "ternary":
            places = [3**place for place in range(_DIGITS)]
            codes = torch.stack([packed // place % 3 for place in places], dim=-1)
        else:
            mask = (1 << self.bits) - 1
            shifts = range(0, 8, self.bits)
            codes = torch.stack([packed >> shift & mask for shift in shifts], dim=-1)
        return codes.flatten(-2)[..., :columns]


@dataclass(frozen=True)
class PackedWeights:
    """How a whole model is stored, as its `config.json` says."""

    blocks: Packing
    embedding: Packing | None
    """Of the embedding and the output head; None: as float32."""
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Self:
        """The inverse. Raises UserError for what this version does not know."""
        try:
            embedding = values["embedding"]
            return cls(
                Packing(**values["blocks"]),
                Packing(**embedding) if embedding else None,
                str(values["method"]),
            )
        except (TypeError, KeyError, UserError) as error:
            raise UserError(f"{where}: {CONFIG_KEY} makes no sense: {error}") from None


class PackedMatrix(nn.Module):
    """A matrix [rows, columns] in packed form; `weight` unpacks it."""

    codes: Tensor
    scales: Tensor

    def __init__(self, rows: int, columns: int, packing: Packing) -> None:
        super().__init__()
        self.rows, self.columns, self.packing = rows, columns, packing
        width = packing.row_bytes(columns)
        self.register_buffer("codes", torch.empty(rows, width, dtype=torch.uint8))
        scales = torch.empty(rows, packing.groups(columns), dtype=packing.scale_dtype)
        self.register_buffer("scales", scales)

    @property
    def weight(self) -> Tensor:
        """The matrix as float32 [rows, columns]."""
        return self._values(self.codes, self.scales)

    def _values(self, packed: Tensor, scales: Tensor) -> Tensor:
        packing, columns = self.packing, self.columns
        codes = packing.unpack(packed, columns)
        width = packing.group_width(columns)
        factors = scales.float().repeat_interleave(width, dim=-1)[..., :columns]
        return (codes.float() - packing.zero) * factors


class PackedLinear(PackedMatrix):
    """In place of nn.Linear. `rounds_input`: rows are rounded to 8 bits first, as BitNet's are."""

    def __init__(
        self, rows: int, columns: int, packing: Packing, *, bias: bool, rounds_input: bool = False
    ) -> None:
        super().__init__(rows, columns, packing)
        self.rounds_input = rounds_input
        self.bias = nn.Parameter(torch.empty(rows)) if bias else None

    def forward(self, rows: Tensor) -> Tensor:
        """[..., columns] → [..., rows]."""
        if self.rounds_input:
            rows = rounded_activations(rows)
        return F.linear(rows, self.weight.to(rows.dtype), self.bias)


class PackedEmbedding(PackedMatrix):
    """In place of nn.Embedding."""

    def forward(self, ids: Tensor) -> Tensor:
        """[...] int64 → [..., columns], float32."""
        return self._values(self.codes[ids], self.scales[ids])


def matrices_of(decoder: Decoder) -> Iterator[tuple[str, nn.Module, bool]]:
    """Name, module and whether it belongs to a block, of every matrix that can be packed."""
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding | PackedMatrix):
            if name == "position_embedding" or name.startswith("future."):
                continue
            yield name, module, name.startswith("blocks.")


def with_packed_matrices(decoder: Decoder, weights: PackedWeights) -> Decoder:
    """Put an empty packed matrix in every matrix's place; the tensors are to be loaded."""
    for name, module, in_block in list(matrices_of(decoder)):
        packing = weights.blocks if in_block else weights.embedding
        if packing is not None:
            set_module(decoder, name, empty_packed(module, packing))
    return decoder


def empty_packed(module: nn.Module, packing: Packing) -> PackedMatrix:
    """An uninitialised packed matrix of the shape of an nn.Linear or nn.Embedding."""
    if isinstance(module, nn.Embedding):
        return PackedEmbedding(module.num_embeddings, module.embedding_dim, packing)
    assert isinstance(module, nn.Linear)
    return PackedLinear(
        module.out_features,
        module.in_features,
        packing,
        bias=module.bias is not None,
        rounds_input=packing.format == "ternary",
    )


def set_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the submodule of that dotted name."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
