"""A byte-level BPE tokenizer as the tables `run_model.c` encodes and decodes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError
from lilliput.export.single_file.format import PATTERN_NUMBERS
from lilliput.tokens import Tokenizer
from lilliput.tokens.definition import spell
from lilliput.tokens.encoders import split_expression
from lilliput.tokens.pattern import SPLIT_PATTERNS

MERGE = np.dtype([(name, "<i4") for name in ("left", "right", "rank", "merged")])
_RUNS = r"\p{L}+|\p{N}+|\s+|[^\s\p{L}\p{N}]+"
_CLASS_PATTERNS = {1: r"\p{L}", 2: r"\p{N}", 3: r"\s"}


@dataclass(frozen=True)
class TokenizerTables:
    """`pattern` names the split; `byte_ids` holds the id of each byte; merges lie by their pair.

    `tokens` are the bytes of each id, none for special tokens. `classes` lists where runs of code
    points of one class begin: the code point, and in the top byte 1 for letters, 2 for numbers,
    3 for white space, 0 for others.
    """

    pattern: str
    tokens: list[bytes]
    byte_ids: npt.NDArray[np.int32]
    merges: npt.NDArray[np.void]
    classes: npt.NDArray[np.uint32]


def tokenizer_tables(tokenizer: Tokenizer, where: Path) -> TokenizerTables:
    """The tables of a tokenizer. Raises UserError if the C program could not encode as it does."""
    definition = tokenizer.definition
    pattern = _pattern_of(definition, where)
    vocabulary: dict[str, int] = definition["model"]["vocab"]
    try:
        byte_ids = [vocabulary[spell(bytes([byte]))] for byte in range(256)]
        merges = [
            (vocabulary[left], vocabulary[right], rank, vocabulary[left + right])
            for rank, (left, right) in enumerate(_merges(definition))
        ]
    except KeyError as error:
        raise UserError(f"{where}: its vocabulary lacks {error}, which its merges need") from None
    table = np.array(merges, dtype=MERGE)
    return TokenizerTables(
        pattern=pattern,
        tokens=tokenizer.bytes_of,
        byte_ids=np.array(byte_ids, "<i4"),
        merges=table[np.lexsort((table["right"], table["left"]))],
        classes=character_classes(),
    )


@cache
def character_classes() -> npt.NDArray[np.uint32]:
    """The classes of all code points, asked of the library that defines the ids (Oniguruma)."""
    from tokenizers import Regex, pre_tokenizers

    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    cut = pre_tokenizers.Split(Regex(_RUNS), "isolated").pre_tokenize_str("".join(map(chr, codes)))
    firsts = [codes[start] for _, (start, _) in cut]
    # One of each run, apart from its neighbours by a character that no class holds.
    samples = "\0".join(map(chr, firsts))
    class_of_run = np.zeros(len(firsts), np.uint32)
    for number, pattern in _CLASS_PATTERNS.items():
        found = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
        places = [start // 2 for _, (start, _) in found.pre_tokenize_str(samples)]
        class_of_run[places] = number
    runs: npt.NDArray[np.uint32] = np.array(firsts, "<u4") | class_of_run << np.uint32(24)
    return runs


def _merges(definition: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = definition["model"]["merges"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in listed]
    return [(left, right) for left, right in pairs]


def _pattern_of(definition: Mapping[str, Any], where: Path) -> str:
    """The name of the split pattern. Raises UserError for any way to encode the C code lacks."""
    model = definition["model"]
    refused = [
        name
        for name in (
            "dropout",
            "unk_token",
            "continuing_subword_prefix",
            "end_of_word_suffix",
            "byte_fallback",
            "ignore_merges",
        )
        if model.get(name)
    ]
    refused += [
        f"the added token {token['content']!r}"
        for token in definition.get("added_tokens") or []
        if not token.get("special")
    ]
    if refused:
        raise UserError(f"{where}: the single file has no place for its tokenizer's {refused[0]}")
    try:
        expression = split_expression({"normalizer": None, **definition})
    except (ValueError, KeyError, TypeError):
        expression = ""
    stages = (definition.get("pre_tokenizer") or {}).get("pretokenizers", [])
    isolated = all(s.get("behavior", "Isolated") == "Isolated" for s in stages) and not any(
        s.get("invert") for s in stages
    )
    for name, known in SPLIT_PATTERNS.items():
        if expression == known and isolated and name in PATTERN_NUMBERS:
            return name
    raise UserError(
        f"{where}: the single file holds byte-level BPE tokenizers with the split pattern "
        f"{', '.join(PATTERN_NUMBERS)}, and this is none; train one with `lilliput tokenizer train`"
    )
