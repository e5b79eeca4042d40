"""Pieces: however sources are cut, the same documents come in the same order."""

import bz2
import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from web_archives import gzipped_records, warc_records
from whole_readings import piece_count, reading_of
from wiki_dumps import dump_of, multistream

from lilliput.corpus import Document, write_corpus
from lilliput.corpus.readers import Piece, Source, Span, cut, read_piece

WORDS = st.text("ab é\u4e2d\"',;\n\r\t<&", max_size=30)
VALUES = st.none() | st.integers(-5, 5) | st.floats(0, 1) | WORDS | st.lists(st.integers(0, 3))
SIZES = st.integers(1, 400)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def parts_of(data: bytes, ends: Sequence[int]) -> list[bytes]:
    inner = sorted({end % (len(data) + 1) for end in ends})
    return [data[a:b] for a, b in zip([0, *inner], [*inner, len(data)], strict=True)]


@given(
    rows=st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=12),
    broken=st.lists(st.integers(0, 11), max_size=2),
    size=SIZES,
    ends=st.lists(st.integers(0, 2000), max_size=4),
)
def test_json_lines(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    broken: list[int],
    size: int,
    ends: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    lines = [json.dumps({"text": f"t{number}", **row}) for number, row in enumerate(rows)]
    for number in broken:
        lines.insert(min(number, len(lines)), '{"text": ')
    data = "\n".join(lines).encode()
    plain = Source(str(written(folder, "a.jsonl", data)), malformed="skip")
    whole = reading_of(plain)
    assert whole.texts == [f"t{number}" for number in range(len(rows))]
    assert len(whole.dropped) == len(broken)
    assert reading_of(plain, piece_bytes=size, batch_bytes=100) == whole
    packed = b"".join(bz2.compress(part) for part in parts_of(data, ends))
    streams = Source(str(written(folder, "a.jsonl.bz2", packed)), malformed="skip")
    whole = reading_of(streams)
    assert whole.texts == [f"t{number}" for number in range(len(rows))]
    assert reading_of(streams, piece_bytes=size) == whole


@given(
    documents=st.lists(
        st.lists(st.sampled_from(["one", "", "<|endoftext|> no", "zwei é"])), max_size=8
    ),
    size=SIZES,
)
def test_divided_text(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[str]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    texts = ["\n".join(lines) for lines in documents]
    path = written(folder, "a.txt", "\n<|endoftext|>\n".join(texts).encode())
    whole = reading_of(path)
    assert whole.texts == [text.strip("\n") for text in texts if text.strip("\n")]
    assert reading_of(path, piece_bytes=size, batch_bytes=7) == whole


@given(
    rows=st.lists(st.tuples(WORDS, WORDS), max_size=12),
    delimiter=st.sampled_from(",;\t"),
    # Python 3.11 leaves a lone return without quotes where it is no part of the line end.
    style=st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL)]),
    mark=st.booleans(),
    size=SIZES,
)
def test_tables(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    delimiter: str,
    style: tuple[str, Any],
    mark: bool,
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    sheet = io.StringIO()
    writer = csv.writer(sheet, delimiter=delimiter, lineterminator=style[0], quoting=style[1])
    writer.writerows([("text", "note"), *rows])
    name = "a.tsv" if delimiter == "\t" else "a.csv"
    data = sheet.getvalue().encode("utf-8-sig" if mark else "utf-8")
    path = written(folder, name, data)
    whole = reading_of(path)
    told = [(text, note) for text, note in rows if text.strip()]
    assert [(row["text"], row["note"]) for row in whole.rows] == told
    assert reading_of(path, piece_bytes=size, batch_bytes=40) == whole


@given(data=st.text('a,"\n\r', max_size=80), size=SIZES)
@example(data='a"b,c\n"d\n",e\nf,g\n', size=3)
def test_any_characters_as_csv(
    tmp_path_factory: pytest.TempPathFactory, data: str, size: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = written(folder, "a.csv", b"text,more\n" + data.encode())
    source = Source(str(path), malformed="skip")
    assert reading_of(source, piece_bytes=size) == reading_of(source)


@given(
    rows=st.lists(st.tuples(WORDS, st.integers(0, 9)), min_size=1, max_size=20),
    group=st.integers(1, 6),
    size=SIZES,
)
def test_parquet(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], group: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    texts, numbers = zip(*rows, strict=True)
    table = pa.table({"text": texts, "number": numbers})
    pq.write_table(table, folder / "a.parquet", row_group_size=group)
    whole = reading_of(folder / "a.parquet")
    told = [(text, number) for text, number in rows if text.strip()]
    assert [(row["text"], row["number"]) for row in whole.rows] == told
    assert reading_of(folder / "a.parquet", piece_bytes=size, batch_bytes=40) == whole
    assert piece_count(folder / "a.parquet", 1) == -(-len(rows) // group)


@given(texts=st.lists(st.text("abé \n", min_size=1, max_size=60), max_size=8), size=SIZES)
def test_web_archives(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    records = warc_records(texts)
    plain = written(folder, "a.wet", b"".join(records))
    packed = written(folder, "a.wet.gz", gzipped_records(records))
    whole = reading_of(plain)
    assert whole.texts == [text.strip() for text in texts if text.strip()]
    assert reading_of(plain, piece_bytes=size) == whole
    squeezed = reading_of(packed)
    assert squeezed.texts == whole.texts
    assert reading_of(packed, piece_bytes=size) == squeezed


@given(
    texts=st.lists(st.text("ab é<&>\n", min_size=1, max_size=60), max_size=8),
    size=SIZES,
    ends=st.lists(st.integers(0, 4000), max_size=4),
)
@settings(max_examples=40)
def test_dumps(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int, ends: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    data = dump_of([(f"Page {number}", text) for number, text in enumerate(texts)])
    plain = written(folder, "wiki.xml", data)
    whole = reading_of(plain)
    assert reading_of(plain, piece_bytes=size) == whole
    # Streams may also end within a page, or within a tag.
    packed = b"".join(bz2.compress(part) for part in parts_of(data, ends))
    squeezed = reading_of(written(folder, "wiki.xml.bz2", packed))
    assert squeezed.texts == whole.texts
    assert reading_of(folder / "wiki.xml.bz2", piece_bytes=size) == squeezed


def test_a_multistream_dump_is_read_in_parallel_pieces(tmp_path: Path) -> None:
    pages = [(f"Page {number}", f"Text of {number}. " * 20) for number in range(60)]
    path = written(tmp_path, "simplewiki.xml.bz2", multistream(pages, 10))
    size = path.stat().st_size // 4
    pieces = cut([Source(str(path))], piece_bytes=size)
    counts = [
        sum(one.batch.num_rows for one in read_piece(piece, [Source(str(path))]))
        for piece in pieces
    ]
    assert sum(counts) == 60
    assert sum(count > 0 for count in counts) >= 3


def test_small_files_share_a_piece_and_large_ones_are_divided(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(f"text {number}", encoding="utf-8")
    (tmp_path / "big.jsonl").write_text('{"text": "x"}\n' * 100, encoding="utf-8")
    pieces = cut([Source(str(tmp_path))], piece_bytes=200)
    assert [len(piece.spans) for piece in pieces] == [10, *[1] * 7]
    assert sum(piece.bytes for piece in pieces) == 10 * 6 + 1400


def test_a_piece_is_json_and_tells_of_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n', encoding="utf-8")
    (piece,) = cut([Source(str(path))])
    facts = json.loads(json.dumps(asdict(piece)))
    spans = tuple(Span(**span) for span in facts.pop("spans"))
    assert Piece(spans=spans, **facts) == piece
    path.write_text('{"text": "another"}\n', encoding="utf-8")
    (changed,) = cut([Source(str(path))])
    assert changed.fingerprint != piece.fingerprint


def test_several_sources_keep_their_order_origin_and_licence(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("first", encoding="utf-8")
    rows = [{"text": "second", "license": "MIT"}, {"text": "third", "license": None}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    whole = reading_of(
        Source(str(tmp_path / "b.txt"), name="letters"),
        Source(str(tmp_path / "a.jsonl"), license="CC BY 4.0"),
    )
    found = [(row["text"], row["origin"], row["license"]) for row in whole.rows]
    assert found == [
        ("first", "letters", None),
        ("second", str(tmp_path / "a.jsonl"), "MIT"),
        ("third", str(tmp_path / "a.jsonl"), "CC BY 4.0"),
    ]


def test_a_corpus_folder_is_cut_by_its_row_groups(tmp_path: Path) -> None:
    documents = [Document(str(n), "x" * (1 << 20), "s", {"n": n}) for n in range(12)]
    write_corpus(documents, tmp_path / "c", settings={}, rows_per_part=9)
    assert piece_count(tmp_path / "c", 1) == 4
    whole = reading_of(tmp_path / "c")
    assert [(row["id"], row["n"]) for row in whole.rows] == [(str(n), n) for n in range(12)]
    assert reading_of(tmp_path / "c", piece_bytes=1) == whole


def test_a_gzip_file_of_lines_is_one_piece(tmp_path: Path) -> None:
    data = gzip.compress(b'{"text": "a"}\n' * 50)
    path = written(tmp_path, "a.jsonl.gz", data + data)
    assert piece_count(path, 10) == 1
    assert len(reading_of(path, piece_bytes=10).rows) == 100
