"""GGUF's `tokenizer.ggml.*` → `tokenizer.json` and `tokenizer_config.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lilliput.errors import UserError
from lilliput.export.gguf.file import GgufFile, checked
from lilliput.export.gguf.sentencepiece import sentencepiece_model, sentencepiece_stages
from lilliput.export.gguf.splits import begins_texts, byte_level, split_of_name
from lilliput.export.gguf.tokenizer import (
    BYTE,
    CONTROL,
    NORMAL,
    TOKENIZER_PREFIX,
    UNKNOWN,
    UNUSED,
)
from lilliput.tokens.tokenizer import Tokenizer

_ROLES = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"}
_SECOND_END = "eot"
_BYTE_LEVEL, _SENTENCEPIECE = "gpt2", "llama"


@dataclass(frozen=True)
class _Vocabulary:
    """Names and types by id; `tokens` leaves out ids that stand for nothing."""

    names: list[str]
    types: list[int]
    tokens: dict[str, int]

    @property
    def added(self) -> list[dict[str, Any]]:
        """The tokens that are matched before any merging."""
        return [
            {
                "id": number,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": self.types[number] in (CONTROL, UNKNOWN),
            }
            for name, number in self.tokens.items()
            if self.types[number] not in (NORMAL, BYTE)
        ]


def tokenizer_files(file: GgufFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of tokenizer.json and tokenizer_config.json. Raises UserError: why not."""
    kind = file.metadata.get(f"{TOKENIZER_PREFIX}model")
    readers = {_BYTE_LEVEL: _byte_level_parts, _SENTENCEPIECE: _sentencepiece_parts}
    if kind not in readers:
        raise UserError(
            f"{file.path}: its tokenizer is of the kind {kind!r}; byte-level BPE ('gpt2') and "
            "SentencePiece BPE ('llama') are read"
        )
    vocabulary = _vocabulary(file)
    try:
        parts = readers[kind](file, vocabulary)
    except ValueError as reason:
        raise UserError(f"{file.path}: {reason}") from None
    definition = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": vocabulary.added,
        "post_processor": None,
        **parts,
    }
    config = _config(file, vocabulary.names)
    try:
        Tokenizer(definition, config).encode("A text.")
    except Exception as error:  # the tokenizers library raises nothing more precise
        raise UserError(f"{file.path}: its tokenizer does not work: {error}") from None
    return definition, config


def special_ids(file: GgufFile) -> dict[str, Any]:
    """bos, eos and pad as config.json and generation_config.json name them; eos may be a list."""
    metadata = file.metadata
    ids = {
        f"{role}_token_id": metadata.get(f"{TOKENIZER_PREFIX}{name}_token_id")
        for role, name in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    turn = metadata.get(f"{TOKENIZER_PREFIX}{_SECOND_END}_token_id")
    if turn is not None and turn != ids["eos_token_id"]:
        ids["eos_token_id"] = [ids["eos_token_id"], turn]
    return {name: value for name, value in ids.items() if value is not None}


def _vocabulary(file: GgufFile) -> _Vocabulary:
    where = file.path
    names = _list_of(file, "tokens", str)
    types = [NORMAL] * len(names)
    if f"{TOKENIZER_PREFIX}token_type" in file.metadata:
        types = _list_of(file, "token_type", int)
    if len(types) != len(names):
        raise UserError(f"{where}: {len(types)} token types for {len(names)} tokens")
    kept = [(name, number) for number, name in enumerate(names) if types[number] != UNUSED]
    if len(dict(kept)) != len(kept):
        raise UserError(f"{where}: a token stands twice in its vocabulary")
    return _Vocabulary(names, types, dict(kept))


def _byte_level_parts(file: GgufFile, vocabulary: _Vocabulary) -> dict[str, Any]:
    """What is peculiar to byte-level BPE. Raises ValueError if its way to cut is not known."""
    stages, ignore_merges = split_of_name(file.metadata.get(f"{TOKENIZER_PREFIX}pre"))
    merges = _list_of(file, "merges", str)
    _check_merges(merges, vocabulary.tokens)
    several = {"type": "Sequence", "pretokenizers": stages}
    return {
        "normalizer": None,
        "pre_tokenizer": stages[0] if len(stages) == 1 else several,
        "decoder": byte_level(),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": ignore_merges,
            "vocab": vocabulary.tokens,
            "merges": merges,
        },
    }


def _sentencepiece_parts(file: GgufFile, vocabulary: _Vocabulary) -> dict[str, Any]:
    """What is peculiar to SentencePiece BPE. Raises ValueError if it is not whole."""
    scores = _list_of(file, "scores", float)
    if len(scores) != len(vocabulary.names):
        raise ValueError(f"{len(scores)} scores for {len(vocabulary.names)} tokens")
    unknown = [
        name for name, number in vocabulary.tokens.items() if vocabulary.types[number] == UNKNOWN
    ]
    mergeable = {
        name for name, number in vocabulary.tokens.items() if vocabulary.types[number] == NORMAL
    }
    space_first = file.metadata.get(f"{TOKENIZER_PREFIX}add_space_prefix", True) is not False
    first_unknown = unknown[0] if unknown else None
    return {
        **sentencepiece_stages(space_first=space_first),
        "model": sentencepiece_model(vocabulary.tokens, scores, mergeable, first_unknown),
    }


def _list_of(file: GgufFile, name: str, kind: type) -> list[Any]:
    values: list[Any] = checked(file.metadata, TOKENIZER_PREFIX + name, list, file.path)
    if not values or not all(type(value) is kind for value in values):
        raise UserError(f"{file.path}: {TOKENIZER_PREFIX}{name} is not a list of {kind.__name__}")
    return values


def _check_merges(merges: list[str], vocabulary: Mapping[str, int]) -> None:
    for merge in merges:
        left, _, right = merge.partition(" ")
        if not right or not {left, right, left + right} <= vocabulary.keys():
            raise ValueError(f"its merge {merge!r} is not of tokens in its vocabulary")


def _config(file: GgufFile, names: list[str]) -> dict[str, Any]:
    metadata = file.metadata
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    for name, role in {**_ROLES, _SECOND_END: None}.items():
        number = metadata.get(f"{TOKENIZER_PREFIX}{name}_token_id")
        if number is None:
            continue
        if not isinstance(number, int) or not 0 <= number < len(names):
            key = f"{TOKENIZER_PREFIX}{name}_token_id"
            raise UserError(f"{file.path}: {key} is {number!r}: no token")
        if role is not None:
            config[role] = names[number]
    sentencepiece = metadata.get(f"{TOKENIZER_PREFIX}model") == _SENTENCEPIECE
    default = sentencepiece or begins_texts(metadata.get(f"{TOKENIZER_PREFIX}pre"))
    begins = metadata.get(f"{TOKENIZER_PREFIX}add_bos_token", default)
    config["add_bos_token"] = bool(begins)
    length = metadata.get(f"{file.architecture}.context_length")
    if isinstance(length, int):
        config["model_max_length"] = length
    template = metadata.get("tokenizer.chat_template")
    return config | ({"chat_template": template} if isinstance(template, str) else {})
