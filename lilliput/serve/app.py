"""The web application: routes, who may use them, and the models behind them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from lilliput.generate import LanguageModel
from lilliput.serve import chat, completions, embeddings, errors, plain_routes
from lilliput.serve.limits import Limits
from lilliput.serve.metrics import Meter, Metrics
from lilliput.serve.security import Access, Guard
from lilliput.serve.served_model import ServedModel
from lilliput.serve.studio import StudioSettings
from lilliput.serve.studio import router as studio_router


def create_app(
    models: Mapping[str, LanguageModel],
    *,
    access: Access | None = None,
    limits: Limits | None = None,
    studio: StudioSettings | None = None,
) -> FastAPI:
    """An ASGI application that serves these models by name.

    Their threads live as long as the application's lifespan. `app.state.models` maps each name to
    its `ServedModel`. By default it answers the loopback address alone, without a key.
    """
    metrics, bounds = Metrics(), limits or Limits()
    served = {name: _served(name, model, bounds, metrics) for name, model in models.items()}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for one in served.values():
            one.start()
        try:
            yield
        finally:
            # Each ends with its present step; requests that were broken off end meanwhile.
            await asyncio.gather(*(asyncio.to_thread(one.close) for one in served.values()))

    app = FastAPI(
        title="Lilliput",
        version=version("lilliput"),
        lifespan=lifespan,
        docs_url=None,  # the pages of /docs fetch scripts from elsewhere
        redoc_url=None,
    )
    app.state.models, app.state.metrics = served, metrics
    app.state.studio = studio or StudioSettings()
    for part in (completions, chat, embeddings, plain_routes):
        app.include_router(part.router)
    app.include_router(studio_router)
    errors.install(app)
    allowed = access or Access()
    app.add_middleware(Guard, access=allowed, limits=bounds)
    if allowed.origins:  # browsers ask first, without a key, whether a page may
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(allowed.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
        )
    app.add_middleware(Meter, metrics=metrics)
    return app


def _served(name: str, model: LanguageModel, limits: Limits, metrics: Metrics) -> ServedModel:
    make_engine = partial(
        model.engine,
        most_rows=limits.rows,
        cache_bytes=limits.cache_bytes,
        prefix_cache_bytes=limits.prefix_cache_bytes,
    )
    return ServedModel(name, model, make_engine, limits, metrics)
