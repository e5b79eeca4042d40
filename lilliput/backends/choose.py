"""Which runtime writes: the one that is named, or the fastest by a short measurement."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from lilliput.backends.llama_cpp import LlamaCppProgram
from lilliput.backends.onnx_runtime import OnnxTrunk
from lilliput.errors import UserError, WorkFailed
from lilliput.export.gguf import write_gguf
from lilliput.export.onnx import write_onnx
from lilliput.files import hash_file
from lilliput.generate import LanguageModel, Sampling
from lilliput.machine.compiler import cache_folder
from lilliput.model import Decoder

BackendName = Literal["own", "llama.cpp", "onnxruntime"]
NAMES: tuple[BackendName, ...] = get_args(BackendName)
_PACKAGES = {"llama.cpp": "xllamacpp", "onnxruntime": "onnxruntime"}
_PROBE_TOKENS, _PROBE_ROUNDS = 64, 3
_MOST_SLOTS = 8


@dataclass(frozen=True)
class Measured:
    """How fast a runtime writes one text: tokens a second, the best of some tries."""

    name: BackendName
    tokens_per_second: float


def with_backend(
    model: LanguageModel,
    name: BackendName | Literal["fastest"],
    *,
    rows: int = 1,
    threads: int | None = None,
) -> LanguageModel:
    """The same model, its text written by another runtime; scores and states stay ours.

    `fastest` measures those that are installed and can hold the model. `rows` texts are written at
    once by llama.cpp, at most 8. `threads` of the runtime; None measures whether one or one a core
    is faster. The file that a runtime needs is exported, in float32 and proved, when first used,
    and kept in the user's cache folder.
    Raises UserError if the runtime is not installed or cannot hold the model.
    """
    if name == "fastest":
        return _fastest(_candidates(model, rows, threads)).model
    if name not in NAMES:
        raise UserError(f"--backend {name}: choose {', '.join(NAMES)} or fastest")
    if name == "own":
        return model.written_by(None)
    return _fastest(_with_threads(model, name, rows, threads)).model


def measure(model: LanguageModel, *, threads: int | None = None) -> list[Measured]:
    """How fast each runtime that is installed and can hold the model writes one text with it."""
    found = []
    for one in _candidates(model, 1, threads):
        found.append(Measured(one.name, one.tokens_per_second))
        one.close()
    return found


@dataclass(frozen=True)
class _Candidate:
    """A model on a runtime, how fast it writes, and what ends the runtime."""

    name: BackendName
    model: LanguageModel
    tokens_per_second: float
    close: Callable[[], None]


def _fastest(candidates: Iterable[_Candidate]) -> _Candidate:
    """The fastest; the others are closed."""
    best, *others = sorted(candidates, key=lambda one: -one.tokens_per_second)
    for one in others:
        one.close()
    return best


def _candidates(model: LanguageModel, rows: int, threads: int | None) -> Iterator[_Candidate]:
    own = model.written_by(None)
    yield _Candidate("own", own, _speed(own), lambda: None)
    for name in NAMES[1:]:
        try:
            yield _fastest(_with_threads(model, name, rows, threads))
        except (UserError, WorkFailed):
            continue


def _with_threads(
    model: LanguageModel, name: BackendName, rows: int, threads: int | None
) -> Iterator[_Candidate]:
    """The model on a runtime with so many threads; with one, and with one a core, if None."""
    for count in sorted({1, os.cpu_count() or 1}) if threads is None else [threads]:
        runtime = _open(model, name, rows, count)
        candidate = model.written_by(runtime.engine)
        yield _Candidate(name, candidate, _speed(candidate), runtime.close)


def _open(
    model: LanguageModel, name: BackendName, rows: int, threads: int
) -> LlamaCppProgram | OnnxTrunk:
    if find_spec(_PACKAGES[name]) is None:
        extra = "llamacpp,gguf" if name == "llama.cpp" else "onnx"
        raise UserError(f"--backend {name}: not installed; pip install 'lilliput[{extra}]'")
    decoder, folder = model.decoder, model.folder
    if not isinstance(decoder, Decoder) or folder is None or model.adapter is not None:
        raise UserError(f"--backend {name} cannot hold this model; use --backend own")
    cached = cache_folder() / "backends" / _identity(folder)
    if name == "llama.cpp":
        file = cached / "model.gguf"
        if not file.is_file():
            cached.mkdir(parents=True, exist_ok=True)
            write_gguf(folder, file)
        slots = min(rows, _MOST_SLOTS)
        return LlamaCppProgram(file, decoder.config, rows=slots, threads=threads)
    file = cached / "onnx" / "model.onnx"
    if not file.is_file():
        write_onnx(folder, cached)
    return OnnxTrunk(file, decoder.config, threads=threads)


def _speed(model: LanguageModel) -> float:
    """Tokens a second, greedy, from the beginning of a text."""
    prompt = model.prompt_ids("")
    room = model.context_length - len(prompt)
    sampling = Sampling(temperature=0, max_tokens=max(1, min(_PROBE_TOKENS, room)))
    best = 0.0
    for _ in range(_PROBE_ROUNDS):
        started = time.perf_counter()
        written = len(model.complete([prompt], sampling)[0][0].ids)
        best = max(best, written / (time.perf_counter() - started))
    return best


def _identity(folder: Path) -> str:
    """A name for what the exported files depend on."""
    files = sorted(folder.glob("*.safetensors"))
    hashes = [hash_file(file) for file in (*files, folder / "config.json")]
    tokenizer = folder / "tokenizer.json"
    return "-".join(one[:12] for one in (*hashes[:1], hashes[-1], hash_file(tokenizer)))
