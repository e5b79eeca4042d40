"""A finished run, shown in the terminal."""

import json
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from lilliput.generate.language_model import load
from lilliput.report import Series, terminal_chart

_WIDEST = 100


def loss_plot(run: Path) -> str:
    """The run's bits per byte over training time, drawn in characters."""
    records = _records(run)
    train = [record for record in records if record["kind"] == "step"]
    held_out = [record for record in records if record["kind"] == "validation"]
    series = [
        Series(name, [r["seconds"] for r in of], [r["bits_per_byte"] for r in of])
        for name, of in (("training", train), ("validation", held_out))
    ]
    return terminal_chart(
        series,
        width=_width(),
        title="Bits per byte",
        x_label="seconds of training",
        encoding=sys.stdout.encoding,
        colour=sys.stdout.isatty(),
    )


def show_samples(run: Path, *, count: int = 3, max_tokens: int = 300) -> str:
    """Whole texts the run's model writes from nothing but a beginning."""
    texts = load(run).generate("", n=count, max_tokens=max_tokens, temperature=0.4, seed=1)
    width = _width()
    paragraphs = ["\n".join(textwrap.fill(p, width) for p in text.splitlines()) for text in texts]
    rule = "─" * width if (sys.stdout.encoding or "").lower().startswith("utf") else "-" * width
    return f"\n{rule}\n".join(["", *paragraphs, ""]).lstrip("\n")


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size().columns)


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
