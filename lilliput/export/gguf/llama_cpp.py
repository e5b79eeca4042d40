"""llama.cpp itself, where its binding `xllamacpp` is installed: the same next tokens as ours?"""

import importlib.metadata
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from lilliput.errors import WorkFailed
from lilliput.export.gguf.file import open_gguf

_CANDIDATES = 256
_TIE = 0.01
_CHILD = "lilliput.export.gguf.llama_cpp_child"
_PATIENCE_SECONDS = 600
_SPARE_CONTEXT = 8


@dataclass(frozen=True)
class LlamaCppParity:
    """Greedy continuations, ours of the dequantised file and llama.cpp's of the file.

    Both see our text so far, so that one different choice does not spoil those after it.
    `margin`: by how many nats we preferred our choice where llama.cpp chose another, at most;
    `max_difference`: of the log-probabilities of its likeliest tokens. `same_ids` of `texts` texts,
    made to be difficult, became the same ids in both.
    """

    version: str
    tokens: int
    same_tokens: int
    margin: float
    max_difference: float
    texts: int
    same_ids: int

    @property
    def same_text(self) -> bool:
        """Whether both wrote the same tokens, but for ties."""
        return self.margin <= _TIE


class LlamaCpp:
    """A GGUF file in llama.cpp, in a process of its own; use it in a `with` statement.

    It writes `rows` texts at once, each of up to `context_length` tokens, on `threads` threads.
    Raises WorkFailed if llama.cpp does not load the file.
    """

    def __init__(self, path: Path, context_length: int, *, rows: int = 1, threads: int = 1) -> None:
        self.path = path
        self._letter = open_gguf(path).metadata["tokenizer.ggml.tokens"].index("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", _CHILD, str(path), *map(str, (context_length, rows, threads))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self._address = next((row.strip() for row in self._process.stdout if "://" in row), "")
        if not self._address:
            self.close()
            raise WorkFailed(f"{path}: llama.cpp does not load this file")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        with self._process:
            self._process.kill()

    def next_tokens(self, ids: Sequence[int], candidates: int) -> dict[int, float]:
        """Log-probabilities of the likeliest next tokens, those that end a text among them."""
        # The server reports probabilities, before any bias, only with a token that is whole text
        # (no half character, no end of text): so it is made to choose a letter.
        settings = {"n_predict": 1, "n_probs": candidates, "logit_bias": [[self._letter, 1e4]]}
        answer = self.ask("completion", prompt=list(ids), **settings)
        likeliest = answer["completion_probabilities"][0]["top_logprobs"]
        if any(row["logprob"] is None for row in likeliest):
            raise WorkFailed(
                f"{self.path}: llama.cpp's numbers overflow in this file (it multiplies float16 "
                "weights in float16): choose bf16 or f32"
            )
        return {row["id"]: row["logprob"] for row in likeliest}

    def continuation(self, prompt: str, tokens: int) -> str:
        """The likeliest text after a prompt."""
        answer = self.ask("completion", prompt=prompt, n_predict=tokens, temperature=0.0)
        return str(answer["content"])

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt, with the beginning token where the file asks for one."""
        answer = self.ask("tokenize", content=text, add_special=True, parse_special=False)
        ids: list[int] = answer["tokens"]
        return ids

    def ask(self, verb: str, **values: Any) -> Any:
        """What its server answers to a request. Raises WorkFailed if it does not."""
        request = urllib.request.Request(
            f"{self._address}/{verb}",
            data=json.dumps(values).encode(),
            headers={"Content-Type": "application/json"},
        )
        # It listens on this machine: a proxy named in the environment is none of its business.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_PATIENCE_SECONDS) as answer:
                return json.load(answer)
        except (OSError, ValueError) as error:
            raise WorkFailed(f"{self.path}: llama.cpp stops at this file: {error}") from None


def llama_cpp_parity(
    path: Path,
    logits: Callable[[Tensor], Tensor],
    prompt: Sequence[int],
    steps: int,
    encoded: Mapping[str, Sequence[int]],
) -> LlamaCppParity | None:
    """Write `steps` greedy tokens after the prompt, asking both at each; None without xllamacpp.

    `encoded` are texts and the ids they should become. Raises WorkFailed if llama.cpp does not
    load the file.
    """
    try:
        version = importlib.metadata.version("xllamacpp")
    except importlib.metadata.PackageNotFoundError:
        return None
    ids, same, margin, difference = list(prompt), 0, 0.0, 0.0
    with LlamaCpp(path, len(prompt) + steps + _SPARE_CONTEXT) as engine:
        for _ in range(steps):
            ours = logits(torch.tensor([ids]))[0, -1].double().log_softmax(dim=-1)
            best = int(ours.argmax())
            theirs = engine.next_tokens(ids, min(_CANDIDATES, len(ours)))
            choice = max(theirs, key=theirs.__getitem__)
            same += choice == best
            margin = max(margin, float(ours[best] - ours[choice]))
            gaps = [abs(float(ours[token]) - theirs[token]) for token in theirs]
            difference = max(difference, *gaps)
            ids.append(best)
        same_ids = sum(engine.encode(text) == list(own) for text, own in encoded.items())
    return LlamaCppParity(version, steps, same, margin, difference, len(encoded), same_ids)
