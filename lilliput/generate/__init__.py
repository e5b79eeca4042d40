"""prompt → text: caches, the decoding loop, sampling, streaming, and the one scorer."""

from lilliput.generate.completions import Completion
from lilliput.generate.constraints import Constraint
from lilliput.generate.engine import Engine, Statistics
from lilliput.generate.language_model import LanguageModel, NextToken, load
from lilliput.generate.requests import Event, FinishReason, Request, Written
from lilliput.generate.sampling import Sampling
from lilliput.generate.scoring import DocumentScore, Target, log_probabilities

__all__ = [
    "Completion",
    "Constraint",
    "DocumentScore",
    "Engine",
    "Event",
    "FinishReason",
    "LanguageModel",
    "NextToken",
    "Request",
    "Sampling",
    "Statistics",
    "Target",
    "Written",
    "load",
    "log_probabilities",
]
