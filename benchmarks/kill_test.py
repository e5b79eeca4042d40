"""SIGKILL at random moments while tokenizing and training; the end must be the same bits.

One uninterrupted run of `lilliput tokenize` and `lilliput train` gives the reference. Then both
are killed again and again, each time restarted as a user would (`lilliput tokenize` once more,
`lilliput resume RUN`), and the shards, the final weights and the metrics are compared by SHA-256.
A round that ends before enough kills fell is compared, and another begins.

    python benchmarks/kill_test.py --kills 20 --json kill_test.json

Exit code 1 if anything differs, a restart fails, or a process of a killed command lives on.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

# Fields of a metrics record that measure this run's time or place, not its computation.
TIME_FIELDS = (
    "second",
    "time",
    "flop",
    "peak",
    "memory",
    "energy",
    "cost",
    "dollar",
    "watt",
    "eta",
)
CLI = (str(Path(sys.executable).with_name("lilliput")),)


@dataclass
class Outcome:
    """What happened: seconds into each killed attempt, differences and failures in words.

    `midway` counts the kills that left saved work to go on from: the others only repeat a start.
    """

    kills: dict[str, list[float]] = field(default_factory=lambda: {"tokenize": [], "train": []})
    midway: dict[str, int] = field(default_factory=lambda: {"tokenize": 0, "train": 0})
    faults: list[str] = field(default_factory=list)
    rounds: dict[str, int] = field(default_factory=lambda: {"tokenize": 0, "train": 0})


def start(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(command)}\n".encode())
        output.flush()
        return subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)


def attempt(
    command: Sequence[str], log: Path, kill_after: float | None, whole_tree: bool
) -> tuple[int | None, list[psutil.Process]]:
    """Run a command, killing it after some seconds if it still runs.

    Returns its exit code (None if it was killed) and the workers it left behind: with
    `whole_tree` those are killed too, as a power cut would; without, as `kill -9` does, they are
    left to notice by themselves (on Windows the command itself is such a child: always the tree).
    """
    process = start(command, log)
    try:
        return process.wait(timeout=kill_after), []
    except subprocess.TimeoutExpired:
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        if process.wait() == 0:  # it ended well a moment before
            return 0, workers
        if whole_tree or os.name == "nt":
            for worker in workers:
                if worker.is_running():
                    worker.kill()
        return None, workers


def survivors(workers: Sequence[psutil.Process], patience: float = 10.0) -> list[int]:
    """Ids of the processes that still run after `patience` seconds; they are then killed."""
    _, alive = psutil.wait_procs(list(workers), timeout=patience)
    for worker in alive:
        worker.kill()
    return [worker.pid for worker in alive]


def checked(command: Sequence[str], log: Path) -> float:
    """Run a command that must succeed; returns its seconds."""
    began = time.perf_counter()
    if start(command, log).wait():
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise SystemExit(f"failed: {' '.join(command)}\n{tail}")
    return time.perf_counter() - began


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def shards_digest(tokens: Path) -> str:
    """Of the names and bytes of all shards."""
    shards = sorted(tokens.glob("*.bin"))
    return digest(*(part for path in shards for part in (path.name.encode(), path.read_bytes())))


def weights_digest(run: Path) -> str:
    return digest((run / "model" / "model.safetensors").read_bytes())


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """The records without what measures time, memory or cost; `event` records (a resume) aside."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {
            key: value
            for key, value in record.items()
            if not any(word in key for word in TIME_FIELDS)
        }
        for record in map(json.loads, lines)
        if record.get("kind") != "event"
    ]


def metrics_digest(run: Path) -> str:
    return digest(json.dumps(metrics_of(run), sort_keys=True).encode())


@dataclass(frozen=True)
class Stage:
    """A command to kill: how to begin it, how to go on, where it writes, what to compare."""

    name: str
    begin: tuple[str, ...]
    go_on: tuple[str, ...]
    output: Path
    reference: dict[str, str]
    seconds: float

    def digests(self) -> dict[str, str]:
        if self.name == "tokenize":
            return {"shards": shards_digest(self.output)}
        return {"weights": weights_digest(self.output), "metrics": metrics_digest(self.output)}

    def is_midway(self) -> bool:
        """Whether there is saved work: noted progress of `tokenize`, a checkpoint of `train`."""
        if self.name == "tokenize":
            return (self.output / "tokens.json").exists()
        return any((self.output / "checkpoints").glob("step-*"))

    def command(self) -> tuple[str, ...]:
        """Before a run has its recipe there is nothing to resume: the first command again."""
        resumable = self.name == "tokenize" or (self.output / "recipe.toml").exists()
        return self.go_on if resumable else self.begin


def torture(stage: Stage, kills: int, dice: random.Random, outcome: Outcome, log: Path) -> None:
    """Kill and restart `stage` until it was killed `kills` times and ended well each round."""
    moments = outcome.kills[stage.name]
    while len(moments) < kills and not outcome.faults:
        shutil.rmtree(stage.output, ignore_errors=True)
        outcome.rounds[stage.name] += 1
        code: int | None = None
        orphans: list[psutil.Process] = []
        while code is None:
            moment = dice.uniform(0.05, 0.6) * stage.seconds if len(moments) < kills else None
            code, left = attempt(stage.command(), log, moment, dice.random() < 0.5)
            orphans += left
            if code is None and moment is not None:
                moments.append(round(moment, 2))
                outcome.midway[stage.name] += stage.is_midway()
                say(f"{stage.name}: kill {len(moments)} of {kills} after {moment:.1f} s")
        if code:
            outcome.faults.append(f"{stage.name}: exit code {code} (see {log})")
            return
        if alive := survivors(orphans):
            outcome.faults.append(f"{stage.name}: processes outlived their command: {alive}")
        for what, value in stage.digests().items():
            if value != stage.reference[what]:
                outcome.faults.append(f"{what} differ after {len(moments)} kills")
        say(f"{stage.name}: round {outcome.rounds[stage.name]} ended after {len(moments)} kills")
    if not outcome.midway[stage.name] and not outcome.faults:
        outcome.faults.append(f"{stage.name}: no kill fell midway, so nothing is shown: more work")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="over both commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=int, default=800, help="of text to tokenize")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument(
        "--tokenize-flags",
        default="--workers 2 --shard-tokens 10000000",
        help="of `lilliput tokenize`: many shards, so that kills fall between and within them",
    )
    parser.add_argument(
        "--train-flags",
        default="--depth 2 --train.checkpoint-steps 10",
        help="of `lilliput train`",
    )
    parser.add_argument("--work", type=Path, default=Path("/tmp/kill_test"))
    parser.add_argument("--json", type=Path, help="write the outcome here")
    options = parser.parse_args()
    options.json = options.json and options.json.absolute()
    return options


def write_text(stories: Path, path: Path, megabytes: int) -> None:
    """The stories again and again, each time numbered, since making as many takes long."""
    from lilliput.corpus import open_corpus

    texts = list(open_corpus(stories).texts())
    written = number = 0
    with path.open("w", encoding="utf-8") as lines:
        while written < megabytes * 1_000_000:
            text = f"{number}. {texts[number % len(texts)]}"
            written += lines.write(json.dumps({"text": text}) + "\n")
            number += 1


def prepare(options: argparse.Namespace, work: Path, log: Path) -> tuple[Stage, Stage]:
    """The corpus, and both commands once without interruption."""
    corpus, tokenizer = str(work / "corpus"), str(work / "tok.json")
    checked((*CLI, "corpus", "stories", "-n", "3000", "-o", str(work / "stories")), log)
    write_text(work / "stories", work / "text.jsonl", options.megabytes)
    checked((*CLI, "corpus", "build", str(work / "text.jsonl"), "-o", corpus), log)
    checked((*CLI, "tokenizer", "train", corpus, "-o", tokenizer), log)
    calm_tokens, calm_run = work / "tokens-calm", work / "run-calm"
    train_flags = ("--train.steps", str(options.steps), *options.train_flags.split())

    def tokenize(folder: Path) -> tuple[str, ...]:
        flags = options.tokenize_flags.split()
        return (*CLI, "tokenize", corpus, tokenizer, "-o", str(folder), *flags)

    def train(folder: Path) -> tuple[str, ...]:
        return (*CLI, "train", str(calm_tokens), "--name", str(folder), *train_flags)

    tokenize_seconds = checked(tokenize(calm_tokens), log)
    say(f"tokenize, uninterrupted: {tokenize_seconds:.1f} s")
    train_seconds = checked(train(calm_run), log)
    say(f"train, uninterrupted: {train_seconds:.1f} s")
    tokens, run = work / "tokens", work / "run"
    return (
        Stage(
            "tokenize",
            tokenize(tokens),
            tokenize(tokens),
            tokens,
            {"shards": shards_digest(calm_tokens)},
            tokenize_seconds,
        ),
        Stage(
            "train",
            train(run),
            (*CLI, "resume", str(run)),
            run,
            {"weights": weights_digest(calm_run), "metrics": metrics_digest(calm_run)},
            train_seconds,
        ),
    )


def markdown(outcome: Outcome, reference: dict[str, str]) -> str:
    lines = [
        "| command | kills | midway | rounds | seconds into each attempt |",
        "| --- | --: | --: | --: | --- |",
    ]
    for name, moments in outcome.kills.items():
        listed = ", ".join(f"{moment:.1f}" for moment in moments)
        counts = f"{len(moments)} | {outcome.midway[name]} | {outcome.rounds[name]}"
        lines.append(f"| {name} | {counts} | {listed} |")
    lines += ["", "| compared | SHA-256 of the uninterrupted run |", "| --- | --- |"]
    lines += [f"| {what} | `{value}` |" for what, value in reference.items()]
    verdict = "; ".join(outcome.faults) or "all equal to the uninterrupted run"
    return "\n".join([*lines, "", f"Result: {verdict}."])


def main() -> int:
    options = arguments()
    work: Path = options.work.absolute()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.chdir(work)
    log = work / "log.txt"
    tokenize, train = prepare(options, work, log)
    outcome = Outcome()
    dice = random.Random(options.seed)
    torture(tokenize, options.kills // 2, dice, outcome, log)
    torture(train, options.kills - options.kills // 2, dice, outcome, log)
    reference = tokenize.reference | train.reference
    if options.json:
        report = {**vars(outcome), "seed": options.seed, "reference": reference}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(markdown(outcome, reference))
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
