"""Files behind URLs, and dumps by name: fsspec's memory and a server on this machine."""

import bz2
import functools
import http.server
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from whole_readings import reading_of
from wiki_dumps import multistream

from lilliput.corpus.readers import Source, cut
from lilliput.errors import UserError, WorkFailed


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with ranges; breaks off after `breaks_after` bytes where that is set."""

    breaks_after: int | None = None
    asked: list[str]

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        tag = f'"{hash(data)}"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", tag)
        self.asked.append(self.headers.get("Range", "all"))
        if wanted and condition == tag:
            start = int(wanted[1])
            stop = min(int(wanted[2]) + 1, len(data)) if wanted[2] else len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[start:stop]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(data[: self.breaks_after] if self.breaks_after is not None else data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, type[Handler]]]:
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Handler", (Handler,), {"asked": []})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    ) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", folder, handler
        running.shutdown()


def test_files_of_a_web_server(server: tuple[str, Path, type[Handler]]) -> None:
    address, folder, _ = server
    lines = "".join(json.dumps({"text": f"line {n}"}) + "\n" for n in range(50))
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    (folder / "a.jsonl.bz2").write_bytes(bz2.compress(lines.encode()))
    (folder / "a.csv").write_text("text\n" + "x\n" * 9, encoding="utf-8")
    pq.write_table(pa.table({"text": ["a", "b"]}), folder / "a.parquet")
    expected = [f"line {n}" for n in range(50)]
    for name in ("a.jsonl", "a.jsonl.bz2"):
        whole = reading_of(f"{address}/{name}", piece_bytes=200)
        assert whole.texts == expected
        assert whole.rows[0]["source"] == name
    assert reading_of(f"{address}/a.csv", piece_bytes=3).texts == ["x"] * 9
    assert reading_of(f"{address}/a.parquet?x=1").texts == ["a", "b"]
    with pytest.raises(UserError, match="no such file"):
        reading_of(f"{address}/none.txt")
    with pytest.raises(UserError, match="nothing is fetched when offline"):
        cut([Source(f"{address}/a.csv")], offline=True)


def test_folders_and_patterns_behind_urls() -> None:
    system = fsspec.filesystem("memory")
    for name in ("b/two.txt", "one.txt", "b/three.jsonl", "picture.png"):
        content = b'{"text": "three"}' if name.endswith("jsonl") else name.encode()
        system.pipe(f"/readers/{name}", content)
    whole = reading_of("memory://readers")
    assert [(row["text"], row["source"]) for row in whole.rows] == [
        ("three", "b/three.jsonl"),
        ("b/two.txt", "b/two.txt"),
        ("one.txt", "one.txt"),
    ]
    assert reading_of("memory://readers/b/*.txt").texts == ["b/two.txt"]
    assert reading_of("memory://readers/**/t*.*").texts == ["three", "b/two.txt"]
    assert cut([Source("memory://readers")], offline=True)


def test_what_is_missing_for_a_url_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"pip install 'lilliput\[remote\]'"):
        cut([Source("s3://bucket/a.txt")])
    with pytest.raises(UserError, match="nosuch"):
        cut([Source("nosuch://bucket/a.txt")])


@pytest.fixture
def wiki(
    server: tuple[str, Path, type[Handler]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, type[Handler]]:
    address, folder, handler = server
    monkeypatch.setenv("LILLIPUT_WIKIMEDIA", address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = folder / "simplewiki/latest/simplewiki-latest-pages-articles-multistream.xml.bz2"
    file.parent.mkdir(parents=True)
    file.write_bytes(multistream([(f"P{n}", f"Text {n}. " * 50) for n in range(30)], 7))
    return file, handler


def test_a_wikipedia_by_name_is_fetched_once(wiki: tuple[Path, type[Handler]]) -> None:
    _, handler = wiki
    with pytest.raises(UserError, match="offline"):
        cut([Source("simplewiki")], offline=True)
    whole = reading_of("simplewiki", piece_bytes=500)
    assert len(whole.rows) == 30
    assert whole.rows[0]["source"] == "simplewiki"
    assert reading_of("simplewiki") == whole
    assert cut([Source("simplewiki")], offline=True)
    assert handler.asked == ["all"]
    with pytest.raises(UserError, match="no such dump"):
        cut([Source("simplewiki", revision="20200101")])


def test_a_broken_fetch_goes_on(wiki: tuple[Path, type[Handler]]) -> None:
    file, handler = wiki
    size = file.stat().st_size
    handler.breaks_after = size // 3
    with pytest.raises(WorkFailed, match="run again to go on"):
        cut([Source("simplewiki")])
    handler.breaks_after = None
    assert len(reading_of("simplewiki").rows) == 30
    assert handler.asked == ["all", f"bytes={size // 3}-"]


def test_a_dump_that_changed_meanwhile_is_fetched_anew(wiki: tuple[Path, type[Handler]]) -> None:
    file, handler = wiki
    handler.breaks_after = 100
    with pytest.raises(WorkFailed):
        cut([Source("simplewiki")])
    handler.breaks_after = None
    file.write_bytes(multistream([("New", "New text")], 1))
    assert reading_of("simplewiki").texts == ["New text"]
