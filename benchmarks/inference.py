"""Tokens and records a second: Lilliput beside transformers, llama.cpp and onnxruntime.

    pip install xllamacpp gguf transformers
    pip install --no-deps --target ../peers/genai onnxruntime-genai onnx_ir onnxscript
    python benchmarks/inference.py latency --genai ../peers/genai --json latency.json
    python benchmarks/inference.py throughput --rows 64 --json throughput.json
    python benchmarks/inference.py constrained --rows 64 --json constrained.json

`latency`: one text, greedy, `--tokens` tokens after a prompt of 16, and the time to the first token
of a prompt of 256; in float32 and in each engine's eight and four bits. `throughput`: `--rows`
texts at once, sampled. `constrained`: the same as JSON of a nested persona schema. `overhead`:
all texts without a rule, with one that allows any text, and with that schema. The models are
random, of Llama's class. Contenders take turns, each measurement is a process of its own, loading
is not counted, medians are given. A contender that is not installed is left out, and said.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_contenders import CONTENDERS, Task, run
from inference_models import SHAPES, prepare


@dataclass(frozen=True)
class Measure:
    """A contender and the figures of its rounds."""

    name: str
    precision: str
    figures: list[dict[str, float]]

    def median(self, key: str) -> float:
        """Of all rounds."""
        return statistics.median(one[key] for one in self.figures)


def measured(task: Task) -> dict[str, float] | None:
    """One measurement in a process of its own; None if it fails, which is said."""
    command = [sys.executable, __file__, "--task", json.dumps(task.as_plain())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{task.contender} left out: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    facts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return facts


def measure_all(options: argparse.Namespace, work: Path, size: str) -> list[Measure]:
    """All contenders on one shape, in turn."""
    tasks = [
        Task(
            kind=options.kind,
            contender=name,
            files={key: str(path) for key, path in prepare(name, size, work, options).items()},
            threads=options.threads,
            rows=1 if options.kind == "latency" else options.rows,
            tokens=options.tokens,
        )
        for name, contender in CONTENDERS.items()
        if options.kind in contender.kinds and (not options.only or name in options.only)
    ]
    figures: dict[str, list[dict[str, float]]] = {task.contender: [] for task in tasks}
    for _ in range(options.rounds):
        for task in list(tasks):
            found = measured(task)
            if found is None:
                tasks.remove(task)
            else:
                figures[task.contender].append(found)
    return [
        Measure(name, CONTENDERS[name].precision, rounds)
        for name, rounds in figures.items()
        if rounds
    ]


def report(size: str, measures: list[Measure]) -> None:
    """A table of medians, best first inside each precision."""
    print(f"\n{size}\n")
    keys = list(measures[0].figures[0])
    print("| precision | contender | " + " | ".join(key.replace("_", " ") for key in keys) + " |")
    print("| --- | --- |" + " --: |" * len(keys))
    for precision in dict.fromkeys(one.precision for one in measures):
        same = [one for one in measures if one.precision == precision]
        for one in sorted(same, key=lambda one: -one.median("tokens_per_second")):
            cells = " | ".join(f"{one.median(key):,.4g}" for key in keys)
            print(f"| {precision} | {one.name} | {cells} |")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "kind", nargs="?", choices=("latency", "throughput", "constrained", "overhead")
    )
    parser.add_argument("--sizes", nargs="+", default=["15m"], choices=list(SHAPES))
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--genai", type=Path, help="a folder that holds onnxruntime_genai")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        print(json.dumps(run(Task(**json.loads(options.task)))))
        return
    if options.kind is None:
        parser.error("say what to measure: latency, throughput, constrained or overhead")
    work = Path(tempfile.mkdtemp(prefix="inference-"))
    facts: dict[str, Any] = {"threads": options.threads, "tokens": options.tokens}
    try:
        for size in options.sizes:
            measures = measure_all(options, work, size)
            report(size, measures)
            facts[size] = {one.name: one.figures for one in measures}
    finally:
        shutil.rmtree(work)
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
