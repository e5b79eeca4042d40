"""Other runtimes behind the engine's interface: the same greedy text, and honest refusals."""

from pathlib import Path

import pytest
import torch

import lilliput
from lilliput.backends import NAMES, measure, with_backend
from lilliput.errors import UserError
from lilliput.generate import LanguageModel, Sampling
from lilliput.model import FAMILIES, Decoder
from lilliput.model.folder import save_model
from lilliput.tokens import train_tokenizer

TEXT = "Once upon a time, a little cat drank tea — 3 cups, says Zoë. She liked it! "
PROMPTS = ["Once upon", "", "3 cups — says Zoë. She", "tea"]


def save_random(folder: Path, family: str = "lilliput") -> Path:
    tokenizer = train_tokenizer([TEXT * 20], vocabulary_size=320)
    tokenizer.save(folder)
    config = FAMILIES[family].shape(
        n_layers=2, d_model=64, vocabulary_size=tokenizer.vocabulary_size, context_length=96
    )
    torch.manual_seed(5)
    decoder = Decoder(config)
    for name, parameter in decoder.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    save_model(decoder, folder, end_of_text=tokenizer.end_of_text, padding=tokenizer.padding)
    return folder


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lilliput.load(save_random(tmp_path / "model"), "cpu")


@pytest.mark.parametrize("name", ["onnxruntime", pytest.param("llama.cpp", marks=pytest.mark.slow)])
def test_greedy_text_is_ours(name: str, model: LanguageModel) -> None:
    other = with_backend(model, name, rows=2)  # type: ignore[arg-type]
    greedy = {"temperature": 0.0, "max_tokens": 40}
    assert other.generate(PROMPTS, **greedy) == model.generate(PROMPTS, **greedy)
    pieces = "".join(other.generate(PROMPTS[0], stream=True, **greedy))
    assert [pieces] == model.generate(PROMPTS[0], **greedy)


@pytest.mark.parametrize("name", ["onnxruntime", pytest.param("llama.cpp", marks=pytest.mark.slow)])
def test_ends_are_told_as_ours(name: str, model: LanguageModel) -> None:
    ids = [model.prompt_ids(prompt) for prompt in PROMPTS]
    ending = model.complete([ids[0]], Sampling(temperature=0, max_tokens=12))[0][0].ids[7]
    model.end_tokens = (ending,)
    other = with_backend(model, name)  # type: ignore[arg-type]
    for sampling in (
        Sampling(temperature=0, max_tokens=12),
        Sampling(temperature=0, max_tokens=500),
        Sampling(temperature=0, max_tokens=60, stop=("e", "a")),
    ):
        ours, theirs = (one.complete(ids, sampling) for one in (model, other))
        assert [(one.text, one.finish) for (one,) in theirs] == [
            (one.text, one.finish) for (one,) in ours
        ]


@pytest.mark.slow
def test_llama_cpp_owns_its_draws_and_refuses_the_rest(model: LanguageModel) -> None:
    other = with_backend(model, "llama.cpp", rows=3)
    sampled = {"temperature": 1.0, "max_tokens": 30, "seed": 4}
    first = other.generate("Once", n=3, **sampled)
    assert first == other.generate("Once", n=3, **sampled)
    assert len(set(first)) == 3
    engine = other.engine()
    for request in (_request(model, alternatives=3), _request(model, log_probabilities=True)):
        with pytest.raises(UserError, match="--backend"):
            engine.submit(request)
    ticket = engine.submit(_request(model))
    assert not engine.idle
    engine.cancel(ticket)
    assert engine.idle
    assert engine.step() == []


def test_the_fastest_is_one_of_those_measured(model: LanguageModel) -> None:
    found = measure(model)
    assert {one.name for one in found} >= {"own", "onnxruntime"}
    assert all(one.tokens_per_second > 0 for one in found)
    assert with_backend(model, "fastest").generate("Once", temperature=0.0, max_tokens=5)


def test_the_file_is_exported_once(model: LanguageModel, tmp_path: Path) -> None:
    with_backend(model, "onnxruntime")
    (made,) = (tmp_path / "cache").rglob("model.onnx")
    before = made.stat().st_mtime_ns
    with_backend(lilliput.load(tmp_path / "model", "cpu"), "onnxruntime")
    assert made.stat().st_mtime_ns == before


def test_what_cannot_be_done_is_said(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="--backend vllm: choose own"):
        with_backend(model, "vllm")  # type: ignore[arg-type]
    bloom = lilliput.load(save_random(tmp_path / "bloom", "bloom"), "cpu")
    with pytest.raises(UserError, match="no export of this kind"):
        with_backend(bloom, "onnxruntime")
    monkeypatch.setattr("lilliput.backends.choose.find_spec", lambda name: None)
    for name in NAMES[1:]:
        with pytest.raises(UserError, match="not installed; pip install"):
            with_backend(model, name)


def _request(model: LanguageModel, **values: object):  # type: ignore[no-untyped-def]
    from lilliput.generate import Request

    settings = {"log_probabilities": False} | values
    return Request(model.prompt_ids("Once"), Sampling(max_tokens=20), 1, **settings)  # type: ignore[arg-type]
