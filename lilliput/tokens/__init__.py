"""Documents to ids to batches: tokenizers, token shards, training and evaluation batches."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.tokens.batches import Batches, Position
    from lilliput.tokens.folder import Tokens, TokenSplit, open_tokens
    from lilliput.tokens.manifest import TokensManifest
    from lilliput.tokens.shard import tokenize_corpus
    from lilliput.tokens.tokenizer import Tokenizer
    from lilliput.tokens.trainer import suggested_vocabulary_size, train_tokenizer
    from lilliput.tokens.validation import ValidationWindows, validation_windows

# Loaded when first used: a worker that encodes has no need of torch, nor a trainer of pyarrow.
_MODULE_OF = {
    "Batches": "batches",
    "Position": "batches",
    "TokenSplit": "folder",
    "Tokenizer": "tokenizer",
    "Tokens": "folder",
    "TokensManifest": "manifest",
    "ValidationWindows": "validation",
    "open_tokens": "folder",
    "suggested_vocabulary_size": "trainer",
    "tokenize_corpus": "shard",
    "train_tokenizer": "trainer",
    "validation_windows": "validation",
}

__all__ = [
    "Batches",
    "Position",
    "TokenSplit",
    "Tokenizer",
    "Tokens",
    "TokensManifest",
    "ValidationWindows",
    "open_tokens",
    "suggested_vocabulary_size",
    "tokenize_corpus",
    "train_tokenizer",
    "validation_windows",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
