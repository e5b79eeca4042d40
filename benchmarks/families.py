"""Every family at the same number of parameters and tokens, on the same text.

Each family is trained by `lilliput train` in a process of its own, with the defaults of the
optimiser: bits per byte on held-out text, seconds, tokens a second (median of the run's records),
peak memory, and what a key-value cache holds for a token. Encoder-decoders are left out: they fill
gaps, which is another loss.

    python benchmarks/families.py corpus/ --tokens 500000 --parameters 1000000 --json families.json
    python benchmarks/families.py --draw families.json --chart families.svg
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lilliput.model import FAMILIES, TrunkConfig, cached_numbers, shape_of

CLI = str(Path(sys.executable).with_name("lilliput"))
NAMES = (*FAMILIES, "mamba")


@dataclass(frozen=True)
class Result:
    """A family's run. `seconds` are those of training alone, without starting and validating."""

    family: str
    parameters: int
    layers: int
    width: int
    bits_per_byte: float
    seconds: float
    tokens_per_second: float
    memory_bytes: int
    cache_bytes_per_token: float


def shape_for(family: str, parameters: int, options: argparse.Namespace) -> TrunkConfig:
    """The configuration closest to a number of parameters.

    Of widths that are multiples of 32, since odd ones are slow; of layers near `--layers`.
    """
    shapes = [
        shape_of(
            family,
            depth=layers,
            vocabulary_size=options.vocabulary,
            end_of_text=0,
            d_model=width,
            context_length=options.context,
        )
        for layers in range(max(1, options.layers - 2), options.layers + 3)
        for width in range(32, 257, 32)
    ]

    def distance(config: TrunkConfig) -> float:
        far = abs(config.n_layers - options.layers)
        return float(abs(math.log(config.parameters / parameters)) + 0.03 * far)

    return min(shapes, key=distance)


def train(family: str, tokens: Path, work: Path, options: argparse.Namespace) -> Result:
    config = shape_for(family, options.parameters, options)
    run = work / family
    flags = {
        "--model.family": family,
        "--model.depth": config.n_layers,
        "--model.d-model": config.d_model,
        "--model.context-length": options.context,
        "--data.batch-tokens": options.batch,
        "--train.tokens": options.tokens,
        "--train.validations": 2,
        "--train.validation-tokens": 8192,
        "--train.samples": 1,
        "--train.seed": options.seed,
        "--name": run,
    }
    command = [CLI, "train", str(tokens), *(str(part) for pair in flags.items() for part in pair)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{family} failed:\n{done.stderr[-2000:]}")
    records = [json.loads(line) for line in (run / "metrics.jsonl").open(encoding="utf-8")]
    steps = [record for record in records if record["kind"] == "step"]
    validations = [record for record in records if record["kind"] == "validation"]
    rate = statistics.median(step["tokens_per_second"] for step in steps)
    return Result(
        family=family,
        parameters=config.parameters,
        layers=config.n_layers,
        width=config.d_model,
        bits_per_byte=validations[-1]["bits_per_byte"],
        seconds=steps[-1]["tokens"] / rate,
        tokens_per_second=rate,
        memory_bytes=max(int(step["memory_bytes"] or 0) for step in steps),
        cache_bytes_per_token=4 * cached_numbers(config, options.context) / options.context,
    )


def front(results: Sequence[Result]) -> set[str]:
    """The families that no other beats in both bits per byte and seconds."""
    return {
        one.family
        for one in results
        if not any(
            other.bits_per_byte < one.bits_per_byte and other.seconds < one.seconds
            for other in results
        )
    }


def markdown(results: Sequence[Result]) -> str:
    best = front(results)
    lines = [
        "| family | bits per byte | seconds | tokens/s | memory | cache bytes a token "
        "| parameters | shape |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for one in sorted(results, key=lambda one: one.bits_per_byte):
        name = f"**{one.family}**" if one.family in best else one.family
        lines.append(
            f"| {name} | {one.bits_per_byte:.3f} | {one.seconds:.0f} | "
            f"{one.tokens_per_second:,.0f} | {one.memory_bytes / 2**20:,.0f} MiB | "
            f"{one.cache_bytes_per_token:,.0f} | {one.parameters / 1e6:.2f}M | "
            f"{one.layers} x {one.width} |"
        )
    return "\n".join(lines)


def chart(results: Sequence[Result]) -> str:
    """Bits per byte over seconds as an SVG picture; the front in colour, by name."""
    best = front(results)
    left, right = min(r.seconds for r in results), max(r.seconds for r in results)
    low, high = min(r.bits_per_byte for r in results), max(r.bits_per_byte for r in results)

    def place(one: Result) -> tuple[float, float]:
        x = 70 + 700 * (one.seconds - left) / max(1e-9, right - left)
        return x, 430 - 380 * (one.bits_per_byte - low) / max(1e-9, high - low)

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 500" font-family="sans-serif" '
        'font-size="11" fill="#777">',
        '<path d="M60 30V440H840" fill="none" stroke="#999"/>',
        '<text x="450" y="475" text-anchor="middle" font-size="13">seconds of training</text>',
        '<text x="20" y="235" text-anchor="middle" font-size="13" transform="rotate(-90 20 235)">'
        "bits per byte</text>",
    ]
    for share in (0.0, 0.5, 1.0):
        seconds, bits = left + share * (right - left), low + share * (high - low)
        parts.append(
            f'<text x="{70 + 700 * share:.0f}" y="456" text-anchor="middle">{seconds:.0f}</text>'
        )
        parts.append(
            f'<text x="55" y="{434 - 380 * share:.0f}" text-anchor="end">{bits:.2f}</text>'
        )
    for one in results:
        x, y = place(one)
        colour = "#c2410c" if one.family in best else "#64748b"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">'
            f"<title>{one.family}</title></circle>"
        )
        if one.family not in best and _stands_apart(one, results, place):
            parts.append(
                f'<text x="{x + 6:.1f}" y="{y + 4:.1f}" fill="{colour}">{one.family}</text>'
            )
    ahead = sorted((one for one in results if one.family in best), key=lambda one: one.seconds)
    for number, one in enumerate(ahead, start=1):
        x, y = place(one)
        parts.append(
            f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle" fill="#c2410c" '
            f'font-weight="bold">{number}</text>'
            f'<text x="640" y="{30 + 16 * number}" fill="#c2410c" font-weight="bold">'
            f"{number} {one.family}, {one.bits_per_byte:.3f}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _stands_apart(
    one: Result, results: Sequence[Result], place: Callable[[Result], tuple[float, float]]
) -> bool:
    """Whether there is room for its name: no other point right beside it."""
    x, y = place(one)
    others = [place(other) for other in results if other is not one]
    return not any(-15 < other[0] - x < 75 and abs(other[1] - y) < 10 for other in others)


def prepare(corpus: Path, work: Path, options: argparse.Namespace) -> Path:
    tokenizer, tokens = work / "tok.json", work / "tokens"
    built = work / "corpus"
    size = str(options.vocabulary)
    for command in (
        [CLI, "corpus", "build", str(corpus), "-o", str(built)],
        [CLI, "tokenizer", "train", str(built), "-o", str(tokenizer), "--vocabulary-size", size],
        [CLI, "tokenize", str(built), str(tokenizer), "-o", str(tokens)],
    ):
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return tokens


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("corpus", nargs="?", type=Path, help="text files or a corpus folder")
    parser.add_argument("--only", action="append", choices=NAMES)
    parser.add_argument("--parameters", type=int, default=1_100_000)
    parser.add_argument("--tokens", type=int, default=500_000)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="written after every family; finished ones stay")
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--draw", type=Path, help="draw this earlier outcome instead of training")
    return parser.parse_args()


def measured(options: argparse.Namespace) -> list[Result]:
    if options.draw:
        return [Result(**one) for one in json.loads(options.draw.read_text(encoding="utf-8"))]
    if options.corpus is None:
        raise SystemExit("give a corpus")
    results: list[Result] = []
    if options.json and options.json.exists():
        known: list[dict[str, Any]] = json.loads(options.json.read_text(encoding="utf-8"))
        results = [Result(**one) for one in known]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tokens = prepare(options.corpus, work, options)
        for family in options.only or NAMES:
            if any(one.family == family for one in results):
                continue
            began = time.perf_counter()
            results.append(train(family, tokens, work, options))
            last = results[-1]
            print(
                f"{family}: {last.bits_per_byte:.3f} bits per byte, "
                f"{last.tokens_per_second:,.0f} tokens/s, "
                f"{time.perf_counter() - began:.0f} s in all",
                file=sys.stderr,
                flush=True,
            )
            if options.json:
                options.json.write_text(
                    json.dumps([asdict(one) for one in results], indent=1), encoding="utf-8"
                )
    return results


def main() -> None:
    options = arguments()
    results = measured(options)
    print(markdown(results))
    if options.chart:
        options.chart.write_text(chart(results), encoding="utf-8")


if __name__ == "__main__":
    main()
