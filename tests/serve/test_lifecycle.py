"""Queues, clients that leave, time limits, stopping, and failures of a model."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from conftest import SECONDS, Running, running, wait_until

from lilliput.errors import WorkFailed
from lilliput.generate import LanguageModel
from lilliput.generate.constraints.matching import Matching
from lilliput.serve.limits import Limits

LONG: dict[str, Any] = {"model": "endless", "prompt": "The", "max_tokens": 480, "seed": 1}


def _open(server: Running) -> int:
    return server.served("endless").open_requests


class _Slow:
    """An engine that waits before each step, so that what is open stays open."""

    def __init__(self, engine: Any, gate: threading.Event) -> None:
        self._engine, self._gate = engine, gate

    def step(self) -> Any:
        self._gate.wait(SECONDS)
        return self._engine.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> None:
    """Engines made while this holds step only while the gate is open."""
    make = LanguageModel.engine
    monkeypatch.setattr(LanguageModel, "engine", lambda self, **k: _Slow(make(self, **k), gate))


def test_a_client_that_leaves_a_stream_frees_its_slot(
    server: Running, client: openai.OpenAI
) -> None:
    stream = client.completions.create(**LONG, n=3, stream=True)
    next(iter(stream))
    assert _open(server) == 3
    stream.close()
    wait_until(lambda: _open(server) == 0)
    wait_until(lambda: server.served("endless").statistics.rows == 0)


@pytest.mark.usefixtures("slow")
def test_a_client_that_leaves_before_its_answer_frees_its_slot(
    endless: LanguageModel, gate: threading.Event
) -> None:
    with running({"endless": endless}) as server:
        with pytest.raises(httpx.ReadTimeout):
            server.http().post("/v1/completions", json=LONG, timeout=0.3)
        with pytest.raises(httpx.ReadTimeout):
            server.http().post("/v1/completions", json={**LONG, "stream": True}, timeout=0.3)
        wait_until(lambda: _open(server) == 0)
        gate.set()
        wait_until(lambda: server.served("endless").statistics.rows == 0)
        written = server.served("endless").statistics.tokens
        assert written <= 2, "the engine went on for a client that had left"


@pytest.mark.usefixtures("slow")
def test_a_full_queue_answers_503_at_once(endless: LanguageModel, gate: threading.Event) -> None:
    with running({"endless": endless}, Limits(rows=2, queue=1)) as server:
        answers: list[int] = []

        def ask() -> None:
            body = {**LONG, "max_tokens": 3}
            answers.append(server.http().post("/v1/completions", json=body).status_code)

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for one in asking:
            one.start()
        wait_until(lambda: _open(server) == 3)
        for route, body in (
            ("completions", LONG),
            ("completions", {**LONG, "stream": True}),
            (
                "chat/completions",
                {"model": "endless", "messages": [{"role": "user", "content": ""}]},
            ),
            ("embeddings", {"model": "endless", "input": "The"}),
        ):
            answer = server.http().post(f"/v1/{route}", json=body)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["error"]["code"] == "queue_full"
        gate.set()
        for one in asking:
            one.join(SECONDS)
        assert answers == [200] * 3
        assert server.client(max_retries=0).completions.create(**{**LONG, "max_tokens": 2})


@pytest.mark.usefixtures("slow")
def test_a_request_that_takes_too_long_ends(endless: LanguageModel, gate: threading.Event) -> None:
    with running({"endless": endless}, Limits(request_seconds=0.2)) as server:
        answer = server.http().post("/v1/completions", json=LONG)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        wait_until(lambda: _open(server) == 0)
        gate.set()


def test_a_stream_that_fails_says_so(
    endless: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model that fails, what is open is lost; the next request is answered."""
    from lilliput.generate.engine import Engine

    steps, step = [0], Engine.step

    def failing(engine: Engine) -> Any:
        steps[0] += 1
        if steps[0] == 5:
            raise WorkFailed("the logits are not finite")
        return step(engine)

    monkeypatch.setattr(Engine, "step", failing)
    with running({"endless": endless}) as server:
        with pytest.raises(openai.APIError, match="not finite"):
            list(server.client().completions.create(**LONG, stream=True))
        wait_until(lambda: _open(server) == 0)
        steps[0] = 4
        with pytest.raises(openai.InternalServerError, match="not finite"):
            server.client().completions.create(**LONG)
        assert server.client().completions.create(**{**LONG, "max_tokens": 3}).choices[0].text
        assert server.http().get("/health").status_code == 200


def test_a_rule_that_fails_ends_its_own_answer_alone(
    endless: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a grammar outgrows llguidance's limits in the middle of an answer."""
    accept, steps = Matching.accept, [0]

    def failing(matching: Matching, token: int) -> None:
        accept(matching, token)
        steps[0] += 1
        if steps[0] == 4:
            raise WorkFailed("the grammar grew too large")

    with running({"endless": endless}) as server:
        client = server.client(max_retries=0)
        alone = client.completions.create(**LONG).choices[0].text
        monkeypatch.setattr(Matching, "accept", failing)
        stream = client.completions.create(**LONG, stream=True)
        first = next(iter(stream)).choices[0].text
        with pytest.raises(openai.InternalServerError, match="grew too large"):
            client.completions.create(
                **{**LONG, "extra_body": {"structured_outputs": {"regex": "[a-z ]{40,60}"}}}
            )
        assert first + "".join(piece.choices[0].text for piece in stream) == alone
        wait_until(lambda: _open(server) == 0)
        wait_until(lambda: server.served("endless").statistics.rows == 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_model_that_cannot_be_started_again_says_so(
    endless: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lilliput.generate.engine import Engine

    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError("no room")

    with running({"endless": endless}) as server:
        monkeypatch.setattr(Engine, "step", fail)
        monkeypatch.setattr(Engine, "__init__", fail)
        for words in ("no room", "start the server again"):
            with pytest.raises(openai.InternalServerError, match=words):
                server.client().completions.create(**LONG)
            wait_until(lambda: not server.served("endless").alive)
        assert server.http().get("/health").status_code == 503
        assert _open(server) == 0


@pytest.mark.usefixtures("slow")
def test_stopping_lets_answers_end(endless: LanguageModel, gate: threading.Event) -> None:
    with running({"endless": endless}) as server:
        pieces: list[str] = []

        def read() -> None:
            body = {**LONG, "max_tokens": 20, "stream": True}
            with server.http().stream("POST", "/v1/completions", json=body) as answer:
                pieces.extend(answer.iter_lines())

        reading = threading.Thread(target=read)
        reading.start()
        wait_until(lambda: _open(server) == 1)
        server.server.should_exit = True
        wait_until(lambda: not server.server.servers or _refuses(server))
        gate.set()
        reading.join(SECONDS)
        assert pieces[-2:] == ["data: [DONE]", ""]
        assert json.loads(pieces[-4].removeprefix("data: "))["choices"][0]["finish_reason"]
        server.thread.join(SECONDS)
        assert not server.served("endless").alive


def _refuses(server: Running) -> bool:
    try:
        server.http().get("/health")
    except httpx.TransportError:
        return True
    return False


@pytest.mark.usefixtures("slow")
def test_stopping_does_not_wait_for_ever(endless: LanguageModel, gate: threading.Event) -> None:
    with running({"endless": endless}, Limits(drain_seconds=1)) as server:
        reading = threading.Thread(
            target=lambda: server.http().post("/v1/completions", json=LONG), daemon=True
        )
        reading.start()
        wait_until(lambda: _open(server) == 1)
        server.server.should_exit = True
        wait_until(lambda: _open(server) == 0)
        gate.set()


def test_no_answer_leaks_into_the_next(server: Running, client: openai.OpenAI) -> None:
    """The same question has the same answer whatever was asked and broken off before."""
    question = {"model": "tiny", "prompt": "The cat", "max_tokens": 30, "seed": 4}
    before = client.completions.create(**question)  # type: ignore[call-overload]
    for seed in range(5):
        stream = client.completions.create(
            **{**LONG, "seed": seed, "prompt": "secret " * 20}, stream=True
        )
        next(iter(stream))
        stream.close()
    after = client.completions.create(**question)  # type: ignore[call-overload]
    assert before.choices[0].text == after.choices[0].text


def test_submissions_of_a_closed_loop_are_forgotten(server: Running) -> None:
    """A loop that ended with a request open neither stops the model's thread nor keeps the row."""
    served = server.served("endless")
    from lilliput.generate import Sampling
    from lilliput.generate.requests import Request

    async def leave() -> None:
        request = Request((1, 2, 3), Sampling(max_tokens=400), 1)
        async for _ in served.submit(request):
            break

    asyncio.run(leave())
    wait_until(lambda: served.open_requests == 0 and served.statistics.rows == 0)
    assert served.alive


@contextmanager
def _command(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`lilliput serve` as a process, and its address."""
    program = "import sys; from lilliput.cli import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", program, "serve", f"mine={folder}", "--port", "0", *options],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"serving mine: API (http://\S+)/v1", line)
        assert found, line
        try:
            yield process, found[1]
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process that is sent SIGTERM")
def test_the_command_serves_until_sigterm(folder: Path) -> None:
    with _command(folder) as (process, address):
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=10)
        stream = client.completions.create(
            model="mine", prompt="The", max_tokens=400, stream=True, logit_bias={"0": -100}
        )
        chunks = iter(stream)
        next(chunks)
        process.send_signal(signal.SIGTERM)
        assert list(chunks)[-1].choices[0].finish_reason == "length"
        assert process.wait(SECONDS) == 0


@pytest.mark.slow
def test_200_streams_at_once_all_end_well(folder: Path) -> None:
    """More streams than rows: some wait, none fails, and each says what it says alone."""
    body = {"model": "mine", "max_tokens": 64, "temperature": 1, "logit_bias": {"0": -100}}

    async def text_of(client: httpx.AsyncClient, seed: int) -> str:
        asked = {**body, "prompt": f"{seed} cats", "seed": seed, "stream": True}
        text, finish = "", None
        async with client.stream("POST", "/v1/completions", json=asked) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    [choice] = json.loads(line.removeprefix("data: "))["choices"]
                    text, finish = text + choice["text"], choice["finish_reason"]
            assert (line, finish) == ("", "length")
        return text

    async def press(address: str) -> tuple[list[str], list[str]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=300) as client:
            together = await asyncio.gather(*(text_of(client, seed) for seed in range(200)))
            alone = [await text_of(client, seed) for seed in range(0, 200, 20)]
        return together, alone

    with _command(folder, "--rows", "64") as (_, address):
        together, alone = asyncio.run(press(address))
        metrics = httpx.get(f"{address}/metrics").text
    assert together[::20] == alone
    assert 'lilliput_answers_total{model="mine",reason="length"} 210' in metrics
