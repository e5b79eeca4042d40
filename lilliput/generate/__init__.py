"""prompt → text: caches, the decoding loop, sampling, streaming, and the one scorer."""

from lilliput.generate.engine import Generation, Request
from lilliput.generate.language_model import Completion, LanguageModel, NextToken, load
from lilliput.generate.sampling import Sampling
from lilliput.generate.scoring import DocumentScore, Target, log_probabilities

__all__ = [
    "Completion",
    "DocumentScore",
    "Generation",
    "LanguageModel",
    "NextToken",
    "Request",
    "Sampling",
    "Target",
    "load",
    "log_probabilities",
]
