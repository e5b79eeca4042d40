"""Rows: nested fields, templates, columns and their types, what is malformed."""

import bz2
import gzip
import json
import lzma
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_readings import reading_of

from lilliput.corpus.readers import Source, batches, common_schema, conform
from lilliput.corpus.readers.columns import as_text, column, column_type
from lilliput.errors import UserError


def json_lines(folder: Path, *rows: Any) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_nested_fields_by_dots(tmp_path: Path) -> None:
    row = {"meta": {"body": "text", "url": "u", "n": 1}, "a.b": 2}
    path = json_lines(tmp_path, row)
    source = Source(
        str(path), text_field="meta.body", columns={"url": "meta.url", "ab": "a.b"}, metadata=()
    )
    (found,) = reading_of(source).rows
    assert {name: found[name] for name in ("text", "url", "ab")} == {
        "text": "text",
        "url": "u",
        "ab": 2,
    }
    assert "meta" not in found
    (found,) = reading_of(Source(str(path), text_field="meta.body")).rows
    assert json.loads(found["meta"]) == row["meta"]


TEMPLATE = "{age}-year-old {job}: {note} {{sic}} {meta.tag}"


def test_a_row_template(tmp_path: Path) -> None:
    path = json_lines(
        tmp_path,
        {"age": 40, "job": "baker", "note": "a\nb", "meta": {"tag": ["x", "y"]}},
        {"age": 2.5, "job": "", "note": None, "meta": {"tag": True}},
    )
    whole = reading_of(Source(str(path), template=TEMPLATE, missing="?"))
    assert whole.texts == ["40-year-old baker: a\nb {sic} x, y", "2.5-year-old ?: ? {sic} true"]
    assert whole.rows[0]["age"] == 40.0


def test_rows_as_lines(tmp_path: Path) -> None:
    path = json_lines(tmp_path, {"name": "A", "age": None, "at": {"x": 1, "y": ""}, "text": "t"})
    assert reading_of(Source(str(path), template="lines")).texts == ["name: A\nat.x: 1\ntext: t"]


def test_a_template_over_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('age,job\n40,"baker, cook"\n', encoding="utf-8")
    pq.write_table(pa.table({"age": [40], "job": ["baker, cook"]}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        source = Source(str(tmp_path / name), template="{age}: {job}", metadata=())
        assert reading_of(source).texts == ["40: baker, cook"]


def test_an_unknown_field_of_a_template_names_the_fields(tmp_path: Path) -> None:
    path = json_lines(tmp_path, {"age": 1, "job": "x"})
    with pytest.raises(UserError, match=r"a\.jsonl, line 1: no field 'jobb' \(fields: age, job\)"):
        reading_of(Source(str(path), template="{jobb}"))


@pytest.mark.parametrize("template", ["{age", "age}", "{}", "{age:>3}", "{age!r}"])
def test_a_template_that_is_not_well_formed(template: str) -> None:
    with pytest.raises(UserError, match="write literal braces twice"):
        Source("x.csv", template=template)


@pytest.mark.parametrize(
    "settings",
    [
        {"location": ""},
        {"location": "x", "format": "doc"},
        {"location": "x", "malformed": "ignore"},
        {"location": "x", "encoding": "utf-9"},
        {"location": "x", "delimiter": "||"},
    ],
)
def test_settings_that_are_none(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Source(**settings)


def test_malformed_records_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "one"}', "{", '["x"]', '{"body": 1}', '{"text": 5}', '{"text": ""}']
    path.write_text("\n".join([*lines, '{"text": "two"}']), encoding="utf-8")
    whole = reading_of(Source(str(path), malformed="skip"))
    assert whole.texts == ["one", "two"]
    assert [rule for rule, _ in whole.dropped] == [
        "not_json",
        "not_an_object",
        "no_text_field",
        "text_not_text",
        "empty",
    ]
    assert "a.jsonl, line 4: no field 'text' (fields: body)" in whole.dropped[2][1]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path, suffix: str) -> None:
    pack = {
        ".gz": gzip.compress,
        ".bz2": lambda data: bz2.compress(data, 1),
        ".xz": lzma.compress,
        ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    }[suffix]
    noise = random.Random(1)
    rows = [json.dumps({"text": f"{n} {noise.random()}"}) for n in range(20_000)]
    data = pack("\n".join(rows).encode())
    (tmp_path / f"a.jsonl{suffix}").write_bytes(data[: len(data) // 2])
    (tmp_path / "b.jsonl").write_text('{"text": "after"}', encoding="utf-8")
    with pytest.raises(UserError, match=rf"a\.jsonl\{suffix}: cannot be read"):
        reading_of(tmp_path)
    whole = reading_of(Source(str(tmp_path), malformed="skip"))
    assert 1000 < len(whole.rows) < 20_000
    assert whole.texts[-1] == "after"
    assert [rule for rule, _ in whole.dropped] == ["damaged_file"]


def test_columns_found_late_in_a_long_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "WINDOW_BYTES", 100)
    rows = [{"text": "x" * 30, "n": n} for n in range(20)]
    rows += [{"text": "y" * 30, "n": 0.5, "late": {"a": [1]}}, {"text": "z", "n": "seven"}]
    whole = reading_of(json_lines(tmp_path, *rows), batch_bytes=60)
    assert [row["n"] for row in whole.rows] == [*map(str, range(20)), "0.5", "seven"]
    assert [row["late"] for row in whole.rows] == [None] * 20 + ['{"a": [1]}', None]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(-9, 9)
    | st.text(max_size=3)
)
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
)


@given(st.lists(st.lists(VALUES, max_size=3), min_size=1, max_size=5))
def test_a_column_does_not_depend_on_how_its_values_come(groups: list[list[Any]]) -> None:
    together = [value for group in groups for value in group]
    whole = column(together, column_type(together))
    parts = [
        pa.RecordBatch.from_arrays([column(group, column_type(group))], names=["c"])
        for group in groups
    ]
    schema = common_schema(part.schema for part in parts)
    assert schema.field("c").type == whole.type
    assert [
        v for part in parts for v in conform(part, schema).column(0).to_pylist()
    ] == whole.to_pylist()


@given(VALUES)
def test_a_value_as_text_is_itself_or_json(value: Any) -> None:
    text = as_text(value) if value is not None else "null"
    assert text == value if isinstance(value, str) else json.loads(text) == value


def test_types_of_parquet_columns(tmp_path: Path) -> None:
    import datetime

    table = pa.table(
        {
            "text": pa.array([b"caf\xe9"], pa.binary()),
            "small": pa.array([1], pa.int8()),
            "day": pa.array([datetime.date(2026, 1, 2)]),
            "kind": pa.array(["x"]).dictionary_encode(),
            "pair": pa.array([{"a": 1, "b": [2]}]),
            "raw": pa.array([b"1"], pa.binary()),
            "names": pa.array([["a", None]], pa.large_list(pa.large_string())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (row,) = reading_of(tmp_path).rows
    del row["id"], row["source"], row["origin"]
    assert row == {
        "text": "café",
        "small": 1,
        "day": "2026-01-02",
        "kind": "x",
        "pair": '{"a": 1, "b": [2]}',
        "names": ["a", None],
    }


def test_only_the_columns_needed_are_read(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "n": [1], "meta": [{"url": "u", "x": 1}], "more": [2]})
    pq.write_table(table, tmp_path / "a.parquet")
    source = Source(str(tmp_path), metadata=("n",), columns={"url": "meta.url"})
    (row,) = reading_of(source).rows
    assert set(row) == {"id", "text", "source", "origin", "n", "url"}
    assert (row["n"], row["url"]) == (1, "u")


def test_text_of_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    texts = pa.array([b"fine", b"caf\xe9", None], pa.binary())
    strings = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    pq.write_table(pa.table({"text": strings, "note": strings}), tmp_path / "a.parquet")
    whole = reading_of(tmp_path)
    assert [(row["text"], row["note"]) for row in whole.rows] == [("fine",) * 2, ("café",) * 2]
    assert whole.counts == {"repaired encodings: cp1252": 2}


@given(at=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_damaged_parquet_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    pq.write_table(pa.table({"text": ["one", "two"] * 20, "n": list(range(40))}), path)
    data = bytearray(path.read_bytes())
    data[at % len(data)] = byte
    path.write_bytes(data)
    try:
        reading_of(path)
    except UserError as error:
        assert str(path) in str(error)
