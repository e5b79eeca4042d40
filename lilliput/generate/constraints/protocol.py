"""What the engine asks of a constraint: which tokens may come next, and when to close."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.int32]
"""One bit a token, int32 [ceil(V / 32)]: token i is bit i % 32 of word i // 32; 1 is allowed."""


class Constraint(Protocol):
    """The state of one request, made fresh for each.

    Before every step the engine calls `limit`, then `forced`; if nothing is forced, it samples
    under `allowed`. It calls `accept` for every token that it writes, forced ones too.
    """

    def allowed(self) -> Mask | None:
        """The tokens that may come next, None for all; valid until the next call of `accept`."""

    def forced(self) -> list[int]:
        """The tokens that must come next, in order: no more than the last `limit`; often none."""

    def accept(self, token: int) -> None:
        """Go on past a token that was allowed. An end token, where allowed, finishes."""

    @property
    def finished(self) -> bool:
        """Whether nothing may follow: the text is complete."""

    def limit(self, remaining: int) -> None:
        """Say how many tokens may still be written: what `allowed` leaves can close in them.

        Raises UserError at the first call if no complete text is that short.
        """


class ConstraintMaker(Protocol):
    """A rule compiled once for a tokenizer."""

    def start(self, prompt_ids: tuple[int, ...], prompt: str) -> Constraint:
        """A constraint for one completion. Raises UserError if the prompt cannot satisfy it."""
