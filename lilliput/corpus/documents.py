"""The document: one text with its identity and what else is known about it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a corpus.

    `id` names it, `source` says where it came from, `metadata` holds any further columns.
    """

    id: str
    text: str
    source: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def document_id(text: str) -> str:
    """The id of a text that brings none: 16 hexadecimal digits of the BLAKE2b hash of its UTF-8.

    It depends on the text alone, so it stays when the corpus grows or moves; exact duplicates
    share it.
    """
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8).hexdigest()
