"""Writing under a rule without a model: uniform draws among the tokens that it allows."""

import numpy as np

from lilliput.generate.constraints import ConstraintMaker
from lilliput.tokens import Tokenizer

TEXTS = [
    '{"name":"Anna Bianchi","age":41,"tags":["cat","dog"],"address":{"street":"Elm Road 3"}}',
    "Once upon a time, the cat sat on the mat. The dog saw it — naïve café 😀 (0123456789).",
] * 20


def write(
    rule: ConstraintMaker, tokenizer: Tokenizer, budget: int, seed: int = 0, prompt: str = ""
) -> tuple[list[int], int]:
    """The tokens that draws write, at most `budget`, and how many were drawn, not forced."""
    constraint, random = rule.start((), prompt), np.random.default_rng(seed)
    ids: list[int] = []
    drawn = 0
    constraint.limit(budget)
    while not constraint.finished and len(ids) < budget:
        constraint.limit(budget - len(ids))
        tokens = constraint.forced()
        if not tokens:
            mask = constraint.allowed()
            assert mask is not None
            bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
            bits = bits[: tokenizer.vocabulary_size]
            assert bits.any(), "a dead end"
            tokens = [int(random.choice(np.flatnonzero(bits)))]
            drawn += 1
        for token in tokens:
            constraint.accept(token)
        ids += tokens
    assert len(ids) <= budget
    return ids, drawn
