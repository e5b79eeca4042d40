"""Bits per byte against wall-clock time: Lilliput, nanoGPT, nanochat and the plain baseline.

Same machine, same training texts, same validation bytes, each with its own tokenizer. Every
contender's clock runs from its first command: tokenizer, imports and compilation count. The
peers run unmodified from checkouts outside this repository:

    python benchmarks/time_to_loss.py --nanogpt ../peers/nanoGPT --nanochat ../peers/nanochat

A finished run is kept in the results file and not repeated; `--only` chooses contenders.
README.md beside this file says how each is set up and scored.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import plain_baseline
import torch
from peers import (
    CURVE_POINTS,
    NANOCHAT_SETTINGS,
    NANOGPT_SETTINGS,
    Record,
    Task,
    announce,
    nanochat,
    nanogpt,
    run,
)
from plain_baseline import DATA, read_texts


def plain(task: Task, name: str) -> Record:
    """The plain strong baseline with the shape that was best for its budget in seconds."""
    seconds = float(name)
    layers, width = (4, 160) if seconds <= 180 else (6, 192)
    settings = plain_baseline.Settings(
        layers=layers, width=width, seconds=seconds, evaluations=CURVE_POINTS - 1
    )
    if task.options.threads:
        torch.set_num_threads(task.options.threads)
    result = plain_baseline.train(settings, task.train, task.valid)
    return result | {
        "settings": f"{layers} layers x {width}, context 256, batch 16, eager bfloat16",
        "bits_per_byte_other_way": result["bits_per_byte_stream"],
        "scored": "document by document",
    }


def lilliput(task: Task, name: str) -> Record:
    """Four commands, as a user types them; training gets what the others left of the budget."""
    budget = float(name)
    folder = task.folder(f"lilliput-{name}")
    environment = task.environment(folder)
    cli = (Path(sys.executable).with_name("lilliput"),)
    (folder / "train.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in task.train), encoding="utf-8"
    )
    train_flags = task.options.lilliput_train.split()
    stages: dict[str, float] = {}

    def stage(*arguments: str) -> None:
        seconds = run(
            [*cli, *arguments], cwd=folder, environment=environment, log=folder / "log.txt"
        )
        stages[" ".join(arguments[:2])] = round(seconds, 2)

    began = time.perf_counter()
    stage("corpus", "build", "train.jsonl", "-o", "corpus")
    stage("tokenizer", "train", "corpus", "-o", "tok.json", *task.options.lilliput_tok.split())
    stage("tokenize", "corpus", "tok.json", "-o", "tokens")
    left = budget - (time.perf_counter() - began) - task.options.reserve
    if left <= 0:
        raise SystemExit(f"lilliput {name}: the budget was over before training: {stages}")
    minutes = f"{left / 60:.4f}"
    stage(
        "train", "tokens", "--train.minutes", minutes, "--name", str(folder / "run"), *train_flags
    )
    seconds = time.perf_counter() - began
    nats, size, parameters = lilliput_score(folder / "run" / "model", task.valid)
    lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [json.loads(line) for line in lines]
    before = began_training(stages)
    return {
        "settings": " ".join(["lilliput train --train.minutes", minutes, *train_flags]),
        "stages": stages,
        "seconds": seconds,
        "bits_per_byte": nats / size / np.log(2),
        "scored": "document by document",
        "parameters": parameters,
        "own_validation": [
            {"seconds": before + row["seconds"], "bits_per_byte": row["bits_per_byte"]}
            for row in metrics
            if row.get("kind") == "validation"
        ],
    }


def began_training(stages: Mapping[str, float]) -> float:
    return sum(seconds for stage, seconds in stages.items() if not stage.startswith("train "))


def lilliput_score(model_folder: Path, texts: Sequence[str]) -> tuple[float, int, int]:
    """Nats, bytes and the number of parameters, by the same scorer that users have."""
    import lilliput as package

    model = package.load(model_folder)
    rows = model.score_documents(list(texts))
    parameters = sum(weight.numel() for weight in model.decoder.parameters())
    return -sum(row.log_probability for row in rows), sum(row.bytes for row in rows), parameters


CONTENDERS: dict[str, Callable[[Task, str], Record]] = {
    "nanogpt": nanogpt,
    "nanochat": nanochat,
    "plain": plain,
    "lilliput": lilliput,
}


def planned(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The runs asked for: (contender, its settings' name or its budget in seconds)."""
    names = {
        "nanogpt": options.nanogpt_settings.split(",") if options.nanogpt else [],
        "nanochat": options.nanochat_settings.split(",") if options.nanochat else [],
        "plain": options.plain_budgets.split(","),
        "lilliput": options.budgets.split(","),
    }
    return [(contender, name) for contender in options.only for name in names[contender]]


def verdicts(records: Mapping[str, Record]) -> Iterable[tuple[str, Record, float, Record | None]]:
    """For each peer: its record, the factor aimed at, and our quickest run that is as good."""
    ours = sorted(
        (record for key, record in records.items() if key.startswith("lilliput")),
        key=lambda record: record["seconds"],
    )
    for key, peer in records.items():
        if not key.startswith("lilliput"):
            good = [run for run in ours if run["bits_per_byte"] <= peer["bits_per_byte"]]
            yield key, peer, 2.0 if key.startswith("plain") else 40.0, good[0] if good else None


def markdown(records: Mapping[str, Record]) -> str:
    lines = [
        "| contender | seconds | bits per byte | scored | parameters | settings |",
        "| --- | --: | --: | --- | --: | --- |",
    ]
    for key, record in sorted(records.items(), key=lambda item: item[1]["bits_per_byte"]):
        lines.append(
            f"| {key} | {record['seconds']:.0f} | {record['bits_per_byte']:.4f} | "
            f"{record['scored']} | {record['parameters'] / 1e6:.2f}M | {record['settings']} |"
        )
    lines += [
        "",
        "| peer's final figure | reached by Lilliput in | times faster | aim |",
        "| --- | --: | --: | --: |",
    ]
    for key, peer, aim, best in verdicts(records):
        reached = f"{best['seconds']:.1f} s ({best['bits_per_byte']:.4f})" if best else "not yet"
        times = f"{peer['seconds'] / best['seconds']:.1f}" if best else ""
        lines.append(
            f"| {key}: {peer['bits_per_byte']:.4f} at {peer['seconds']:.0f} s | {reached} | "
            f"{times} | {aim:.0f} |"
        )
    return "\n".join(lines) + "\n"


def chart(records: Mapping[str, Record]) -> str:
    """A self-contained page: every peer's curve, and one point for each of our budgets."""
    from lilliput.report import Section, Series, line_chart, page

    curves = {
        key: [(point["seconds"], point["bits_per_byte"]) for point in record["curve"]]
        for key, record in records.items()
        if "curve" in record
    }
    curves["lilliput, one run a point"] = sorted(
        (record["seconds"], record["bits_per_byte"])
        for key, record in records.items()
        if key.startswith("lilliput")
    )
    lines = [
        Series(name, [x for x, _ in curve], [y for _, y in curve], markers=True)
        for name, curve in curves.items()
        if curve
    ]
    svg = line_chart(
        lines, x_label="seconds from the first command", y_label="bits per byte", log_x=True
    )
    return page("Time to loss", [Section("Bits per byte against wall-clock time", [svg])])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, default=DATA / "train.jsonl.xz")
    parser.add_argument("--valid", type=Path, default=DATA / "valid.jsonl.xz")
    parser.add_argument("--minutes", type=float, default=10.0, help="nanoGPT's and nanochat's")
    parser.add_argument("--budgets", default="15,60,240,600", help="Lilliput's, in seconds")
    parser.add_argument("--plain-budgets", default="120,480", help="the baseline's, in seconds")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--nanochat", type=Path, help="a checkout of nanochat")
    parser.add_argument("--nanogpt-settings", default="scaled", help=", ".join(NANOGPT_SETTINGS))
    parser.add_argument(
        "--nanochat-settings", default="scaled-own,scaled-fast", help=", ".join(NANOCHAT_SETTINGS)
    )
    parser.add_argument("--lilliput-train", default="", help="further flags of `lilliput train`")
    parser.add_argument("--lilliput-tok", default="", help="… of `lilliput tokenizer train`")
    parser.add_argument("--reserve", type=float, default=2.0, help="seconds to load and to save")
    parser.add_argument("--python", default=sys.executable, help="the peers' Python")
    parser.add_argument("--threads", type=int, help="default: what each chooses")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="repeatable")
    parser.add_argument("--work", type=Path, default=Path("/tmp/time_to_loss"))
    parser.add_argument("--results", type=Path, default=Path("/tmp/time_to_loss/results.json"))
    parser.add_argument("--again", action="store_true", help="repeat runs that are in --results")
    parser.add_argument("--chart", type=Path, help="write an HTML chart here")
    options = parser.parse_args()
    options.only = options.only or list(CONTENDERS)
    return options


def main() -> int:
    options = arguments()
    results: Path = options.results
    records: dict[str, Record] = {}
    if results.exists():
        records = json.loads(results.read_text(encoding="utf-8"))
    task = Task(options, read_texts(options.train), read_texts(options.valid))
    for contender, name in planned(options):
        minutes = f" {options.minutes:g} min" if contender.startswith("nano") else " s"
        key = f"{contender} {name}{minutes}"
        if key in records and not options.again:
            announce(f"{key}: done before")
            continue
        announce(f"{key}: running")
        records[key] = CONTENDERS[contender](task, name)
        announce(f"{key}: {records[key]['bits_per_byte']:.4f} bits per byte")
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    if options.chart:
        options.chart.write_text(chart(records), encoding="utf-8")
    print(markdown(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
