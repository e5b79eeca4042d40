"""Annotation over real HTTP: by our own server, and by one that misbehaves."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from click.testing import CliRunner

from lilliput.cli.corpus_annotate import command
from lilliput.corpus.documents import Document
from lilliput.corpus.folder import open_corpus
from lilliput.corpus.quality.annotation_task import EDUCATION, TOPIC, annotation_task
from lilliput.corpus.quality.annotator import (
    Annotate,
    Price,
    annotate_documents,
    draw,
    estimate,
)
from lilliput.corpus.quality.chat_endpoint import ChatEndpoint
from lilliput.errors import UserError, WorkFailed
from lilliput.generate import load
from lilliput.model import FAMILIES, Decoder, save_model
from lilliput.serve.app import create_app
from lilliput.serve.limits import Limits
from lilliput.serve.server import bind, make_server
from lilliput.tokens import train_tokenizer

GOOD_ANSWER = '{"reason": "It explains.", "education": 4}'


def completion(text: str) -> bytes:
    return json.dumps(
        {
            "choices": [{"message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }
    ).encode()


@dataclass
class Script:
    """What a server answers: a function of the request's number (from 0) and its body."""

    answer: Callable[[int, dict[str, Any]], tuple[int, dict[str, str], bytes]]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: int = 0
    most_running: int = 0


@contextmanager
def serving(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with script.lock:
                number = len(script.bodies)
                script.bodies.append(body)
                script.headers.append(dict(self.headers))
                script.times.append(time.monotonic())
                script.running += 1
                script.most_running = max(script.most_running, script.running)
            try:
                status, headers, data = script.answer(number, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client hung up, as it should on a server that hangs
            finally:
                with script.lock:
                    script.running -= 1

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def stage_for(url: str, tmp_path: Path, **settings: Any) -> Annotate:
    defaults = {"cache": str(tmp_path / "answers.sqlite"), "first_wait": 0.001, "retries": 3}
    return Annotate(url, "judge", **{**defaults, **settings})


def batch_of(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"id": [str(n) for n in range(len(texts))], "text": texts})


def always(text: str) -> Script:
    return Script(lambda number, body: (200, {}, completion(text)))


def test_answers_become_columns_and_are_asked_for_once(tmp_path: Path) -> None:
    script = always(f"Sure! {GOOD_ANSWER} Done.")
    with serving(script) as url:
        stage = stage_for(url, tmp_path)
        outcome = stage(batch_of(["one", "two", "one"]))
        assert outcome.batch.column("education").to_pylist() == [4, 4, 4]
        assert outcome.batch.column("reason").to_pylist() == ["It explains."] * 3
        assert outcome.batch.schema.field("education").type == pa.int64()
        assert outcome.counts == {"annotated": 3, "left empty": 0}
        assert len(script.bodies) == 2
        assert stage(batch_of(["two", "one"])).batch.column("education").to_pylist() == [4, 4]
        assert len(script.bodies) == 2
        # Another model is another question; an empty batch is none.
        replace(stage, model="other")(batch_of(["one"]))
        assert len(script.bodies) == 3
        assert stage(batch_of([])).batch.num_rows == 0
    asked = script.bodies[0]
    assert asked["model"] == "judge"
    assert asked["temperature"] == 0
    assert asked["response_format"]["json_schema"]["schema"] == EDUCATION.schema
    assert asked["messages"][0]["content"].count(asked["messages"][0]["content"]) == 1
    sent = {body["messages"][0]["content"] for body in script.bodies}
    assert sent == {EDUCATION.question("one"), EDUCATION.question("two")}


def test_it_comes_back_after_429_500_and_garbage(tmp_path: Path) -> None:
    failures = [
        (429, {"Retry-After": "0"}, b'{"error": {"message": "slow down"}}'),
        (500, {}, b"<html>oops</html>"),
        (200, {}, b"\xff\xfe garbage"),
    ]
    script = Script(
        lambda number, body: (
            failures[number] if number < len(failures) else (200, {}, completion(GOOD_ANSWER))
        )
    )
    with serving(script) as url:
        stage = stage_for(url, tmp_path)
        assert stage(batch_of(["text"])).batch.column("education").to_pylist() == [4]
    assert len(script.bodies) == 4


@pytest.mark.parametrize("as_date", [False, True])
def test_it_waits_as_long_as_the_server_says(tmp_path: Path, as_date: bool) -> None:
    said = "1"
    if as_date:
        said = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    script = Script(
        lambda number, body: (
            (200, {}, completion(GOOD_ANSWER)) if number else (503, {"Retry-After": said}, b"")
        )
    )
    with serving(script) as url:
        stage_for(url, tmp_path)(batch_of(["text"]))
    assert script.times[1] - script.times[0] > 0.8  # the wait is the promise, not a speed


def test_a_hanging_server_is_given_up_and_the_answers_are_kept(tmp_path: Path) -> None:
    let_go = threading.Event()

    def answer(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if "slow" in body["messages"][0]["content"].rpartition("The text:")[2]:
            let_go.wait(20)
        return 200, {}, completion(GOOD_ANSWER)

    script = Script(answer)
    with serving(script) as url:
        stage = stage_for(url, tmp_path, timeout_seconds=0.4, retries=1, at_once=1)
        with pytest.raises(WorkFailed, match="no answer after 2 tries"):
            stage(batch_of(["quick", "slow"]))
        let_go.set()
        asked = len(script.bodies)
        assert stage(batch_of(["quick", "slow"])).batch.column("education").to_pylist() == [4, 4]
        assert len(script.bodies) == asked + 1  # "quick" was known


def test_no_server_at_all_is_the_works_failure(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    stage = stage_for(f"http://127.0.0.1:{port}/v1", tmp_path, retries=1)
    with pytest.raises(WorkFailed, match="after 2 tries"):
        stage(batch_of(["text"]))


def test_answers_that_do_not_fit_are_asked_again_then_left_empty(tmp_path: Path) -> None:
    def answer(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        text = body["messages"][0]["content"]
        if "hopeless" in text:
            return 200, {}, completion('{"reason": "?", "education": 9}')
        fits = body["seed"] == 1
        return 200, {}, completion(GOOD_ANSWER if fits else "I would rather not say.")

    script = Script(answer)
    with serving(script) as url:
        stage = stage_for(url, tmp_path)
        answers, use = stage.annotate(["hopeless", "second time"])
    assert answers == [None, {"reason": "It explains.", "education": 4}]
    assert (use.requests, use.unparsable, use.empty, use.answered) == (5, 4, 1, 1)
    assert (use.prompt_tokens, use.answer_tokens) == (500, 50)
    assert {body["temperature"] for body in script.bodies if body["seed"]} == {0.7}


def test_a_refused_text_is_left_empty_and_a_refused_task_is_the_users(tmp_path: Path) -> None:
    def answer(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if "too long" in body["messages"][0]["content"]:
            return 400, {}, b'{"error": {"message": "context is full"}}'
        return 200, {}, completion(GOOD_ANSWER)

    with serving(Script(answer)) as url:
        stage = stage_for(url, tmp_path)
        outcome = stage(batch_of(["too long", "fine"]))
        assert outcome.batch.column("education").to_pylist() == [None, 4]
        with pytest.raises(UserError, match="refuses every question: status 400: context is full"):
            stage(batch_of(["too long"]))


@pytest.mark.parametrize("status", [401, 404, 302])
def test_a_wrong_key_address_or_model_is_said_at_once(tmp_path: Path, status: int) -> None:
    headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    script = Script(lambda number, body: (status, headers, b'{"error": {"message": "no"}}'))
    with serving(script) as url, pytest.raises(UserError, match=f"status {status}: no"):
        stage_for(url, tmp_path)(batch_of(["text"]))
    assert len(script.bodies) == 1


def test_the_key_comes_from_the_environment_and_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    script = always(GOOD_ANSWER)
    documents = [Document("a", "text", "here")]
    with serving(script) as url:
        stage = stage_for(url, tmp_path, key_variable="JUDGE_KEY")
        annotate_documents(documents, tmp_path / "corpus", stage)
    assert script.headers[0]["Authorization"] == "Bearer sk-very-secret"
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"very-secret" not in path.read_bytes()
    assert "very-secret" not in repr(stage)
    with pytest.raises(UserError, match="NO_SUCH_KEY is not set"):
        replace(stage, key_variable="NO_SUCH_KEY")(batch_of(["new"]))


def test_no_more_questions_at_once_than_asked_for(tmp_path: Path) -> None:
    def answer(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.02)
        return 200, {}, completion(GOOD_ANSWER)

    script = Script(answer)
    with serving(script) as url:
        stage_for(url, tmp_path, at_once=3)(batch_of([str(n) for n in range(12)]))
    assert 2 <= script.most_running <= 3


def test_offline_asks_this_machine_only(tmp_path: Path) -> None:
    Annotate("http://localhost:1/v1", "judge", offline=True)
    for address in ("https://api.example.com/v1", "http://10.0.0.1/v1"):
        with pytest.raises(UserError, match="offline"):
            Annotate(address, "judge", offline=True)
    for address in ("api.example.com", "ftp://example.com", "http://", "http://a:b/v1"):
        with pytest.raises(UserError, match="no endpoint"):
            ChatEndpoint(address)


def test_a_task_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "tone.json"
    schema = {
        "type": "object",
        "properties": {
            "tone": {"enum": ["calm", "angry"]},
            "certain": {"type": "number", "minimum": 0, "maximum": 1},
            "polite": {"type": "boolean"},
        },
    }
    path.write_text(json.dumps({"prompt": "Tone of: {text}", "schema": schema}), encoding="utf-8")
    task = annotation_task(str(path))
    assert task.question("a {text} b") == "Tone of: a {text} b"
    fits = {"tone": "calm", "certain": 0.5, "polite": True}
    assert task.read(f'{{bad {{"x": 1}} {json.dumps(fits)}') is None  # the first object counts
    assert task.read(f"well {json.dumps({**fits, 'more': 1})}") == fits
    for wrong in ({"tone": "glad"}, {"certain": 2}, {"certain": True}, {"polite": 1}):
        assert task.read(json.dumps({**fits, **wrong})) is None
    assert task.read('{"tone": "calm"') is None
    assert TOPIC.read('{"topic": "science"}') == {"topic": "science"}
    for described, message in (
        ({"prompt": "no place", "schema": schema}, "holds {text}"),
        ({"prompt": "{text}", "schema": {"type": "object"}}, "properties"),
        ({"prompt": "{text}", "schema": {"properties": {"text": {"type": "string"}}}}, "overwrite"),
        ({"prompt": "{text}", "schema": {"properties": {"x": {"type": "array"}}}}, "'x'"),
        ([], "prompt"),
    ):
        path.write_text(json.dumps(described), encoding="utf-8")
        with pytest.raises(UserError, match=message):
            annotation_task(str(path))
    with pytest.raises(UserError, match="neither education nor topic"):
        annotation_task("mood")


def test_an_estimate_asks_nothing(tmp_path: Path) -> None:
    documents = [Document(str(n), f"text {n}", "here") for n in range(5)]
    with serving(always(GOOD_ANSWER)) as url:
        stage = stage_for(url, tmp_path)
        stage.annotate(["text 0", "text 1"])
    found = estimate(documents, stage, Price(prompt=2.0, answer=10.0))
    assert (found.documents, found.from_cache) == (5, 2)
    size = len(EDUCATION.question("text 2").encode())
    assert found.prompt_tokens == 3 * -(-size // 4)
    assert found.answer_tokens == 900
    assert found.dollars == pytest.approx((found.prompt_tokens * 2 + 900 * 10) / 1e6)


def test_a_sample_is_the_same_whatever_the_order() -> None:
    documents = [Document(f"d{n}", "text", "here") for n in range(50)]
    drawn = [document.id for document in draw(documents, 7)]
    assert len(drawn) == 7
    assert set(drawn) == {document.id for document in draw(reversed(documents), 7)}


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match=r"answers\.sqlite"):
        stage_for("http://127.0.0.1:1/v1", tmp_path)(batch_of(["text"]))


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`lilliput serve` with a random model."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("annotator") / "tiny"
    texts = ['Once upon a time, the cat sat on the mat. {yes} "no" 0123456789'] * 20
    tokenizer = train_tokenizer(texts, vocabulary_size=290)
    config = FAMILIES["lilliput"].shape(
        n_layers=1, d_model=16, vocabulary_size=tokenizer.vocabulary_size, context_length=512
    )
    torch.manual_seed(3)
    save_model(
        Decoder(config), folder, end_of_text=tokenizer.end_of_text, padding=tokenizer.padding
    )
    tokenizer.save(folder)
    limits = Limits()
    app = create_app({"tiny": load(folder, "cpu")}, limits=limits)
    with bind("127.0.0.1", 0) as listener:
        server = make_server(app, limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        server.should_exit = True
        thread.join(30)


def test_our_own_server_annotates_a_corpus(own_server: str, tmp_path: Path) -> None:
    source = tmp_path / "documents.jsonl"
    rows = [{"text": f"The cat number {n} sat.", "url": f"u{n}"} for n in range(6)]
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = tmp_path / "grade.json"
    properties = {
        "grade": {"type": "integer", "minimum": 0, "maximum": 5},
        "kind": {"enum": ["story", "news"]},
    }
    described = {"prompt": "Grade: {text}", "schema": {"type": "object", "properties": properties}}
    task.write_text(json.dumps(described), encoding="utf-8")
    arguments = [
        str(source), "-o", str(tmp_path / "graded"), "--endpoint", own_server, "--model", "tiny",
        "--task", str(task), "--cache", str(tmp_path / "answers.sqlite"), "--offline", "--json",
    ]  # fmt: skip
    made = CliRunner().invoke(command, arguments)
    assert made.exit_code == 0, made.output
    facts = json.loads(made.stdout)
    assert (facts["answered"], facts["empty"], facts["from_cache"]) == (6, 0, 0)
    assert facts["prompt_tokens"] > 0
    documents = list(open_corpus(tmp_path / "graded").documents())
    assert [document.text for document in documents] == [row["text"] for row in rows]
    assert [document.metadata["url"] for document in documents] == [row["url"] for row in rows]
    for document in documents:
        assert document.metadata["grade"] in range(6)
        assert document.metadata["kind"] in ("story", "news")
    again = CliRunner().invoke(command, arguments)
    assert json.loads(again.stdout)["from_cache"] == 6
    assert json.loads(again.stdout)["requests"] == 0
    foreseen = CliRunner().invoke(command, [*arguments, "--dry-run"])
    assert json.loads(foreseen.stdout)["from_cache"] == 6
