"""From logits to the next token: temperature, filters, and a draw that each row owns.

Filters follow the usual order (repetition penalty, temperature, top-k, top-p, min-p), each on what
the one before left over. All work on whole batches of logits [B, V], float32.
"""

import math
import secrets
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lilliput.errors import UserError

SMALLEST_TEMPERATURE = 1e-6
"""Below this the division could overflow, and the most probable token is all that is left."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to choose tokens and when to stop. Raises UserError when a number makes no sense."""

    temperature: float = 0.8
    """Divides the logits; 0 always takes the most probable token."""
    top_k: int = 0
    """Keep the k most probable tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the fewest tokens whose probabilities reach p together (arXiv 1904.09751)."""
    min_p: float = 0.0
    """Keep tokens at least this share as probable as the most probable (arXiv 2407.01082)."""
    repetition_penalty: float = 1.0
    """Makes tokens already in the text less probable when above 1 (arXiv 1909.05858)."""
    seed: int | None = None
    """Same seed, same text; None draws a fresh one."""
    max_tokens: int = 200
    stop: tuple[str, ...] = ()
    """The text ends before the first of these strings."""

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", stop)
        _check("temperature", self.temperature, 0 <= self.temperature < math.inf, "0 or above")
        _check("top_k", self.top_k, self.top_k >= 0, "0 (all tokens) or above")
        _check("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1")
        _check("min_p", self.min_p, 0 <= self.min_p <= 1, "between 0 and 1")
        penalty = self.repetition_penalty
        _check("repetition_penalty", penalty, 0 < penalty < math.inf, "above 0 (1 has no effect)")
        _check("max_tokens", self.max_tokens, self.max_tokens >= 1, "1 or above")
        if self.seed is not None:
            _check("seed", self.seed, 0 <= self.seed < 1 << 64, "0 to 2^64 - 1")
        if not all(isinstance(text, str) and text for text in stop):
            raise UserError("stop holds an empty string: every stop string needs a character")


def _check(name: str, value: float, sound: bool, wanted: str) -> None:
    if not sound:
        raise UserError(f"{name} is {value}: it must be {wanted}")


def fresh_seed() -> int:
    """A seed from the operating system's randomness."""
    return secrets.randbits(63)


def uniform_draws(
    seed: int, sample: int, count: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The numbers in [0, 1) that choose a text's tokens, one a token; a pure function.

    Philox (Salmon et al. 2011) keyed by seed and sample index: any two samples are independent,
    the stream is the same on every machine, and a longer one begins with the shorter.
    """
    key = np.array([seed, sample], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Divide the positive and multiply the negative logits of `seen` tokens [B, V], bool."""
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, penalised, logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """All but the k largest logits of each row become -inf (ties with the k-th stay)."""
    if k >= logits.shape[-1]:
        return logits
    smallest = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """All but the fewest largest logits whose probabilities sum to at least p become -inf."""
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    reached = probabilities.cumsum(dim=-1) - probabilities >= p
    reached[..., 0] = False
    return logits.masked_fill(torch.zeros_like(reached).scatter(-1, order, reached), -math.inf)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Tokens less probable than `share` times the most probable one become -inf."""
    if share <= 0:
        return logits
    smallest = logits.amax(dim=-1, keepdim=True) + math.log(share)
    return logits.masked_fill(logits < smallest, -math.inf)


def filtered_logits(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits [B, V] after temperature (above 0), top-k, top-p and min-p; left out is -inf."""
    logits = logits / sampling.temperature
    if sampling.top_k:
        logits = keep_top_k(logits, sampling.top_k)
    return keep_min_p(keep_top_p(logits, sampling.top_p), sampling.min_p)


def choose(logits: Tensor, sampling: Sampling, uniforms: Tensor) -> Tensor:
    """The next token of each row, int64 [B], from logits [B, V] and draws [B], float64 in [0, 1).

    Inverts the cumulative distribution in float64: one draw a token, whatever the filters, and
    no dependence between rows.
    """
    if sampling.temperature < SMALLEST_TEMPERATURE:
        return logits.argmax(dim=-1)
    probabilities = filtered_logits(logits, sampling).softmax(dim=-1, dtype=torch.float64)
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:]
    # The draw must lie below the total, or rounding could pick a token that was filtered out.
    points = torch.minimum(uniforms[:, None] * total, total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(cumulative, points, right=True).squeeze(-1)
