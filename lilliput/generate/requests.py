"""What the engine is asked for, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lilliput.generate.constraints.protocol import Constraint
from lilliput.generate.sampling import Sampling

FinishReason = Literal["end", "stop", "length", "context", "cancelled", "failed"]
"""An end token (or a finished constraint), a stop string, `max_tokens`, a full context, a caller
that left, a constraint that failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One text to write: the prompt's ids, and everything its text depends on."""

    ids: tuple[int, ...]
    sampling: Sampling
    seed: int
    """With `sample`, owns the draws; `sampling.seed` is not looked at."""
    sample: int = 0
    constraint: Constraint | None = None
    alternatives: int = 0
    """How many of the likeliest tokens to report at each step."""
    log_probabilities: bool = True
    """Whether log-probabilities are wanted at all; without, they are not computed and are 0."""


class Written(NamedTuple):
    """A token that was written.

    Log-probabilities are in nats and of the model's own distribution, before temperature, filters,
    penalties and constraints. A forced token's is 0: the model was not asked.
    """

    id: int
    log_probability: float = 0.0
    alternatives: tuple[tuple[int, float], ...] = ()
    """Ids and log-probabilities of the likeliest tokens, likeliest first."""
    forced: bool = False


class Event(NamedTuple):
    """What a step brought for one request; a `finish` is the last event of its ticket."""

    ticket: int
    written: Sequence[Written] = ()
    finish: FinishReason | None = None
    failure: str = ""
    """What went wrong, where `finish` is "failed"."""
