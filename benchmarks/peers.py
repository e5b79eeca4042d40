"""nanoGPT and nanochat as contenders: run from their own checkouts, unmodified, and scored.

Nothing of theirs is copied here; README.md beside this file says how each is set up.
"""

import argparse
import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plain_baseline
import torch
from plain_baseline import bits_per_byte, score_documents

SEPARATOR = "\x03"  # one character between documents for nanoGPT; its cost is not counted
CALIBRATION_STEPS = 25
CURVE_POINTS = 6
Record = dict[str, Any]

NANOGPT_SETTINGS: dict[str, tuple[str, ...]] = {
    "readme": ("--block_size=64", "--batch_size=12", "--compile=False"),
    "scaled": ("--block_size=256", "--batch_size=16", "--compile=False"),
    "scaled-compiled": ("--block_size=256", "--batch_size=16", "--compile=True"),
}
NANOCHAT_RUNCPU = (
    "--depth=6 --head-dim=64 --window-pattern=L --max-seq-len=512 --device-batch-size=32 "
    "--total-batch-size=16384"
)
NANOCHAT_SCALED = (
    "--depth=4 --aspect-ratio=40 --head-dim=32 --window-pattern=L --max-seq-len=256 "
    "--device-batch-size=16 --total-batch-size=4096"
)
# nanochat multiplies its rates by sqrt(batch / 524,288 tokens) = 0.088 at this batch, which is
# far too low here: these undo that (`scaled`), or go to twice its nominal rates (`scaled-fast`).
NANOCHAT_RATES = " --matrix-lr={} --embedding-lr={} --unembedding-lr={} --scalar-lr={}"


@dataclass(frozen=True)
class Nanochat:
    """A way to run nanochat: vocabulary, number format, flags of `scripts.base_train`."""

    vocabulary: int
    number_format: str
    flags: str


NANOCHAT_SETTINGS = {
    "runcpu": Nanochat(32768, "float32", NANOCHAT_RUNCPU),
    "runcpu-small-vocabulary": Nanochat(2048, "float32", NANOCHAT_RUNCPU),
    "scaled-own": Nanochat(2048, "float32", NANOCHAT_SCALED),
    "scaled": Nanochat(
        2048, "bfloat16", NANOCHAT_SCALED + NANOCHAT_RATES.format(0.226, 3.4, 0.09, 5.0)
    ),
    "scaled-fast": Nanochat(
        2048, "bfloat16", NANOCHAT_SCALED + NANOCHAT_RATES.format(0.452, 6.8, 0.18, 5.0)
    ),
}


def announce(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Task:
    """What every contender gets: texts, a folder of its own, the clock, processor threads."""

    options: argparse.Namespace
    train: list[str]
    valid: list[str]

    @property
    def seconds(self) -> float:
        return float(self.options.minutes * 60)

    def folder(self, name: str) -> Path:
        """An empty folder for one run."""
        folder = Path(self.options.work).absolute() / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Threads as asked, and an empty compilation cache, as on a first run."""
        threads = {"OMP_NUM_THREADS": str(self.options.threads)} if self.options.threads else {}
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")}
        plain = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **plain, **threads, **cache, **more}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    on_line: Callable[[float, str], None] = lambda seconds, line: None,
) -> float:
    """Run a command to its end, giving each line of output with its time; return seconds."""
    began = time.perf_counter()
    with (
        log.open("a", encoding="utf-8") as written,
        subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            seconds = time.perf_counter() - began
            written.write(f"{seconds:9.2f} {line}")
            on_line(seconds, line)
    if process.returncode:
        tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-15:])
        raise SystemExit(f"failed ({process.returncode}): {' '.join(map(str, command))}\n{tail}")
    return time.perf_counter() - began


@dataclass
class Pace:
    """Seconds until the first step was done (imports, compilation) and seconds a step after."""

    startup: float
    step: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Pace":
        settled = np.diff(times)[len(times) // 3 :]
        return cls(times[0], float(np.median(settled)))

    def steps_in(self, seconds: float) -> int:
        """Steps that fit into `seconds`, a multiple of the number of curve points."""
        steps = int((seconds - self.startup) / self.step)
        return max(1, steps // CURVE_POINTS) * CURVE_POINTS


def nanogpt(task: Task, name: str) -> Record:
    """nanoGPT at character level by its own train.py, iterations fitted to the budget."""
    checkout = Path(task.options.nanogpt).absolute()
    folder = task.folder(f"nanogpt-{name}")
    began = time.perf_counter()
    symbols = sorted(set(SEPARATOR).union(*task.train, *task.valid))
    number = {symbol: index for index, symbol in enumerate(symbols)}
    for split, texts in (("train", task.train), ("val", task.valid)):
        stream = SEPARATOR.join(["", *texts, ""])
        np.array([number[symbol] for symbol in stream], dtype=np.uint16).tofile(
            folder / f"{split}.bin"
        )
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(symbols)}))
    prepared = time.perf_counter() - began
    command = [
        *(task.options.python, "train.py", "config/train_shakespeare_char.py"),
        *("--device=cpu", "--dtype=float32", "--eval_iters=1", "--log_interval=1"),
        *("--n_layer=4", "--n_head=4", "--n_embd=128", "--dropout=0.0", "--learning_rate=1e-3"),
        *("--always_save_checkpoint=True", f"--dataset={folder}", f"--out_dir={folder}"),
        *NANOGPT_SETTINGS[name],
    ]
    environment = task.environment(folder)

    def train(steps: int, every: int, on_line: Callable[[float, str], None]) -> float:
        shutil.rmtree(folder / "compiled", ignore_errors=True)
        lengths = (f"--max_iters={steps}", f"--lr_decay_iters={steps}", f"--eval_interval={every}")
        return run(
            [*command, *lengths],
            cwd=checkout,
            environment=environment,
            log=folder / "log.txt",
            on_line=on_line,
        )

    times: list[float] = []
    train(
        CALIBRATION_STEPS,
        1_000_000,
        lambda seconds, line: times.append(seconds) if line.startswith("iter ") else None,
    )
    pace = Pace.of(times)
    steps = pace.steps_in(task.seconds - prepared)
    announce(f"nanogpt {name}: {pace}, {steps} steps")
    saved: list[tuple[float, Path]] = []
    pending: list[float] = []

    def collect(seconds: float, line: str) -> None:
        if line.startswith("saving checkpoint"):
            pending.append(seconds)
        elif pending and line.startswith("iter "):  # by now the file is whole
            copy = folder / f"ckpt-{len(saved)}.pt"
            shutil.copy(folder / "ckpt.pt", copy)
            saved.append((prepared + pending.pop(), copy))

    train(steps, steps // CURVE_POINTS, collect)
    gpt = importing(checkout, "model")
    ids = [np.array([number[symbol] for symbol in text]) for text in task.valid]

    def logits_of(path: Path) -> tuple[plain_baseline.Logits, int]:
        saved_state = torch.load(path, weights_only=True)
        model = gpt.GPT(gpt.GPTConfig(**saved_state["model_args"]))
        model.load_state_dict(
            {key.removeprefix("_orig_mod."): value for key, value in saved_state["model"].items()}
        )
        model.eval()
        # With targets the model gives the logits of every position; they are not looked at.
        return lambda rows: model(rows, rows)[0], sum(w.numel() for w in model.parameters())

    context = int(NANOGPT_SETTINGS[name][0].split("=")[1])
    settings = " ".join(command[3:9] + list(NANOGPT_SETTINGS[name]))
    return scored(task, saved, logits_of, ids, number[SEPARATOR], context) | {
        "settings": f"character level, {steps} steps, {settings}",
        "startup_seconds": pace.startup,
        "step_seconds": pace.step,
    }


def nanochat(task: Task, name: str) -> Record:
    """nanochat's tok_train and base_train, iterations fitted to the budget."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    checkout = Path(task.options.nanochat).absolute()
    settings = NANOCHAT_SETTINGS[name]
    folder = task.folder(f"nanochat-{name}")
    data = folder / "base_data_climbmix"  # where its loader looks; the last file is validation
    data.mkdir()
    for index, texts in enumerate((task.train, task.valid)):
        pq.write_table(
            pa.table({"text": texts}), data / f"shard_{index:05d}.parquet", row_group_size=1000
        )
    (folder / "stub").mkdir()
    (folder / "stub" / "wandb.py").touch()  # imported without need; `--run=dummy` never calls it
    environment = task.environment(
        folder,
        NANOCHAT_BASE_DIR=str(folder),
        NANOCHAT_DTYPE=settings.number_format,
        PYTHONPATH=str(folder / "stub"),
    )
    log = folder / "log.txt"
    module = (task.options.python, "-m")
    prepared = run(
        [*module, "scripts.tok_train", f"--vocab-size={settings.vocabulary}"],
        cwd=checkout,
        environment=environment,
        log=log,
    )
    flags = "--eval-every=-1 --core-metric-every=-1 --sample-every=-1 --model-tag=run "
    command = [*module, "scripts.base_train", *(flags + settings.flags).split()]

    def train(steps: int, every: int, on_line: Callable[[float, str], None]) -> float:
        shutil.rmtree(folder / "compiled", ignore_errors=True)
        lengths = (f"--num-iterations={steps}", f"--save-every={every}")
        return run(
            [*command, *lengths], cwd=checkout, environment=environment, log=log, on_line=on_line
        )

    times: list[float] = []
    train(
        CALIBRATION_STEPS,
        -1,
        lambda seconds, line: times.append(seconds) if line.startswith("step ") else None,
    )
    pace = Pace.of(times)
    steps = pace.steps_in(task.seconds - prepared)
    announce(f"nanochat {name}: {pace}, {steps} steps")
    saved: list[tuple[float, Path]] = []

    def collect(seconds: float, line: str) -> None:
        _, found, path = line.partition("Saved model parameters to: ")
        if found:
            saved.append((prepared + seconds, Path(path.strip())))

    train(steps, steps // CURVE_POINTS, collect)
    os.environ |= {
        "NANOCHAT_BASE_DIR": str(folder),
        "NANOCHAT_DTYPE": settings.number_format,
    }
    gpt = importing(checkout, "nanochat.gpt")
    tokenizer = importing(checkout, "nanochat.tokenizer").get_tokenizer()
    ids = [np.array(row) for row in tokenizer.encode(task.valid)]

    def logits_of(path: Path) -> tuple[plain_baseline.Logits, int]:
        meta = json.loads(
            path.with_name(path.name.replace("model_", "meta_"))
            .with_suffix(".json")
            .read_text(encoding="utf-8")
        )
        with torch.device("meta"):
            model = gpt.GPT(gpt.GPTConfig(**meta["model_config"]))
        model.to_empty(device="cpu")
        model.init_weights()
        model.load_state_dict(torch.load(path, weights_only=True), assign=True)
        model.eval()
        return model, sum(weight.numel() for weight in model.parameters())

    context = int(settings.flags.split("--max-seq-len=")[1].split()[0])
    return scored(task, saved, logits_of, ids, tokenizer.get_bos_token_id(), context) | {
        "settings": f"{settings}, {steps} steps",
        "startup_seconds": pace.startup,
        "step_seconds": pace.step,
    }


def importing(checkout: Path, module: str) -> Any:
    """A peer's module, from its checkout."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    sys.dont_write_bytecode = True
    return importlib.import_module(module)


def scored(
    task: Task,
    saved: Sequence[tuple[float, Path]],
    logits_of: Callable[[Path], tuple[plain_baseline.Logits, int]],
    ids: Sequence[plain_baseline.Ids],
    separator: int,
    context: int,
) -> Record:
    """Score each checkpoint as one stream, the last also document by document; report the better.

    Scoring happens after the run and costs the peer nothing.
    """

    def score(logits: plain_baseline.Logits, aligned: bool) -> float:
        nats = score_documents(logits, ids, separator=separator, context=context, aligned=aligned)
        return bits_per_byte(nats, task.valid)

    curve: list[Record] = []
    parameters = 0
    for seconds, path in saved:
        logits, parameters = logits_of(path)
        curve.append({"seconds": seconds, "bits_per_byte": score(logits, aligned=False)})
        announce(f"  at {seconds:.0f} s: {curve[-1]['bits_per_byte']:.4f} bits per byte")
    stream, aligned = curve[-1]["bits_per_byte"], score(logits, aligned=True)
    return {
        "curve": curve,
        "scored": "document by document" if aligned <= stream else "as one stream",
        "bits_per_byte": min(stream, aligned),
        "bits_per_byte_other_way": max(stream, aligned),
        "seconds": curve[-1]["seconds"],
        "parameters": parameters,
    }
