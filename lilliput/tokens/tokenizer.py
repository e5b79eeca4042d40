"""The tokenizer: text to ids and back, defined by a `tokenizer.json`."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.files import hash_bytes, read_json, write_json, write_text
from lilliput.tokens.definition import BYTE_OF_LETTER, tokenizer_config
from lilliput.tokens.encoders import Encoder, Ids, choose_encoder
from lilliput.tokens.special import END_OF_TEXT, PADDING

DEFINITION_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"


class Tokenizer:
    """Text to ids and back.

    `definition` is the content of a Hugging Face `tokenizer.json`; `config` that of a
    `tokenizer_config.json`. Text is plain unless `special=True` is said: a special token spelled
    out in a document is only its characters.
    """

    def __init__(
        self, definition: Mapping[str, Any], config: Mapping[str, Any] | None = None
    ) -> None:
        self.definition = definition
        self.config = dict(config or {})
        self._encoder: Encoder | None = None
        added = definition.get("added_tokens") or []
        self.special_tokens: dict[str, int] = {
            token["content"]: token["id"] for token in added if token.get("special")
        }
        self._vocabulary = _vocabulary(definition)
        self.vocabulary_size: int = 1 + max(self._vocabulary.values())
        self.end_of_text = self._named("eos_token", END_OF_TEXT)
        self.padding = self._named("pad_token", PADDING, self.end_of_text)

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Read a `tokenizer.json` or a folder that holds one. Raises UserError if it cannot."""
        path = Path(path)
        if path.is_dir():
            path = path / DEFINITION_NAME
        definition = read_json(path)
        if not isinstance(definition, dict) or "vocab" not in (definition.get("model") or {}):
            raise UserError(f"{path}: not a tokenizer.json")
        beside = path.with_name(CONFIG_NAME)
        own_name = path.name == DEFINITION_NAME
        config = read_json(beside) if own_name and beside.is_file() else tokenizer_config()
        try:
            return cls(definition, config)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not a tokenizer.json that can be read: {error}") from None

    def save(self, folder: Path | str) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` into `folder`, each atomically."""
        self.save_definition(Path(folder) / DEFINITION_NAME)
        write_json(Path(folder) / CONFIG_NAME, self.config)

    def save_definition(self, path: Path | str) -> None:
        """Write the definition alone, as a `tokenizer.json` of any name."""
        write_text(path, self._definition_text)

    @cached_property
    def _definition_text(self) -> str:
        return json.dumps(self.definition, indent=1, ensure_ascii=False) + "\n"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the definition as `save` writes it."""
        return hash_bytes(self._definition_text.encode("utf-8"))

    # Text to ids

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The ids of one text; with `special`, special tokens spelled out in it are recognised."""
        tokenizer = self._reference_with_special if special else self._reference
        try:
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        except (UnicodeEncodeError, TypeError):
            raise UserError("the text holds half a surrogate pair: no Unicode text") from None
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text (plain), uint32, by the fastest encoder that was checked equal."""
        return self._checked_encoder().encode_batch(texts)

    @property
    def encoder_name(self) -> str:
        """The library `encode_batch` uses: gigatoken, tiktoken, tokenizers, or numpy (tables)."""
        return self._checked_encoder().name

    def check_encoder(self, samples: Sequence[str], first: str | None = None) -> str:
        """Choose the encoder again, comparing it on `samples` too; returns its name."""
        self._encoder = choose_encoder(self.definition, samples, first=first)
        return self._encoder.name

    def _checked_encoder(self) -> Encoder:
        if self._encoder is None:
            self._encoder = choose_encoder(self.definition)
        return self._encoder

    @cached_property
    def _reference(self) -> Any:
        tokenizer = self._new_reference()
        tokenizer.encode_special_tokens = True
        return tokenizer

    @cached_property
    def _reference_with_special(self) -> Any:
        return self._new_reference()

    def _new_reference(self) -> Any:
        import tokenizers

        return tokenizers.Tokenizer.from_str(self._definition_text)

    # Ids to text

    def decode(self, ids: Iterable[int], *, special: bool = False) -> str:
        """The text of `ids`; special tokens are left out unless `special`.

        Bytes that are no UTF-8 (a character cut in two) become U+FFFD.
        """
        names = self._special_names if special else {}
        table = self.bytes_of
        pieces = (names.get(number) or table[number] for number in map(int, ids))
        return b"".join(pieces).decode("utf-8", errors="replace")

    def token_bytes(self, number: int) -> bytes:
        """The UTF-8 bytes a token stands for; none for a special token."""
        return self.bytes_of[number]

    @cached_property
    def bytes_of(self) -> list[bytes]:
        """The bytes of every id, b"" for special tokens and unused ids."""
        bytes_of_token = _spelling(self.definition)
        table = [b""] * self.vocabulary_size
        for token, number in self._vocabulary.items():
            if token not in self.special_tokens:
                table[number] = bytes_of_token(token)
        return table

    @cached_property
    def token_of(self) -> list[str]:
        """The name of every id in the definition, "" for unused ids."""
        names = [""] * self.vocabulary_size
        for token, number in self._vocabulary.items():
            names[number] = token
        return names

    @cached_property
    def _special_names(self) -> dict[int, bytes]:
        return {number: token.encode("utf-8") for token, number in self.special_tokens.items()}

    def _named(self, role: str, name: str, otherwise: int | None = None) -> int:
        """The id of the special token with that role in the config, or of that name."""
        given = self.config.get(role)
        if isinstance(given, Mapping):
            given = given.get("content")
        for token in (given, name):
            if token in self._vocabulary:
                return self._vocabulary[token]
        if otherwise is None:
            raise ValueError(f"no {name} token and no {role} in {CONFIG_NAME}")
        return otherwise

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.definition, self.config)


def _vocabulary(definition: Mapping[str, Any]) -> dict[str, int]:
    listed = definition["model"]["vocab"]
    if isinstance(listed, list):  # Unigram models list (token, score)
        listed = {token: number for number, (token, _) in enumerate(listed)}
    added = {token["content"]: token["id"] for token in definition.get("added_tokens") or []}
    return {**listed, **added}


def _spelling(definition: Mapping[str, Any]) -> Callable[[str], bytes]:
    """How this definition writes a token's bytes."""
    decoder = definition.get("decoder") or {}
    stages = {stage.get("type") for stage in decoder.get("decoders", [decoder])}
    if "ByteLevel" in stages:
        return _unspell
    return _sentence_piece_bytes if stages & {"ByteFallback", "Metaspace"} else str.encode


def _unspell(token: str) -> bytes:
    """Bytes of a token in GPT-2's alphabet; an added token stands in its own characters."""
    if all(letter in BYTE_OF_LETTER for letter in token):
        return bytes(BYTE_OF_LETTER[letter] for letter in token)
    return token.encode("utf-8")


def _sentence_piece_bytes(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode("utf-8")
