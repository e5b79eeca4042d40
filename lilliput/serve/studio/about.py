"""What is served: the start page's data, and what every page needs to know of each model."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request

from lilliput.serve.served_model import ServedModel
from lilliput.serve.studio.settings import settings_of

about = APIRouter()


@about.get("/studio/data/about")
def what_is_served(request: Request) -> dict[str, Any]:
    """Models, folders, version."""
    settings = settings_of(request)
    models: dict[str, ServedModel] = request.app.state.models
    return {
        "version": _version(),
        "models": [_facts(served) for served in models.values()],
        "runs": str(settings.runs) if settings.runs else None,
        "corpus": str(settings.corpus) if settings.corpus else None,
    }


def _version() -> str:
    try:
        return version("lilliput")
    except PackageNotFoundError:
        return ""


def _facts(served: ServedModel) -> dict[str, Any]:
    model = served.model
    config = model.decoder.config
    return {
        "name": served.name,
        "family": getattr(config, "family", type(config).__name__.removesuffix("Config").lower()),
        "parameters": config.parameters,
        "context_length": model.context_length,
        "vocabulary_size": model.tokenizer.vocabulary_size,
        "layers": config.n_layers,
        "width": config.d_model,
        "special_tokens": {
            str(number): name for name, number in model.tokenizer.special_tokens.items()
        },
    }
