"""Who may ask a server."""

import httpx
import openai
import pytest
from conftest import Running, running

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.serve.limits import Limits
from lilliput.serve.security import Access, check_origins


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_an_address_that_others_reach_demands_a_key(host: str) -> None:
    with pytest.raises(UserError, match="--api-key"):
        Access(host=host)
    assert not Access(host=host, keys=("secret",)).loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_the_loopback_needs_none(host: str) -> None:
    assert Access(host=host).loopback


def test_a_key_of_nothing_protects_nothing() -> None:
    for key in ("", "clé", "a\nb"):
        with pytest.raises(UserError, match="key"):
            Access(host="0.0.0.0", keys=(key,))


@pytest.mark.parametrize("origin", ["example.org", "https://", "https://a.org/path", "null"])
def test_an_origin_is_checked_when_it_is_given(origin: str) -> None:
    with pytest.raises(UserError, match="allow-origin"):
        check_origins([origin])


def test_a_key_is_asked_for(model: LanguageModel) -> None:
    access = Access(keys=("first-key", "second-key"), origins=("https://allowed.org",))
    with running({"tiny": model}, access=access) as server:
        for key in ("first-key", "second-key"):
            assert server.client(api_key=key).models.list().data[0].id == "tiny"
        for key in ("x", "first-ke", "first-keyy", "clé"):
            headers = {"Authorization": f"Bearer {key}".encode()}
            answer = server.http().get("/v1/models", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        with pytest.raises(openai.AuthenticationError) as unknown:
            server.client(api_key="wrong").completions.create(model="tiny", prompt="The")
        assert unknown.value.code == "invalid_api_key"
        closed = ["/metrics", "/tokenize", "/openapi.json", "/studio/data/models", "/v1/nothing"]
        assert [server.http().get(path).status_code for path in closed] == [401] * len(closed)
        assert server.http().get("/health").json() == {"status": "ok"}
        allowed = {"Authorization": "bearer second-key", "Origin": "https://allowed.org"}
        answer = server.http(headers=allowed).get("/v1/models")
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://allowed.org"
        asked = {
            "Origin": "https://allowed.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
        }
        preflight = server.http(headers=asked).options("/v1/completions")
        assert preflight.status_code == 200
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        elsewhere = {**asked, "Origin": "https://elsewhere.org"}
        refused = server.http(headers=elsewhere).options("/v1/completions")
        assert "access-control-allow-origin" not in refused.headers
        posted = {"Origin": "https://elsewhere.org", "Authorization": "Bearer first-key"}
        assert server.http(headers=posted).get("/v1/models").status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:99"}, 200),
        ({"Host": "rebound.example.org"}, 403),
        ({"Host": "127.0.0.1.example.org"}, 403),
        ({"Host": "localhost@example.org"}, 403),
        ({"Host": "]["}, 403),
        ({"Origin": "https://elsewhere.example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1", "Host": "localhost:1"}, 200),
        ({"Origin": "http://localhost:2", "Host": "localhost:1"}, 403),
    ],
)
def test_pages_from_elsewhere_are_refused(
    server: Running, headers: dict[str, str], status: int
) -> None:
    answer = server.http(headers=headers).get("/v1/models")
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] in ("host", "origin")


def test_a_post_that_a_form_could_make_is_refused(server: Running) -> None:
    body = '{"model": "tiny", "prompt": "The"}'
    answer = server.http().post(
        "/v1/completions", content=body, headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 400


def test_a_long_body_is_not_read(model: LanguageModel) -> None:
    with running({"tiny": model}, Limits(body_bytes=1000, body_seconds=0.3)) as server:
        for content in (b"x" * 1001, iter([b"x" * 600, b"x" * 600])):
            answer = server.http().post("/v1/completions", content=content)
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "body_too_long"
        with httpx.stream(
            "POST",
            f"{server.url}/v1/completions",
            headers={"Content-Length": "500"},
            content=_never_ending(),
            timeout=20,
        ) as answer:
            assert answer.status_code == 408
        assert server.client().models.list().data[0].id == "tiny"


def _never_ending():  # type: ignore[no-untyped-def]
    import time

    yield b"{"
    time.sleep(1)
    yield b" " * 499
