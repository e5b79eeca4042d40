"""Texts and files that the tests build corpora from."""

import json
import random
from pathlib import Path

PIECE_BYTES = 6_000


def make_texts(many: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 30 words of a small vocabulary; some say SECRET."""
    dice = random.Random(seed)
    words = [f"{letter}{number}" for letter in "abstuvwxyz" for number in range(40)]
    texts = []
    for _ in range(many):
        chosen = dice.choices(words, k=dice.randint(1, 30))
        if dice.random() < 0.1:
            chosen.insert(1, "SECRET")
        texts.append(" ".join(chosen))
    return texts


def write_lines(path: Path, texts: list[str]) -> Path:
    """JSON lines with `text`, `id`, a number and a column by a name that a build uses too."""
    lines = [
        json.dumps({"id": f"{path.stem}-{n}", "text": text, "n": n, "place": "here"})
        for n, text in enumerate(texts)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
