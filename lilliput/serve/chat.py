"""`POST /v1/chat/completions`: replies to a conversation, with tools and in a given form."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from lilliput.generate import LanguageModel
from lilliput.generate.chat_template import ChatTemplate
from lilliput.generate.constraints.protocol import ConstraintMaker
from lilliput.generate.requests import FinishReason
from lilliput.generate.requests import Request as TextRequest
from lilliput.generate.sampling import fresh_seed
from lilliput.serve.answers import (
    ChatAnswer,
    ChatChoice,
    ChatChunk,
    ChatFinish,
    ChatLogprobs,
    ChunkChoice,
    Delta,
    ReplyMessage,
    TokenLogprob,
    ToolCall,
    TopLogprob,
    Usage,
)
from lilliput.serve.constrained import ANY_OBJECT, rule_of, schema_rule, start
from lilliput.serve.documented import responses
from lilliput.serve.errors import ApiError
from lilliput.serve.models import CHARACTERS_AT_ONCE, check_ids, check_length, find_model
from lilliput.serve.schemas import ChatBody
from lilliput.serve.served_model import ServedModel
from lilliput.serve.streams import event_stream
from lilliput.serve.tools import (
    Call,
    Forced,
    ReplyReader,
    call_of,
    forced_call,
    offered_tools,
    template_messages,
)
from lilliput.serve.writing import Piece, TokenShown, token_name, write

router = APIRouter()


@router.post("/v1/chat/completions", responses=responses(ChatAnswer))
async def chat(body: ChatBody, request: Request) -> Response:
    """Reply to a conversation, `n` times."""
    order = await _Order.of(find_model(request, body.model), body)
    if body.stream:
        return await event_stream(_chunks(order))
    return JSONResponse(await _answer(order))


@dataclass(frozen=True)
class _Order:
    """A request, understood: what to write and how to tell it."""

    served: ServedModel
    body: ChatBody
    ids: tuple[int, ...]
    template: ChatTemplate
    forced: Forced | None
    requests: list[TextRequest]
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    async def of(cls, served: ServedModel, body: ChatBody) -> "_Order":
        """Raises ApiError or UserError where the request makes no sense."""
        count = body.n or 1
        if count > served.limits.choices:
            raise ApiError(400, f"n: at most {served.limits.choices}", param="n")
        template, forced = served.chat_template, forced_call(body)
        messages, tools = template_messages(body.messages), offered_tools(body)
        opening = forced.opening if forced else ""
        characters = len(json.dumps([messages, tools], ensure_ascii=False))
        check_length(served, characters, served.model.context_length)
        if characters < CHARACTERS_AT_ONCE:
            ids = template.ids(messages, tools=tools, opening=opening)
        else:
            ids = await asyncio.to_thread(template.ids, messages, tools=tools, opening=opening)
        rule = await _rule(served, body, forced)
        check_ids(served.model, body.biased_tokens, "logit_bias")
        sampling = body.sampling(_max_tokens(served, body, ids))
        if rule is None:
            sampling = replace(sampling, stop=(*sampling.stop, *template.stop))
        seed = fresh_seed() if body.seed is None else body.seed % (1 << 64)
        prompt = template.text(messages, tools=tools) if rule else ""
        requests = [
            TextRequest(
                ids,
                sampling,
                seed,
                sample,
                constraint=constraint,
                alternatives=body.top_logprobs or 0,
                log_probabilities=bool(body.logprobs),
            )
            for sample, constraint in enumerate(await start(rule, ids, prompt, count))
        ]
        return cls(served, body, ids, template, forced, requests)

    def pieces(self) -> AsyncGenerator[tuple[int, Piece]]:
        """The replies as they grow."""
        return write(self.served, self.requests, self.template.end_tokens)

    def reply(self) -> "_Reply":
        """One of the replies, before its first word."""
        trim = bool(self.template.stop) and self.requests[0].constraint is None
        names = frozenset(tool["function"]["name"] for tool in offered_tools(self.body))
        parallel = self.body.parallel_tool_calls is not False
        return _Reply(self.forced, ReplyReader(names, trim=trim), parallel)

    def usage(self, written: int) -> Usage:
        """Tokens read and written."""
        read = len(self.ids)
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


async def _rule(
    served: ServedModel, body: ChatBody, forced: Forced | None
) -> ConstraintMaker | None:
    """What the reply is held to. Raises UserError on a schema that is not supported."""
    if forced is not None:
        # With spaces, as templates write the calls that models were trained on.
        return await schema_rule(served, forced.schema, spaced=True)
    if body.structured_outputs is not None:
        return await rule_of(served, body.structured_outputs)
    form = body.response_format
    if form is None or form.type == "text":
        return None
    stated = form.json_schema.schema_ if form.json_schema else None
    return await schema_rule(served, ANY_OBJECT if stated is None else stated)


def _max_tokens(served: ServedModel, body: ChatBody, ids: Sequence[int]) -> int:
    """As many as were asked for; by default what the context has room for, within the limit."""
    asked = body.max_completion_tokens or body.max_tokens
    most = served.limits.max_tokens
    if asked is None:
        return max(1, min(most, served.model.context_length - len(ids)))
    if asked > most:
        raise ApiError(
            400,
            f"max_completion_tokens: at most {most} on this server",
            param="max_completion_tokens",
        )
    return asked


@dataclass
class _Reply:
    """One reply as it grows: words said and calls made."""

    forced: Forced | None
    reader: ReplyReader
    parallel: bool
    content: str = ""
    calls: list[Call] = field(default_factory=list)
    tokens: list[TokenShown] = field(default_factory=list)
    written: int = 0
    finish: FinishReason | None = None
    begun: bool = False
    _raw: str = ""

    def read(self, piece: Piece) -> tuple[str, list[Call]]:
        """What a piece adds: words, and calls that are complete."""
        self.written += piece.written
        self.tokens += piece.tokens
        self.finish = piece.finish
        said, calls = self._divided(piece)
        if not self.parallel:
            calls = calls[: 1 - len(self.calls)]
        self.content += said
        self.calls += calls
        return said, calls

    def _divided(self, piece: Piece) -> tuple[str, list[Call]]:
        last = piece.finish is not None
        if self.forced is None:
            return self.reader.read(piece.text, last)
        self._raw += piece.text
        if not last:
            return "", []
        if self.forced.name is not None:
            return "", [Call(self.forced.name, self._raw)]
        call = call_of(self._raw, self.reader.names)
        return ("", [call]) if call else (self._raw, [])

    @property
    def finish_reason(self) -> ChatFinish | None:
        """As the API names it."""
        if self.finish is None:
            return None
        if self.finish in ("length", "context"):
            return "length"
        return "tool_calls" if self.calls else "stop"


async def _answer(order: _Order) -> ChatAnswer:
    replies = [order.reply() for _ in order.requests]
    async with aclosing(order.pieces()) as pieces:
        async for index, piece in pieces:
            replies[index].read(piece)
    return {
        "id": order.id,
        "object": "chat.completion",
        "created": order.created,
        "model": order.served.name,
        "choices": [_choice(order, index, reply) for index, reply in enumerate(replies)],
        "usage": order.usage(sum(reply.written for reply in replies)),
    }


def _choice(order: _Order, index: int, reply: _Reply) -> ChatChoice:
    content = reply.content.strip() or None if reply.calls else reply.content
    message: ReplyMessage = {"role": "assistant", "content": content, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [call.shown() for call in reply.calls]
    wanted = bool(order.body.logprobs)
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(order, reply.tokens) if wanted else None,
        "finish_reason": reply.finish_reason or "stop",
    }


async def _chunks(order: _Order) -> AsyncGenerator[Mapping[str, Any]]:
    options = order.body.stream_options
    with_usage = options is not None and options.include_usage

    def chunk(choices: list[ChunkChoice]) -> ChatChunk:
        body: ChatChunk = {
            "id": order.id,
            "object": "chat.completion.chunk",
            "created": order.created,
            "model": order.served.name,
            "choices": choices,
        }
        if with_usage:
            body["usage"] = None
        return body

    replies = [order.reply() for _ in order.requests]
    async with aclosing(order.pieces()) as pieces:
        async for index, piece in pieces:
            for choice in _chunk_choices(order, index, replies[index], piece):
                yield chunk([choice])
    if with_usage:
        body = chunk([])
        body["usage"] = order.usage(sum(reply.written for reply in replies))
        yield body


def _chunk_choices(order: _Order, index: int, reply: _Reply, piece: Piece) -> list[ChunkChoice]:
    """What a piece adds to a reply, chunk by chunk, as OpenAI cuts them."""

    def choice(delta: Delta, finish: ChatFinish | None = None) -> ChunkChoice:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}

    chunks = []
    if not reply.begun:
        reply.begun = True
        chunks.append(choice({"role": "assistant", "content": "", "refusal": None}))
    before = len(reply.calls)
    said, calls = reply.read(piece)
    shows_logprobs = bool(order.body.logprobs and piece.tokens)
    if said or shows_logprobs:
        chunks.append(choice({"content": said}))
        if shows_logprobs:
            chunks[-1]["logprobs"] = _logprobs(order, piece.tokens)
    for number, call in enumerate(calls, before):
        shown = call.shown()
        shown["index"] = number
        arguments = shown["function"]["arguments"]
        shown["function"] = {"name": call.name, "arguments": ""}
        chunks.append(choice({"tool_calls": [shown]}))
        rest: ToolCall = {"index": number, "function": {"arguments": arguments}}
        chunks.append(choice({"tool_calls": [rest]}))
    if reply.finish is not None:
        chunks.append(choice({}, reply.finish_reason))
    return chunks


def _logprobs(order: _Order, tokens: Sequence[TokenShown]) -> ChatLogprobs:
    model, ends = order.served.model, order.template.end_tokens | {*order.served.model.end_tokens}
    content = [_token_logprob(model, one) for one in tokens if one.id not in ends]
    return {"content": content, "refusal": None}


def _token_logprob(model: LanguageModel, token: TokenShown) -> TokenLogprob:
    own = _top_logprob(model, token.id, token.log_probability)
    return {
        **own,
        "top_logprobs": [_top_logprob(model, *one) for one in token.alternatives],
    }


def _top_logprob(model: LanguageModel, token: int, log_probability: float) -> TopLogprob:
    spelled = list(model.tokenizer.bytes_of[token])
    return {
        "token": token_name(model, token),
        "logprob": log_probability,
        "bytes": spelled or None,
    }
