"""Text whatever its encoding: repaired and counted, never fatal."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_readings import reading_of

from lilliput.corpus.readers import Source
from lilliput.corpus.readers.encodings import decode, repair

SENTENCE = "It’s “naïve” – the café’s señor paid 5 € for a straße…"
RUSSIAN = "Привет, как дела? Это обычный русский текст о погоде и о жизни в большом городе."


def repaired(kind: str) -> str:
    return f"repaired encodings: {kind}"


@given(st.text())
def test_utf8_is_left_alone(text: str) -> None:
    counts: Counter[str] = Counter()
    assert decode(text.encode(), counts) == text
    assert not counts


@given(st.binary())
def test_any_bytes_become_text(data: bytes) -> None:
    text = repair(decode(data, Counter()), Counter())
    assert "\0" not in text
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "encoding", "kind"),
    [
        (SENTENCE, "cp1252", "cp1252"),
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        ("これは日本語の文章です。今日はとても天気がいいですね。", "shift_jis", "shift_jis"),
        ("caf\xe9 \x81 na\xefve", "latin-1", "latin-1"),
    ],
)
def test_code_pages_are_found(text: str, encoding: str, kind: str) -> None:
    counts: Counter[str] = Counter()
    assert decode(text.encode(encoding), counts) == text
    assert counts == {repaired(kind): 1}


def test_stray_bytes_within_utf8_are_read_as_cp1252() -> None:
    counts: Counter[str] = Counter()
    data = "Żółć, gęślą jaźń: ".encode() + b"it\x92s caf\xe9"
    assert decode(data, counts) == "Żółć, gęślą jaźń: it’s café"
    assert counts == {repaired("stray bytes"): 1}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_encodings_are_told_by_their_mark(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    lines = "".join(f'{{"text": "Zahl {n} ½"}}\n' for n in range(30))
    (tmp_path / "a.jsonl").write_bytes((mark + lines).encode(encoding))
    (tmp_path / "b.txt").write_bytes((mark + "grün\nblau").encode(encoding))
    whole = reading_of(tmp_path, piece_bytes=100)
    assert whole.texts == [*(f"Zahl {n} ½" for n in range(30)), "grün\nblau"]
    assert whole.counts == {repaired(encoding[:6].upper()): 2}


def test_a_given_encoding_is_believed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f"text\n{RUSSIAN[8:]}\n".encode("cp1251"))
    source = Source(str(tmp_path / "a.csv"), encoding="cp1251")
    whole = reading_of(source, piece_bytes=3)
    assert whole.texts == [RUSSIAN[8:]]
    assert whole.counts == {}


@pytest.mark.parametrize(
    ("broken", "right"),
    [
        ("donâ€™t", "don’t"),
        ("cafÃ© naÃ¯ve", "café naïve"),
        ("proper ’ and donâ€™t", "proper ’ and don’t"),
        ("plain\ncafÃ©\nĀé", "plain\ncafé\nĀé"),
    ],
)
def test_mojibake_is_repaired(tmp_path: Path, broken: str, right: str) -> None:
    (tmp_path / "a.txt").write_text(broken, encoding="utf-8")
    whole = reading_of(tmp_path)
    assert whole.texts == [right]
    assert whole.counts == {repaired("mojibake"): 1}
    left = reading_of(Source(str(tmp_path), mojibake=False))
    assert left.texts == [broken]
    assert not left.counts


@pytest.mark.parametrize("text", ["CAFÉ—bar", "NÃO É", "Ð Æ ß", "señor «¿qué?»", SENTENCE, RUSSIAN])
def test_what_only_looks_like_it_is_left(text: str) -> None:
    counts: Counter[str] = Counter()
    assert repair(text, counts) == text
    assert not counts


def test_nuls_and_halves_of_pairs(tmp_path: Path) -> None:
    lines = [
        r'{"text": "a\u0000b", "note": "\ud800", "\udfff": 1}',
        r'{"text": "x\ud83d y", "id": "\ud83d"}',
    ]
    lines.append(r'{"text": "\ud83d\ude00"}')
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    whole = reading_of(tmp_path)
    assert whole.texts == ["ab", "x\ufffd y", "\N{GRINNING FACE}"]
    assert whole.rows[0]["note"] == "?"
    assert whole.counts == {repaired("NUL"): 1, repaired("surrogates"): 1}
