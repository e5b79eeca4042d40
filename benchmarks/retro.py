"""What looking things up is worth: a decoder, given retrieval, and the same compute without it.

On any text that `lilliput corpus build` reads, by `lilliput train` alone:

    base       a decoder, trained with `--flops`
    further    the base, trained on with `--fit-flops` more
    fitted     the base, frozen, given retrieval, whose new parts are trained with `--fit-flops`
    shuffled   `fitted`, but shown the neighbours of other chunks
    unchecked  `fitted`, shown the nearest chunks even where they say what is to be predicted
    retro      a decoder with retrieval from the start, with the compute of both

All are measured in bits per byte on the same held-out text, whose neighbours come from the training
text. But for `unchecked` none may give away more than the training's own leakage control allows.

    python benchmarks/retro.py docs.jsonl --flops 6e12 --fit-flops 3e12 --json retro.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from lilliput.generate.retrieval import index_of
from lilliput.model import load_model
from lilliput.tokens import open_tokens
from lilliput.training import Recipe, plan_run, read_recipe
from lilliput.training.method import HeldOut
from lilliput.training.retrieval import neighbours_of_rows
from lilliput.training.validation import validate

CLI = str(Path(sys.executable).with_name("lilliput"))


@dataclass(frozen=True)
class Result:
    """A model's run; `tokens` and `flops` are those of this run alone."""

    name: str
    parameters: int
    trained: int
    tokens: int
    flops: float
    minutes: float
    bits_per_byte: float


@dataclass(frozen=True)
class WithOthers:
    """Held-out batches with other neighbours: `others` makes them of a batch."""

    held_out: HeldOut
    others: Callable[[Tensor, Tensor, Tensor], Tensor]

    @property
    def tokens(self) -> int:
        """How many targets there are."""
        return self.held_out.tokens

    @property
    def bytes(self) -> int:
        """How many bytes they stand for."""
        return self.held_out.bytes

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for inputs, targets, neighbours in self.held_out:
            yield inputs, targets, self.others(inputs, targets, neighbours)


def lilliput(*arguments: object) -> None:
    done = subprocess.run(
        [CLI, *map(str, arguments)], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(f"lilliput {' '.join(map(str, arguments))}:\n{done.stderr[-2000:]}")


def train(name: str, work: Path, options: argparse.Namespace, flops: float, *flags: object) -> Path:
    run = work / name
    lilliput(
        "train", work / "tokens", "--name", run, "--flops", flops, "--train.validations", 2,
        "--train.validation-tokens", options.validation_tokens, "--train.samples", 1,
        "--data.batch-tokens", options.batch, "--train.seed", options.seed, *flags,
    )  # fmt: skip
    return run


def measure(run: Path) -> Result:
    plan = plan_run(Recipe.from_dict(read_recipe(run / "recipe.toml")), torch.device("cpu"))
    records = [json.loads(line) for line in (run / "metrics.jsonl").open(encoding="utf-8")]
    last = [record for record in records if record["kind"] == "validation"][-1]
    own = plan.config.parameters
    begun = plan.base.config.parameters if plan.base else 0
    return Result(
        name=run.name,
        parameters=own,
        trained=own - begun if begun < own else own,
        tokens=last["tokens"],
        flops=last["tokens"] * plan.method.flops_per_token,
        minutes=last["seconds"] / 60,
        bits_per_byte=last["bits_per_byte"],
    )


def measure_with_others(run: Path, fitted: Result, options: argparse.Namespace) -> Iterator[Result]:
    """What `fitted` makes of shuffled and of unchecked neighbours."""
    device = torch.device("cpu")
    plan = plan_run(Recipe.from_dict(read_recipe(run / "recipe.toml")), device)
    index = index_of(open_tokens(plan.recipe.data.tokens), options.chunk)
    generator = torch.Generator().manual_seed(1)

    def shuffled(_: Tensor, __: Tensor, neighbours: Tensor) -> Tensor:
        chunks = neighbours.flatten(0, 1)
        return chunks[torch.randperm(len(chunks), generator=generator)].view_as(neighbours)

    def unchecked(inputs: Tensor, targets: Tensor, neighbours: Tensor) -> Tensor:
        found = neighbours_of_rows(
            index, inputs.numpy(), targets.numpy(), None, None,
            count=neighbours.shape[2], control=None,
        )  # fmt: skip
        return torch.from_numpy(found)

    model, objective = load_model(run / "model"), plan.method.objective(compiled=False)
    for others in (shuffled, unchecked):
        held_out = WithOthers(plan.method.held_out(8 * options.validation_tokens), others)
        bits = validate(model, held_out, device, objective).bits_per_byte
        yield Result(**{**asdict(fitted), "name": others.__name__, "bits_per_byte": bits})


def compare(options: argparse.Namespace, work: Path) -> list[Result]:
    lilliput("corpus", "build", *options.sources, "-o", work / "corpus")
    lilliput(
        "tokenizer", "train", work / "corpus", "-o", work / "tok.json",
        "--vocabulary-size", options.vocabulary,
    )  # fmt: skip
    lilliput("tokenize", work / "corpus", work / "tok.json", "-o", work / "tokens")
    shape = ("--depth", options.depth, "--model.context-length", options.context)
    retro = ("--family", "retro", "--model.chunk-length", options.chunk)
    both = options.flops + options.fit_flops
    base = train("base", work, options, options.flops, *shape)
    start = ("--train.start-from", base)
    train("further", work, options, options.fit_flops, *start)
    fitted = train("fitted", work, options, options.fit_flops, *start, *retro)
    train("retro", work, options, both, *shape, *retro)
    results = {name: measure(work / name) for name in ("base", "further", "fitted", "retro")}
    return [*results.values(), *measure_with_others(fitted, results["fitted"], options)]


def markdown(results: list[Result]) -> str:
    rows = [
        f"| {one.name} | {one.parameters:,} | {one.trained:,} | {one.tokens:,} | {one.flops:.2g} "
        f"| {one.minutes:.1f} | {one.bits_per_byte:.4f} |"
        for one in results
    ]
    head = "| model | parameters | trained | tokens | FLOPs | minutes | bits per byte |"
    return "\n".join([head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="what `lilliput corpus build` reads")
    parser.add_argument("--flops", type=float, default=6e12, help="of the base")
    parser.add_argument("--fit-flops", type=float, default=3e12, help="of what follows it")
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--chunk", type=int, default=32, help="tokens of a chunk")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=4096, help="tokens a step")
    parser.add_argument("--validation-tokens", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results here too")
    parser.add_argument("--work", type=Path, help="keep runs in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        results = compare(options, work)
    print(markdown(results))
    if options.json:
        text = json.dumps([asdict(result) for result in results], indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
