"""Decoders made ready for decoding: by our own C where there is a compiler, else in PyTorch."""

import os
import time
from typing import Literal

import torch

from lilliput.errors import UserError, WorkFailed
from lilliput.model.decoder import Decoder
from lilliput.model.inference.fused import fused
from lilliput.model.inference.layouts import WeightKind
from lilliput.model.inference.native import NativeDecoder, fastest_threads, uncovered
from lilliput.model.trunks import Trunk

__all__ = ["Backend", "InferenceTrunk", "WeightKind", "optimised"]

Backend = Literal["auto", "native", "torch"]
InferenceTrunk = Trunk | NativeDecoder
"""What computes in inference; both have `config`, `device`, `hidden`, `logits_of`, `make_cache`."""

_PROBE_TOKENS, _PROBE_STEPS = 8, 6


def optimised(
    trunk: Trunk,
    *,
    weights: WeightKind | None = None,
    backend: Backend = "auto",
    threads: int | None = None,
) -> InferenceTrunk:
    """A trunk that computes what `trunk` does, faster, for inference alone.

    `weights`: the number format of the matrices; None keeps theirs. float32 gives the trunk's
    logits to 1e-5, bfloat16 those of rounded weights; with int8 and int4, and packed weights, the
    native form also rounds activations to 8 bits a group. `backend`: "native" is our C, compiled
    when first used, which covers what `native.uncovered` does not name; "torch" the same weights in
    PyTorch; "auto" the first where it can be had. `threads`: of the native form; None measures
    which number is the fastest here. Trunks that are no plain decoders (Mamba, T5, RETRO) are
    returned as they are.

    Raises UserError if "native" is asked for and cannot be had.
    """
    if type(trunk) is not Decoder:
        return trunk
    reason = uncovered(trunk)
    if backend != "torch" and not reason:
        try:
            native = NativeDecoder(trunk, weights, threads=threads or 1)
        except WorkFailed as failure:
            reason = str(failure)
        else:
            if threads is None:
                native.threads = fastest_threads(lambda count: _seconds(native, count), _cores())
            return native
    if backend == "native":
        raise UserError(f"the native backend cannot run this model: {reason}")
    return fused(trunk, weights)


def _cores() -> int:
    """How many threads PyTorch would use, within what this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return min(torch.get_num_threads(), len(os.sched_getaffinity(0)))
    return torch.get_num_threads()


@torch.inference_mode()
def _seconds(native: NativeDecoder, threads: int) -> float:
    """The median of a few steps of one row."""
    native.threads = threads
    ids = torch.zeros(1, 1, dtype=torch.int64)
    cache = native.make_cache(1, _PROBE_TOKENS)
    taken = []
    for _ in range(_PROBE_STEPS):
        before = time.perf_counter()
        native.logits_of(native.hidden(ids, cache=cache))
        taken.append(time.perf_counter() - before)
    return sorted(taken)[len(taken) // 2]
