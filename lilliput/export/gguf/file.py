"""A GGUF file, opened: its metadata and tensors, every length checked against the file's size.

The format is public: ggml's `docs/gguf.md`. Little-endian files of versions 2 and 3 are read. The
`gguf` package brings the table of tensor types and the dequantisers; the header is read here,
because a damaged one must end in a message and not in a loop over 2^60 entries.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError

FloatArray = npt.NDArray[np.float32]
_VERSIONS = (2, 3)
_MAX_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
# GGUF's number for a type of value → struct's letter.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"


def gguf_package() -> Any:
    """The `gguf` package. Raises UserError when it is not installed."""
    try:
        import gguf
    except ImportError:
        raise UserError(
            "GGUF needs a package that is not installed: run pip install 'lilliput[gguf]'"
        ) from None
    return gguf


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as the file holds it; `shape` counts the slowest dimension first."""

    name: str
    type: str
    shape: tuple[int, ...]
    raw: npt.NDArray[np.uint8]

    def dequantised(self) -> FloatArray:
        """The values as float32, of `shape`. Raises ValueError for a type of no known values."""
        package = gguf_package()
        kind = package.GGMLQuantizationType[self.type]
        rows = self.raw.reshape(-1, self.raw.size // math.prod(self.shape[:-1]))
        with np.errstate(all="ignore"):  # a damaged file may hold any bits
            try:
                values = package.quants.dequantize(rows, kind)
            except NotImplementedError:
                raise ValueError(f"values of type {self.type} cannot be read") from None
        return np.asarray(values, dtype=np.float32).reshape(self.shape)


@dataclass(frozen=True)
class GgufFile:
    """An opened file; the tensors' bytes stay on disk until they are asked for."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, StoredTensor]

    @property
    def architecture(self) -> str:
        """The name of the model's class in llama.cpp."""
        return str(self.metadata.get("general.architecture"))


class _Malformed(Exception):
    """What is wrong with the bytes."""


def open_gguf(path: Path | str) -> GgufFile:
    """Open a GGUF file. Raises UserError, with the reason, when it is none or not whole."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: not a GGUF file: it is empty")
    data = np.memmap(path, dtype=np.uint8, mode="r")
    try:
        return _parse(path, np.asarray(data))
    except _Malformed as reason:
        raise UserError(f"{path}: not a whole GGUF file: {reason}; fetch it again") from None


class _Cursor:
    """Reads the header in order; every length is compared with the bytes that are left."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self.data, self.position = data, 0

    @property
    def left(self) -> int:
        return int(self.data.size) - self.position

    def take(self, count: int, what: str) -> bytes:
        if count > self.left:
            raise _Malformed(f"{what} needs {count} bytes where {self.left} are left")
        piece = self.data[self.position : self.position + count].tobytes()
        self.position += count
        return piece

    def number(self, letter: str, what: str) -> Any:
        size = struct.calcsize("<" + letter)
        return struct.unpack("<" + letter, self.take(size, what))[0]

    def count(self, least_bytes: int, what: str) -> int:
        """A number of things that follow, each of at least that many bytes."""
        number = int(self.number("Q", what))
        if number * least_bytes > self.left:
            raise _Malformed(f"{what} is {number}, more than the file could hold")
        return number

    def string(self, what: str) -> str:
        length = self.count(1, f"the length of {what}")
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise _Malformed(f"{what} is not UTF-8") from None

    def value(self, kind: int, what: str) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind], what)
        if kind == _STRING:
            return self.string(what)
        if kind == _ARRAY:
            return self._array(what)
        raise _Malformed(f"{what} has the unknown type {kind}")

    def _array(self, what: str) -> list[Any]:
        kind = self.number("I", f"the type of {what}")
        if kind in _SCALARS:
            letter = _SCALARS[kind]
            size = struct.calcsize("<" + letter)
            count = self.count(size, f"the length of {what}")
            return list(struct.unpack(f"<{count}{letter}", self.take(count * size, what)))
        if kind != _STRING:
            raise _Malformed(f"{what} is a list of the unknown type {kind}")
        return [self.string(what) for _ in range(self.count(8, f"the length of {what}"))]


def _parse(path: Path, data: npt.NDArray[np.uint8]) -> GgufFile:
    cursor = _Cursor(data)
    if cursor.take(4, "the magic number") != b"GGUF":
        raise UserError(f"{path}: not a GGUF file (it does not begin with GGUF)")
    version = cursor.number("I", "the version")
    if version not in _VERSIONS:
        raise UserError(
            f"{path}: GGUF version {version} (or a big-endian file); versions 2 and 3, "
            "little-endian, are read"
        )
    tensor_count = cursor.count(24, "the number of tensors")
    metadata: dict[str, Any] = {}
    for _ in range(cursor.count(13, "the number of metadata entries")):
        key = cursor.string("a metadata key")
        metadata[key] = cursor.value(cursor.number("I", f"the type of {key!r}"), repr(key))
    headers = [_tensor_header(cursor) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise _Malformed(f"general.alignment is {alignment!r}, no power of two")
    start = -(-cursor.position // alignment) * alignment
    tensors: dict[str, StoredTensor] = {}
    for name, shape, kind, offset in headers:
        if name in tensors:
            raise _Malformed(f"tensor {name!r} is listed twice")
        tensors[name] = _tensor(data, name, shape, kind, start + offset)
    return GgufFile(path, metadata, tensors)


def _tensor_header(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = cursor.string("a tensor's name")
    dimensions = cursor.number("I", f"the number of dimensions of {name!r}")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise _Malformed(f"tensor {name!r} has {dimensions} dimensions")
    sizes = [cursor.number("Q", f"the shape of {name!r}") for _ in range(dimensions)]
    if 0 in sizes:
        raise _Malformed(f"tensor {name!r} has a dimension of 0")
    kind = cursor.number("I", f"the type of {name!r}")
    return name, tuple(reversed(sizes)), kind, cursor.number("Q", f"the place of {name!r}")


def _tensor(
    data: npt.NDArray[np.uint8], name: str, shape: tuple[int, ...], kind: int, start: int
) -> StoredTensor:
    package = gguf_package()
    try:
        type_name = str(package.GGMLQuantizationType(kind).name)
        block, block_bytes = package.GGML_QUANT_SIZES[package.GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise _Malformed(f"tensor {name!r} has the unknown type {kind}") from None
    if shape[-1] % block:
        raise _Malformed(f"tensor {name!r}: rows of {shape[-1]} do not fit blocks of {block}")
    size = math.prod(shape) // block * block_bytes
    if start + size > data.size:
        raise _Malformed(
            f"tensor {name!r} ends at byte {start + size} of {data.size}: the file is cut off"
        )
    return StoredTensor(name, type_name, shape, data[start : start + size])


def checked(metadata: dict[str, Any], key: str, kind: type | tuple[type, ...], where: Path) -> Any:
    """A metadata entry of the right type. Raises UserError if it is missing or of another."""
    if key not in metadata:
        raise UserError(f"{where}: its metadata lack {key}")
    value = metadata[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(
            f"{where}: its metadata entry {key} has the value {value!r}, of a wrong kind"
        )
    return value
