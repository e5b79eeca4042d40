"""Pairs from files: whatever is written is read, and what cannot be read is named."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.corpus.pairs import TextPair, read_pairs, split_pairs
from lilliput.errors import UserError

# CSV readers take \r alone for a line's end and NUL for none: files hold neither unquoted.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
PAIRS = st.lists(
    st.builds(TextPair, TEXT.filter(lambda text: bool(text.strip())), TEXT), max_size=8
)


def write(path: Path, pairs: list[TextPair], names: tuple[str, str]) -> None:
    """As other programs write such files."""
    rows = [dict(zip(names, pair, strict=True)) | {"else": "1"} for pair in pairs]
    if path.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=index % 2 == 0) for index, row in enumerate(rows)]
        path.write_bytes("".join(line + "\n" for line in lines).encode("utf-8"))
    elif path.suffix == ".parquet":
        schema = pa.schema([(name, pa.string()) for name in (*names, "else")])
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as handle:
            delimiter = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(
                handle, ["else", *names], delimiter=delimiter, quoting=csv.QUOTE_ALL
            )
            writer.writeheader()
            writer.writerows(rows)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
@given(pairs=PAIRS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(suffix: str, pairs: list[TextPair], tmp_path: Path) -> None:
    path = tmp_path / f"pairs{suffix}"
    write(path, pairs, ("question", "reply"))
    assert list(read_pairs(path, input_field="question", answer_field="reply")) == pairs


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"input": "a"}\n', r"a\.jsonl, line 1: no field 'answer' \(fields: input\)"),
        ("a.jsonl", '\n{"input": 3, "answer": ""}\n', "line 2, field 'input': expected text"),
        ("a.jsonl", '{"input": "a", "answer": null}', "field 'answer': expected text, found None"),
        ("a.jsonl", '{"input": " ", "answer": "b"}', "field 'input': there is nothing in it"),
        ("a.jsonl", '{"input": "a"', "line 1: not valid JSON"),
        ("a.jsonl", '["a", "b"]', "line 1: expected a JSON object with input and answer"),
        ("a.jsonl", b'{"input": "\xff"}', r"line 1: not UTF-8 \(byte 11"),
        ("a.jsonl", '{"input": "\\ud800", "answer": ""}', "half a surrogate pair"),
        ("a.csv", "input,reply\na,b\n", r"line 2: no field 'answer' \(fields: input, reply\)"),
        ("a.csv", "input,answer\na,b,c\n", "line 2: more fields than the first line names"),
        ("a.csv", 'input,answer\na,b\n"a,b\n', "line 3: not valid CSV"),
        ("a.csv", "input,answer\na\n", "line 2, field 'answer': expected text, found None"),
        ("a.csv", b"input,answer\n\xff,b\n", "not UTF-8"),
        ("a.parquet", "nothing of the kind", "not a readable Parquet file"),
        ("a.txt", "a", "of no known kind; pairs are read from .jsonl, .ndjson, .csv"),
    ],
)
def test_what_cannot_be_read_is_named(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(UserError, match=message):
        list(read_pairs(path))


def test_a_missing_column_of_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"input": ["a"], "reply": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"no field 'answer' \(fields: input, reply\)"):
        list(read_pairs(tmp_path / "a.parquet"))
    with pytest.raises(UserError, match="no such file of pairs"):
        list(read_pairs(tmp_path / "b.parquet"))


@given(PAIRS, PAIRS, st.floats(0.01, 0.99))
def test_an_input_is_held_out_or_trained_on(
    pairs: list[TextPair], more: list[TextPair], share: float
) -> None:
    train, held_out = split_pairs(pairs, share)
    assert sorted(train + held_out) == sorted(pairs)
    assert not {pair.input for pair in train} & {pair.input for pair in held_out}
    if len({pair.input for pair in pairs}) > 1:
        assert train
        assert held_out


def test_pairs_keep_their_side_when_the_file_grows() -> None:
    pairs = [TextPair(f"question {number}", "yes") for number in range(2000)]
    _, before = split_pairs(pairs[:1000], 0.1)
    _, after = split_pairs(pairs, 0.1)
    assert 60 < len(before) < 140
    assert after[: len(before)] == before
