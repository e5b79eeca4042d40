"""What routes say of their answers in the OpenAPI page."""

from typing import Any

from lilliput.serve.answers import ErrorAnswer

_ERRORS = {
    400: "The request makes no sense; `param` names the field.",
    401: "The API key is missing or wrong.",
    403: "The Host or Origin is not allowed.",
    404: "The model is not served.",
    408: "The body did not arrive in time.",
    413: "The body is too long.",
    500: "The model failed.",
    503: "The queue is full, or the server is stopping: try again after Retry-After seconds.",
    504: "The answer took too long.",
}


def responses(answer: Any) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that gives `answer`, or an error in OpenAI's shape."""
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": text} for status, text in _ERRORS.items()
    }
    # FastAPI documents 422 for bodies that do not validate; here they are answered 400.
    return {200: {"model": answer}, **errors, 422: {"model": ErrorAnswer}}
