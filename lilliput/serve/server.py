"""Running the application: a socket, signals, and an orderly end."""

import math
import os
import socket
from collections.abc import Mapping
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.serve.app import create_app
from lilliput.serve.limits import Limits
from lilliput.serve.security import Access
from lilliput.serve.studio import StudioSettings


class _Server(uvicorn.Server):
    """Ends when told to: once lets what is being written end, twice at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came. (uvicorn would raise it again in the end, and so exit with an error.)"""
        self.force_exit = self.should_exit
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A socket on that address; port 0 takes a free one. Raises UserError if it cannot be had."""
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # With the protocol named, asyncio sends at once what it is given (TCP_NODELAY): otherwise
        # the body of every answer waits 40 ms for its header to be acknowledged.
        return _bound(socket.socket(family, kind, protocol), address)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with "
            "--host or --port"
        ) from None


def _bound(listener: socket.socket, address: Any) -> socket.socket:
    try:
        if os.name != "nt":  # there it would let two servers have the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Where a browser finds the server."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    models: Mapping[str, LanguageModel],
    listener: socket.socket,
    *,
    access: Access,
    limits: Limits,
    studio: StudioSettings | None = None,
) -> None:
    """Serve models by name until SIGTERM or Ctrl-C, then let what is being written end.

    A second signal ends at once.
    """
    app = create_app(models, access=access, limits=limits, studio=studio)
    make_server(app, limits).run(sockets=[listener])


def make_server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A server for the application, to be run on a bound socket."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=math.ceil(limits.drain_seconds),
    )
    return _Server(config)
