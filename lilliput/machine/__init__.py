"""What this machine is and can do: devices, number formats, measured limits, energy, memory."""

from lilliput.machine.device import (
    best_precision,
    choose_device,
    describe_device,
    keep_freed_memory,
    matmul_peak,
    read_bandwidth,
    use_all_cores,
)

__all__ = [
    "best_precision",
    "choose_device",
    "describe_device",
    "keep_freed_memory",
    "matmul_peak",
    "read_bandwidth",
    "use_all_cores",
]
