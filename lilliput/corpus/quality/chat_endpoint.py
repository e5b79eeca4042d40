"""A small client of OpenAI-compatible chat endpoints: retries, back-off, nothing but the address.

It speaks to the address it is given and follows no redirect, so a text and a key go nowhere else.
"""

import email.utils
import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lilliput.errors import UserError, WorkFailed

_LOCAL = ("localhost", "127.0.0.1", "::1")
_MOST_ANSWER_BYTES = 4 << 20
_LONGEST_WAIT = 120.0
_WRONG_REQUEST = (400, 413, 422)
_COME_BACK = (408, 409, 425, 429)


class Refused(Exception):
    """The server will not answer this one request, however often it is asked."""


@dataclass(frozen=True)
class Reply:
    """What the model said, and what it cost in tokens (0 where the server does not tell)."""

    text: str
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class ChatEndpoint:
    """Where to ask: `address` up to and with `/v1`, and the key, if any.

    A request that fails for the moment (no connection, silence of `timeout_seconds`, status 408,
    409, 425, 429 or 5xx, a body that is no JSON) is repeated up to `retries` times; the wait
    doubles from `first_wait` seconds, or is what the server's Retry-After says.
    """

    address: str
    key: str | None = None
    timeout_seconds: float = 120.0
    retries: int = 6
    first_wait: float = 1.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.address)
            sound = parts.scheme in ("http", "https") and parts.hostname and not parts.query
            _ = parts.port
        except ValueError:
            sound = False
        if not sound:
            raise UserError(
                f"{self.address!r} is no endpoint: give an address such as http://127.0.0.1:8000/v1"
            )

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.address).hostname in _LOCAL

    def ask(self, body: Mapping[str, Any], stop: threading.Event | None = None) -> Reply:
        """POST `body` to /chat/completions; once `stop` is set, nothing more is tried.

        Raises Refused where the server calls this request wrong, UserError where it refuses key,
        address or model, WorkFailed when all retries are used up.
        """
        stop = stop or threading.Event()
        data = json.dumps(body).encode("utf-8")
        problem = ""
        for attempt in range(self.retries + 1):
            wait = None
            try:
                status, headers, answer = self._post(data)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if status == 200 and (reply := _reply(answer)) is not None:
                    return reply
                problem = f"status {status}: {_message(answer)}"
                if status in _WRONG_REQUEST:
                    raise Refused(problem)
                if status != 200 and status < 500 and status not in _COME_BACK:
                    raise UserError(f"{self.address}: {problem}")
                wait = _retry_after(headers)
            if attempt < self.retries:
                grown = self.first_wait * 2**attempt * random.uniform(0.75, 1.25)
                if stop.wait(min(_LONGEST_WAIT, grown if wait is None else wait)):
                    break
        raise WorkFailed(
            f"{self.address}: no answer after {attempt + 1} tries ({problem}); "
            "what was answered is kept: run the same command again to go on"
        )

    def _post(self, data: bytes) -> tuple[int, Mapping[str, str], bytes]:
        parts = urlsplit(self.address)
        assert parts.hostname is not None
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname,
                parts.port,
                timeout=self.timeout_seconds,
                context=ssl.create_default_context(),
            )
        else:
            connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=self.timeout_seconds
            )
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        deadline = time.monotonic() + self.timeout_seconds
        try:
            path = f"{parts.path.rstrip('/')}/chat/completions"
            connection.request("POST", path, body=data, headers=headers)
            response = connection.getresponse()
            received = bytearray()
            # A server that sends a byte now and then would never run into the socket's own limit.
            while piece := response.read1(1 << 16):
                received += piece
                if len(received) > _MOST_ANSWER_BYTES or time.monotonic() > deadline:
                    raise TimeoutError("the answer is endless")
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, bytes(received)
        finally:
            connection.close()


def _reply(answer: bytes) -> Reply | None:
    """The reply in a chat completion; None where it is none."""
    try:
        body = json.loads(answer)
        text = body["choices"][0]["message"]["content"]
        usage = body.get("usage") or {}
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    return Reply(text if isinstance(text, str) else "", *counts)


def _message(answer: bytes) -> str:
    """What a server says of an error, at most 300 characters."""
    text = answer.decode("utf-8", errors="replace")
    try:
        found = json.loads(text)["error"]
        text = str(found["message"] if isinstance(found, dict) else found)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return " ".join(text.split())[:300]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from a Retry-After of seconds or of a date (RFC 9110, 10.2.3)."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
