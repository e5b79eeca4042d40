"""The short routes: models, tokenizers, health and metrics."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from lilliput.serve.answers import (
    DetokenizeAnswer,
    ModelCard,
    ModelList,
    TokenizeAnswer,
    TokenizerInfo,
)
from lilliput.serve.documented import responses
from lilliput.serve.metrics import CONTENT_TYPE, Metrics
from lilliput.serve.models import check_ids, encode, find_model, models_of
from lilliput.serve.schemas import DetokenizeBody, TokenizeBody
from lilliput.serve.served_model import ServedModel

router = APIRouter()

_NameOfModel = Annotated[str, Path(max_length=200)]
_OneModel = Annotated[str | None, Query(max_length=200)]


@router.get("/v1/models", responses=responses(ModelList))
async def list_models(request: Request) -> Response:
    """The models on offer."""
    cards = [_card(served) for served in models_of(request).values()]
    return JSONResponse(ModelList(object="list", data=cards))


@router.get("/v1/models/{model:path}", responses=responses(ModelCard))
async def one_model(model: _NameOfModel, request: Request) -> Response:
    """One of them."""
    return JSONResponse(_card(find_model(request, model)))


def _card(served: ServedModel) -> ModelCard:
    return {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "lilliput",
        "max_model_len": served.model.context_length,
        "parameters": served.model.decoder.config.parameters,
    }


@router.post("/tokenize", responses=responses(TokenizeAnswer))
async def tokenize(body: TokenizeBody, request: Request) -> Response:
    """The tokens of a text."""
    served = find_model(request, body.model)
    model = served.model
    most = served.limits.tokenized_tokens
    ids = await encode(served, body.prompt, most, special=body.special)
    beginning = model.beginning if body.add_special_tokens else ()
    if tuple(ids[: len(beginning)]) != beginning:
        ids = [*beginning, *ids]
    answer: TokenizeAnswer = {
        "tokens": ids,
        "token_strs": [model.token_text(token) for token in ids],
        "count": len(ids),
        "max_model_len": model.context_length,
    }
    return JSONResponse(answer)


@router.post("/detokenize", responses=responses(DetokenizeAnswer))
async def detokenize(body: DetokenizeBody, request: Request) -> Response:
    """The text of tokens; special ones by name."""
    model = find_model(request, body.model).model
    check_ids(model, body.tokens, "tokens")
    return JSONResponse({"prompt": model.tokenizer.decode(body.tokens, special=True)})


@router.get("/tokenizer_info", responses=responses(TokenizerInfo))
async def tokenizer_info(request: Request, model: _OneModel = None) -> Response:
    """What a client that makes its own prompts needs to know."""
    served = find_model(request, model)
    found = served.model
    tokenizer = found.tokenizer
    names = {number: name for name, number in tokenizer.special_tokens.items()}
    answer: TokenizerInfo = {
        "bos_token": names.get(found.beginning[0]) if found.beginning else None,
        "eos_token": names.get(tokenizer.end_of_text),
        "pad_token": names.get(tokenizer.padding),
        "chat_template": served.chat_template.source,
        "vocab_size": tokenizer.vocabulary_size,
    }
    return JSONResponse(answer)


@router.get("/health", responses={503: {"description": "A model's thread has ended."}})
async def health(request: Request) -> Response:
    """200 while every model's thread is alive."""
    states: dict[str, Any] = {name: one.alive for name, one in models_of(request).items()}
    alive = all(states.values())
    return JSONResponse({"status": "ok" if alive else "failed"}, 200 if alive else 503)


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """What the server has counted, for Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(models_of(request).values()), media_type=CONTENT_TYPE)
