"""How artifacts lie on disk: atomic writes, content hashes, JSON, token shards."""

from lilliput.files.atomic import atomic_path, fsync_folder, write_bytes, write_text
from lilliput.files.hashing import hash_bytes, hash_file
from lilliput.files.json import read_json, write_json
from lilliput.files.shards import (
    SHARD_HEADER_BYTES,
    read_shard,
    shard_dtype,
    shard_header,
)

__all__ = [
    "SHARD_HEADER_BYTES",
    "atomic_path",
    "fsync_folder",
    "hash_bytes",
    "hash_file",
    "read_json",
    "read_shard",
    "shard_dtype",
    "shard_header",
    "write_bytes",
    "write_json",
    "write_text",
]
