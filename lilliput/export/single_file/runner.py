"""Compiling and asking `run_model.c`."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lilliput.errors import WorkFailed
from lilliput.export.source import Matrix
from lilliput.machine.compiler import find_compiler

RUNNER_SOURCE = Path(__file__).with_name("run_model.c")


def compile_runner(compiler: str, program: Path, *flags: str) -> None:
    """Compile `run_model.c` to `program`. Raises WorkFailed with what the compiler said."""
    command = [compiler, "-std=c99", *(flags or ("-O2",)), str(RUNNER_SOURCE)]
    done = subprocess.run(
        [*command, "-lm", "-o", str(program)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise WorkFailed(f"{RUNNER_SOURCE}: {compiler} failed: {done.stderr.strip()[:2000]}")


@dataclass(frozen=True)
class Runner:
    """`run_model.c`, compiled."""

    program: Path

    def logits(self, model: Path, ids: Sequence[int]) -> Matrix:
        """Logits [T, V] after each id."""
        lines = self._ask(model, "--logits", _spelled(ids)).splitlines()
        return np.array([line.split() for line in lines], np.float32)

    def encode(self, model: Path, text: str) -> list[int]:
        """The ids of a text."""
        return [int(number) for number in self._ask(model, "--encode", text.encode()).split()]

    def decode(self, model: Path, ids: Sequence[int]) -> bytes:
        """The bytes ids stand for."""
        return self._ask(model, "--decode", _spelled(ids))

    def generate(self, model: Path, prompt: str, *options: str) -> bytes:
        """What the program prints; see its usage for the options."""
        return self._ask(model, "--prompt", b"", prompt, *options)

    def _ask(self, model: Path, mode: str, given: bytes, *options: str) -> bytes:
        done = subprocess.run(
            [str(self.program), str(model), mode, *options],
            input=given,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise WorkFailed(f"{model}: run_model failed: {done.stderr.decode().strip()}")
        return done.stdout


@cache
def compiled_runner() -> Runner | None:
    """The runner, compiled once a process; None where there is no C compiler."""
    compiler = find_compiler()
    if compiler is None:
        return None
    program = Path(_folder().name) / "run_model"
    compile_runner(compiler, program)
    return Runner(program)


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    """Removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="lilliput-export-")


def _spelled(ids: Sequence[int]) -> bytes:
    return " ".join(map(str, ids)).encode("ascii")
