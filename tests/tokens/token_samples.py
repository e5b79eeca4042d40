"""Texts and corpus folders for the tests of tokens."""

import random
from pathlib import Path

import pytest

from lilliput.corpus import Document, document_id, write_corpus
from lilliput.corpus import folder as corpus_folder

_SYLLABLES = ["ka", "lo", "mi", "ren", "tos", "a", "ve", "zu", "bri", "né", "don", "sha", "é", "小"]
_ENDINGS = [". ", "! ", "?\n\n", " 🙂. ", "... ", ", ", " 12 ", " 3.50\n", "'s "]


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Short varied texts of made-up words, a few of them frequent; no two texts the same."""
    source = random.Random(seed)
    words = ["".join(source.choices(_SYLLABLES, k=source.randint(1, 4))) for _ in range(500)]
    weights = [1 / (1 + place) for place in range(len(words))]

    def sentence() -> str:
        chosen = source.choices(words, weights, k=source.randint(2, 8))
        return " ".join(chosen).capitalize() + source.choice(_ENDINGS)

    return [
        f"{number}: " + "".join(sentence() for _ in range(source.randint(1, 12)))
        for number in range(count)
    ]


def make_corpus(folder: Path, texts: list[str], row_group_bytes: int = 4 << 20) -> Path:
    """A corpus folder with row groups of about that size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_folder, "ROW_GROUP_BYTES", row_group_bytes)
        documents = (Document(document_id(text), text, "test") for text in texts)
        write_corpus(documents, folder, settings={}, rows_per_part=400)
    return folder
