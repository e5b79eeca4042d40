"""Memory in use."""

import sys

import psutil


def memory_bytes(device_type: str = "cpu") -> int:
    """Bytes of memory this process uses on the device.

    "cpu": resident memory now. "cuda": the most PyTorch has allocated on the current card so far.
    "mps": what the driver has allocated now. Where PyTorch is not loaded or the device is not
    there, the resident memory.
    """
    torch = sys.modules.get("torch")
    if torch is not None and device_type == "cuda" and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    if torch is not None and device_type == "mps" and torch.backends.mps.is_available():
        return int(torch.mps.driver_allocated_memory())
    return int(psutil.Process().memory_info().rss)
