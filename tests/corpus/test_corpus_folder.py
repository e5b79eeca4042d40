"""The corpus folder: what is written comes back, bytes are the same, memory is one part."""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus import Document, build_corpus, open_corpus, write_corpus
from lilliput.corpus import folder as corpus_folder
from lilliput.errors import UserError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
documents = st.lists(
    st.builds(
        Document,
        id=st.text(max_size=5),
        text=st.text(min_size=1, max_size=30),
        source=st.text(max_size=5),
        metadata=st.fixed_dictionaries(
            {},
            optional={
                "words": st.lists(st.text(max_size=3), min_size=1),
                "age": st.integers(0, 99),
            },
        ),
    ),
    max_size=12,
)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


@settings(deadline=None)
@given(documents=documents, rows=st.integers(1, 5))
def test_documents_come_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Document], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus") / "c"
    manifest = write_corpus(iter(documents), folder, settings={"seed": 1}, rows_per_part=rows)
    corpus = open_corpus(folder)
    assert list(corpus.documents()) == documents
    assert list(corpus.texts()) == [document.text for document in documents]
    assert corpus.manifest == manifest
    assert manifest.documents == len(documents)
    assert manifest.bytes == sum(len(document.text.encode()) for document in documents)
    assert len(manifest.parts) == max(1, -(-len(documents) // rows))


def test_the_same_documents_give_the_same_bytes_and_any_cut_the_same_hash(tmp_path: Path) -> None:
    some = [Document(str(n), f"text {n}", "s", {"n": n}) for n in range(100)]
    write_corpus(some, tmp_path / "a", settings={})
    write_corpus(some, tmp_path / "b", settings={})
    other_cut = write_corpus(some, tmp_path / "c", settings={}, rows_per_part=7)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert open_corpus(tmp_path / "a").manifest.hash == other_cut.hash
    changed = write_corpus([*some[1:], some[0]], tmp_path / "d", settings={})
    assert changed.hash != other_cut.hash


def test_documents_without_text_are_dropped_and_counted(tmp_path: Path) -> None:
    manifest = write_corpus(
        [Document("a", "", "s"), Document("b", "x", "s")], tmp_path / "c", settings={}
    )
    assert (manifest.documents, manifest.dropped) == (1, {"empty": 1})


def test_metadata_of_several_types_in_one_column_is_kept_as_json(tmp_path: Path) -> None:
    some = [
        Document("a", "x", "s", {"value": 1}),
        Document("b", "y", "s", {"value": "one"}),
        Document("c", "z", "s"),
    ]
    write_corpus(some, tmp_path / "c", settings={})
    read = [dict(document.metadata) for document in open_corpus(tmp_path / "c").documents()]
    assert [json.loads(row["value"]) for row in read[:2]] == [1, "one"]
    assert read[2] == {}


@settings(deadline=None)
@given(values=st.lists(json_values, min_size=1, max_size=4))
def test_any_json_may_be_metadata(
    tmp_path_factory: pytest.TempPathFactory, values: list[object]
) -> None:
    folder = tmp_path_factory.mktemp("corpus") / "c"
    some = [Document(str(n), "x", "s", {"value": value}) for n, value in enumerate(values)]
    write_corpus(some, folder, settings={})
    for value, document in zip(values, open_corpus(folder).documents(), strict=True):
        read = document.metadata.get("value")
        assert read == value or json.loads(str(read)) == value


def test_row_groups_and_parts_are_cut_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_folder, "ROW_GROUP_BYTES", 1000)
    monkeypatch.setattr(corpus_folder, "PART_BYTES", 5000)
    write_corpus((Document(str(n), "x" * 300, "s") for n in range(50)), tmp_path / "c", settings={})
    files = [pq.ParquetFile(part) for part in open_corpus(tmp_path / "c").parts]
    assert [file.metadata.num_rows for file in files] == [17, 17, 16]
    groups = files[0].metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [4, 4, 4, 4, 1]


def test_other_settings_need_overwrite(tmp_path: Path) -> None:
    one, two = [Document("a", "x", "s")], [Document("b", "y", "s"), Document("c", "z", "s")]
    write_corpus(two, tmp_path / "c", settings={"seed": 1}, rows_per_part=1)
    write_corpus(two, tmp_path / "c", settings={"seed": 1}, rows_per_part=1)
    with pytest.raises(UserError, match="other settings"):
        write_corpus(one, tmp_path / "c", settings={"seed": 2})
    write_corpus(one, tmp_path / "c", settings={"seed": 2}, overwrite=True)
    assert [path.name for path in sorted((tmp_path / "c").iterdir())] == [
        "corpus.json",
        "part-00000.parquet",
    ]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    write_corpus([Document("a", "x", "s")], tmp_path / "c", settings={})
    before = hashes(tmp_path / "c")

    def broken():  # type: ignore[no-untyped-def]
        yield Document("b", "y", "s")
        raise UserError("cut off")

    with pytest.raises(UserError, match="cut off"):
        write_corpus(broken(), tmp_path / "c", settings={})
    assert hashes(tmp_path / "c") == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_folder_of_other_files_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UserError, match="other files"):
        write_corpus([], tmp_path, settings={})
    with pytest.raises(UserError, match="a file"):
        write_corpus([], tmp_path / "letter.txt", settings={})


def test_open_refuses_what_is_no_whole_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a corpus folder"):
        open_corpus(tmp_path)
    write_corpus([Document("a", "x", "s")], tmp_path / "c", settings={})
    (tmp_path / "c" / "part-00000.parquet").unlink()
    with pytest.raises(UserError, match="missing"):
        open_corpus(tmp_path / "c")
    (tmp_path / "c" / "corpus.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="not a corpus manifest"):
        open_corpus(tmp_path / "c")


def test_build_from_the_command_line(tmp_path: Path) -> None:
    from lilliput.cli.corpus import command

    (tmp_path / "a.jsonl").write_text('{"body": "one"}\n{"body": ""}\n', encoding="utf-8")
    arguments = ["build", str(tmp_path / "a.jsonl"), "-o", str(tmp_path / "c"), "--json"]
    result = CliRunner().invoke(command, [*arguments, "--text-field", "body"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["documents"], facts["bytes"], facts["dropped"]) == (1, 3, {"empty": 1})
    arguments[3] = str(tmp_path / "d")
    with pytest.raises(UserError, match="--text-field"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert not (tmp_path / "d").exists()


def test_build_reads_several_sources(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name, encoding="utf-8")
    build_corpus([tmp_path / "b.txt", tmp_path / "a.txt"], tmp_path / "c")
    assert list(open_corpus(tmp_path / "c").texts()) == ["b", "a"]
