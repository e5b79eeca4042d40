"""A run: a folder that holds a recipe and becomes a model."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.language_model import LanguageModel
from lilliput.machine import (
    choose_device,
    describe_device,
    keep_freed_memory,
    matmul_peak,
    use_all_cores,
)
from lilliput.machine.energy import energy_meter
from lilliput.machine.meters import memory_bytes
from lilliput.model import build, load_config, save_model
from lilliput.tokens import Position
from lilliput.training.card import model_card
from lilliput.training.checkpoints import (
    Checkpoint,
    clear_leftovers,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from lilliput.training.live import RecordSink, live_view
from lilliput.training.loop import Hooks, Loop, LoopState, enable_determinism, passed, run_loop
from lilliput.training.method import HeldOut
from lilliput.training.metrics import MetricsFile
from lilliput.training.optimizers import Optimizer
from lilliput.training.planner import Plan, plan_run
from lilliput.training.precision import MasterWeights
from lilliput.training.recipe import Recipe, read_recipe, write_recipe
from lilliput.training.run_report import write_run_report
from lilliput.training.run_summary import read_summary
from lilliput.training.start import first_model
from lilliput.training.tensorboard import tensorboard_writer
from lilliput.training.validation import Validation, validate

_CREDIBLE_SHARE_OF_PEAK = 0.7
_FINISHING_SECONDS = 1.5
"""Kept back from a budget by the clock for writing the model, the samples and the report."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to. `finished` is false when it was asked to stop before its end."""

    path: Path
    finished: bool
    step: int
    tokens: int
    seconds: float
    bits_per_byte: float | None
    measures: Mapping[str, float]
    parameters: int

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.path / "model"


def start_run(recipe: Recipe, folder: Path, *, started: float | None = None) -> RunResult:
    """Train by `recipe` in a new run folder. `started` (perf_counter) is when the clock began.

    Raises UserError if the folder holds a run already, or on a mistake in the recipe.
    """
    started = time.perf_counter() if started is None else started
    if (folder / "metrics.jsonl").exists():
        raise UserError(
            f"{folder} holds a run already: go on with `lilliput resume {folder}`, "
            "or choose another name with --name"
        )
    return _execute(_with_whole_paths(recipe), folder, started)


def resume_run(folder: Path) -> RunResult:
    """Go on with a run from its newest checkpoint, or from its start if it has none yet.

    A finished run is left as it is and its outcome returned, so that a kill after its last write
    is no different from one before. Raises UserError if the folder is not a run.
    """
    started = time.perf_counter()
    if not (folder / "recipe.toml").is_file():
        raise UserError(f"{folder}: not a run (it holds no recipe.toml)")
    if (folder / "model" / "model.safetensors").is_file():
        return _finished_result(folder)
    path = folder / "recipe.toml"
    return _execute(Recipe.from_dict(read_recipe(path), str(path)), folder, started)


def _execute(recipe: Recipe, folder: Path, started: float) -> RunResult:
    use_all_cores()
    keep_freed_memory()
    device = choose_device(recipe.train.device)
    enable_determinism(device)
    torch.manual_seed(recipe.train.seed)
    plan = plan_run(recipe, device)
    write_recipe(plan.recipe, folder / "recipe.toml")
    clear_leftovers(folder)
    checkpoints = list_checkpoints(folder)
    checkpoint = load_checkpoint(checkpoints[-1]) if checkpoints else None
    with ExitStack() as stack:
        try:
            return _Run(plan, folder, device, checkpoint, started, stack).train()
        except torch.OutOfMemoryError:
            raise WorkFailed(
                f"{describe_device(device)} has too little memory for "
                f"{plan.micro_batch_tokens:,} tokens at once: start again with a smaller "
                "--data.micro-batch-tokens (the result is the same), or a smaller --depth"
            ) from None


class _Run:
    """The loop's hooks for one run folder."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        device: torch.device,
        checkpoint: Checkpoint | None,
        started: float,
        stack: ExitStack,
    ) -> None:
        self.plan, self.folder, self.device = plan, folder, device
        self.method, self.settings = plan.method, plan.recipe.train
        self.peak_flops = plan.peak_flops
        self.identity = self.method.identity + (f" {plan.base.identity}" if plan.base else "")
        saved = dict(checkpoint.state) if checkpoint else {}
        self._check_identity(saved)
        model = first_model(plan.config, plan.base, self.settings.seed)
        self.weights = MasterWeights(model.to(device), plan.precision)
        self.optimizer = Optimizer(self.weights.weights, plan.optimizer)
        position = Position(**saved["position"]) if saved else Position()
        self.state = LoopState(**saved["loop"]) if saved else LoopState()
        self.seconds_before = self.state.seconds
        self.joules_before = saved.get("joules") or 0.0
        if checkpoint:
            self.weights.load(checkpoint.weights)
            self.optimizer.load_state(checkpoint.optimizer)
        self.objective = self.method.objective(compiled=plan.compiled)
        rows = plan.micro_batch_tokens // self.method.row_tokens
        self.batches = self.method.batches(position, rows, device)
        stack.callback(self.batches.close)
        self.metrics = MetricsFile(folder / "metrics.jsonl", saved.get("metrics_bytes", 0))
        stack.callback(self.metrics.close)
        self.sinks: list[RecordSink] = [self.metrics]
        self.sinks.append(stack.enter_context(live_view(folder.name, self._describe())))
        if self.settings.tensorboard:
            self.sinks.append(stack.enter_context(tensorboard_writer(folder / "tensorboard")))
        self.writer = LanguageModel(self.weights.model, self.method.tokenizer)
        self.joules = energy_meter(device.type)
        self.started = started
        interim = self.settings.validation_tokens or _validation_tokens(plan)
        self.interim = self.method.held_out(interim)
        self.final = self.method.held_out(8 * interim)
        self.stop = stack.enter_context(_stop_signal())

    def train(self) -> RunResult:
        """Run the loop to its end or until asked to stop."""
        if self.state.step == 0:
            device = describe_device(self.device)
            self._record(self._event(f"training on {device}") | {"device": device})
            for remark in self.method.remarks:
                self._record(self._event(remark))
            before = time.perf_counter()
            self._validate(self.interim)
            seconds = time.perf_counter() - before
        else:
            self._record(self._event(f"resumed at step {self.state.step:,}"))
            seconds = self._seconds_of_validation()
        reserve = seconds * self.final.tokens / max(1, self.interim.tokens) + _FINISHING_SECONDS
        if self.plan.budget.by_the_clock:
            reserve = min(reserve, 0.2 * 60 * self.plan.budget.amount)
        loop = Loop(
            weights=self.weights,
            objective=self.objective,
            batches=self.batches,
            optimizer=self.optimizer,
            schedule=self.plan.recipe.schedule,
            budget=self.plan.budget,
            settings=self.settings,
            micro_batches=self.plan.batch_tokens // self.plan.micro_batch_tokens,
            flops_per_token=self.method.flops_per_token,
            hooks=Hooks(self._record, self._milestone, self._checkpoint, self.stop.is_set),
            reserve_seconds=reserve,
            started=self.started,
        )
        finished = run_loop(loop, self.state)
        if not finished:
            self._record(self._event("stopped on request; a checkpoint is written"))
            write_run_report(self.folder)
            return self._result(False, None)
        validation = self._validate(self.final)
        self._sample()
        self._finish(validation)
        return self._result(True, validation)

    def _milestone(self, state: LoopState, before: float, after: float) -> None:
        if passed(before, after, self.settings.validations or 0):
            self._validate(self.interim)
        if passed(before, after, self.settings.samples or 0):
            self._sample()

    def _measured(self, held_out: HeldOut) -> Validation:
        result = validate(self.weights.model, held_out, self.device, self.objective)
        return replace(result, measures=self.method.measures(self.writer, held_out))

    def _validate(self, held_out: HeldOut) -> Validation:
        result = self._measured(held_out)
        self._record(
            {
                "kind": "validation",
                "step": self.state.step,
                "tokens": self.state.tokens,
                "seconds": round(self._elapsed(), 3),
                "loss": result.loss,
                "bits_per_byte": result.bits_per_byte,
                **({"measures": dict(result.measures)} if result.measures else {}),
            }
        )
        return result

    def _seconds_of_validation(self) -> float:
        started = time.perf_counter()
        self._measured(self.interim)
        return time.perf_counter() - started

    def _sample(self) -> None:
        for sample in self.method.samples(self.writer):
            self._record({"kind": "sample", "step": self.state.step, **sample})

    def _record(self, record: dict[str, Any]) -> None:
        if record["kind"] == "step":
            record = self._with_measures(record)
        for sink in self.sinks:
            sink.record(record)

    def _with_measures(self, record: dict[str, Any]) -> dict[str, Any]:
        price = self.settings.dollars_per_hour
        bits = record["loss"] / math.log(2) / self.method.bytes_per_token
        return record | {
            "bits_per_byte": bits,
            "peak_share": self._peak_share(record["flops_per_second"]),
            "memory_bytes": memory_bytes(self.device.type),
            "joules": self._joules(),
            "dollars": None if price is None else price * self.state.seconds / 3600,
        }

    def _peak_share(self, rate: float) -> float:
        """Of the matrix-product rate. A share too good to be true means that the rate was taken in
        a moment when the machine was busy: then it is taken again.
        """
        if rate > _CREDIBLE_SHARE_OF_PEAK * self.peak_flops:
            again = matmul_peak(self.device, self.plan.precision)
            self.peak_flops = max(self.peak_flops, again)
        return rate / self.peak_flops

    def _joules(self) -> float | None:
        used = self.joules()
        return None if used is None else self.joules_before + used

    def _checkpoint(self, state: LoopState) -> None:
        self.metrics.sync()
        saved = {
            "step": state.step,
            "loop": asdict(state),
            "position": asdict(self.batches.position),
            "metrics_bytes": self.metrics.length,
            "joules": self._joules(),
            "identity": self.identity,
        }
        checkpoint = Checkpoint(self.weights.weights, self.optimizer.state(), saved)
        save_checkpoint(self.folder, checkpoint, keep=self.settings.keep_checkpoints)

    def _finish(self, validation: Validation) -> None:
        """Write the model folder, its weights last, and the report."""
        folder, tokenizer = self.folder / "model", self.method.tokenizer
        tokenizer.save(folder)
        self.method.note(folder)
        self.metrics.sync()
        report = write_run_report(self.folder)
        card = model_card(
            self.plan,
            device=describe_device(self.device),
            validation=validation,
            seconds=self._elapsed(),
            tokens=self.state.tokens,
            joules=self._joules(),
            report=os.path.relpath(report, folder),
        )
        final = build(self.plan.config)
        final.load_state_dict(self.weights.complete)
        save_model(
            final,
            folder,
            end_of_text=tokenizer.end_of_text,
            padding=tokenizer.padding,
            card=card,
        )

    def _result(self, finished: bool, validation: Validation | None) -> RunResult:
        return RunResult(
            path=self.folder,
            finished=finished,
            step=self.state.step,
            tokens=self.state.tokens,
            seconds=self._elapsed(),
            bits_per_byte=validation.bits_per_byte if validation else None,
            measures=validation.measures if validation else {},
            parameters=self.plan.config.parameters,
        )

    def _elapsed(self) -> float:
        """Wall-clock seconds so far, earlier sessions of the run included."""
        return self.seconds_before + time.perf_counter() - self.started

    def _event(self, message: str) -> dict[str, Any]:
        return {"kind": "event", "step": self.state.step, "message": message}

    def _describe(self) -> str:
        return (
            f"{self.plan.config.parameters / 1e6:.2f}M parameters, {self.plan.budget.describe()}, "
            f"{describe_device(self.device)}"
        )

    def _check_identity(self, saved: dict[str, Any]) -> None:
        if saved and saved["identity"] != self.identity:
            raise UserError(
                f"{self.folder}: its data, or the model it started from, is not what it was; "
                "bring it back, or start a new run"
            )


def _finished_result(folder: Path) -> RunResult:
    """What a finished run came to, read from its files."""
    summary = read_summary(folder / "metrics.jsonl")
    last, validation = summary.last_step, summary.last_validation
    return RunResult(
        path=folder,
        finished=True,
        step=last["step"],
        tokens=last["tokens"],
        seconds=validation["seconds"],
        bits_per_byte=validation["bits_per_byte"],
        measures=validation.get("measures", {}),
        parameters=load_config(folder / "model").parameters,
    )


def _with_whole_paths(recipe: Recipe) -> Recipe:
    """The recipe with paths that do not depend on the working folder."""

    def whole(path: str | None) -> str | None:
        return None if path is None else Path(path).resolve().as_posix()

    data, train = recipe.data, recipe.train
    return replace(
        recipe,
        data=replace(
            data,
            tokens=Path(data.tokens).resolve().as_posix(),
            pairs=whole(data.pairs),
            held_out_pairs=whole(data.held_out_pairs),
        ),
        train=replace(train, start_from=whole(train.start_from)),
    )


def _validation_tokens(plan: Plan) -> int:
    """Tokens of a validation on the way: about 2% of the training's compute over 10 of them."""
    return int(min(max(plan.expected_tokens / 160, 8_192), 131_072))


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event set by the first Ctrl-C or SIGTERM; the second acts as it would without us."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
