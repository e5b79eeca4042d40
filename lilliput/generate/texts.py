"""One text in the engine: how far it is, and what comes next without asking the model."""

from dataclasses import dataclass, field

import numpy as np

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
        self._add(written)
        self.force()

    def force(self) -> None:
        """Add the tokens for which a constraint leaves no choice."""
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
