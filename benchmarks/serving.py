"""Servers under load: Lilliput's beside llama.cpp's, on the same model in float32.

    pip install xllamacpp gguf httpx
    python benchmarks/serving.py --size 15m --streams 64 --json serving.json

`--streams` clients at once ask `/v1/completions` for streamed texts of `--tokens` tokens, each
`--each` times, from a process of their own. Requests a second, milliseconds to the first token and
between tokens (median and 99th of 100). The servers take turns for `--rounds`, each started anew.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from inference_models import CONTEXT_LENGTH, SHAPES, TEXT, write_model

CLI = str(Path(sys.executable).with_name("lilliput"))


@contextmanager
def our_server(model: Path, options: argparse.Namespace) -> Iterator[str]:
    """`lilliput serve`."""
    command = [CLI, "serve", f"model={model}", "--port", "0", "--rows", str(options.streams)]
    with _started(command, "API ") as line:
        yield line.split("API ")[1].split("/v1")[0]


@contextmanager
def llama_cpp_server(gguf: Path, options: argparse.Namespace) -> Iterator[str]:
    """llama.cpp's own server, through xllamacpp."""
    command = [sys.executable, __file__, "--be-llama-cpp", str(gguf)]
    command += ["--streams", str(options.streams), "--threads", str(options.threads)]
    with _started(command, "http://") as line:
        yield line.strip()


@contextmanager
def _started(command: Sequence[str], sign: str) -> Iterator[str]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield next(line for line in process.stdout if sign in line)
    finally:
        process.terminate()
        process.wait()


def be_llama_cpp(gguf: Path, options: argparse.Namespace) -> None:
    """Serve until standard input closes."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(gguf)
    settings.n_ctx, settings.n_parallel = CONTEXT_LENGTH * options.streams, options.streams
    settings.n_gpu_layers, settings.verbosity = 0, -1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = options.threads
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()


async def _client(
    client: httpx.AsyncClient, number: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    found = []
    for turn in range(options.each):
        question = {
            "model": "model",
            "prompt": f"{number} {turn} {TEXT}",
            "max_tokens": options.tokens,
            "temperature": 1.0,
            "stream": True,
            "logit_bias": {"0": -100},  # no text ends early
        }
        started = time.perf_counter()
        async with client.stream("POST", "/v1/completions", json=question) as answer:
            ok = answer.status_code == 200
            times = [
                time.perf_counter()
                async for line in answer.aiter_lines()
                if line.startswith("data: {")
            ]
        ok = ok and bool(times)
        gaps = [after - before for before, after in pairwise(times)]
        found.append({"ok": ok, "first": (times or [0])[0] - started, "gaps": gaps})
    return found


async def _until_healthy(client: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            if (await client.get("/health")).status_code == 200:
                return
        except httpx.ConnectError:
            pass
        await asyncio.sleep(0.1)
    sys.exit("the server does not answer")


async def load(address: str, options: argparse.Namespace) -> dict[str, float]:
    """The figures of one load."""
    limits = httpx.Limits(max_connections=options.streams)
    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits) as client:
        await _until_healthy(client)
        warm = argparse.Namespace(**{**vars(options), "each": 1, "tokens": 4})
        await _client(client, 0, warm)
        started = time.perf_counter()
        lists = await asyncio.gather(*(_client(client, n, options) for n in range(options.streams)))
        seconds = time.perf_counter() - started
    answers = [one for several in lists for one in several]
    gaps = sorted(gap for one in answers for gap in one["gaps"])
    firsts = sorted(one["first"] for one in answers)
    return {
        "requests_per_second": len(answers) / seconds,
        "first_token_ms_p50": 1000 * statistics.median(firsts),
        "first_token_ms_p99": 1000 * firsts[int(0.99 * (len(firsts) - 1))],
        "token_ms_p50": 1000 * statistics.median(gaps),
        "token_ms_p99": 1000 * gaps[int(0.99 * (len(gaps) - 1))],
        "failed": sum(not one["ok"] for one in answers),
    }


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", default="15m", choices=list(SHAPES))
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--each", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--be-llama-cpp", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_llama_cpp:
        be_llama_cpp(options.be_llama_cpp, options)
        return
    from lilliput.export.gguf import write_gguf

    work = Path(tempfile.mkdtemp(prefix="serving-"))
    figures: dict[str, list[dict[str, float]]] = {"lilliput": [], "llama.cpp": []}
    try:
        write_model(work / "model", options.size)
        write_gguf(work / "model", work / "model.gguf")
        for _ in range(options.rounds):
            with our_server(work / "model", options) as address:
                figures["lilliput"].append(asyncio.run(load(address, options)))
            with llama_cpp_server(work / "model.gguf", options) as address:
                figures["llama.cpp"].append(asyncio.run(load(address, options)))
    finally:
        shutil.rmtree(work)
    keys = list(figures["lilliput"][0])
    print("| server | " + " | ".join(key.replace("_", " ") for key in keys) + " |")
    print("| --- |" + " --: |" * len(keys))
    for name, rounds in figures.items():
        cells = [f"{statistics.median(one[key] for one in rounds):,.4g}" for key in keys]
        print(f"| {name} | " + " | ".join(cells) + " |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
