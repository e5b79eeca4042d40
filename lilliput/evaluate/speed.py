"""How fast a model writes on this machine, and what share that is of what the machine can do."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from lilliput.errors import UserError
from lilliput.generate.engine import Engine
from lilliput.generate.requests import Request
from lilliput.generate.sampling import Sampling
from lilliput.machine import matmul_peak, read_bandwidth
from lilliput.machine.meters import memory_bytes
from lilliput.model.decoder import Decoder
from lilliput.model.inference import Backend, optimised
from lilliput.model.inference.layouts import WeightKind
from lilliput.model.inference.native import NativeDecoder
from lilliput.model.trunks import Trunk, cached_numbers

_REPEATS = 3


@dataclass(frozen=True)
class BatchSpeed:
    """Greedy decoding of `rows` texts at a time, the best of a few runs."""

    rows: int
    tokens_per_second: float
    """Of all rows together, the first token of each not counted."""
    first_token_seconds: float
    """From handing in the prompts to having a token of each."""
    share_of_limit: float
    """The time that the limit leaves no way below, over the time taken."""
    limit: str
    """What that limit is: "memory" (every weight and all keys and values are read once a step) or
    "compute" (two operations a weight and row)."""
    cache_bytes: int


@dataclass(frozen=True)
class Speed:
    """What `measure_speed` found."""

    backend: str
    threads: int
    weight_bytes: int
    memory_bytes: int
    """Of the whole process, once all was measured."""
    bandwidth: float
    """Bytes a second of reading as much memory as the weights take, which for a small model is the
    processor's cache."""
    compute: float
    """Floating-point operations a second of a large float32 (on a GPU bfloat16) product."""
    batches: tuple[BatchSpeed, ...]

    def facts(self) -> dict[str, Any]:
        """The result as plain values, for a command to print."""
        return asdict(self)


def measure_speed(
    trunk: Trunk,
    *,
    weights: WeightKind | None = None,
    backend: Backend = "auto",
    threads: int | None = None,
    batches: Sequence[int] = (1, 8, 64),
    prompt_tokens: int = 16,
    tokens: int = 64,
) -> Speed:
    """Write `tokens` tokens after random prompts, through the engine, for each size of batch.

    Raises UserError if that does not fit in the model's context.
    """
    if prompt_tokens + tokens > trunk.config.context_length:
        raise UserError(
            f"{prompt_tokens} + {tokens} tokens do not fit in a context of "
            f"{trunk.config.context_length}: measure fewer with --tokens"
        )
    fast: Any = optimised(trunk, weights=weights, backend=backend, threads=threads)
    native = isinstance(fast, NativeDecoder)
    used = fast.threads if native else torch.get_num_threads()
    size = fast.weight_bytes if native else _weight_bytes(fast)
    device = fast.device
    before = torch.get_num_threads()
    torch.set_num_threads(used)
    try:
        bandwidth = read_bandwidth(device, size)
        precision = torch.bfloat16 if device.type == "cuda" else torch.float32
        compute = matmul_peak(device, precision)
        measured = tuple(
            _measure(fast, rows, prompt_tokens, tokens, size, bandwidth, compute)
            for rows in batches
        )
    finally:
        torch.set_num_threads(before)
    return Speed(
        backend="native" if native else "torch",
        threads=used,
        weight_bytes=size,
        memory_bytes=memory_bytes(device.type),
        bandwidth=bandwidth,
        compute=compute,
        batches=measured,
    )


def _measure(
    trunk: Any,
    rows: int,
    prompt_tokens: int,
    tokens: int,
    weight_bytes: int,
    bandwidth: float,
    compute: float,
) -> BatchSpeed:
    config = trunk.config
    prompts = np.random.default_rng(3).integers(0, config.vocabulary_size, (rows, prompt_tokens))
    sampling = Sampling(temperature=0, max_tokens=tokens)
    best, first, cache_bytes = float("inf"), float("inf"), 0
    for _ in range(_REPEATS):
        engine = Engine(
            trunk,
            end_tokens=(),
            vocabulary_size=config.vocabulary_size,
            most_rows=rows,
            cache_bytes=1 << 40,
            prefix_cache_bytes=0,
        )
        for prompt in prompts.tolist():
            engine.submit(Request(tuple(prompt), sampling, seed=0, log_probabilities=False))
        begun, waiting, written, started = time.perf_counter(), rows, 0, 0.0
        while not engine.idle:
            for event in engine.step():
                if waiting:
                    waiting -= len(event.written) and 1
                else:
                    written += len(event.written)
            if not waiting and not started:
                started = time.perf_counter()
                first = min(first, started - begun)
                cache_bytes = engine.statistics.cache_bytes
        if written:
            best = min(best, (time.perf_counter() - started) / written)
    cached = 4 * cached_numbers(config, prompt_tokens + tokens // 2)
    seconds_reading = (weight_bytes + rows * cached) / bandwidth
    seconds_computing = 2 * config.parameters * rows / compute
    return BatchSpeed(
        rows=rows,
        tokens_per_second=1 / best,
        first_token_seconds=first,
        share_of_limit=max(seconds_reading, seconds_computing) / (best * rows),
        limit="memory" if seconds_reading >= seconds_computing else "compute",
        cache_bytes=cache_bytes,
    )


def _weight_bytes(trunk: Decoder) -> int:
    """Bytes of distinct weights: a matrix that is there twice, or tied, counts once."""
    seen = {tensor.data_ptr(): tensor.nbytes for tensor in trunk.state_dict().values()}
    return sum(seen.values())
