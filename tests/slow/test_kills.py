"""Twenty SIGKILLs at random moments of tokenizing and training change no bit."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    script = str(ROOT / "benchmarks" / "kill_test.py")
    done = subprocess.run(
        [sys.executable, script, "--kills", "20", "--megabytes", "400", "--work", str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
