"""Writing token by token, with the alternatives at each step: the data of the chat page."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any

import torch
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from lilliput.errors import UserError
from lilliput.generate import LanguageModel, Sampling
from lilliput.generate.chat_template import chat_template_of
from lilliput.generate.requests import Request as TextRequest
from lilliput.generate.requests import Written
from lilliput.generate.sampling import fresh_seed
from lilliput.generate.streaming import CompletionText
from lilliput.serve.models import find_model
from lilliput.serve.served_model import ServedModel
from lilliput.serve.streams import EventStream, event_stream
from lilliput.serve.studio.distribution import candidates

writing = APIRouter()

_LARGEST_SEED = 2**53
_MOST_ALTERNATIVES = 20


class Turn(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="forbid")
    role: Annotated[str, Field(pattern="^(system|user|assistant)$")]
    content: str


class WritingOrder(BaseModel):
    """What to go on from (a text or a conversation, then `continued` tokens), and how.

    `sample` numbers the texts that one seed gives.
    """

    model_config = ConfigDict(extra="forbid")
    model: str | None = None
    prompt: str = ""
    messages: list[Turn] | None = None
    continued: list[int] = []
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: Annotated[int | None, Field(ge=0, le=_LARGEST_SEED)] = None
    sample: Annotated[int, Field(ge=0, le=_LARGEST_SEED)] = 0
    max_tokens: Annotated[int, Field(ge=1)] = 200
    stop: list[str] = []
    alternatives: Annotated[int, Field(ge=0, le=_MOST_ALTERNATIVES)] = 10

    def sampling(self, stop: tuple[str, ...] = ()) -> Sampling:
        """The settings; raises UserError where a number makes no sense."""
        return Sampling(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            max_tokens=self.max_tokens,
            stop=(*self.stop, *stop),
        )


@writing.post("/studio/data/write")
async def write(order: WritingOrder, request: Request) -> EventStream:
    """Events: the prompt's size and the seed, tokens as they come, why it ended."""
    served = find_model(request, order.model)
    ids, stop, ends = await asyncio.to_thread(_prompt, served.model, order)
    sampling = order.sampling(stop)
    limit = min(sampling.max_tokens, served.limits.max_tokens)
    if limit < sampling.max_tokens:
        raise UserError(f"max tokens is {sampling.max_tokens}: this server allows {limit}")
    seed = fresh_seed() % _LARGEST_SEED if order.seed is None else order.seed
    wanted = TextRequest(ids, sampling, seed, order.sample, alternatives=order.alternatives)
    return await event_stream(_steps(served, wanted, ends))


@writing.post("/studio/data/next")
async def next_tokens(order: WritingOrder, request: Request) -> dict[str, Any]:
    """The likeliest next tokens: as the model has them, and as the settings change them."""
    served = find_model(request, order.model)
    ids, _, _ = await asyncio.to_thread(_prompt, served.model, order)
    sampling = order.sampling()
    model = served.model
    if len(ids) > model.context_length:
        raise UserError(
            f"{len(ids)} tokens do not fit in the model's context of {model.context_length}"
        )

    def work() -> list[dict[str, Any]]:
        with torch.inference_mode():
            return candidates(model, ids, sampling, max(1, order.alternatives))

    return {"tokens": await served.run(work)}


def _prompt(
    model: LanguageModel, order: WritingOrder
) -> tuple[tuple[int, ...], tuple[str, ...], frozenset[int]]:
    """The ids to go on from, and the strings and tokens that end a reply besides the model's own.

    Raises UserError for tokens that the model does not have.
    """
    size = model.tokenizer.vocabulary_size
    if any(not 0 <= token < size for token in order.continued):
        raise UserError(f"continued holds an id that is no token: they go from 0 to {size - 1}")
    if order.messages is None:
        return (*model.prompt_ids(order.prompt), *order.continued), (), frozenset()
    template = chat_template_of(model)
    ids = template.ids([turn.model_dump() for turn in order.messages])
    return (*ids, *order.continued), template.stop, template.end_tokens


async def _steps(
    served: ServedModel, wanted: TextRequest, ends: frozenset[int]
) -> AsyncGenerator[Mapping[str, Any]]:
    """One object for each step of the engine."""
    model = served.model
    text = CompletionText(wanted.sampling.stop)
    with served.submit_all([wanted]) as events:
        told = {"prompt_tokens": len(wanted.ids), "seed": wanted.seed}
        async for _, event in events:
            finish, tokens = event.finish, []
            for written in event.written:
                tokens.append(_token(model, written, ends))
                text.write(model.tokenizer.bytes_of[written.id])
                if written.id in ends:
                    finish = "end"
                elif text.stopped:
                    finish = "stop"
            yield {**told, "tokens": tokens, "finish": finish}
            told = {}
            if finish:
                return


def _token(model: LanguageModel, written: Written, ends: frozenset[int]) -> dict[str, Any]:
    return {
        "id": written.id,
        "bytes": model.tokenizer.bytes_of[written.id].hex(),
        "log_probability": written.log_probability,
        "end": written.id in model.end_tokens or written.id in ends,
        "alternatives": [
            {
                "id": number,
                "bytes": model.tokenizer.bytes_of[number].hex(),
                "log_probability": score,
            }
            for number, score in written.alternatives
        ],
    }
