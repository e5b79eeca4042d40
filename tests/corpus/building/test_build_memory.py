"""A memory limit holds on an input larger than it."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lilliput.corpus import open_corpus


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "workers"), [(1e9, 1), (1.5e9, 2)])
def test_memory_stays_within_its_limit(tmp_path: Path, limit: float, workers: int) -> None:
    """Near-duplicates and a shuffle over 1.3 GB of JSON lines; every process counts."""
    dice = random.Random(0)
    words = [f"{dice.choice('bcdfghklmnprst')}{n}" for n in range(5000)]
    size = 0
    with (tmp_path / "big.jsonl").open("w", encoding="utf-8") as file:
        while size < 1.3e9:
            # New documents out of a pool of sentences, which is faster than drawing words.
            sentences = [" ".join(dice.choices(words, k=20)) for _ in range(200)]
            for _ in range(3000):
                text = " ".join(dice.choices(sentences, k=30))
                size += file.write(json.dumps({"text": text}) + "\n")
    command = [sys.executable, "-c", "from lilliput.cli import main; main()"]
    command += ["corpus", "build", str(tmp_path / "big.jsonl"), "-o", str(tmp_path / "c")]
    command += ["--memory", str(int(limit)), "--workers", str(workers), "--no-report"]
    command += ["--stage", "near_duplicates", "--set", "mixing.order=shuffled"]
    environment = {**os.environ, "LILLIPUT_PROGRESS": "none"}
    peak = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as work:
        while work.poll() is None:
            peak = max(peak, _unique_bytes(work.pid))
            try:
                work.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    assert work.returncode == 0
    assert open_corpus(tmp_path / "c").manifest.bytes > 1e9
    assert peak < limit, f"{peak / 1e6:.0f} MB"


def _unique_bytes(process: int) -> int:
    """Memory of a process and its children that would be free without them."""
    total = 0
    try:
        parent = psutil.Process(process)
        for one in [parent, *parent.children(recursive=True)]:
            total += one.memory_full_info().uss
    except psutil.Error:  # one of them has just ended
        pass
    return total
