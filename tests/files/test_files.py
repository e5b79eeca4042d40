"""Atomic writes, hashes, JSON and shard files."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.files import (
    SHARD_HEADER_BYTES,
    atomic_path,
    hash_bytes,
    hash_file,
    read_json,
    read_shard,
    shard_dtype,
    shard_header,
    write_bytes,
    write_json,
    write_text,
)


def test_atomic_path_keeps_the_old_content_when_the_block_raises(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in target.parent.iterdir()] == ["file.txt"]


def test_leftovers_of_killed_processes_are_removed_and_of_living_ones_kept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, living, other, elsewhere = (
        tmp_path / f".a[1].json.{ended.pid}@{socket.gethostname()}.tmp",
        tmp_path / f".a[1].json.{os.getppid()}@{socket.gethostname()}.tmp",
        tmp_path / f".b.json.{ended.pid}@{socket.gethostname()}.tmp",
        tmp_path / f".a[1].json.{ended.pid}@another-machine.tmp",
    )
    for path in (dead, living, other, elsewhere):
        path.write_text("half", encoding="utf-8")
    write_text(tmp_path / "a[1].json", "new")
    assert sorted(tmp_path.iterdir()) == sorted([living, other, elsewhere, tmp_path / "a[1].json"])


def test_write_text_keeps_unix_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "é\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\n"


@given(st.binary(max_size=100))
def test_hashes_are_sha256(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("hash") / "data"
    write_bytes(path, data)
    assert hash_file(path) == hash_bytes(data) == hashlib.sha256(data).hexdigest()


def test_json_round_trip_and_errors(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, "é"], "b": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value == json.loads((tmp_path / "a.json").read_bytes())
    with pytest.raises(UserError, match="no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{\n"a": }', encoding="utf-8")
    with pytest.raises(UserError, match=r"bad\.json, line 2"):
        read_json(tmp_path / "bad.json")
    (tmp_path / "binary.json").write_bytes(b'"\xff"')
    with pytest.raises(UserError, match="not UTF-8"):
        read_json(tmp_path / "binary.json")


@settings(deadline=None)
@given(vocabulary=st.integers(1, 1 << 20), data=st.data())
def test_shard_round_trip(
    tmp_path_factory: pytest.TempPathFactory, vocabulary: int, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, vocabulary - 1), max_size=50))
    dtype = shard_dtype(vocabulary)
    path = tmp_path_factory.mktemp("shard") / "train-00000.bin"
    write_bytes(path, shard_header(len(ids), dtype) + np.array(ids, dtype=dtype).tobytes())
    read = read_shard(path)
    assert read.tolist() == ids
    assert read.dtype == dtype
    # As llm.c and modded-nanogpt read it: int32 header, ids behind it.
    header = np.fromfile(path, dtype=np.int32, count=256)
    assert header[:3].tolist() == [20240520, 1 if vocabulary <= 65536 else 2, len(ids)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a token shard"),
        (bytes(SHARD_HEADER_BYTES), "not a token shard"),
        (shard_header(3, np.uint16) + bytes(4), "cut off"),
        (np.array([20240520, 9] + [0] * 254, dtype="<i4").tobytes(), "version 9"),
    ],
)
def test_a_broken_shard_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s.bin").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_shard(tmp_path / "s.bin")
