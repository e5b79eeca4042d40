"""What is counted adds up in any grouping; what is written does not depend on batches."""

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lilliput.corpus.writer as writer_module
from lilliput.corpus import Document, write_corpus
from lilliput.corpus.building.counting import StageCount, account, keys_of, sum_counts
from lilliput.corpus.building.decisions import (
    TextsByNumber,
    decided,
    read_decisions,
    write_decisions,
)
from lilliput.corpus.building.record import BuildRecord, SourceRecord, StageRecord, Tally
from lilliput.corpus.building.spool import SpoolWriter, map_batches, read_segments
from lilliput.corpus.stages import Decisions, Dropped, Outcome
from lilliput.corpus.writer import CorpusWriter
from lilliput.errors import WorkFailed

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("source", pa.string())])


def batch(texts: list[str], **columns: list[Any]) -> pa.RecordBatch:
    ids = [hashlib.md5(text.encode()).hexdigest()[:6] for text in texts]
    own = {"id": ids, "text": texts, "source": ["s"] * len(texts)}
    return pa.RecordBatch.from_pydict({**own, **columns})


def count_of(texts: list[str]) -> StageCount:
    """Documents that begin with a vowel go, by the rule of that vowel."""
    one = batch(texts)
    rows = [row for row, text in enumerate(texts) if text[0] not in "ae"]
    dropped = [
        Dropped(row, f"begins_{text[0]}", text) for row, text in enumerate(texts) if text[0] in "ae"
    ]
    outcome = Outcome(one.take(pa.array(rows, pa.int64())), dropped, {"seen": len(texts)})
    return account("test", one, keys_of(one), outcome)[2]


@settings(deadline=None)
@given(
    texts=st.lists(st.text("aexyz", min_size=1, max_size=6), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_counts_add_up_in_any_grouping(texts: list[str], cuts: list[int]) -> None:
    whole = count_of(texts)
    bounds = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [
        count_of(texts[start:stop]) for start, stop in itertools.pairwise(bounds) if start < stop
    ]
    forth, back = sum_counts(parts), sum_counts(parts[::-1])
    for total in (forth, back, StageCount.from_dict(forth.to_dict())):
        assert (total.came, total.stayed) == (whole.came, whole.stayed)
        assert total.dropped == whole.dropped
        assert total.samples == whole.samples
        assert total.counts == {"seen": len(texts)}
    gone = [text for text in texts if text[0] in "ae"]
    assert whole.stayed == Tally(len(texts) - len(gone), sum(map(len, texts)) - sum(map(len, gone)))


@pytest.mark.parametrize(
    "dropped", [(), (Dropped(0, "a"), Dropped(0, "b")), (Dropped(1, "a"),) * 3]
)
def test_what_goes_must_be_named_once(dropped: tuple[Dropped, ...]) -> None:
    one = batch(["a", "b", "c"])
    with pytest.raises(WorkFailed, match="must be named once"):
        account("test", one, keys_of(one), Outcome(one.slice(0, 1), dropped))


def test_a_column_of_documents_must_stay() -> None:
    one = batch(["a"])
    with pytest.raises(WorkFailed, match="without the column 'source'"):
        account("test", one, keys_of(one), Outcome(one.drop_columns(["source"])))


def test_a_record_comes_back_from_json() -> None:
    stage = StageRecord("reading", {"x": [1]}, Tally(2, 3), Tally(1, 1), {"empty": Tally(1, 2)})
    record = BuildRecord(
        (SourceRecord("a", "b", None, None, Tally(1, 1), Tally(), 2),), (stage,), None, {"n": 1}
    )
    assert BuildRecord.from_dict(record.to_dict()) == record


# The parts of the corpus folder


@settings(deadline=None, max_examples=30)
@given(
    texts=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    clusters=st.sampled_from([None, "all", "some"]),
)
def test_batches_do_not_change_the_parts(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    cuts: list[int],
    clusters: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    columns: dict[str, list[Any]] = {}
    if clusters:
        columns["cluster"] = [
            str(n // 2) if clusters == "all" or n % 3 else None for n in range(len(texts))
        ]
    whole = batch(texts, **columns)
    schema = pa.schema([*SCHEMA, *([("cluster", pa.string())] if clusters else [])])
    bounds = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "ROW_GROUP_BYTES", 50)
        patch.setattr(writer_module, "PART_BYTES", 200)
        for name, edges in (("one", [0, len(texts)]), ("many", bounds)):
            (folder / name).mkdir()
            with CorpusWriter(folder / name, schema) as writer:
                for start, stop in itertools.pairwise(edges):
                    writer.write(whole.slice(start, stop - start))
    first, second = (
        {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        for name in ("one", "many")
    )
    assert first == second
    assert [row["text"] for name in writer.parts for row in _rows(folder / "many" / name)] == texts
    # The same hash as that of documents written one by one.
    documents = [
        Document(row["id"], row["text"], "s", {"cluster": row.get("cluster")})
        for row in whole.to_pylist()
    ]
    manifest = write_corpus(documents, folder / "documents", settings={})
    assert writer.hash == manifest.hash
    assert (writer.documents, writer.bytes) == (manifest.documents, manifest.bytes)


def _rows(part: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.ParquetFile(part).read().to_pylist()
    return rows


def test_documents_are_added_to_row_groups_up_to_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "ROW_GROUP_BYTES", 1000)
    monkeypatch.setattr(writer_module, "PART_BYTES", 5000)
    with CorpusWriter(tmp_path, SCHEMA) as writer:
        writer.write(batch(["x" * 300] * 50))
    files = [pq.ParquetFile(tmp_path / name) for name in writer.parts]
    assert [file.metadata.num_rows for file in files] == [17, 17, 16]
    groups = files[0].metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [4, 4, 4, 4, 1]


def test_no_documents_are_one_empty_part(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path, SCHEMA) as writer:
        pass
    assert _rows(tmp_path / "part-00000.parquet") == []
    assert writer.documents == 0


# Between passes


def test_a_new_schema_begins_a_segment(tmp_path: Path) -> None:
    batches = [batch(["a", "b"]), batch(["c"]), batch(["d"], n=[1]), batch([]), batch(["e"])]
    with SpoolWriter(tmp_path, "000000") as spool:
        for one in batches:
            spool.write(one)
    assert [segment.rows for segment in spool.segments] == [(2, 1), (1,), (1,)]
    read = list(read_segments(tmp_path, spool.segments))
    assert [one.column("text").to_pylist() for one in read] == [["a", "b"], ["c"], ["d"], ["e"]]
    assert next(iter(read_segments(tmp_path, spool.segments, ["text"]))).schema.names == ["text"]


def test_a_segment_of_a_failed_piece_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), SpoolWriter(tmp_path, "000000") as spool:
        spool.write(batch(["a"]))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_decisions_come_back_by_piece(tmp_path: Path) -> None:
    decisions = Decisions(
        dropped={1: ("copy", "of 0"), 4: ("copy", "of 2")},
        cuts={0: [(0, 2), (3, 4)], 3: [(1, 2)]},
        columns={"cluster": pa.chunked_array([[0, 0, 2], [3, 2]])},
    )
    write_decisions(tmp_path / "d.arrow", decisions, [3, 0, 2])
    first = decided(batch(["abcdef", "b", "c"]), read_decisions(tmp_path / "d.arrow", 0))
    assert first.batch.column("text").to_pylist() == ["cef", "c"]
    assert first.batch.column("cluster").to_pylist() == [0, 2]
    assert first.dropped == [Dropped(1, "copy", "of 0")]
    assert [(one.row, one.before, one.after) for one in first.examples] == [(0, "abcdef", "cef")]
    assert read_decisions(tmp_path / "d.arrow", 1).num_rows == 0
    last = decided(batch(["xyz", "b"]), read_decisions(tmp_path / "d.arrow", 2))
    assert last.batch.column("text").to_pylist() == ["xz"]
    assert last.batch.column("cluster").to_pylist() == [3]


def test_a_decided_column_needs_a_value_a_document(tmp_path: Path) -> None:
    short = Decisions(columns={"cluster": pa.array([1])})
    with pytest.raises(WorkFailed, match="'cluster' has 1 values for 2 documents"):
        write_decisions(tmp_path / "d.arrow", short, [2])


@settings(deadline=None, max_examples=30)
@given(asked=st.lists(st.integers(0, 24), max_size=40))
def test_texts_come_by_number_in_the_order_asked_for(
    tmp_path_factory: pytest.TempPathFactory, asked: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    pieces, number = [], 0
    for piece in range(5):
        with SpoolWriter(folder, f"{piece:06d}") as spool:
            for size in (2, 3):
                extra = {"n": [1] * size} if piece % 2 else {}
                spool.write(batch([f"text {number + n}" for n in range(size)], **extra))
                number += size
        pieces.append(spool.segments)
    assert list(TextsByNumber(folder, pieces)(asked)) == [f"text {n}" for n in asked]


def test_sketches_are_mapped(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "s", compressed=False) as spool:
        spool.write(pa.record_batch([pa.array([1, 2])], names=["sketch"]))
    mapped = map_batches(tmp_path / spool.segments[0].name)
    assert mapped[0].column(0).to_pylist() == [1, 2]
