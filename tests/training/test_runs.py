"""Whole runs: what they leave behind, and that stopping them changes nothing."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import lilliput
from lilliput.cli import command
from lilliput.corpus import open_corpus
from lilliput.errors import UserError, WorkFailed
from lilliput.files import hash_file
from lilliput.machine import describe_device
from lilliput.tokens import open_tokens
from lilliput.verbs.training import train

TINY = {"d_model": 32, "depth": 2, "d_ff": 64, "context_length": 64}
TIMES = {
    "seconds", "tokens_per_second", "flops_per_second", "peak_share", "memory_bytes", "joules",
    "dollars", "seconds_left",
}  # fmt: skip


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    lilliput.write_stories(400, folder / "stories", seed=4)
    lilliput.train_tokenizer(folder / "stories", folder / "tok.json", vocabulary_size=400)
    return lilliput.tokenize(
        folder / "stories", folder / "tok.json", folder / "tokens", validation_share=0.05
    )


def settings(**train: Any) -> dict[str, Any]:
    data = {"batch_tokens": 512, "micro_batch_tokens": 512}
    return {"model": TINY, "data": data, "train": {"log_every": 2, "device": "cpu", **train}}


def facts_of(run: Path) -> list[dict[str, Any]]:
    """The metrics without what a clock or the machine's load decides, and without events."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [
        {key: value for key, value in record.items() if key not in TIMES}
        for record in records
        if record["kind"] != "event"
    ]


def test_a_run_learns_and_its_measure_is_true(tokens: Path, tmp_path: Path) -> None:
    run = train(tokens, name=str(tmp_path / "run"), **settings(steps=60, prompts=["One day"]))
    held_out = [r["bits_per_byte"] for r in run.metrics if r["kind"] == "validation"]
    assert held_out[-1] < held_out[0] - 0.8
    assert {"model", "recipe.toml", "report.html", "metrics.jsonl"} <= {
        path.name for path in run.path.iterdir()
    }
    report = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    assert report["device"] == describe_device(torch.device("cpu"))
    theirs = AutoModelForCausalLM.from_pretrained(run.path / "model").eval()
    split = open_tokens(tokens).split("val")
    nats = 0.0
    for start, length in zip(split.document_starts, split.document_lengths, strict=True):
        ids = torch.tensor(split.read(int(start), int(start + length) + 1).astype("int64"))
        with torch.no_grad():
            scores = theirs(ids[None, :-1]).logits[0].log_softmax(-1)
        nats -= float(scores.gather(1, ids[1:, None]).sum())
    # Ours sees at most 64 tokens at once and computes in the run's number format.
    assert nats / math.log(2) / split.bytes == pytest.approx(held_out[-1], abs=0.05)
    assert run.model.generate("One day", max_tokens=5, seed=1)


def test_accumulated_batches_train_as_whole_ones(tokens: Path, tmp_path: Path) -> None:
    losses = []
    for micro in (512, 128):
        chosen = settings(steps=8, precision="float32")
        chosen["data"]["micro_batch_tokens"] = micro
        run = train(tokens, name=str(tmp_path / f"micro-{micro}"), **chosen)
        losses.append([r["loss"] for r in run.metrics if r["kind"] == "step"])
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_resuming_after_a_request_to_stop_gives_the_same_bits(tokens: Path, tmp_path: Path) -> None:
    chosen = settings(steps=24, samples=2)
    straight = train(tokens, name=str(tmp_path / "straight"), **chosen)
    command = [
        sys.executable, "-c",
        "import sys, lilliput, json; "
        "lilliput.train(sys.argv[1], name=sys.argv[2], **json.loads(sys.argv[3]))",
        str(tokens), str(tmp_path / "stopped"), json.dumps(chosen),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    metrics = tmp_path / "stopped" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and '"step": 4' in metrics.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, "the run did not start"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
    process.wait(timeout=120)
    if not (tmp_path / "stopped" / "model" / "model.safetensors").exists():
        lilliput.resume(tmp_path / "stopped")
    same = [
        hash_file(run / "model" / "model.safetensors")
        for run in (straight.path, tmp_path / "stopped")
    ]
    assert same[0] == same[1]
    assert facts_of(straight.path) == facts_of(tmp_path / "stopped")


def test_resuming_after_a_kill_gives_the_same_bits(tokens: Path, tmp_path: Path) -> None:
    chosen = settings(steps=60, checkpoint_steps=4, log_every=1)
    straight = train(tokens, name=str(tmp_path / "straight"), **chosen)
    name = str(tmp_path / "killed")
    program = (
        "import sys, lilliput, json, pathlib\n"
        "if pathlib.Path(sys.argv[2], 'recipe.toml').exists():\n"
        "    lilliput.resume(sys.argv[2])\n"
        "else:\n"
        "    lilliput.train(sys.argv[1], name=sys.argv[2], **json.loads(sys.argv[3]))\n"
    )
    command = [sys.executable, "-c", program, str(tokens), name, json.dumps(chosen)]
    for wanted in (6, 27):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        metrics = Path(name) / "metrics.jsonl"
        while (
            f'"step": {wanted}'
            not in (metrics.read_text(encoding="utf-8") if metrics.exists() else "")
            and process.poll() is None
        ):
            assert time.monotonic() < deadline, "the run did not get there"
            time.sleep(0.005)
        process.kill()
        process.wait()
    subprocess.run(command, check=True)
    weights = "model/model.safetensors"
    assert hash_file(straight.path / weights) == hash_file(Path(name) / weights)
    assert facts_of(straight.path) == facts_of(Path(name))


def test_a_minutes_budget_decays_to_its_end(tokens: Path, tmp_path: Path) -> None:
    run = train(tokens, name=str(tmp_path / "run"), **settings(minutes=0.15, log_every=1))
    steps = [record for record in run.metrics if record["kind"] == "step"]
    peak = max(record["learning_rate"]["muon"] for record in steps)
    assert steps[-1]["learning_rate"]["muon"] < 0.2 * peak


def test_a_loss_that_blows_up_ends_the_run_with_a_reason(tokens: Path, tmp_path: Path) -> None:
    chosen = settings(steps=40, max_skipped_steps=3)
    rates = ("learning_rate", "matrix_learning_rate", "embedding_learning_rate")
    chosen["optimizer"] = dict.fromkeys(rates, 1e38)
    with pytest.raises(WorkFailed, match="not finite 4 steps in a row"):
        train(tokens, name=str(tmp_path / "run"), **chosen)
    records = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    assert records.count("step skipped") == 4
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    weights = load_file(checkpoint / "weights.safetensors")
    assert all(bool(weight.isfinite().all()) for weight in weights.values())


def test_resuming_a_finished_run_changes_nothing(tokens: Path, tmp_path: Path) -> None:
    """A kill after the last write is resumed like any other."""
    run = train(tokens, name=str(tmp_path / "run"), **settings(steps=3))
    before = {path: hash_file(path) for path in run.path.rglob("*") if path.is_file()}
    again = lilliput.resume(run.path).result
    assert before == {path: hash_file(path) for path in run.path.rglob("*") if path.is_file()}
    assert replace(again, seconds=0.0) == replace(run.result, seconds=0.0)
    done = CliRunner().invoke(command, ["resume", str(run.path), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["steps"] == 3


def test_refusals(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such recipe file, tokens folder"):
        train(tmp_path / "absent", **settings(steps=1))
    with pytest.raises(UserError, match="does not say how big"):
        train(tokens, name=str(tmp_path / "a"), train={"steps": 3})
    with pytest.raises(UserError, match="less than one window"):
        train(tokens, name=str(tmp_path / "b"), model=TINY, train={"steps": 3},
              data={"batch_tokens": 32})  # fmt: skip
    train(tokens, name=str(tmp_path / "done"), **settings(steps=2))
    with pytest.raises(UserError, match="holds a run already"):
        train(tokens, name=str(tmp_path / "done"), **settings(steps=2))
    with pytest.raises(UserError, match="not a run"):
        lilliput.resume(tmp_path)


def test_overrides_by_name(tokens: Path) -> None:
    plan = lilliput.plan(tokens, model__depth=3, train__steps=5, **{"model.d_ff": 80})
    assert (plan.config.n_layers, plan.config.d_model, plan.config.d_ff) == (3, 192, 80)
    with pytest.raises(UserError, match="section__field"):
        lilliput.plan(tokens, depth=3)


def test_a_set_optimizer_field_leaves_the_others_derived(tokens: Path) -> None:
    derived = lilliput.plan(tokens, model__depth=3, train__steps=5).optimizer
    touched = lilliput.plan(
        tokens, model__depth=3, train__steps=5, optimizer__weight_decay=0.3
    ).optimizer
    assert touched == replace(derived, weight_decay=0.3)


def test_the_dial_gives_bigger_models_for_bigger_budgets(tokens: Path) -> None:
    sizes = [lilliput.plan(tokens, train__flops=flops).config.parameters
             for flops in (1e11, 1e13, 1e15)]  # fmt: skip
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert open_corpus(tokens.parent / "stories").manifest.documents == 400
