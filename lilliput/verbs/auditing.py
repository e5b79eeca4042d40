"""Whether a model repeats its training text."""

from pathlib import Path
from typing import Any

import numpy as np

from lilliput.errors import UserError
from lilliput.evaluate.memorisation import MemorisationAudit, audit_memorisation
from lilliput.generate import load
from lilliput.tokens import open_tokens

_LONG_RUN = 50
"""Tokens: the run that extraction studies count as memorised (arXiv 2202.07646)."""


def audit(
    model: Path | str,
    tokens: Path | str,
    *,
    texts: int = 64,
    max_tokens: int = 200,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """How much of what a model writes stands word for word in its training tokens.

    The model writes `texts` texts from an empty prompt; as many validation documents, cut to the
    same lengths, give the share that any text of the kind has in common with the training text.
    Raises UserError if the model and the tokens have different tokenizers.
    """
    opened = open_tokens(tokens)
    writer = load(model)
    if writer.tokenizer.vocabulary_size != opened.tokenizer.vocabulary_size:
        raise UserError(f"{tokens}: made with another tokenizer than {model}'s")
    made = writer.generate("", n=texts, max_tokens=max_tokens, temperature=temperature, seed=seed)
    written = [ids for text in made if (ids := writer.tokenizer.encode(text))]
    split = opened.split("val")
    pairs = list(zip(split.document_starts, split.document_lengths, strict=True))[: len(written)]
    held_out = [
        np.asarray(split.read(int(start) + 1, int(start + min(length, max_tokens)))).tolist()
        for start, length in pairs
        if length > 1
    ]
    train = opened.split("train")
    return {
        "texts": len(written),
        **_facts("", audit_memorisation(written, train)),
        **(_facts("held_out_", audit_memorisation(held_out, train)) if held_out else {}),
    }


def _facts(prefix: str, found: MemorisationAudit) -> dict[str, Any]:
    return {
        f"{prefix}share_of_{found.ngram}_grams_found": found.share_found,
        f"{prefix}longest_run": found.longest_run,
        f"{prefix}texts_with_{_LONG_RUN}_tokens": found.share_with_run(_LONG_RUN),
    }
