"""One text in the engine: how far it is, and what comes next without asking the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from lilliput.errors import WorkFailed
from lilliput.generate.constraints.protocol import Mask
from lilliput.generate.requests import FinishReason, Request, Written
from lilliput.generate.sampling import SMALLEST_TEMPERATURE, uniform_draws


@dataclass(eq=False)
class Text:
    """A request and what has been written for it."""

    ticket: int
    request: Request
    room: int
    """How many tokens may be written."""
    room_reason: FinishReason
    """Why there are no more."""
    end_tokens: frozenset[int]
    ids: list[int] = field(default_factory=list)
    """What is written."""
    pending: list[int] = field(default_factory=list)
    """The last of `ids`, not yet given to the trunk."""
    news: list[Written] = field(default_factory=list)
    """What was written since it was last told."""
    finish: FinishReason | None = None
    failure: str = ""
    """What went wrong, where `finish` is "failed"."""
    _draws: "np.ndarray[tuple[int], np.dtype[np.float64]] | None" = None

    @property
    def draw(self) -> float:
        """The number in [0, 1) that chooses the next token; 0 where there is no choice."""
        if self.request.sampling.temperature < SMALLEST_TEMPERATURE:
            return 0.0
        if self._draws is None:
            self._draws = uniform_draws(self.request.seed, self.request.sample, self.room)
        return float(self._draws[len(self.ids)])

    def write(self, written: Written) -> None:
        """Add the token that was chosen, and those that then must follow."""
        if self.finish is None:
            with self._own_failures():
                self._add(written)
        self.force()

    def allowed(self) -> "Mask | None":
        """What the constraint lets come next; None where there is no bound, or it failed."""
        constraint = self.request.constraint
        if constraint is not None and self.finish is None:
            with self._own_failures():
                return constraint.allowed()
        return None

    def force(self) -> None:
        """Add the tokens for which a constraint leaves no choice."""
        with self._own_failures():
            self._force()

    @contextmanager
    def _own_failures(self) -> Iterator[None]:
        """A constraint that fails ends this text and no other."""
        try:
            yield
        except WorkFailed as error:
            self.finish, self.failure = "failed", str(error)

    def _force(self) -> None:
        constraint = self.request.constraint
        while constraint is not None and self.finish is None:
            if constraint.finished:
                self.finish = "end"
                return
            constraint.limit(self.room - len(self.ids))
            forced = constraint.forced()
            for token in forced:
                if self.finish is None:
                    self._add(Written(token, forced=True))
            if not forced:
                return

    def _add(self, written: Written) -> None:
        token = written.id
        self.ids.append(token)
        self.pending.append(token)
        self.news.append(written)
        if self.request.constraint is not None:
            self.request.constraint.accept(token)
        if token in self.end_tokens:
            self.finish = "end"
        elif len(self.ids) == self.room:
            done = self.request.constraint is not None and self.request.constraint.finished
            self.finish = "end" if done else self.room_reason
