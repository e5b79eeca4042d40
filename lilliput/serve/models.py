"""The models of an app, found by name, and the prompts put to them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request

from lilliput.generate import LanguageModel
from lilliput.serve.errors import ApiError
from lilliput.serve.served_model import ServedModel

CHARACTERS_AT_ONCE = 20_000
"""Shorter texts are encoded on the event loop: handing them to a thread would take longer."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Ids as the model reads them, of which the first `hidden` are not the client's."""

    ids: tuple[int, ...]
    hidden: int

    @property
    def given(self) -> tuple[int, ...]:
        """What the client gave, without the model's beginning."""
        return self.ids[self.hidden :]


def models_of(request: Request) -> Mapping[str, ServedModel]:
    """All models of the app, by name."""
    models: Mapping[str, ServedModel] = request.app.state.models
    return models


def find_model(request: Request, name: str | None) -> ServedModel:
    """The model of that name; the only one where no name is given. Raises ApiError otherwise."""
    models = models_of(request)
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    if name is None:
        raise ApiError(400, f"several models are served: name one of {', '.join(models)}")
    if name not in models:
        raise ApiError(
            404,
            f"the model {name[:100]!r} is not served: there is {', '.join(models)}",
            param="model",
            code="model_not_found",
        )
    return models[name]


async def encode(
    served: ServedModel, text: str, most_tokens: int, *, special: bool = False
) -> list[int]:
    """The ids of a text. Raises ApiError if it is longer than so many tokens can be.

    A long text is encoded by another thread, and one that is much too long not at all.
    """
    check_length(served, len(text), most_tokens)
    encoder = served.model.tokenizer
    if len(text) < CHARACTERS_AT_ONCE:
        return encoder.encode(text, special=special)
    return await asyncio.to_thread(encoder.encode, text, special=special)


def check_length(served: ServedModel, characters: int, most_tokens: int) -> None:
    """Raise ApiError if no text of so many characters has as few as `most_tokens` tokens."""
    if characters > most_tokens * served.longest_token:
        raise ApiError(
            400,
            f"the text is {characters} characters long: more than {most_tokens} tokens, which is "
            "as many as fit in the context",
            code="context_length_exceeded",
        )


async def read_prompts(
    served: ServedModel,
    given: str | list[int] | list[str] | list[list[int]],
    *,
    add_beginning: bool,
    param: str = "prompt",
) -> list[Prompt]:
    """Prompts in any of the shapes OpenAI's API allows. Raises ApiError on one that is no prompt.

    With `add_beginning`, what the model reads before every text is put before each, unless the
    prompt is of ids that begin so already.
    """
    texts = _separate(given)
    if not texts:
        raise ApiError(400, f"{param} is empty", param=param)
    if len(texts) > served.limits.prompts:
        raise ApiError(
            400, f"{param} holds {len(texts)} texts: at most {served.limits.prompts}", param=param
        )
    prompts = []
    most = served.model.context_length
    for text in texts:
        ids = await encode(served, text, most) if isinstance(text, str) else text
        check_ids(served.model, ids, param)
        prompts.append(_begun(served.model, ids, add_beginning))
    return prompts


def _separate(given: str | list[int] | list[str] | list[list[int]]) -> Sequence[str | list[int]]:
    if isinstance(given, str):
        return [given]
    ids = [one for one in given if isinstance(one, int)]
    return [ids] if ids else [one for one in given if not isinstance(one, int)]


def _begun(model: LanguageModel, ids: Sequence[int], add_beginning: bool) -> Prompt:
    beginning = model.beginning
    if not ids:  # even an empty text needs a token to start from
        return Prompt(beginning or (model.tokenizer.end_of_text,), max(1, len(beginning)))
    if not add_beginning or tuple(ids[: len(beginning)]) == beginning:
        return Prompt(tuple(ids), 0)
    return Prompt((*beginning, *ids), len(beginning))


def check_ids(model: LanguageModel, ids: Sequence[int], param: str) -> None:
    """Raise ApiError unless all are tokens of the model."""
    size = model.tokenizer.vocabulary_size
    if ids and not 0 <= min(ids) <= max(ids) < size:
        raise ApiError(400, f"{param}: token ids go from 0 to {size - 1}", param=param)
