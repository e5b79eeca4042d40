"""Words and how often they are there, for many texts at once."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def word_counts(
    texts: pa.Array, groups: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], dict[str, int]]:
    """The words of each group of texts with their counts; `groups` has one entry a text.

    A word is a run of letters, apostrophes inside it included, in lower case. Only distinct pieces
    between white space are taken apart, which is what makes this fast.
    """
    pieces = pc.ascii_split_whitespace(pc.utf8_lower(texts))
    lengths = pc.list_value_length(pieces).to_numpy(zero_copy_only=False)
    encoded = pieces.flatten().dictionary_encode()
    codes = encoded.indices.to_numpy()
    words, piece_of, word_of = _taken_apart(encoded.dictionary.to_pylist())
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_of = np.repeat(
        np.array([numbers[group] for group in groups], dtype=np.int64), lengths.astype(np.int64)
    )
    made = {}
    for group, number in numbers.items():
        held = np.bincount(codes[group_of == number], minlength=len(encoded.dictionary))
        # Sums of whole numbers far below 2^53: exact in float64.
        counts = np.bincount(word_of, weights=held[piece_of], minlength=len(words))
        present = np.flatnonzero(counts)
        made[group] = dict(
            zip(
                [words[place] for place in present.tolist()],
                counts[present].astype(np.int64).tolist(),
                strict=True,
            )
        )
    return made


def _taken_apart(
    pieces: Sequence[str],
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct words of the pieces, and (piece, word) for every word in every piece."""
    numbers: dict[str, int] = {}
    piece_of: list[int] = []
    word_of: list[int] = []
    for piece, text in enumerate(pieces):
        found = (text,) if text.isalpha() else _WORD.findall(text.replace("\u2019", "'"))
        for word in found:
            piece_of.append(piece)
            word_of.append(numbers.setdefault(word, len(numbers)))
    return list(numbers), np.array(piece_of, dtype=np.int64), np.array(word_of, dtype=np.int64)
