"""Server-sent events, as OpenAI's clients read them."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Send

from lilliput.serve.errors import api_error, logger

_DONE = b"data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """A stream of JSON objects; closed, and with it the work behind it, when the client leaves."""

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Send what there is, whatever happens closing the source."""
        async with aclosing(self._events):
            await super().stream_response(send)


async def event_stream(chunks: AsyncGenerator[Mapping[str, Any]]) -> EventStream:
    """The response for these objects.

    The first is awaited, so that a request that fails before it is answered with its error's
    status; a later error is sent as an event, which ends the stream.
    """
    try:
        first = await anext(chunks)
    except BaseException:
        await chunks.aclose()
        raise

    async def events() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            yield _event(first)
            try:
                async for chunk in chunks:
                    yield _event(chunk)
            except Exception as error:
                answer = api_error(error)
                if answer.status == 500:
                    logger.error("a stream failed", exc_info=error)
                yield _event(answer.body)
            else:
                yield _DONE

    return EventStream(events())


def _event(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
