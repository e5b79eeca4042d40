"""The token shard file: llm.c's header, then little-endian ids.

Header: 256 int32 (1,024 bytes): magic 20240520, version, number of tokens, zeros. Version 1 holds
uint16 ids and is read by llm.c and modded-nanogpt as it is; version 2 holds uint32 ids, for
vocabularies above 65,536.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError

SHARD_MAGIC = 20240520
SHARD_HEADER_BYTES = 1024
_DTYPE_OF_VERSION: dict[int, type[np.unsignedinteger]] = {1: np.uint16, 2: np.uint32}


def shard_dtype(vocabulary: int) -> np.dtype[np.unsignedinteger]:
    """The id type for a vocabulary of this size: uint16 up to 65,536 tokens, else uint32."""
    return np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)


def shard_header(count: int, dtype: npt.DTypeLike) -> bytes:
    """The 1,024 header bytes of a shard of `count` ids of type `dtype`."""
    header = np.zeros(256, dtype="<i4")
    header[:3] = SHARD_MAGIC, 1 if np.dtype(dtype) == np.uint16 else 2, count
    return header.tobytes()


def read_shard(path: Path | str) -> npt.NDArray[np.unsignedinteger]:
    """Memory-map a shard's ids, read-only, shape (tokens,), dtype uint16 or uint32.

    Raises UserError if the file is not a shard or is shorter than its header says.
    """
    path = Path(path)
    header = np.fromfile(path, dtype="<i4", count=256)
    if len(header) < 256 or header[0] != SHARD_MAGIC:
        raise UserError(f"{path}: not a token shard (expected magic {SHARD_MAGIC})")
    version, count = int(header[1]), int(header[2])
    if version not in _DTYPE_OF_VERSION:
        raise UserError(f"{path}: shard version {version} is unknown (1 and 2 are read)")
    dtype = np.dtype(_DTYPE_OF_VERSION[version])
    expected = SHARD_HEADER_BYTES + count * dtype.itemsize
    if path.stat().st_size != expected:
        raise UserError(
            f"{path}: {path.stat().st_size} bytes where its header says {expected}; "
            "the file is cut off: tokenize again"
        )
    if count == 0:
        return np.zeros(0, dtype=dtype)
    mapped = np.memmap(path, dtype=dtype, mode="r", offset=SHARD_HEADER_BYTES, shape=(count,))
    return np.asarray(mapped)  # a plain array slices faster than a memmap
