"""A byte-level BPE `tokenizer.json` → GGUF's `tokenizer.ggml.*`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.export.gguf.splits import name_of_split
from lilliput.files import read_json
from lilliput.tokens.tokenizer import CONFIG_NAME, DEFINITION_NAME, Tokenizer

TOKENIZER_PREFIX = "tokenizer.ggml."
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""llama.cpp's types of tokens."""


def tokenizer_metadata(folder: Path, vocabulary_size: int) -> dict[str, Any]:
    """Metadata, whole keys, of a folder's tokenizer for a model of that many token ids.

    Ids without a token (a padded vocabulary) are written as unused. Raises UserError, with the
    reason, for a tokenizer that llama.cpp cannot hold.
    """
    where = folder / DEFINITION_NAME
    tokenizer = Tokenizer.load(folder)
    definition = tokenizer.definition
    try:
        _check_kind(definition)
        split = name_of_split(definition)
    except ValueError as reason:
        raise UserError(f"{where}: this tokenizer cannot be written as GGUF: {reason}") from None
    if tokenizer.vocabulary_size > vocabulary_size:
        raise UserError(
            f"{where}: {tokenizer.vocabulary_size} tokens where the model has {vocabulary_size}"
        )
    tokens, types = _listed(tokenizer, vocabulary_size)
    metadata: dict[str, Any] = {
        "model": "gpt2",
        "pre": split,
        "tokens": tokens,
        "token_type": types,
        "merges": [_one_string(merge) for merge in definition["model"]["merges"]],
        **_conventions(folder, tokenizer),
        "add_space_prefix": False,
    }
    named = {TOKENIZER_PREFIX + name: value for name, value in metadata.items()}
    template = tokenizer.config.get("chat_template")
    return named | ({"tokenizer.chat_template": template} if isinstance(template, str) else {})


def tokenizer_notes(folder: Path) -> tuple[str, ...]:
    """Where llama.cpp's tokens may differ from the folder's, in words."""
    definition = Tokenizer.load(folder).definition
    notes = []
    if definition.get("normalizer"):
        notes.append("llama.cpp does not bring texts to Unicode's form NFC as this tokenizer does")
    if any(token.get("lstrip") or token.get("rstrip") for token in definition["added_tokens"]):
        notes.append("llama.cpp keeps the spaces around special tokens")
    return tuple(notes)


def _check_kind(definition: Mapping[str, Any]) -> None:
    model = definition["model"]
    if model.get("type") != "BPE":
        raise ValueError(
            f"it is of the kind {model.get('type')!r} (characters, words or unigrams); llama.cpp "
            "wants byte-level BPE: train one with `lilliput tokenizer train`"
        )
    if (definition.get("decoder") or {}).get("type") != "ByteLevel":
        raise ValueError("its tokens are not spelled byte by byte")
    if not model.get("merges"):
        raise ValueError("it has no merges (one token a byte), and llama.cpp wants some")
    for field in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(field):
            raise ValueError(f"llama.cpp knows no {field}")
    if (definition.get("normalizer") or {}).get("type", "NFC") != "NFC":
        raise ValueError("it changes texts first (a normalizer), llama.cpp does not")


def _listed(tokenizer: Tokenizer, vocabulary_size: int) -> tuple[list[str], list[int]]:
    """Name and type of every id."""
    names = [*tokenizer.token_of, *[""] * (vocabulary_size - tokenizer.vocabulary_size)]
    types = [NORMAL if name else UNUSED for name in names]
    for token in tokenizer.definition.get("added_tokens") or []:
        types[token["id"]] = CONTROL if token.get("special") else USER_DEFINED
    return [name or f"[PAD{number}]" for number, name in enumerate(names)], types


def _one_string(merge: str | list[str]) -> str:
    return merge if isinstance(merge, str) else " ".join(merge)


def _conventions(folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Special ids, and whether a text begins with one, as `lilliput.load` reads the folder."""
    settings: dict[str, Any] = {}
    for name in ("config.json", "generation_config.json", CONFIG_NAME):
        if (folder / name).is_file():
            settings.update(read_json(folder / name))
    first = settings.get("bos_token_id")
    end = settings.get("eos_token_id")
    ends = [end] if isinstance(end, int) else list(end or [tokenizer.end_of_text])
    found = {
        "bos_token_id": first if isinstance(first, int) else tokenizer.end_of_text,
        "eos_token_id": ends[0],
        "padding_token_id": tokenizer.padding,
        "add_bos_token": settings.get("add_bos_token") is not False,
    }
    return found | ({"eot_token_id": ends[1]} if len(ends) > 1 else {})
