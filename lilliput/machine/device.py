"""The device to compute on and its measured matrix-product rate."""

import ctypes
import os
import platform
import sys
import time
from contextlib import suppress

import torch

from lilliput.errors import UserError

_PEAK_SIZE = {"cpu": 1024, "mps": 2048, "cuda": 8192}
_PEAK_SECONDS = 0.15
_MALLOPT_TRIM_THRESHOLD, _MALLOPT_MMAP_THRESHOLD = -1, -3


def choose_device(name: str = "auto") -> torch.device:
    """CUDA where there is one, else Apple's MPS, else the CPU; or the device named.

    Raises UserError if the named device is not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {name!r} cannot be used here: {reason}") from None
    return device


def describe_device(device: torch.device) -> str:
    """The device in words, for reports."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as handle:  # noqa: PTH123
        for line in handle:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    if device.type == "mps":
        return f"Apple GPU ({name})"
    return f"{name}, {torch.get_num_threads()} threads"


def use_all_cores() -> None:
    """Let PyTorch use every core this process may run on, and no more (containers, affinity)."""
    if hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(min(torch.get_num_threads(), len(os.sched_getaffinity(0))))


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large square matrix product, the best of repeats for about 0.15 seconds."""
    size = _PEAK_SIZE[device.type]
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < _PEAK_SECONDS:
        before = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for an asynchronous device
        best = min(best, time.perf_counter() - before)
    return 2 * size**3 / best


def read_bandwidth(device: torch.device, size: int) -> float:
    """Bytes a second of reading `size` bytes again and again, the best of about 0.3 seconds.

    What fits in the processor's cache is read from there, as a model of that size is.
    """
    numbers = torch.ones(max(1, size // 4), device=device)
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < 2 * _PEAK_SECONDS:
        before = time.perf_counter()
        numbers.sum().item()
        best = min(best, time.perf_counter() - before)
    return 4 * len(numbers) / best


def best_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where this device multiplies it natively, else float32.

    Measured, not looked up: many CPUs accept bfloat16 but emulate it, and then it is slower.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float32
    try:
        faster = matmul_peak(device, torch.bfloat16) > 1.3 * matmul_peak(device, torch.float32)
    except (RuntimeError, TypeError):
        return torch.float32
    return torch.bfloat16 if faster else torch.float32


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks instead of handing them back to the kernel at once.

    A training step frees and takes the same megabytes again and again; without this each round
    pays for fresh pages: 12% of a step, measured on 2 cores. No effect on other C libraries.
    """
    if not sys.platform.startswith("linux") or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MALLOPT_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_MALLOPT_TRIM_THRESHOLD, -1)
