"""What no client should send: every field fuzzed, broken JSON, huge and strange prompts."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Running, running, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.generate import LanguageModel
from lilliput.serve.limits import Limits

ROUTES = ("/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/tokenize", "/detokenize")
JSON = {"Content-Type": "application/json"}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["tiny", "<|end|>", "\x00", "é" * 50, "\ud800", "1e400"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
MESSAGES = [{"role": "user", "content": "x"}]
FIELDS: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": "tiny", "prompt": "x", "max_tokens": 2},
    "/v1/chat/completions": {"model": "tiny", "messages": MESSAGES, "max_tokens": 2},
    "/v1/embeddings": {"model": "tiny", "input": "x"},
    "/tokenize": {"model": "tiny", "prompt": "x"},
    "/detokenize": {"model": "tiny", "tokens": [1]},
}
NAMES = (
    "model",
    "prompt",
    "messages",
    "input",
    "tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "best_of",
    "stop",
    "stream",
    "seed",
    "logprobs",
    "top_logprobs",
    "echo",
    "suffix",
    "logit_bias",
    "presence_penalty",
    "tools",
    "tool_choice",
    "top_k",
    "min_p",
    "response_format",
    "structured_outputs",
    "stream_options",
    "dimensions",
    "encoding_format",
    "special",
)


def _check(answer: Any) -> None:
    """An answer of the right shape, and none that is our fault."""
    assert answer.status_code < 500, answer.text
    if answer.headers.get("content-type", "").startswith("application/json"):
        body = answer.json()
        if answer.status_code >= 400:
            assert set(body["error"]) == {"message", "type", "param", "code"}
            assert body["error"]["message"]


@pytest.mark.parametrize("route", ROUTES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.dictionaries(st.sampled_from(NAMES), values, max_size=3))
def test_any_value_in_any_field(server: Running, route: str, changes: dict[str, Any]) -> None:
    body = json.dumps({**FIELDS[route], **changes})
    with server.http() as http:
        _check(http.post(route, content=body.encode("utf-8", "surrogatepass"), headers=JSON))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}{}",
        b'{"model": "tiny", "prompt": "\xff\xfe"}',
        b'{"model": "tiny", "prompt": "\\ud800"}',
        b'{"model": "tiny", "prompt": "x", "temperature": NaN}',
        b'{"model": "tiny", "prompt": "x", "max_tokens": 1e999}',
        b'{"model": "tiny", "prompt": "x", "seed": ' + b"9" * 5000 + b"}",
        b'{"model": "tiny", "prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "tiny", "prompt": "x", "structured_outputs": {"json": '
        + b'{"not": ' * 5000
        + b"true"
        + b"}" * 5000
        + b"}}",
        b"\xef\xbb\xbf{}",
        b"\x00" * 1000,
    ],
)
def test_broken_bodies(server: Running, body: bytes) -> None:
    for route in ROUTES:
        answer = server.http().post(route, content=body, headers=JSON)
        assert answer.status_code == 400, (route, answer.text)
        _check(answer)


@pytest.mark.parametrize(
    "rule",
    [
        {"regex": "(a*)*b" * 50},
        {"regex": "(" * 2000},
        {"regex": "a{1000000000}"},
        {"grammar": "start: start"},
        {"grammar": "x" * 100_000},
        {"choice": []},
        {"choice": [""] * 3},
        {"json": {"$ref": "#"}},
        {"json": {"$ref": "http://127.0.0.1/schema"}},
        {"json": {"enum": list(range(5000))}},
        {"json": {"type": "string", "pattern": "^(a+)+$", "minLength": 1000000}},
        {"json": {"type": "object"}, "regex": "a"},
        {},
    ],
)
def test_rules_that_cannot_be_kept(server: Running, rule: dict[str, Any]) -> None:
    body = {**FIELDS["/v1/completions"], "structured_outputs": rule}
    _check(server.http().post("/v1/completions", json=body))


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "\x00" * 1000,
        "\u202e\u0301" * 500,
        "a" * 2_000_000,
        "🏳️‍🌈" * 20_000,
        " " * 500_000,
        "<|endoftext|>" * 10_000,
        [0] * 100_000,
        ["x"] * 100_000,
    ],
    ids=lambda prompt: f"{type(prompt).__name__}-{len(prompt)}",
)
def test_huge_and_strange_prompts(server: Running, prompt: Any) -> None:
    for route, field in (("/v1/completions", "prompt"), ("/v1/embeddings", "input")):
        _check(server.http().post(route, json={**FIELDS[route], field: prompt}))
    if isinstance(prompt, str):
        talk = [{"role": "user", "content": prompt}]
        body = {"model": "tiny", "messages": talk, "max_tokens": 2}
        _check(server.http().post("/v1/chat/completions", json=body))


def test_what_is_no_http(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for sent in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9\r\n\r\n", b"\r\n" * 500, b"A" * 100_000):
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            line.recv(100)
    assert server.http().get("/health").status_code == 200


def test_memory_is_bounded(endless: LanguageModel) -> None:
    """Streams that are broken off, refused and malformed requests leave nothing behind."""
    limits = Limits(rows=4, queue=4, prefix_cache_bytes=1 << 20)
    with running({"endless": endless}, limits) as server:
        process = psutil.Process(os.getpid())

        def press(count: int) -> int:
            body = {"model": "endless", "prompt": "x " * 50, "max_tokens": 200, "stream": True}
            with server.http() as http:
                for number in range(count):
                    with http.stream("POST", "/v1/completions", json=body) as answer:
                        next(answer.iter_bytes())
                    assert http.post("/v1/completions", json={**body, "n": 16}).status_code == 503
                    http.post("/v1/completions", content=b"x" * 100_000, headers=JSON)
                    http.get(f"/made-up-{number}")
            return process.memory_info().rss

        press(25)
        first = press(5)
        assert press(25) - first < 20 << 20
        wait_until(lambda: server.served("endless").open_requests == 0)


def test_schemathesis_finds_no_fault(server: Running, tmp_path: Path) -> None:
    """Every route by its own OpenAPI description, requests that keep to it and that do not."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        seen.add(operation.path)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def press(case: Any) -> None:
            case.call_and_validate(checks=checks)

        press()
    assert seen >= {*ROUTES, "/v1/models", "/health", "/metrics", "/tokenizer_info"}
