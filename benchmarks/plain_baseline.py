"""The plain strong baseline: what about 100 lines of eager PyTorch reach on a CPU.

A Qwen3-shaped decoder (RMSNorm, QK-norm, rotary positions, SwiGLU, tied embeddings, output
projections that start at zero), its own byte-level BPE of 2,048, random windows, Muon
(arXiv 2502.16982) for the block matrices and AdamW for the rest. It shares no code with
Lilliput, so that it is a peer and not a mirror. `time_to_loss.py` runs it side by side; alone:

    python benchmarks/plain_baseline.py --train train.jsonl --valid valid.jsonl --seconds 120
"""

import argparse
import json
import lzma
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Ids = npt.NDArray[np.int64]
Logits = Callable[[Tensor], Tensor]
DATA = Path("/work/shared/data/tinystories")


@dataclass(frozen=True)
class Settings:
    """Shape, budget (seconds, or tokens where the machine is not quiet) and learning rates."""

    layers: int = 4
    width: int = 160
    head_dimension: int = 32
    vocabulary: int = 2048
    context: int = 256
    batch: int = 16
    seconds: float | None = 120.0
    tokens: int | None = None
    matrix_rate: float = 0.02
    other_rate: float = 6e-3
    decay: float = 0.1
    warmup_steps: int = 20
    constant_share: float = 0.4
    final_share: float = 0.02
    seed: int = 0
    evaluations: int = 4

    @property
    def feed_forward(self) -> int:
        return round(self.width * 8 / 3 / 32) * 32


def read_texts(path: Path) -> list[str]:
    """The documents of a JSONL file with a `text` field (plain or .xz), in order."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def score_documents(
    logits: Logits,
    documents: Sequence[Ids],
    *,
    separator: int,
    context: int,
    aligned: bool,
    batch: int = 16,
) -> float:
    """Sum of nats of every token of `documents` (separators are context, and are not counted).

    Not aligned: one stream `separator document separator document …` cut into windows of
    `context`. Aligned: every document starts a window with its separator, and longer ones go on
    in windows that overlap by half, so that each later token sees at least `context / 2` before
    it. `logits` maps ids [batch, time] to logits [batch, time, vocabulary].
    """
    pieces = [np.concatenate([[separator], ids]) for ids in documents]
    windows: list[tuple[Ids, int]] = []  # ids with one more for the targets; first target counted
    for sequence in pieces if aligned else [np.concatenate(pieces)]:
        stop = min(len(sequence), context + 1)
        windows.append((sequence[:stop], 0))
        while stop < len(sequence):
            counted, stop = stop, min(len(sequence), stop + (context // 2 if aligned else context))
            first = max(0, stop - context - 1) if aligned else counted - 1
            windows.append((sequence[first:stop], counted - first - 1))
    windows.sort(key=lambda window: len(window[0]))
    nats = 0.0
    for start in range(0, len(windows), batch):
        rows = windows[start : start + batch]
        length = len(rows[-1][0]) - 1
        inputs = torch.full((len(rows), max(length, 2)), separator)
        targets = torch.full_like(inputs, -100)
        for row, (ids, counted_from) in enumerate(rows):
            sequence_ids = torch.from_numpy(ids)
            inputs[row, : len(ids) - 1] = sequence_ids[:-1]
            targets[row, counted_from : len(ids) - 1] = sequence_ids[1 + counted_from :]
        targets[targets == separator] = -100
        with torch.no_grad():
            scores = logits(inputs).float()
        nats += F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum").item()
    return nats


def bits_per_byte(nats: float, texts: Sequence[str]) -> float:
    """Nats over the texts' UTF-8 bytes, in bits."""
    return nats / math.log(2) / sum(len(text.encode("utf-8")) for text in texts)


def train_bpe(texts: Sequence[str], vocabulary: int) -> Any:
    """A byte-level BPE (GPT-2's pattern); id 0 separates documents."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Any, texts: Sequence[str]) -> list[Ids]:
    return [np.array(row.ids, dtype=np.int64) for row in tokenizer.encode_batch(list(texts))]


class Block(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width, self.head = settings.width, settings.head_dimension
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2))
        self.query_norm, self.key_norm = nn.RMSNorm(self.head), nn.RMSNorm(self.head)
        self.query, self.key, self.value, self.out = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.gate, self.up = (nn.Linear(width, settings.feed_forward, bias=False) for _ in range(2))
        self.down = nn.Linear(settings.feed_forward, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        normed = self.norms[0](x)
        split = (*x.shape[:2], -1, self.head)
        q = rotate(self.query_norm(self.query(normed).view(split)).transpose(1, 2), cosine, sine)
        k = rotate(self.key_norm(self.key(normed).view(split)).transpose(1, 2), cosine, sine)
        v = self.value(normed).view(split).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        normed = self.norms[1](x)
        fed: Tensor = self.down(F.silu(self.gate(normed)) * self.up(normed))
        return x + fed


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Decoder(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(settings.vocabulary, settings.width)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.layers))
        self.norm = nn.RMSNorm(settings.width)
        half = settings.head_dimension // 2
        angles = torch.outer(
            torch.arange(settings.context), 10000.0 ** (-torch.arange(half) / half)
        )
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.zeros_(weight)
            elif name == "embedding.weight":
                nn.init.normal_(weight, std=0.02)
            elif weight.dim() == 2:
                nn.init.normal_(weight, std=settings.width**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        cosine, sine = self.cosine[: ids.shape[1]], self.sine[: ids.shape[1]]  # type: ignore[index]
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, cosine, sine)
        return F.linear(self.norm(x), self.embedding.weight)


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal by five Newton-Schulz steps in bfloat16, stacked by shape."""

    def __init__(self, parameters: Sequence[nn.Parameter], rate: float, decay: float) -> None:
        super().__init__(parameters, {"lr": rate, "decay": decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                by_shape.setdefault(weight.shape, []).append(weight)
            for shape, weights in by_shape.items():
                gradient = torch.stack([w.grad for w in weights if w.grad is not None])
                state = self.state[weights[0]]
                momentum = state.setdefault("momentum", torch.zeros_like(gradient))
                momentum.lerp_(gradient, 1 - group["momentum"])
                update = orthogonal(gradient.lerp_(momentum, group["momentum"]))
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, direction in zip(weights, update, strict=True):
                    weight.mul_(1 - group["lr"] * group["decay"])
                    weight.add_(direction, alpha=-scale)


def orthogonal(matrices: Tensor) -> Tensor:
    x = matrices.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    result: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return result


def rate_share(settings: Settings, step: int, done: float) -> float:
    """Learning rate as a share of its peak, `done` being the share of the budget used."""
    warmup = min(1.0, (step + 1) / settings.warmup_steps)
    falling = max(0.0, (done - settings.constant_share) / (1 - settings.constant_share))
    return min(warmup, 1 - falling * (1 - settings.final_share))


def train(
    settings: Settings, train_texts: Sequence[str], valid_texts: Sequence[str]
) -> dict[str, Any]:
    """Train for the budget; the clock stands still while validation is scored."""
    began = time.perf_counter()
    tokenizer = train_bpe(train_texts, settings.vocabulary)
    documents = encode(tokenizer, train_texts)
    stream = torch.from_numpy(np.concatenate([np.append(ids, 0) for ids in documents]))
    prepared = time.perf_counter() - began
    valid_ids = encode(tokenizer, valid_texts)
    torch.manual_seed(settings.seed)
    model = Decoder(settings)
    matrices = [weight for weight in model.blocks.parameters() if weight.dim() == 2]
    rest = [w for w in model.parameters() if all(w is not matrix for matrix in matrices)]
    muon = Muon(matrices, settings.matrix_rate, settings.decay)
    adam = torch.optim.AdamW(rest, settings.other_rate, (0.8, 0.95), weight_decay=0.0, fused=True)

    def logits(ids: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return model(ids).float()  # type: ignore[no-any-return]

    def validate(aligned: bool) -> float:
        nats = score_documents(
            logits, valid_ids, separator=0, context=settings.context, aligned=aligned
        )
        return bits_per_byte(nats, valid_texts)

    curve: list[dict[str, float]] = []
    clock = Stopwatch()
    step = tokens = 0
    while (done := share_done(settings, clock.seconds(), tokens)) < 1:
        share = rate_share(settings, step, done)
        muon.param_groups[0]["lr"] = settings.matrix_rate * share
        muon.param_groups[0]["momentum"] = 0.85 + 0.10 * min(1.0, step / 300)
        adam.param_groups[0]["lr"] = settings.other_rate * share
        starts = torch.randint(len(stream) - settings.context, (settings.batch, 1))
        window = stream[starts + torch.arange(settings.context + 1)]
        loss = F.cross_entropy(logits(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        muon.step()
        adam.step()
        model.zero_grad()
        step, tokens = step + 1, tokens + settings.batch * settings.context
        if done * (settings.evaluations + 1) >= len(curve) + 1:
            with clock:
                curve.append(point(clock, prepared, step, tokens, validate(aligned=True)))
                print(f"  step {step}, loss {loss.item():.3f}, {curve[-1]}", flush=True)
    with clock:
        final = point(clock, prepared, step, tokens, validate(aligned=True))
        return {
            "settings": asdict(settings),
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "training_tokens": len(stream),
            "tokens_per_second": tokens / clock.seconds(),
            "curve": [*curve, final],
            "seconds": final["seconds"],
            "bits_per_byte": final["bits_per_byte"],
            "bits_per_byte_stream": validate(aligned=False),
        }


def share_done(settings: Settings, seconds: float, tokens: int) -> float:
    if settings.tokens is not None:
        return tokens / settings.tokens
    return seconds / (settings.seconds or 120.0)


def point(
    clock: "Stopwatch", prepared: float, step: int, tokens: int, bits: float
) -> dict[str, float]:
    """One point of a curve; `seconds` count the tokenizer's training and encoding too."""
    seconds = prepared + clock.seconds()
    return {"seconds": seconds, "step": step, "tokens": tokens, "bits_per_byte": bits}


class Stopwatch:
    """Wall-clock seconds since it was made, less those spent inside `with clock:`."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.paused_at: float | None = None

    def seconds(self) -> float:
        return (self.paused_at or time.perf_counter()) - self.began

    def __enter__(self) -> None:
        self.paused_at = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self.paused_at is not None:
            self.began += time.perf_counter() - self.paused_at
            self.paused_at = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, default=DATA / "train.jsonl.xz")
    parser.add_argument("--valid", type=Path, default=DATA / "valid.jsonl.xz")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--tokens", type=int, help="a budget in tokens instead of seconds")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: PyTorch's own choice")
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = Settings(
        layers=options.layers,
        width=options.width,
        seconds=options.seconds,
        tokens=options.tokens,
        seed=options.seed,
    )
    result = train(settings, read_texts(options.train), read_texts(options.valid))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(
        f"{result['bits_per_byte']:.4f} bits per byte after {result['seconds']:.0f} s "
        f"({result['parameters'] / 1e6:.2f}M parameters, "
        f"{result['tokens_per_second']:,.0f} tokens/s; "
        f"{result['bits_per_byte_stream']:.4f} as one stream)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
