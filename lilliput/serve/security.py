"""Who may ask, and how much may be sent: checked before any route sees a request.

A server on the loopback address answers programs of this machine alone. A web page from elsewhere,
open in a browser of this machine, could reach it too; so the Host header must name this machine
(which stops DNS rebinding), and an Origin must be the server's own or one that was allowed (which
stops posts from other sites). A server on any other address demands a key.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lilliput.errors import UserError
from lilliput.serve.errors import ApiError
from lilliput.serve.limits import Limits
from lilliput.serve.studio.pages import PAGES

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/", "/health", *(f"/studio/{page}" for page in PAGES)})
OPEN_PREFIX = "/studio/static/"
"""Reached without a key: they hold no data. Everything else demands one where keys are set."""


@dataclass(frozen=True)
class Access:
    """Who may ask a server on `host`. Raises UserError if anybody could from elsewhere."""

    host: str = "127.0.0.1"
    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    """Web origins besides the server's own, as `https://example.org`."""

    def __post_init__(self) -> None:
        if not self.loopback and not self.keys:
            raise UserError(
                f"--host {self.host} can be reached from other machines: protect it with "
                "--api-key KEY (or the variable LILLIPUT_API_KEY), or stay on 127.0.0.1"
            )
        if not all(key and key.isascii() and key.isprintable() for key in self.keys):
            raise UserError("an API key must be of visible ASCII characters")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def refusal(self, path: str, headers: Headers) -> ApiError | None:
        """Why a request is not answered; None where it is."""
        host = headers.get("host", "")
        if self.loopback and _name_of(host) not in LOOPBACK_NAMES | {self.host}:
            return ApiError(
                403, f"this server is not {host!r}: it answers on {self.host}", code="host"
            )
        origin = headers.get("origin")
        if origin is not None and not self._allows(origin, host):
            return ApiError(
                403,
                f"pages of {origin!r} may not use this server; allow them with --allow-origin",
                code="origin",
            )
        if not self.keys or path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return None
        return self._refusal_of_key(headers.get("authorization", ""))

    def _allows(self, origin: str, host: str) -> bool:
        return origin in self.origins or urlsplit(origin).netloc == host

    def _refusal_of_key(self, authorization: str) -> ApiError | None:
        scheme, _, given = authorization.partition(" ")
        sent = given.strip().encode("utf-8", "surrogateescape")
        # Every key is compared, each in constant time, so that an answer's time tells nothing.
        matches = [hmac.compare_digest(sent, key.encode("ascii")) for key in self.keys]
        if scheme.lower() == "bearer" and any(matches):
            return None
        return ApiError(
            401,
            "give the server's API key: Authorization: Bearer KEY",
            kind="authentication_error",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )


_SECONDS_TO_READ = 30


class Guard:
    """Middleware: refuses what `access` and `limits` do not allow, and ends a request's work when
    its client leaves."""

    def __init__(self, app: ASGIApp, *, access: Access, limits: Limits) -> None:
        self._app, self._access, self._limits = app, access, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            if refusal := self._access.refusal(scope["path"], headers):
                raise refusal
            body = await self._body(headers, receive)
        except ApiError as refusal:
            await refusal.response()(scope, receive, send)
            return
        if body is not None:
            await self._while_connected(scope, body, receive, send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body; None if the client left. Raises ApiError if it is too long or late."""
        most = self._limits.body_bytes
        too_long = ApiError(413, f"the body is longer than {most} bytes", code="body_too_long")
        stated = headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > most:
            raise too_long
        parts, length = list[bytes](), 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while (message := await receive())["type"] == "http.request":
                    parts.append(message.get("body", b""))
                    length += len(parts[-1])
                    if length > most:
                        raise too_long
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise ApiError(408, "the body did not arrive in time", code="body_too_late") from None
        return None

    async def _while_connected(
        self, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        """Run the app on a body that has arrived; cancel it when the client disconnects."""
        messages = [_body_message(body)]
        never = asyncio.Event()

        async def replay() -> Message:
            if messages:
                return messages.pop()
            await never.wait()  # the disconnect is watched for here, not by the app
            raise AssertionError

        work = asyncio.ensure_future(self._app(scope, replay, send))
        leaving = asyncio.ensure_future(_disconnect(receive))
        try:
            # Work ends by its own limit; this one is for clients that do not read their answer.
            most = self._limits.request_seconds + _SECONDS_TO_READ
            ends = {work, leaving}
            await asyncio.wait(ends, timeout=most, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if not work.cancelled():
            work.result()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body_message(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


def _name_of(host: str) -> str:
    """The name or address in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def check_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """Origins as browsers send them. Raises UserError on one that no browser sends."""
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
            raise UserError(f"--allow-origin {origin}: write it as https://example.org")
    return tuple(origins)
