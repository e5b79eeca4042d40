"""Texts cut into tokens by several tokenizers: the data of the tokenizer page."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from lilliput.errors import UserError
from lilliput.serve.served_model import ServedModel
from lilliput.serve.studio.merge_tree import Merged, Merger
from lilliput.tokens import Tokenizer
from lilliput.tokens.published import published_tokenizer

tokenizers = APIRouter()

_PUBLISHED = {"gpt2": "GPT-2", "gpt4": "GPT-4"}
_MOST_CHARACTERS = 20_000
_LONGEST_WORD = 200


class TextToCut(BaseModel):
    """A text for all tokenizers."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(max_length=_MOST_CHARACTERS)]
    special: bool = False


class WordToBuild(BaseModel):
    """A word for one tokenizer, named as in the answer to TextToCut."""

    model_config = ConfigDict(extra="forbid")
    tokenizer: str
    word: Annotated[str, Field(max_length=_LONGEST_WORD)]


@tokenizers.post("/studio/data/tokens")
def cut(order: TextToCut, request: Request) -> dict[str, Any]:
    """The tokens of a text, by every tokenizer there is."""
    size = len(_utf8(order.text))
    found = _tokenizers(request)
    return {
        "bytes": size,
        "characters": len(order.text),
        "missing": [label for label in _PUBLISHED.values() if label not in found],
        "tokenizers": [
            _cut(name, tokenizer, order.text, order.special) for name, tokenizer in found.items()
        ],
    }


@tokenizers.post("/studio/data/merges")
def merges(order: WordToBuild, request: Request) -> dict[str, Any]:
    """The merges that build each piece of a word."""
    found = _tokenizers(request)
    if order.tokenizer not in found:
        raise UserError(f"no tokenizer is called {order.tokenizer!r}")
    _utf8(order.word)
    tokenizer = found[order.tokenizer]
    try:
        merger = _merger(tokenizer)
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{order.tokenizer} builds no words by merging bytes: there is no tree to show"
        ) from None
    return {
        "pieces": [
            {"text": piece, "trees": [_values(tree, tokenizer) for tree in merger.trees(piece)]}
            for piece in merger.pieces(order.word)
        ]
    }


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError("the text holds half a surrogate pair: no Unicode text") from None


def _tokenizers(request: Request) -> dict[str, Tokenizer]:
    """The served models' own, each once, then the published ones that this machine has."""
    models: Mapping[str, ServedModel] = request.app.state.models
    own: dict[str, tuple[str, Tokenizer]] = {}
    for name, served in models.items():
        own.setdefault(served.model.tokenizer.hash, (name, served.model.tokenizer))
    found = dict(own.values())
    for name, label in _PUBLISHED.items():
        tokenizer = _published(name)
        if tokenizer is not None:
            found[label] = tokenizer
    return found


@lru_cache
def _published(name: str) -> Tokenizer | None:
    return published_tokenizer(name, offline=True)


@lru_cache(maxsize=8)
def _merger(tokenizer: Tokenizer) -> Merger:
    return Merger(tokenizer)


def _cut(name: str, tokenizer: Tokenizer, text: str, special: bool) -> dict[str, Any]:
    names = {number: token for token, number in tokenizer.special_tokens.items()}
    return {
        "name": name,
        "vocabulary_size": tokenizer.vocabulary_size,
        "tokens": [
            {"id": token, "special": names[token]}
            if token in names
            else {"id": token, "bytes": tokenizer.bytes_of[token].hex()}
            for token in tokenizer.encode(text, special=special)
        ],
    }


def _values(tree: Merged, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "bytes": tree.content.hex(),
        "id": _id_of(tokenizer).get(tree.content),
        "rank": tree.rank,
        "parts": [_values(part, tokenizer) for part in tree.parts],
    }


@lru_cache(maxsize=8)
def _id_of(tokenizer: Tokenizer) -> dict[bytes, int]:
    return {content: number for number, content in enumerate(tokenizer.bytes_of) if content}
