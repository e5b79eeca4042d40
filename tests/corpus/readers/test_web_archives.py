"""WARC and WET against archives that warcio writes, and by the letter of the standard."""

import gzip
import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_archives import gzipped_records, warc_record, warc_records
from whole_readings import Reading, reading_of

from lilliput.corpus.readers import Source
from lilliput.errors import UserError

SENTENCES = "The quick brown fox jumps over the lazy dog near the river. " * 5
PAGE = (
    "<html><head><title> A\n page </title></head><body><nav><a href='/'>Home</a></nav>"
    f"<main><article><h1>Fox</h1><p>{SENTENCES}</p><ul>"
    "<li>café is made of beans</li><li>tea is made of leaves</li></ul></article></main>"
    "</body></html>"
)


def response(
    body: bytes, *headers: str, status: str = "200 OK", url: str = "http://a.org/"
) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, "", ""]
    return warc_record(
        "response",
        "\r\n".join(lines).encode() + body,
        WARC_Target_URI="http://a.org/",
        WARC_Date="2026-01-02T03:04:05Z",
        WARC_Record_ID="<urn:uuid:17>",
        Content_Type="application/http; msgtype=response",
    )


def read(folder: Path, *records: bytes, name: str = "a.warc.gz", **settings: str) -> Reading:
    data = gzipped_records(records) if name.endswith(".gz") else b"".join(records)
    (folder / name).write_bytes(data)
    return reading_of(Source(str(folder / name), **settings))  # type: ignore[arg-type]


HTML = "Content-Type: text/html; charset=utf-8"


def test_a_page_gives_its_main_content_and_what_is_known_of_it(tmp_path: Path) -> None:
    whole = read(tmp_path, response(PAGE.encode(), HTML))
    (row,) = whole.rows
    assert "quick brown fox" in row["text"]
    assert "Home" not in row["text"]
    assert "• café" in row["text"]
    del row["text"], row["origin"]
    assert row == {
        "id": "17",
        "source": "a.warc.gz",
        "url": "http://a.org/",
        "date": "2026-01-02T03:04:05Z",
        "title": "A page",
    }


@pytest.mark.parametrize("extraction", ["main", "all", "trafilatura"])
def test_extractions(tmp_path: Path, extraction: str) -> None:
    whole = read(tmp_path, response(PAGE.encode(), HTML), extraction=extraction)
    (text,) = whole.texts
    assert SENTENCES.strip() in text
    assert ("Home" in text) == (extraction == "all")


def test_other_records_are_passed_over_and_counted(tmp_path: Path) -> None:
    whole = read(
        tmp_path,
        warc_record("warcinfo", b"x"),
        warc_record("request", b"GET / HTTP/1.1\r\n\r\n"),
        response(PAGE.encode(), HTML, status="404 Not Found"),
        response(b"\x89PNG", "Content-Type: image/png"),
        response(b"plain text", "Content-Type: text/plain"),
        response(PAGE.encode()),
    )
    assert len(whole.texts) == 2
    assert whole.counts == {
        "passed over: warcinfo records": 1,
        "passed over: request records": 1,
        "passed over: responses other than 200": 1,
        "passed over: contents of type image/png": 1,
    }


def chunked(data: bytes, size: int = 7) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Transfer-Encoding: chunked"], chunked(PAGE.encode())),
        (["Content-Encoding: gzip"], gzip.compress(PAGE.encode())),
        (["Content-Encoding: deflate"], zlib.compress(PAGE.encode())),
        (
            ["Content-Encoding: gzip", "Transfer-Encoding: chunked"],
            chunked(gzip.compress(PAGE.encode())),
        ),
        # Crawlers that decode bodies leave the headers.
        (["Content-Encoding: gzip", "Transfer-Encoding: chunked"], PAGE.encode()),
        (["Content-Encoding: br"], PAGE.encode()),
    ],
)
def test_encoded_bodies(tmp_path: Path, headers: list[str], body: bytes) -> None:
    whole = read(tmp_path, response(body, HTML, *headers))
    assert SENTENCES.strip() in whole.texts[0]


@pytest.mark.parametrize(
    ("content_type", "meta", "encoding"),
    [
        ("text/html; charset=iso-8859-2", "", "iso-8859-2"),
        ("text/html", '<meta charset="windows-1250">', "cp1250"),
        (
            "text/html",
            "<meta http-equiv=Content-Type content='text/html; charset=cp1250'>",
            "cp1250",
        ),
        ("text/html; charset=nonsense", "", "utf-8"),
        ("text/html; charset=utf-16", "", "utf-8"),
    ],
)
def test_charsets(tmp_path: Path, content_type: str, meta: str, encoding: str) -> None:
    word = "Zażółć gęślą jaźń"
    body = f"<html><head>{meta}</head><body><p>{word}. {SENTENCES}</p></body></html>"
    whole = read(tmp_path, response(body.encode(encoding), f"Content-Type: {content_type}"))
    assert word in whole.texts[0]


@given(texts=st.lists(st.text(max_size=200), max_size=6), packed=st.booleans())
def test_what_warcio_writes(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], packed: bool
) -> None:
    from warcio.warcwriter import WARCWriter

    path = tmp_path_factory.mktemp("warc") / ("a.warc.gz" if packed else "a.warc")
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=packed)
        for number, text in enumerate(texts):
            record = writer.create_warc_record(
                f"http://a.org/{number}", "conversion", payload=io.BytesIO(text.encode())
            )
            writer.write_record(record)
    told = [text.replace("\0", "").replace("\r\n", "\n").strip() for text in texts]
    numbered = [(text, f"http://a.org/{n}") for n, text in enumerate(told) if text.strip()]
    whole = reading_of(Source(str(path), mojibake=False))
    assert [(row["text"], row["url"]) for row in whole.rows] == numbered


@given(at=st.integers(0, 1500), byte=st.integers(0, 255), packed=st.booleans())
def test_a_damaged_archive_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, packed: bool
) -> None:
    records = warc_records(["one " * 20, "two " * 20, "three " * 20])
    data = bytearray(gzipped_records(records) if packed else b"".join(records))
    data[at % len(data)] = byte
    folder = tmp_path_factory.mktemp("warc")
    path = folder / ("a.wet.gz" if packed else "a.wet")
    path.write_bytes(data)
    try:
        reading_of(path)
    except UserError as error:
        assert str(path) in str(error)
    reading_of(Source(str(path), malformed="skip"), piece_bytes=200)


@pytest.mark.parametrize("keep", [0.3, 0.8, 0.99])
@pytest.mark.parametrize("name", ["a.wet", "a.wet.gz"])
def test_a_cut_off_archive_is_refused(tmp_path: Path, keep: float, name: str) -> None:
    records = warc_records([f"text {number} " * 20 for number in range(5)])
    data = gzipped_records(records) if name.endswith("gz") else b"".join(records)[:-4]
    (tmp_path / name).write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UserError, match="cannot be read"):
        reading_of(tmp_path / name)
