"""`POST /v1/completions`: texts that continue prompts, and how probable prompts are."""

import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from lilliput.generate import Sampling, Target
from lilliput.generate.constraints.protocol import ConstraintMaker
from lilliput.generate.requests import FinishReason
from lilliput.generate.requests import Request as TextRequest
from lilliput.generate.sampling import fresh_seed
from lilliput.serve.answers import CompletionAnswer, CompletionChoice, CompletionLogprobs, Usage
from lilliput.serve.constrained import rule_of, start
from lilliput.serve.documented import responses
from lilliput.serve.errors import ApiError
from lilliput.serve.models import Prompt, check_ids, find_model, read_prompts
from lilliput.serve.prompt_scores import Scored, in_batches, score_batch
from lilliput.serve.schemas import CompletionBody
from lilliput.serve.served_model import ServedModel
from lilliput.serve.streams import event_stream
from lilliput.serve.writing import Piece, TextOffsets, TokenShown, token_name, write

DEFAULT_MAX_TOKENS = 16  # OpenAI's

router = APIRouter()


@router.post("/v1/completions", responses=responses(CompletionAnswer))
async def completions(body: CompletionBody, request: Request) -> Response:
    """Continue one prompt or many, each `n` times."""
    served = find_model(request, body.model)
    order = await _Order.of(served, body)
    if body.stream:
        return await event_stream(_chunks(order))
    return JSONResponse(await _answer(order))


@dataclass(frozen=True)
class _Order:
    """A request, understood: what to write and what to tell of it."""

    served: ServedModel
    body: CompletionBody
    prompts: list[Prompt]
    sampling: Sampling | None
    """None where nothing is to be written."""
    rule: ConstraintMaker | None
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    async def of(cls, served: ServedModel, body: CompletionBody) -> "_Order":
        """Raises ApiError or UserError where the request makes no sense."""
        limits = served.limits
        max_tokens = DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens
        if body.suffix:
            raise ApiError(
                400, "suffix: these models only continue a text, they fill no gap", param="suffix"
            )
        if max_tokens > limits.max_tokens:
            raise ApiError(
                400, f"max_tokens: at most {limits.max_tokens} on this server", param="max_tokens"
            )
        if max_tokens == 0 and not body.echo:
            raise ApiError(400, "max_tokens: 0 answers nothing without echo", param="max_tokens")
        kept, written = body.n or 1, body.best_of or body.n or 1
        if written < kept:
            raise ApiError(400, "best_of: it must be at least n", param="best_of")
        if written > limits.choices:
            raise ApiError(400, f"n, best_of: at most {limits.choices}", param="n")
        if body.stream and written > kept:
            raise ApiError(400, "best_of cannot be streamed", param="best_of")
        prompts = await read_prompts(served, body.prompt, add_beginning=body.add_special_tokens)
        check_ids(served.model, body.biased_tokens, "logit_bias")
        sampling = body.sampling(max_tokens) if max_tokens else None
        outputs = body.structured_outputs
        rule = await rule_of(served, outputs) if outputs and sampling else None
        return cls(served, body, prompts, sampling, rule)

    @property
    def each(self) -> int:
        """How many texts are written for each prompt."""
        return self.body.best_of or self.body.n or 1

    async def requests(self) -> list[TextRequest]:
        """What the engine is asked for: sample 0, 1, … of the first prompt, of the second, …"""
        if self.sampling is None:
            return []
        found = []
        decode = self.served.model.tokenizer.decode
        for prompt in self.prompts:
            seed = fresh_seed() if self.body.seed is None else self.body.seed % (1 << 64)
            ids = self._with_room(prompt)
            text = decode(prompt.given) if self.rule else ""
            found += [
                TextRequest(
                    ids,
                    self.sampling,
                    seed,
                    sample,
                    constraint=constraint,
                    alternatives=self.body.logprobs or 0,
                    log_probabilities=self.body.logprobs is not None or self.ranked,
                )
                for sample, constraint in enumerate(await start(self.rule, ids, text, self.each))
            ]
        return found

    @property
    def ranked(self) -> bool:
        """Whether the most probable of more texts than are wanted must be found."""
        return self.each > (self.body.n or 1)

    def _with_room(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids to continue; the model's beginning is left out where it takes the last room."""
        full = len(prompt.ids) >= self.served.model.context_length
        return prompt.given if full and prompt.given else prompt.ids

    def usage(self, written: int) -> Usage:
        """Tokens read and written."""
        read = sum(len(prompt.ids) for prompt in self.prompts)
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }

    def body_of(self, choices: list[CompletionChoice]) -> CompletionAnswer:
        """The answer, or a chunk of it, without usage."""
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.served.name,
            "choices": choices,
        }


@dataclass
class _Choice:
    """One text as it grows."""

    text: str = ""
    tokens: list[TokenShown] = field(default_factory=list)
    finish: FinishReason | None = None
    written: int = 0

    def add(self, piece: Piece) -> None:
        """Put a piece to it."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish = piece.finish
        self.written += piece.written

    @property
    def mean_log_probability(self) -> float:
        """By which `best_of` chooses."""
        return sum(one.log_probability for one in self.tokens) / max(1, len(self.tokens))


@dataclass(frozen=True)
class _Echo:
    """A prompt, to be given back before what continues it."""

    text: str = ""
    logprobs: CompletionLogprobs | None = None


async def _answer(order: _Order) -> CompletionAnswer:
    echoes = await _echoes(order)
    requests = await order.requests()
    count = len(order.prompts) * order.each
    choices = [_Choice(finish=None if requests else "length") for _ in range(count)]
    if requests:
        async with aclosing(write(order.served, requests)) as pieces:
            async for index, piece in pieces:
                choices[index].add(piece)
    kept = []
    for number, echo in enumerate(echoes):
        own = choices[number * order.each : (number + 1) * order.each]
        if order.ranked:
            own = sorted(own, key=lambda one: -one.mean_log_probability)[: order.body.n or 1]
        kept += [(echo, choice) for choice in own]
    answer = order.body_of(
        [
            _choice(order, index, echo, choice.text, choice.tokens, choice.finish)
            for index, (echo, choice) in enumerate(kept)
        ]
    )
    answer["usage"] = order.usage(sum(choice.written for choice in choices))
    return answer


async def _chunks(order: _Order) -> AsyncGenerator[Mapping[str, Any]]:
    echoes = await _echoes(order)
    with_usage = order.body.stream_options is not None and order.body.stream_options.include_usage
    requests, written = await order.requests(), 0

    def chunk(choice: CompletionChoice) -> CompletionAnswer:
        body = order.body_of([choice])
        if with_usage:
            body["usage"] = None
        return body

    starts = [0] * len(order.prompts) * order.each
    if order.body.echo:
        for index in range(len(starts)):
            echo = echoes[index // order.each]
            starts[index] = len(echo.text)
            ended: FinishReason | None = None if requests else "length"
            yield chunk(_choice(order, index, echo, "", [], ended))
    if requests:
        async with aclosing(write(order.served, requests)) as pieces:
            async for index, piece in pieces:
                written += piece.written
                if piece.text or piece.tokens or piece.finish:
                    yield chunk(_piece(order, index, piece, starts[index]))
    if with_usage:
        body = order.body_of([])
        body["usage"] = order.usage(written)
        yield body


def _choice(
    order: _Order,
    index: int,
    echo: _Echo,
    text: str,
    tokens: list[TokenShown],
    finish: FinishReason | None,
) -> CompletionChoice:
    logprobs = None
    if order.body.logprobs is not None:
        written = _logprobs(order, tokens, len(echo.text))
        logprobs = _joined(echo.logprobs, written) if echo.logprobs else written
    return {
        "index": index,
        "text": echo.text + text,
        "logprobs": logprobs,
        "finish_reason": _finish_reason(finish),
    }


def _piece(order: _Order, index: int, piece: Piece, start: int) -> CompletionChoice:
    wanted = order.body.logprobs is not None
    return {
        "index": index,
        "text": piece.text,
        "logprobs": _logprobs(order, piece.tokens, start) if wanted else None,
        "finish_reason": _finish_reason(piece.finish),
    }


def _finish_reason(finish: FinishReason | None) -> Any:
    return None if finish is None else "stop" if finish in ("end", "stop") else "length"


def _logprobs(
    order: _Order, tokens: list[TokenShown] | tuple[TokenShown, ...], start: int
) -> CompletionLogprobs:
    model = order.served.model
    return {
        "tokens": [token_name(model, one.id) for one in tokens],
        "token_logprobs": [one.log_probability for one in tokens],
        "top_logprobs": [
            _top(order, Scored(one.log_probability, one.alternatives), one.id) for one in tokens
        ],
        "text_offset": [start + one.offset for one in tokens],
    }


def _top(order: _Order, scored: Scored, token: int) -> dict[str, float]:
    """The likeliest tokens by name, and the token itself where it is not among them."""
    model = order.served.model
    named = {token_name(model, one): score for one, score in scored.alternatives}
    named.setdefault(token_name(model, token), scored.log_probability)
    return named


def _joined(first: CompletionLogprobs, second: CompletionLogprobs) -> CompletionLogprobs:
    return {
        "tokens": first["tokens"] + second["tokens"],
        "token_logprobs": first["token_logprobs"] + second["token_logprobs"],
        "top_logprobs": (first["top_logprobs"] or []) + (second["top_logprobs"] or []),
        "text_offset": first["text_offset"] + second["text_offset"],
    }


async def _echoes(order: _Order) -> list[_Echo]:
    """What is given back of each prompt: its text, and what its tokens' probabilities are."""
    if not order.body.echo:
        return [_Echo() for _ in order.prompts]
    decode = order.served.model.tokenizer.decode
    texts = [decode(prompt.given, special=True) for prompt in order.prompts]
    if order.body.logprobs is None:
        return [_Echo(text) for text in texts]
    scored = await _scores(order)
    return [
        _Echo(text, _echoed(order, prompt, scores))
        for text, prompt, scores in zip(texts, order.prompts, scored, strict=True)
    ]


async def _scores(order: _Order) -> list[dict[int, Scored]]:
    """For each prompt the scores of its tokens by place in its ids; the very first has none."""
    model, top = order.served.model, order.body.logprobs or 0
    targets = [Target(prompt.ids, max(1, prompt.hidden)) for prompt in order.prompts]
    scores: list[dict[int, Scored]] = [{} for _ in targets]
    for batch in in_batches(model, targets):
        found = await order.served.run(lambda batch=batch: score_batch(model, batch, top))  # type: ignore[misc]
        for target, place, of_stretch in found:
            scores[target].update(enumerate(of_stretch, place))
    return scores


def _echoed(order: _Order, prompt: Prompt, scores: dict[int, Scored]) -> CompletionLogprobs:
    model = order.served.model
    names = model.tokenizer.special_tokens.items()
    special = {number: name.encode() for name, number in names}
    offsets = TextOffsets()
    places = range(prompt.hidden, len(prompt.ids))
    tokens = [prompt.ids[place] for place in places]
    known = [scores.get(place) for place in places]
    return {
        "tokens": [token_name(model, token) for token in tokens],
        "token_logprobs": [None if one is None else one.log_probability for one in known],
        "top_logprobs": [
            None if one is None else _top(order, one, token)
            for one, token in zip(known, tokens, strict=True)
        ],
        "text_offset": [
            offsets.next(special.get(token) or model.tokenizer.bytes_of[token]) for token in tokens
        ],
    }
