"""Readers of text, JSON lines, Parquet, folders, corpus folders and datasets by name."""

import bz2
import gzip
import json
import lzma
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus import Document, document_id, read_documents, write_corpus
from lilliput.corpus.readers import Source
from lilliput.errors import UserError

unicode_text = st.text(max_size=40)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | unicode_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(unicode_text, inner, max_size=3),
    max_leaves=5,
)


def read_one(path: Path, **options: Any) -> list[Document]:
    return list(read_documents([path], **options))


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffOne\r\ntwo\n\nthrée\n".encode())
    assert read_one(tmp_path / "a.txt") == [
        Document(document_id("One\ntwo\n\nthrée"), "One\ntwo\n\nthrée", "a.txt")
    ]


def test_end_of_text_lines_divide_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One\n<|endoftext|>\n\nTwo\n<|endoftext|>\n", encoding="utf-8")
    assert [document.text for document in read_one(tmp_path / "a.md")] == ["One", "Two"]


def test_an_empty_text_file_has_no_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n", encoding="utf-8")
    assert read_one(tmp_path / "a.txt") == []


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".bz2", ".zst"])
def test_compressed_json_lines(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": f"störy {number}", "number": number} for number in range(500)]
    raw = "".join(json.dumps(row) + "\n" for row in rows).encode()
    pack = {
        "": lambda data: data,
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".bz2": bz2.compress,
        ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    }[suffix]
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(pack(raw))
    documents = read_one(path)
    assert [document.text for document in documents] == [row["text"] for row in rows]
    assert [document.metadata for document in documents] == [{"number": n} for n in range(500)]


@settings(deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries({"text": unicode_text}).flatmap(
            lambda row: st.dictionaries(unicode_text, json_values, max_size=3).map(
                lambda more: {**more, **row}
            )
        ),
        max_size=5,
    ),
    escaped=st.booleans(),
)
def test_any_json_lines_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], escaped: bool
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    lines = [json.dumps(row, ensure_ascii=escaped) for row in rows]
    path.write_bytes("\n".join(lines).encode())
    documents = list(read_documents([Source(str(path), mojibake=False)]))
    assert [document.text for document in documents] == [
        row["text"].replace("\0", "") for row in rows
    ]
    own = {"text", "id", "source"}
    assert [dict(document.metadata) for document in documents] == [
        {name: value for name, value in row.items() if name not in own} for row in rows
    ]


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_as_json_lines_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + data)
    try:
        documents = read_one(path)
    except UserError as error:
        assert str(path) in str(error)
        assert "line" in str(error)
    else:
        assert documents[0].text == "fine"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', r"line 2: not valid JSON"),
        ('["a"]', r"line 2: expected a JSON object, found a list"),
        ('{"body": "a"}', r"line 2: no field 'text' \(fields: body\).*--text-field"),
        ('{"text": 5}', r"line 2, field 'text': expected text, found a number"),
        ('{"text": ["a"]}', r"line 2, field 'text': expected text, found a list"),
        ("[" * 100_000, r"line 2: not valid JSON"),
    ],
)
def test_a_malformed_line_names_file_line_and_field(
    tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"a\.jsonl, {message}"):
        read_one(tmp_path / "a.jsonl")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_broken_compressed_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(b"this is not compressed")
    with pytest.raises(UserError, match="cannot be read"):
        read_one(path)


def test_parquet_keeps_metadata_ids_and_another_text_field(tmp_path: Path) -> None:
    table = pa.table({"id": [7, 8], "story": ["a", "b"], "names": [["x"], ["y", "z"]]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_one(tmp_path / "a.parquet", text_field="story") == [
        Document("7", "a", "a.parquet", {"names": ["x"]}),
        Document("8", "b", "a.parquet", {"names": ["y", "z"]}),
    ]
    with pytest.raises(
        UserError, match=r"a\.parquet: no field 'text' \(fields: id, story, names\)"
    ):
        read_one(tmp_path / "a.parquet")


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match=r"a\.parquet: not a readable Parquet file"):
        read_one(tmp_path / "a.parquet")


def test_a_folder_is_read_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("second", encoding="utf-8")
    (tmp_path / "a.txt").write_text("first", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [(d.text, d.source) for d in read_one(tmp_path)] == [
        ("first", "a.txt"),
        ("second", "b/c.txt"),
    ]


def test_a_corpus_folder_is_read_whole(tmp_path: Path) -> None:
    documents = [Document("x", "text", "there", {"plan": "p"})]
    write_corpus(documents, tmp_path / "c", settings={})
    assert read_one(tmp_path / "c") == documents


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        read_one(tmp_path / "none.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no"):
        read_one(tmp_path / "empty")
    (tmp_path / "a.doc").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="no known kind"):
        read_one(tmp_path / "a.doc")


def test_a_dataset_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, *, split: str, streaming: bool) -> Iterator[dict[str, str]]:
        assert (name, split, streaming) == ("owner/name", "train", True)
        return iter([{"text": "a", "label": "x"}])

    fake = types.ModuleType("datasets")
    fake.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert list(read_documents(["owner/name"])) == [
        Document(document_id("a"), "a", "owner/name", {"label": "x"})
    ]
    with pytest.raises(UserError, match="offline"):
        list(read_documents(["owner/name"], offline=True))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'lilliput\[hub\]'"):
        list(read_documents(["owner/name"]))


def test_ids_depend_on_the_text_alone() -> None:
    assert document_id("a story") == document_id("a story") != document_id("another story")
    assert len(document_id("")) == 16
