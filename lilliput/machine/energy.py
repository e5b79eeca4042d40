"""Energy used, where the machine can tell: processor packages (RAPL) and NVIDIA GPUs (NVML).

Both count what the whole processor or card used, by this process and by any other.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

EnergyMeter = Callable[[], float | None]

_POWERCAP = Path("/sys/class/powercap")


def energy_meter(
    device_type: str = "cpu", device_index: int = 0, *, powercap: Path = _POWERCAP
) -> EnergyMeter:
    """A meter that returns the joules used since this call, or None where they cannot be read.

    For "cuda" these are the card's (device `device_index` of PyTorch) and, where readable, the
    processor packages'; for "cpu" the packages'. Nothing is ever estimated: None on other
    devices, on systems without counters, and where reading them is not allowed. The packages'
    counters wrap around after some minutes at full power, so ask about once a minute or oftener.
    """
    packages = _package_counters(powercap)
    if device_type == "cpu":
        return _sum_of(packages)
    card = _card_counter(device_index) if device_type == "cuda" else None
    return _sum_of([card, *packages]) if card else lambda: None


def _sum_of(counters: list[EnergyMeter]) -> EnergyMeter:
    def joules() -> float | None:
        read = [counter() for counter in counters]
        known = [value for value in read if value is not None]
        return sum(known) if known and len(known) == len(read) else None

    return joules


def _package_counters(powercap: Path) -> list[EnergyMeter]:
    """The counters that together are the processors' energy, each part once.

    `intel-rapl:N` are the packages (on AMD too); memory (dram) lies beneath a package but is not
    in its figure; psys is the whole platform, which holds the packages already.
    """
    zones = sorted(powercap.glob("intel-rapl:*"))
    packages = [zone for zone in zones if zone.name.count(":") == 1 and _name(zone) != "psys"]
    memories = [zone for zone in zones if zone.name.count(":") == 2 and _name(zone) == "dram"]
    return [counter for zone in packages + memories if (counter := _zone_counter(zone)) is not None]


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _zone_counter(zone: Path) -> EnergyMeter | None:
    def microjoules(name: str) -> int | None:
        try:
            return int((zone / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    before, wraps_at = microjoules("energy_uj"), microjoules("max_energy_range_uj")
    if before is None or not wraps_at:
        return None
    total = 0

    def joules() -> float | None:
        nonlocal before, total
        now = microjoules("energy_uj")
        if now is None or before is None:
            return None
        total += (now - before) % wraps_at
        before = now
        return total / 1e6

    return joules


def _card_counter(device_index: int) -> EnergyMeter | None:
    """The total energy counter of an NVIDIA card (Volta or later), through the driver's NVML."""
    nvml = _load_nvml()
    if nvml is None or nvml.nvmlInit_v2() != 0:
        return None
    handle = ctypes.c_void_p()
    uuid = _card_uuid(device_index)
    if uuid is None or nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) != 0:
        return None

    def millijoules() -> int | None:
        value = ctypes.c_ulonglong()
        status = nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value))
        return None if status != 0 else value.value

    start = millijoules()
    if start is None:
        return None

    def joules() -> float | None:
        now = millijoules()
        return None if now is None else (now - start) / 1e3

    return joules


def _load_nvml() -> Any:
    library = "nvml.dll" if os.name == "nt" else "libnvidia-ml.so.1"
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None


def _card_uuid(device_index: int) -> str | None:
    """NVML numbers cards in another order than PyTorch may; their UUID is the same in both."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    uuid = getattr(torch.cuda.get_device_properties(device_index), "uuid", None)
    return None if uuid is None else f"GPU-{uuid}"
