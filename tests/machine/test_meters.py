"""Energy and memory meters, on counters made for the test."""

import ctypes
import mmap
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lilliput.machine import energy
from lilliput.machine.energy import energy_meter
from lilliput.machine.meters import memory_bytes


def _zone(powercap: Path, zone: str, name: str, microjoules: int, wraps: int = 10**9) -> Path:
    folder = powercap / zone
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n", encoding="ascii")
    (folder / "max_energy_range_uj").write_text(f"{wraps}\n", encoding="ascii")
    counter = folder / "energy_uj"
    counter.write_text(f"{microjoules}\n", encoding="ascii")
    return counter


# Windows has no such counters, nor file names with a colon.
linux_like = pytest.mark.skipif(sys.platform == "win32", reason="file names with a colon")


@linux_like
def test_packages_and_memory_are_added_once_each(tmp_path: Path) -> None:
    first = _zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    core = _zone(tmp_path, "intel-rapl:0:0", "core", 0)
    memory = _zone(tmp_path, "intel-rapl:0:1", "dram", 0)
    second = _zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    platform = _zone(tmp_path, "intel-rapl:2", "psys", 0)
    meter = energy_meter("cpu", powercap=tmp_path)
    assert meter() == 0
    first.write_text("8000000")
    second.write_text("7500000")
    memory.write_text("250000")
    core.write_text("90000000")
    platform.write_text("99000000")
    assert meter() == pytest.approx(3.75)


@linux_like
def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 900, wraps=1000)
    meter = energy_meter("cpu", powercap=tmp_path)
    for value in (100, 950, 50):  # +200, +850, +100
        counter.write_text(str(value))
        joules = meter()
    assert joules == pytest.approx(1150e-6)


@linux_like
def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert energy_meter("cpu", powercap=tmp_path)() is None
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 900)
    meter = energy_meter("cpu", powercap=tmp_path)
    assert meter() == 0
    counter.unlink()
    assert meter() is None
    assert energy_meter("mps", powercap=tmp_path)() is None


class _Nvml:
    """As much of NVML as is asked: one card that has used `millijoules`."""

    millijoules = 1000

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:  # noqa: N802
        return 0 if uuid == b"GPU-1234" else 6

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:  # noqa: N802
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))[0] = self.millijoules
        return 0


@linux_like
def test_a_card_is_found_by_uuid_and_added_to_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = _Nvml()
    cuda = SimpleNamespace(
        is_available=lambda: True,
        get_device_properties=lambda index: SimpleNamespace(uuid="1234" if index == 1 else "0"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    monkeypatch.setattr(energy, "_load_nvml", lambda: nvml)
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = energy_meter("cuda", 1, powercap=tmp_path)
    unknown = energy_meter("cuda", 0, powercap=tmp_path)
    nvml.millijoules += 2500
    counter.write_text("500000")
    assert meter() == pytest.approx(3.0)
    assert unknown() is None  # the packages alone would not be the run's energy


def test_no_driver_no_energy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(energy, "_load_nvml", lambda: None)
    assert energy_meter("cuda", powercap=tmp_path)() is None


def test_resident_memory_grows_with_what_is_held() -> None:
    before = memory_bytes("cpu")
    assert 0 < before < psutil.virtual_memory().total
    with mmap.mmap(-1, 80_000_000) as held:  # fresh pages: the heap could reuse what tests freed
        held.write(b"x" * 80_000_000)
        assert memory_bytes("cpu") - before > 40_000_000
    assert memory_bytes("cuda") > 0
