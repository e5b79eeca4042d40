"""Bits per byte of any text under a model: the one measure that compares tokenizers."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from lilliput.errors import UserError
from lilliput.generate.language_model import LanguageModel
from lilliput.progress import progress

_DOCUMENTS_AT_ONCE = 64


@dataclass(frozen=True)
class TextMeasure:
    """How well a model predicts some documents, each from its beginning."""

    documents: int
    bytes: int
    nats: float

    @property
    def bits_per_byte(self) -> float:
        """Cross-entropy in bits per UTF-8 byte."""
        return self.nats / math.log(2) / self.bytes


def bits_per_byte(model: LanguageModel, texts: Iterable[str]) -> TextMeasure:
    """Score every document. Raises UserError if there is no text."""
    documents, text_bytes, nats = 0, 0, 0.0
    with progress("Scoring", total=None, unit="documents") as advance:
        remaining = iter(texts)
        while group := list(itertools.islice(remaining, _DOCUMENTS_AT_ONCE)):
            for score in model.score_documents(group):
                documents += 1
                text_bytes += score.bytes
                nats -= score.log_probability
            advance(len(group))
    if not text_bytes:
        raise UserError("there is no text to measure on")
    return TextMeasure(documents, text_bytes, nats)
