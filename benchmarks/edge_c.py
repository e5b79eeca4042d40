"""Tokens per second of `run_model.c` beside llama2.c and llama.cpp, at about 15M parameters.

    git clone --depth 1 <karpathy/llama2.c> ../peers/llama2.c
    pip install xllamacpp gguf
    python benchmarks/edge_c.py --llama2c ../peers/llama2.c --threads 1 --json edge_c.json

One random model of llama2.c's stories15M shape (Llama, width 288, 6 layers, 6 heads, vocabulary
32,000, tied) is written in every format. Contenders take turns, each measurement is a process of
its own that writes greedily from the beginning of a text, and medians are given. llama2.c and
llama.cpp are optional and run unmodified; every program counts its own tokens per second.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lilliput.export.single_file.runner import compile_runner
from lilliput.export.single_file.write import write_single_file
from lilliput.export.source import Shape, Weights, layer_name, read_shape, read_weights
from lilliput.machine.compiler import find_compiler
from lilliput.tokens import train_tokenizer

TEXT = "Once upon a time, there was a little cat. It didn't like the rain, but it liked tea. "
LLAMA2C_MAGIC, LLAMA2C_GROUP = 0x616B3432, 32
MEASURES = {
    "ours": r"wrote \d+ at ([\d.]+) tokens/s",
    "llama2.c": r"achieved tok/s: ([\d.]+)",
    "llama.cpp": r"tokens per second: ([\d.]+)",
}


@dataclass
class Contender:
    """A command that prints its own tokens per second, and what it printed so far."""

    name: str
    command: list[str]
    size: int
    figures: list[float] = field(default_factory=list)

    def measure(self, threads: int) -> None:
        """Run once more."""
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            self.command, capture_output=True, check=False, env=environment, errors="replace"
        )
        found = re.search(MEASURES[self.name.split()[0]], done.stderr)
        if done.returncode or not found:
            sys.exit(f"{self.name} failed: {done.stderr[-1000:]}")
        self.figures.append(float(found[1]))


def write_model(folder: Path) -> None:
    """The random model as a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    train_tokenizer([TEXT * 50], vocabulary_size=300).save(folder)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=288,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def our_contenders(model: Path, work: Path, compiler: str, options: argparse.Namespace) -> Any:
    """`run_model.c` with float32 and int8 weights."""
    program = work / "run_model"
    flags = ["-O3", "-march=native", *(["-fopenmp"] if options.threads > 1 else [])]
    compile_runner(compiler, program, *flags)
    for kind in ("f32", "int8"):
        path = work / f"ours-{kind}.bin"
        size = write_single_file(model, path, kind=kind).size
        arguments = ["--temperature", "0", "--tokens", str(options.tokens), "--ids"]
        yield Contender(f"ours {kind}", [str(program), str(path), *arguments], size)


def llama2c_contenders(model: Path, work: Path, compiler: str, options: argparse.Namespace) -> Any:
    """llama2.c's run and runq, compiled as its Makefile's `runomp` does."""
    shape = read_shape(model)
    weights = read_weights(model, shape)
    for kind, source in (("f32", "run.c"), ("int8", "runq.c")):
        program, path = work / source.removesuffix(".c"), work / f"llama2c-{kind}.bin"
        flags = ["-Ofast", "-march=native", *(["-fopenmp"] if options.threads > 1 else [])]
        command = [compiler, *flags, str(options.llama2c / source), "-lm", "-o", str(program)]
        subprocess.run(command, check=True, capture_output=True)
        with path.open("wb") as file:
            (_write_llama2c_f32 if kind == "f32" else _write_llama2c_int8)(file, shape, weights)
        arguments = ["-t", "0", "-n", str(options.tokens), "-z"]
        arguments.append(str(options.llama2c / "tokenizer.bin"))
        command = [str(program), str(path), *arguments]
        yield Contender(f"llama2.c {kind}", command, path.stat().st_size)


def llama_cpp_contenders(model: Path, work: Path, options: argparse.Namespace) -> Any:
    """llama.cpp through xllamacpp, on GGUF files of our export."""
    from lilliput.export.gguf.write import write_gguf

    for kind in ("f32", "q8_0"):
        path = work / f"llama-cpp-{kind}.gguf"
        write_gguf(model, path, kind=kind)
        command = [sys.executable, __file__, "--in-llama-cpp", str(path)]
        command += ["--tokens", str(options.tokens), "--threads", str(options.threads)]
        yield Contender(f"llama.cpp {kind}", command, path.stat().st_size)


def run_llama_cpp(path: Path, tokens: int, threads: int) -> None:
    """One measurement of llama.cpp, printed as the others print theirs."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel, settings.n_gpu_layers = 256, 1, 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.verbosity = -1
    question = {"prompt": [0], "n_predict": tokens, "temperature": 0, "ignore_eos": True}
    answer = xllamacpp.Server(settings).handle_completions(question)
    print(f"tokens per second: {answer['timings']['predicted_per_second']}", file=sys.stderr)


def _llama2c_tensors(shape: Shape, weights: Weights) -> Mapping[str, list[np.ndarray]]:
    """Each kind of tensor of all layers; queries and keys in rows for interleaved rotation."""
    names = {
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "wq": "self_attn.q_proj",
        "wk": "self_attn.k_proj",
        "wv": "self_attn.v_proj",
        "wo": "self_attn.o_proj",
        "w1": "mlp.gate_proj",
        "w2": "mlp.down_proj",
        "w3": "mlp.up_proj",
    }

    def tensor(own: str, layer: int) -> np.ndarray:
        values = weights[layer_name(layer, names[own])]
        if own not in ("wq", "wk"):
            return values
        heads = values.reshape(-1, 2, shape.head_dim // 2, shape.d_model)
        return heads.swapaxes(1, 2).reshape(values.shape)

    return {own: [tensor(own, layer) for layer in range(shape.n_layers)] for own in names}


def _llama2c_sizes(shape: Shape) -> bytes:
    sizes = (shape.d_model, shape.d_ff, shape.n_layers, shape.n_heads, shape.n_kv_heads)
    return struct.pack("<7i", *sizes, shape.vocabulary_size, shape.context_length)


_MATRICES = ("wq", "wk", "wv", "wo", "w1", "w2", "w3")


def _write_llama2c_f32(file: BinaryIO, shape: Shape, weights: Weights) -> None:
    """llama2.c's first format: its header, then every kind of tensor, layer by layer."""
    tensors = _llama2c_tensors(shape, weights)
    file.write(_llama2c_sizes(shape))
    file.write(weights["model.embed_tokens.weight"].tobytes())
    for own in ("attention_norm", "wq", "wk", "wv", "wo", "ffn_norm", "w1", "w2", "w3"):
        for values in tensors[own]:
            file.write(np.ascontiguousarray(values).tobytes())
    file.write(weights["model.norm.weight"].tobytes())
    file.write(bytes(4 * shape.context_length * shape.head_dim))  # tables it no longer reads


def _write_llama2c_int8(file: BinaryIO, shape: Shape, weights: Weights) -> None:
    """llama2.c's version 2: norms in float32, matrices in groups of 32 (what 288 allows it)."""
    tensors = _llama2c_tensors(shape, weights)
    header = struct.pack("<Ii", LLAMA2C_MAGIC, 2) + _llama2c_sizes(shape)
    header += struct.pack("<Bi", 1, LLAMA2C_GROUP)
    file.write(header.ljust(256, b"\0"))
    for own in ("attention_norm", "ffn_norm"):
        for values in tensors[own]:
            file.write(values.tobytes())
    file.write(weights["model.norm.weight"].tobytes())
    embedding = weights["model.embed_tokens.weight"]
    for values in (embedding, *(values for own in _MATRICES for values in tensors[own])):
        grouped = np.ascontiguousarray(values).reshape(-1, LLAMA2C_GROUP)
        scales = np.abs(grouped).max(axis=1, keepdims=True) / np.float32(127)
        scales[scales == 0] = 1  # the embedding of the padding token
        file.write(np.rint(grouped / scales).astype(np.int8).tobytes())
        file.write(scales.tobytes())


def report(contenders: Sequence[Contender], options: argparse.Namespace) -> None:
    """Print the medians; write them and every figure where asked."""
    for one in contenders:
        figures = sorted(one.figures)
        print(
            f"{one.name:<14}{one.size / 1e6:7.1f} MB{statistics.median(figures):9.0f} tokens/s"
            f"   ({figures[0]:.0f} to {figures[-1]:.0f})"
        )
    if options.json:
        facts = {
            one.name: {"bytes": one.size, "tokens_per_second": one.figures} for one in contenders
        }
        options.json.write_text(json.dumps({"threads": options.threads, **facts}, indent=1) + "\n")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama2c", type=Path, help="a checkout of llama2.c")
    parser.add_argument("--no-llama-cpp", action="store_true", help="even if xllamacpp is here")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--in-llama-cpp", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_llama_cpp:
        run_llama_cpp(options.in_llama_cpp, options.tokens, options.threads)
        return
    compiler = find_compiler()
    if compiler is None:
        sys.exit("no C compiler: install cc")
    work = Path(tempfile.mkdtemp(prefix="edge-c-"))
    try:
        model = work / "model"
        write_model(model)
        contenders = list(our_contenders(model, work, compiler, options))
        if options.llama2c:
            contenders += llama2c_contenders(model, work, compiler, options)
        if not options.no_llama_cpp:
            contenders += llama_cpp_contenders(model, work, options)
        for _ in range(options.rounds):
            for contender in contenders:
                contender.measure(options.threads)
        report(contenders, options)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
