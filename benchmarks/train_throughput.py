"""Training tokens per second for identical shapes: nanoGPT, transformers, Lilliput.

Every measurement is a process of its own, and the contenders take turns for several rounds, so
that a busy minute of the machine harms all alike; medians are reported, beside the matrix-product
peak measured in the same rounds.

    python benchmarks/train_throughput.py --nanogpt ../peers/nanoGPT --json throughput.json
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = ("nanogpt", "nanogpt-compiled", "transformers-gpt2", "transformers-qwen3")
OURS = {
    "lilliput": [],
    "lilliput-adamw": ["--optimizer.name", "adamw", "--data.across-documents", "True"],
}
"""As it comes, and with what the peers do: AdamW, and attention over the whole window."""
CLI = str(Path(sys.executable).with_name("lilliput"))


@dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    context: int
    vocabulary: int
    batch: int

    @property
    def head_dimension(self) -> int:
        return 64 if self.width % 64 == 0 else 32

    @property
    def heads(self) -> int:
        return self.width // self.head_dimension

    @property
    def feed_forward(self) -> int:
        """Inner width of a gated feed-forward with as many weights as a plain one of 4 x width."""
        return round(self.width * 8 / 3 / 32) * 32

    @property
    def tokens(self) -> int:
        return self.batch * self.context

    @property
    def flops_per_token(self) -> float:
        """6 for each weight of a matrix product (12 x width² a layer, and the head), and
        attention, counted in full as in PaLM (arXiv 2204.02311, appendix B)."""
        weights = 12 * self.layers * self.width**2 + self.width * self.vocabulary
        return 6 * weights + 12 * self.layers * self.width * self.context

    def __str__(self) -> str:
        return (
            f"{self.layers} layers x {self.width}, context {self.context}, "
            f"vocabulary {self.vocabulary:,}, batch {self.batch}"
        )


SHAPES = {
    "small": Shape(4, 160, 256, 2048, 16),
    "medium": Shape(6, 384, 512, 8192, 8),
    "large": Shape(12, 768, 1024, 8192, 4),
}


def nanogpt_step(shape: Shape, checkout: Path, compiled: bool) -> Callable[[Any], Any]:
    """nanoGPT's model and the body of its loop, float32 as on every CPU."""
    import torch

    sys.path.insert(0, str(checkout))
    sys.dont_write_bytecode = True
    gpt = importlib.import_module("model")
    raw = gpt.GPT(
        gpt.GPTConfig(
            block_size=shape.context,
            vocab_size=shape.vocabulary,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_embd=shape.width,
            dropout=0.0,
            bias=False,
        )
    )
    optimizer = raw.configure_optimizers(0.1, 6e-4, (0.9, 0.95), "cpu")
    model: Any = torch.compile(raw) if compiled else raw

    def step(ids: torch.Tensor) -> None:
        _, loss = model(ids[:, :-1], ids[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return step


def transformers_step(shape: Shape, family: str) -> Callable[[Any], Any]:
    """transformers' class in a loop like its Trainer's: fused AdamW, clipping, float32."""
    import torch
    import transformers

    model: Any
    if family == "gpt2":
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=shape.vocabulary,
                n_positions=shape.context,
                n_embd=shape.width,
                n_layer=shape.layers,
                n_head=shape.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                attn_implementation="sdpa",
                use_cache=False,
            )
        )
    else:
        model = transformers.Qwen3ForCausalLM(
            transformers.Qwen3Config(
                vocab_size=shape.vocabulary,
                hidden_size=shape.width,
                intermediate_size=shape.feed_forward,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                num_key_value_heads=shape.heads,
                head_dim=shape.head_dimension,
                max_position_embeddings=shape.context,
                tie_word_embeddings=True,
                attn_implementation="sdpa",
                use_cache=False,
            )
        )
    model = model.float().train()
    optimizer = torch.optim.AdamW(model.parameters(), 6e-4, weight_decay=0.1, fused=True)

    def step(ids: torch.Tensor) -> None:
        loss = model(input_ids=ids[:, :-1], labels=ids[:, :-1]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return step


def measure_peer(name: str, shape: Shape, checkout: Path | None, seconds: float) -> float:
    """Tokens per second: the median step after two that warm up (and compile)."""
    import torch

    if name.startswith("nanogpt"):
        if checkout is None:
            raise SystemExit("--nanogpt PATH is needed")
        step = nanogpt_step(shape, checkout.absolute(), compiled=name.endswith("compiled"))
    else:
        step = transformers_step(shape, name.removeprefix("transformers-"))
    torch.manual_seed(0)
    stream = torch.randint(shape.vocabulary, (1_000_000,))
    times: list[float] = []
    while len(times) < 5 or sum(times[2:]) < seconds:
        began = time.perf_counter()
        starts = torch.randint(len(stream) - shape.context, (shape.batch, 1))
        step(stream[starts + torch.arange(shape.context + 1)])
        times.append(time.perf_counter() - began)
    return shape.tokens / statistics.median(times[2:])


def measure_peak(size: int = 2048, repeats: int = 10) -> dict[str, float]:
    """FLOP/s of a square matrix product: the best of some, by number format."""
    import torch

    peaks = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.randn(size, size).to(dtype)
        best = float("inf")
        for _ in range(repeats):
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            best = min(best, time.perf_counter() - began)
        peaks[str(dtype).removeprefix("torch.")] = 2 * size**3 / best
    return peaks


def watched(command: Sequence[str], environment: dict[str, str]) -> tuple[str, int]:
    """Run a command; return its output and the most bytes of memory it held."""
    import psutil

    most = 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        with subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
            watch = psutil.Process(process.pid)
            while process.poll() is None:
                try:
                    most = max(most, watch.memory_info().rss)
                except psutil.Error:
                    break
                time.sleep(0.1)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}\n{text[-3000:]}")
    return text, most


def lilliput_tokens(shape: Shape, folder: Path, environment: dict[str, str]) -> Path:
    """A tokens folder of stories with exactly the shape's vocabulary, made once."""
    tokens = folder / f"tokens-{shape.vocabulary}"
    if not (tokens / "tokens.json").exists():
        corpus, tokenizer = folder / "stories", folder / f"tok-{shape.vocabulary}.json"
        if not (corpus / "corpus.json").exists():
            watched([CLI, "corpus", "stories", "-n", "8000", "-o", str(corpus)], environment)
        size = str(shape.vocabulary)
        train = [CLI, "tokenizer", "train", str(corpus), "-o", str(tokenizer)]
        watched([*train, "--vocabulary-size", size], environment)
        watched([CLI, "tokenize", str(corpus), str(tokenizer), "-o", str(tokens)], environment)
    return tokens


def measure_ours(
    shape: Shape, folder: Path, seconds: float, environment: dict[str, str], flags: Sequence[str]
) -> tuple[float, int]:
    """Tokens per second of `lilliput train` itself, from the steps it logs; and its memory."""
    tokens = lilliput_tokens(shape, folder, environment)
    with tempfile.TemporaryDirectory(dir=folder) as run:
        settings = {
            "model.n-layers": shape.layers,
            "model.d-model": shape.width,
            "model.n-heads": shape.heads,
            "model.n-kv-heads": shape.heads,
            "model.head-dim": shape.head_dimension,
            "model.d-ff": shape.feed_forward,
            "model.context-length": shape.context,
            "data.batch-tokens": shape.tokens,
            "data.micro-batch-tokens": shape.tokens,
            "train.minutes": f"{seconds / 60:.4f}",
            "train.log-every": 2,
            "train.validations": 1,
            "train.samples": 1,
            "name": f"{run}/run",
        }
        pairs = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
        command = [CLI, "train", str(tokens), *pairs, *flags]
        _, memory = watched(command, environment)
        lines = (Path(run) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rates = [row["tokens_per_second"] for row in map(json.loads, lines) if row["kind"] == "step"]
    return statistics.median(rates[len(rates) // 3 :]), memory


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="medium", choices=SHAPES)
    parser.add_argument("--batch", type=int, help="rows a step; the shape's default otherwise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each measurement")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--only", action="append", choices=(*PEERS, *OURS), help="repeatable")
    parser.add_argument("--threads", type=int, help="default: what each chooses")
    parser.add_argument("--lilliput-train", default="", help="further flags of `lilliput train`")
    parser.add_argument("--work", type=Path, default=Path("/tmp/train_throughput"))
    parser.add_argument("--json", type=Path, help="write the measurements here")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen_shape(options: argparse.Namespace) -> Shape:
    shape = SHAPES[options.shape]
    batch = options.batch or shape.batch
    return Shape(shape.layers, shape.width, shape.context, shape.vocabulary, batch)


def measure(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """All rounds: tokens per second and memory by contender, and the peaks."""
    shape = chosen_shape(options)
    options.work.mkdir(parents=True, exist_ok=True)
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(options.work.absolute() / "compiled")}
    environment = {**os.environ, **threads, **cache}
    rates: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, int] = dict.fromkeys(names, 0)
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}

    def worker(name: str) -> tuple[Any, int]:
        arguments = [sys.executable, __file__, "--worker", name, *sys.argv[1:]]
        text, most = watched(arguments, environment)
        return json.loads(text.splitlines()[-1]), most

    for number in range(options.rounds):
        for dtype, value in worker("peak")[0].items():
            peaks[dtype].append(value)
        for name in names:
            if name in OURS:
                flags = [*OURS[name], *options.lilliput_train.split()]
                rate, most = measure_ours(shape, options.work, options.seconds, environment, flags)
            else:
                rate, most = worker(name)
            rates[name].append(rate)
            memory[name] = max(memory[name], most)
            print(f"round {number + 1}: {name} {rate:,.0f} tokens/s", file=sys.stderr, flush=True)
    return {
        "shape": str(shape),
        "flops_per_token": shape.flops_per_token,
        "peak_flops": {dtype: statistics.median(values) for dtype, values in peaks.items()},
        "tokens_per_second": rates,
        "peak_memory_bytes": memory,
    }


def markdown(result: dict[str, Any]) -> str:
    peaks = result["peak_flops"]
    top = max(peaks.values())
    medians = {name: statistics.median(row) for name, row in result["tokens_per_second"].items()}
    best_peer = max((rate for name, rate in medians.items() if name in PEERS), default=0.0)
    lines = [
        f"{result['shape']}; peak of a matrix product: {peaks['float32'] / 1e9:,.0f} GFLOP/s in "
        f"float32, {peaks['bfloat16'] / 1e9:,.0f} in bfloat16",
        "",
        "| trainer | tokens/s | of the best peer | of the peak | memory |",
        "| --- | --: | --: | --: | --: |",
    ]
    for name, rate in sorted(medians.items(), key=lambda item: -item[1]):
        share = rate * result["flops_per_token"] / top
        ratio = f"{rate / best_peer:.2f}x" if best_peer else ""
        memory = result["peak_memory_bytes"][name] / 1e9
        lines.append(f"| {name} | {rate:,.0f} | {ratio} | {share:.0%} | {memory:.2f} GB |")
    return "\n".join(lines)


def main() -> int:
    options = arguments()
    if options.worker == "peak":
        print(json.dumps(measure_peak()))
        return 0
    if options.worker:
        shape = chosen_shape(options)
        print(json.dumps(measure_peer(options.worker, shape, options.nanogpt, options.seconds)))
        return 0
    nanogpt_given = options.nanogpt is not None
    available = [name for name in PEERS if nanogpt_given or not name.startswith("nanogpt")]
    result = measure(options, options.only or [*available, *OURS])
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
