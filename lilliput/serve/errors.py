"""Answers that are no success, in OpenAI's shape: {"error": {message, type, param, code}}."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lilliput.errors import UserError, WorkFailed
from lilliput.serve.answers import ErrorAnswer
from lilliput.serve.served_model import QueueFull, TookTooLong

logger = logging.getLogger("lilliput.serve")

RETRY_AFTER_SECONDS = 1
_MOST_OF_A_MESSAGE = 500
# What pydantic puts into a place to say which of several types it tried.
_A_TYPE = re.compile(r"str|int|float|bool|[A-Z]\w*|(list|dict|literal|function|constrained).*\W.*")


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind
        self.param, self.code, self.headers = param, code, dict(headers or {})

    @property
    def body(self) -> ErrorAnswer:
        """The answer's body."""
        message = self.message.encode("utf-8", "replace").decode("utf-8")[:_MOST_OF_A_MESSAGE]
        return {
            "error": {
                "message": message, "type": self.kind, "param": self.param, "code": self.code,
            }
        }  # fmt: skip

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body, self.status, self.headers)


def api_error(error: Exception) -> ApiError:
    """The answer that an error of ours becomes; what is not known is a 500 that says nothing."""
    match error:
        case ApiError():
            return error
        case UserError():
            return ApiError(400, str(error))
        case QueueFull():
            return ApiError(
                503,
                "the model has as many requests as it takes: try again in a moment",
                kind="server_error",
                code="queue_full",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        case TookTooLong():
            return ApiError(504, "the answer took too long", kind="server_error", code="timeout")
        case WorkFailed():
            return ApiError(500, str(error), kind="server_error")
        case HTTPException():
            return ApiError(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError():
            return _of_validation(error)
        case _:
            return ApiError(500, "the server failed; its log says how", kind="server_error")


def _of_validation(error: RequestValidationError) -> ApiError:
    # Of a field that may be of several types, the error that got furthest says most.
    first: Mapping[str, Any] = max(error.errors(), key=lambda one: len(one["loc"]))
    parts = [str(part) for part in first["loc"] if part != "body"]
    place = [part for part in parts if not _A_TYPE.fullmatch(part)]
    if first["type"] == "extra_forbidden" and place:
        return ApiError(
            400, f"Unrecognized request argument supplied: {place[-1]}", param=".".join(place)
        )
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return ApiError(400, f"the body is no JSON: {message}")
    param = ".".join(place) or None
    return ApiError(400, f"{param}: {message}" if param else message, param=param)


def install(app: FastAPI) -> None:
    """Have every error of `app` answered in this shape."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        return api_error(error).response()

    for kind in (
        ApiError, UserError, WorkFailed, QueueFull, TookTooLong,
        HTTPException, RequestValidationError, Exception,
    ):  # fmt: skip
        app.add_exception_handler(kind, answer)
