"""The one loop: batches through an objective into weights, until the budget is used up.

Pre-training, tuning and every later method share it. It owns precision, accumulation, skipped
steps, checkpoints, telemetry and interruption; it knows nothing of files but through `Hooks`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from lilliput.errors import WorkFailed
from lilliput.tokens import Position
from lilliput.training.budget import Budget
from lilliput.training.objective import Objective
from lilliput.training.optimizers import Optimizer
from lilliput.training.precision import MasterWeights
from lilliput.training.recipe import RunSettings
from lilliput.training.schedule import Schedule


class BatchSource(Protocol):
    """An endless stream of batches whose position is two integers."""

    @property
    def position(self) -> Position:
        """Where the next batch begins."""

    def next(self) -> tuple[Tensor, ...]:
        """The next batch."""


@dataclass
class LoopState:
    """What a resumed run must know besides weights, optimiser and data position.

    `seconds` is the wall-clock time used so far; `loss_sum` and `loss_count` gather the training
    loss since the last record.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0


@dataclass(frozen=True)
class Hooks:
    """What the loop calls at its turning points; each is given the state.

    `record` takes a step's measures; `milestone` is called when progress passes one, with progress
    before and after the step; `checkpoint` saves. `stop_requested` is asked after every step.
    """

    record: Callable[[dict[str, Any]], None]
    milestone: Callable[[LoopState, float, float], None]
    checkpoint: Callable[[LoopState], None]
    stop_requested: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Everything the loop works with."""

    weights: MasterWeights
    objective: Objective
    batches: BatchSource
    optimizer: Optimizer
    schedule: Schedule
    budget: Budget
    settings: RunSettings
    micro_batches: int
    flops_per_token: float
    hooks: Hooks
    reserve_seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)


def run_loop(loop: Loop, state: LoopState) -> bool:
    """Train from `state` until the budget is used up; True if it is, False if asked to stop.

    For a budget by the clock the run ends `reserve_seconds` early, so that what follows the loop
    (the last validation, the report) is inside the budget too.
    Raises WorkFailed after too many steps in a row without a finite loss.
    """
    seconds_before = state.seconds
    last_checkpoint = last_record = time.perf_counter()
    tokens_at_record = state.tokens
    slowest = share = norm = 0.0

    while (before := _progress(loop, state)) < 1 and not _no_time_left(loop, state, slowest):
        step_started = time.perf_counter()
        share = loop.schedule.share(state.step, before)
        norm = _step(loop, state, share)
        now = time.perf_counter()
        state.seconds = seconds_before + now - loop.started
        slowest = max(0.9 * slowest, now - step_started)
        after = _progress(loop, state)

        if state.step % loop.settings.log_every == 0 and state.loss_count:
            speed = (state.tokens - tokens_at_record) / (now - last_record)
            loop.hooks.record(_step_record(loop, state, share, norm, after, speed))
            state.loss_sum, state.loss_count = 0.0, 0
            last_record, tokens_at_record = time.perf_counter(), state.tokens
        if state.skipped_in_a_row > loop.settings.max_skipped_steps:
            _give_up(loop, state)
        paused = time.perf_counter()
        loop.hooks.milestone(state, before, after)
        state.seconds = seconds_before + time.perf_counter() - loop.started
        stop = loop.hooks.stop_requested() and after < 1
        every = loop.settings.checkpoint_steps
        due = time.perf_counter() - last_checkpoint > 60 * loop.settings.checkpoint_minutes
        if stop or due or (every and state.step % every == 0):
            if state.skipped_in_a_row == 0:
                loop.hooks.checkpoint(state)
            last_checkpoint = time.perf_counter()
        last_record += time.perf_counter() - paused
        if stop:
            return False
    if state.loss_count:
        speed = (state.tokens - tokens_at_record) / (time.perf_counter() - last_record)
        loop.hooks.record(_step_record(loop, state, share, norm, 1.0, speed))
        state.loss_sum, state.loss_count = 0.0, 0
    return True


def _give_up(loop: Loop, state: LoopState) -> None:
    """Save the weights, which skipped steps have left as they were, and end the run."""
    skipped, state.skipped_in_a_row = state.skipped_in_a_row, 0
    loop.hooks.checkpoint(state)
    raise WorkFailed(
        f"the loss was not finite {skipped} steps in a row, up to step {state.step}: start again "
        "with lower learning rates; the last good weights are in the newest checkpoint"
    )


def _progress(loop: Loop, state: LoopState) -> float:
    seconds = state.seconds + (loop.reserve_seconds if state.step else 0.0)
    return loop.budget.progress(
        step=state.step,
        tokens=state.tokens,
        flops=state.tokens * loop.flops_per_token,
        seconds=seconds,
    )


def _no_time_left(loop: Loop, state: LoopState, step_seconds: float) -> bool:
    """Whether one more step would end further from the clock's end than none."""
    if not loop.budget.by_the_clock or state.step == 0:
        return False
    left = 60 * loop.budget.amount - loop.reserve_seconds - state.seconds
    return left < step_seconds / 2


def _step(loop: Loop, state: LoopState, share: float) -> float:
    """One optimiser step, or a skipped one if loss or gradient is not finite; gradient's norm."""
    weights, total, count = loop.weights, 0.0, 0
    weights.clear_gradients()
    for _ in range(loop.micro_batches):
        loss, losses = loop.objective(weights.model, loop.batches.next())
        loss.backward()  # type: ignore[no-untyped-call]
        weights.collect_gradients()
        total, count = total + float(loss.detach()), count + losses
    norm = weights.scale_gradients(1 / max(1, count), loop.optimizer.settings.gradient_clip)
    if math.isfinite(total) and math.isfinite(norm):
        loop.optimizer.step(weights.gradients, share)
        weights.publish()
        state.skipped_in_a_row = 0
        state.loss_sum += total
        state.loss_count += count
    else:
        state.skipped_steps += 1
        state.skipped_in_a_row += 1
        loop.hooks.record(
            {
                "kind": "event",
                "step": state.step + 1,
                "message": "loss or gradient not finite: step skipped",
            }
        )
    state.step += 1
    state.tokens += count
    return norm


def _step_record(
    loop: Loop, state: LoopState, share: float, norm: float, progress: float, speed: float
) -> dict[str, Any]:
    settings = loop.optimizer.settings
    rates = {"adamw": (settings.learning_rate or 0.0) * share}
    if settings.name == "muon":
        rates["muon"] = settings.matrix_peak * share
    left = state.seconds * (1 - progress) / progress if progress > 0 else None
    if loop.budget.by_the_clock:
        left = max(0.0, 60 * loop.budget.amount - state.seconds)
    return {
        "kind": "step",
        "step": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 3),
        "loss": state.loss_sum / state.loss_count,
        "learning_rate": rates,
        "gradient_norm": norm,
        "tokens_per_second": round(speed, 1),
        "flops_per_second": speed * loop.flops_per_token,
        "skipped_steps": state.skipped_steps,
        "progress": progress,
        "seconds_left": None if left is None else round(left, 1),
    }


def passed(before: float, after: float, parts: int) -> bool:
    """Whether progress passed one of `parts` evenly spaced marks, the end not counted."""
    return parts > 0 and math.floor(before * parts) < math.floor(after * parts) < parts


def enable_determinism(device: torch.device) -> None:
    """Ask PyTorch for kernels that give the same bits each time, where another exists (CUDA).

    Those of the CPU do already; there the flag would only make it fill fresh memory, a tenth of a
    step.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
