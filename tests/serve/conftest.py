"""Tiny random models behind a real server on a free port, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
import uvicorn
from fastapi import FastAPI

from lilliput.generate import LanguageModel, load
from lilliput.model import FAMILIES, Decoder, save_model
from lilliput.serve.app import create_app
from lilliput.serve.limits import Limits
from lilliput.serve.security import Access
from lilliput.serve.served_model import ServedModel
from lilliput.serve.server import bind, make_server
from lilliput.tokens import Tokenizer, train_tokenizer

torch.set_num_threads(1)

CONTEXT_LENGTH = 1024
SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    app: FastAPI
    server: uvicorn.Server
    thread: threading.Thread

    def served(self, name: str = "tiny") -> ServedModel:
        found: ServedModel = self.app.state.models[name]
        return found

    def http(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=SECONDS, **options)

    def client(self, **options: Any) -> openai.OpenAI:
        settings: dict[str, Any] = {"api_key": "none", "max_retries": 0, "timeout": SECONDS}
        return openai.OpenAI(base_url=f"{self.url}/v1", **{**settings, **options})


@contextmanager
def running(
    models: dict[str, LanguageModel], limits: Limits | None = None, access: Access | None = None
) -> Iterator[Running]:
    """A server for these models; asked to stop when the block is left."""
    limits = limits or Limits()
    app = create_app(models, limits=limits, access=access)
    with bind("127.0.0.1", 0) as listener:
        server = make_server(app, limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wait_until(lambda: server.started or not thread.is_alive())
        yield Running(url, app, server, thread)
        server.should_exit = True
        thread.join(SECONDS)
        assert not thread.is_alive()


def wait_until(condition: Any, seconds: float = SECONDS) -> None:
    """Return once the condition holds; fail if it never does."""
    ticks = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        ticks.wait(0.01)
    raise AssertionError("it never came true")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    texts = ["Once upon a time, the cat sat on the mat. The dog saw it — naïve café 😀."] * 20
    return train_tokenizer(texts, vocabulary_size=300)


def tiny_folder(folder: Path, tokenizer: Tokenizer, seed: int) -> Path:
    """A random model as a folder."""
    config = FAMILIES["lilliput"].shape(
        n_layers=2,
        d_model=32,
        vocabulary_size=tokenizer.vocabulary_size,
        context_length=CONTEXT_LENGTH,
    )
    torch.manual_seed(seed)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_model(decoder, folder, end_of_text=tokenizer.end_of_text, padding=tokenizer.padding)
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("served") / "tiny", tokenizer, 7)


@pytest.fixture(scope="session")
def model(folder: Path) -> LanguageModel:
    return load(folder, "cpu")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> LanguageModel:
    return load(tiny_folder(tmp_path_factory.mktemp("served") / "other", tokenizer, 8), "cpu")


@pytest.fixture(scope="session")
def endless(model: LanguageModel) -> LanguageModel:
    """The same model, whose texts end only at a stop string or a limit."""
    return LanguageModel(model.decoder, model.tokenizer, end_tokens=())


@pytest.fixture(scope="session")
def server(model: LanguageModel, other: LanguageModel, endless: LanguageModel) -> Iterator[Running]:
    with running({"tiny": model, "other": other, "endless": endless}) as found:
        yield found


@pytest.fixture(scope="session")
def client(server: Running) -> openai.OpenAI:
    return server.client()
