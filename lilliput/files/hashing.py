"""Content hashes: SHA-256 in hexadecimal, so that any tool can check them."""

import hashlib
from pathlib import Path


def hash_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_bytes(data: bytes) -> str:
    """SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()
