"""The selective scan's forms, and a whole training step of Mamba: transformers and Lilliput.

Contenders take turns for several rounds in one process, so that a busy moment of the machine harms
all alike; medians are reported, in milliseconds. First they are held to agree with each other.

    python benchmarks/mamba_scan.py --rounds 5 --json mamba_scan.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import MambaConfig as TheirConfig
from transformers import MambaForCausalLM

from lilliput.machine import keep_freed_memory, use_all_cores
from lilliput.model.kernels.scan import selective_scan
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.exchange import foreign_mamba_config, to_foreign_mamba
from lilliput.model.mamba.trunk import Mamba, initialise_mamba

_STATES = 16


@dataclass(frozen=True)
class Shape:
    """A batch of `batch` x `time` tokens through layers of this width."""

    width: int
    batch: int
    time: int


SHAPES = (Shape(192, 4, 512), Shape(192, 8, 512), Shape(384, 4, 512))


def loop_over_time(
    values: Tensor, steps: Tensor, decay: Tensor, write: Tensor, read: Tensor
) -> Tensor:
    """The recurrence a token at a time, under PyTorch's own gradients."""
    state = values.new_zeros(values.shape[0], write.shape[2], values.shape[2])
    outputs = []
    for step, value, given, taken in zip(
        *(tensor.unbind(1) for tensor in (steps, values, write, read)), strict=True
    ):
        kept = state * torch.exp(step[:, None] * decay.t())
        state = torch.baddbmm(kept, given[:, :, None], (step * value)[:, None])
        outputs.append(torch.bmm(taken[:, None], state)[:, 0])
    return torch.stack(outputs, dim=1)


def divided_by_cumulative_decay(
    values: Tensor, steps: Tensor, decay: Tensor, write: Tensor, read: Tensor
) -> Tensor:
    """A cumulative sum of all that is written, each over its cumulative decay.

    The fewest passes there can be, and right only while decays stay above 1e-38: a yardstick.
    """
    exponents = (steps[:, :, None] * decay.t()).cumsum(1)
    written = write[..., None] * (steps * values)[:, :, None]
    states = exponents.exp() * (written * (-exponents).exp()).cumsum(1)
    return (read[..., None] * states).sum(2)


def scan_inputs(shape: Shape) -> list[Tensor]:
    """Values, steps, decay, write and read as a fresh model has them."""
    torch.manual_seed(0)
    channels = 2 * shape.width
    tokens = (shape.batch, shape.time)
    decay = -torch.arange(1.0, _STATES + 1).repeat(channels, 1)
    inputs = [torch.randn(*tokens, channels), 0.01 * torch.rand(*tokens, channels), decay]
    inputs += [torch.randn(*tokens, _STATES), torch.randn(*tokens, _STATES)]
    return [tensor.requires_grad_() for tensor in inputs]


def scan_forms(shape: Shape) -> dict[str, Callable[[], None]]:
    """The scan forward and backward, in three forms."""
    inputs = scan_inputs(shape)
    forms: Mapping[str, Callable[..., Tensor]] = {
        "lilliput": lambda *given: selective_scan(*given)[0],
        "loop over time": loop_over_time,
        "cumulative decay (unsafe)": divided_by_cumulative_decay,
    }
    expected = loop_over_time(*inputs)
    for name, form in forms.items():
        if not name.endswith("(unsafe)"):
            torch.testing.assert_close(form(*inputs), expected, rtol=1e-3, atol=1e-4)
    direction = torch.randn_like(expected)

    def both_ways(form: Callable[..., Tensor]) -> Callable[[], None]:
        def run() -> None:
            torch.autograd.grad(form(*inputs), inputs, direction)

        return run

    return {name: both_ways(form) for name, form in forms.items()}


def model_steps(shape: Shape, layers: int, vocabulary: int) -> dict[str, Callable[[], None]]:
    """A training step without the optimiser: transformers in float32, ours in both precisions."""
    config = MambaConfig(vocabulary_size=vocabulary, n_layers=layers, d_model=shape.width)
    ours, half = Mamba(config), Mamba(config)
    initialise_mamba(ours, seed=0)
    with torch.no_grad():
        for block in ours.blocks:
            block.output.weight.normal_(0, 0.02)  # type: ignore[union-attr,operator]
    half.load_state_dict(ours.state_dict())
    half.bfloat16()
    values = foreign_mamba_config(config, end_of_text=0, padding=1)
    theirs = MambaForCausalLM(TheirConfig(**values)).train()
    theirs.load_state_dict(to_foreign_mamba(dict(ours.state_dict()), config), strict=False)
    ids = torch.randint(0, vocabulary, (shape.batch, shape.time + 1))
    read, targets = ids[:, :-1], ids[:, 1:]
    with torch.no_grad():
        torch.testing.assert_close(ours(read), theirs(read).logits, rtol=1e-3, atol=1e-4)

    def our_step(model: Mamba) -> Callable[[], None]:
        def run() -> None:
            torch.autograd.backward(model.loss(model.hidden(read), targets))
            model.zero_grad(set_to_none=True)

        return run

    def their_step() -> None:
        logits = theirs(read, use_cache=False).logits
        torch.autograd.backward(F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
        theirs.zero_grad(set_to_none=True)

    return {
        "lilliput bfloat16": our_step(half),
        "lilliput float32": our_step(ours),
        "transformers float32": their_step,
    }


def medians(contenders: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Milliseconds of each, warmed up once."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: 1e3 * statistics.median(times) for name, times in seconds.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--threads", type=int, help="all cores if not given")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="the first so many")
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args(arguments)
    use_all_cores()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    keep_freed_memory()
    results: dict[str, dict[str, float]] = {}
    for shape in SHAPES[: settings.shapes]:
        title = f"width {shape.width}, {shape.batch} x {shape.time} tokens"
        parts = {
            f"scan, {title}": scan_forms(shape),
            f"step of {settings.layers} layers, {title}": model_steps(
                shape, settings.layers, settings.vocabulary
            ),
        }
        for part, contenders in parts.items():
            results[part] = medians(contenders, settings.rounds)
            print(part, flush=True)
            for name, milliseconds in results[part].items():
                print(f"    {name:28s}{milliseconds:10.1f} ms", flush=True)
    if settings.json:
        settings.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
