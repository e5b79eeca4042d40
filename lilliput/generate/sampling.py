"""From logits to the next token: temperature, filters, and a draw that each row owns.

Filters follow the usual order (penalties, temperature, top-k, top-p, min-p, typical), each on what
the one before left over. All work on whole batches of logits [B, V], float32.
"""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.errors import UserError

_BLOCK = 128
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
    typical_p: float = 1.0
    """Keep the tokens whose surprise is nearest the expected one, p together (2202.00666)."""
    repetition_penalty: float = 1.0
    """Makes tokens already in the text less probable when above 1 (arXiv 1909.05858)."""
    presence_penalty: float = 0.0
    """Taken off the logits of tokens that were written, the prompt's not counted."""
    frequency_penalty: float = 0.0
    """Taken off their logits once for each time they were written."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the logits of tokens by their ids."""
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
        _check("typical_p", self.typical_p, 0 < self.typical_p <= 1, "above 0 and at most 1")
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            _check(name, value, math.isfinite(value), "a number (0 has no effect)")
        object.__setattr__(self, "logit_bias", dict(self.logit_bias))
        for token, bias in self.logit_bias.items():
            _check(f"logit_bias of token {token}", bias, not math.isnan(bias), "a number")
            _check("a token of logit_bias", token, token >= 0, "the id of a token")
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


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float | Tensor) -> Tensor:
    """Divide the positive and multiply the negative logits of `seen` tokens [B, V], bool.

    `penalty` is one number or one for each row, [B, 1].
    """
    penalised = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, penalised, logits)


def keep_top_k(logits: Tensor, k: int | Tensor) -> Tensor:
    """All but the k largest logits of each row become -inf (ties with the k-th stay).

    `k` is one number or one for each row, int64 [B, 1], 1 or above.
    """
    most = k if isinstance(k, int) else int(k.max())
    size = logits.shape[-1]
    largest = logits.topk(min(most, size), dim=-1).values
    if isinstance(k, int):
        smallest = largest[..., -1:]
    else:
        smallest = largest.gather(-1, k.clamp_max(size).expand(len(logits), 1) - 1)
    return logits.masked_fill(logits < smallest, -math.inf)


def keep_top_p(logits: Tensor, p: float | Tensor) -> Tensor:
    """All but the fewest largest logits whose probabilities sum to at least p become -inf.

    Ties with the last of them stay. `p` is one number or one for each row, [B, 1].
    """
    total = logits.logsumexp(dim=-1, keepdim=True)
    shares = torch.as_tensor(p, dtype=logits.dtype, device=logits.device).expand(len(logits), 1)
    return logits.masked_fill(logits < _smallest_kept(logits, total, shares, 256), -math.inf)


def _smallest_kept(logits: Tensor, total: Tensor, p: Tensor, looked_at: int) -> Tensor:
    """The smallest logit that top-p keeps of each row [B, 1], looking at so many first.

    The largest few hold most of the probability: sorting them all is rarely needed.
    """
    size = logits.shape[-1]
    largest = logits.topk(min(looked_at, size), dim=-1).values
    probabilities = (largest - total).exp()
    kept = probabilities.cumsum(dim=-1) - probabilities < p
    count = kept.sum(dim=-1, keepdim=True).clamp_min(1)
    smallest = largest.gather(-1, count - 1)
    more = kept[:, -1]
    if looked_at < size and bool(more.any()):
        rest = _smallest_kept(logits[more], total[more], p[more], 16 * looked_at)
        smallest = smallest.masked_scatter(more[:, None], rest)
    return smallest


def keep_min_p(logits: Tensor, share: float | Tensor) -> Tensor:
    """Tokens less probable than `share` times the most probable one become -inf.

    `share` is one number or one for each row, [B, 1], above 0.
    """
    told = math.log(share) if isinstance(share, float | int) else share.log()
    return logits.masked_fill(logits < logits.amax(dim=-1, keepdim=True) + told, -math.inf)


def keep_typical(logits: Tensor, p: float | Tensor) -> Tensor:
    """All but the tokens whose surprise is nearest the entropy, p together, become -inf.

    arXiv 2202.00666. `p` is one number or one for each row, [B, 1].
    """
    scores = logits.log_softmax(dim=-1)
    probabilities = scores.exp()
    entropy = -(scores * probabilities).nansum(dim=-1, keepdim=True)
    strangeness, order = (-scores - entropy).abs().sort(dim=-1, stable=True)
    reached = probabilities.gather(-1, order).cumsum(dim=-1)
    count = (reached < p).sum(dim=-1, keepdim=True).clamp_max(logits.shape[-1] - 1)
    edge = strangeness.gather(-1, count)
    return logits.masked_fill((-scores - entropy).abs() > edge, -math.inf)


class RowSettings:
    """How each row of a batch chooses, laid out so that rows are handled together.

    One setting counts for every row of the logits.
    """

    def __init__(self, settings: Sequence[Sampling], device: torch.device | str = "cpu") -> None:
        sampled = [n for n, one in enumerate(settings) if one.temperature >= SMALLEST_TEMPERATURE]
        self.all_sampled, self.any_sampled = len(sampled) == len(settings), bool(sampled)
        drawn = [settings[n] for n in sampled]
        self.sampled_rows = sampled
        self.sampled = torch.tensor(sampled, device=device)
        self._device, self._count = device, len(drawn)
        self._temperature = self._column([one.temperature for one in drawn])
        self._plain = all(one.temperature == 1 for one in drawn)
        self._filters = [
            self._filter(keep_top_k, [one.top_k for one in drawn], 0),
            self._filter(keep_top_p, [one.top_p for one in drawn], 1),
            self._filter(keep_min_p, [one.min_p for one in drawn], 0),
            self._filter(keep_typical, [one.typical_p for one in drawn], 1),
        ]

    def filtered(self, logits: Tensor) -> Tensor:
        """Logits [S, V] of the sampled rows after temperature and filters; left out is -inf."""
        if not self._plain:
            logits = logits / self._temperature
        for one in self._filters:
            if one is None:
                continue
            rows, keep, values = one
            if rows is None:
                logits = keep(logits, values)
            else:
                logits = logits.index_copy(0, rows, keep(logits[rows], values))
        return logits

    def choose(self, logits: Tensor, uniforms: Tensor) -> Tensor:
        """The next token of each row, int64 [B], from logits [B, V] and draws [S], float64.

        Draws in [0, 1) are those of the rows in `sampled`, which do not choose the likeliest.
        """
        if not self.any_sampled:
            return logits.argmax(dim=-1)
        if self.all_sampled:
            return draw(self.filtered(logits), uniforms)
        chosen = logits.argmax(dim=-1)
        chosen[self.sampled] = draw(self.filtered(logits[self.sampled]), uniforms)
        return chosen

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self._device)[:, None]

    def _filter(
        self, keep: Callable[[Tensor, Tensor], Tensor], values: Sequence[float], off: float
    ) -> tuple[Tensor | None, Callable[[Tensor, Tensor], Tensor], Tensor] | None:
        """A filter with the rows that want it (None: all) and their values; None where none do."""
        rows = [number for number, value in enumerate(values) if value != off]
        if not rows:
            return None
        wanted = self._column([values[number] for number in rows])
        every = len(rows) == len(values)
        return None if every else torch.tensor(rows, device=self._device), keep, wanted


def filtered_logits(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits [B, V] after temperature (above 0), top-k, top-p, min-p and typical; see `Sampling`.

    The order is that of transformers; what is left out is -inf.
    """
    return RowSettings([sampling], logits.device).filtered(logits)


def choose(logits: Tensor, sampling: Sampling, uniforms: Tensor) -> Tensor:
    """The next token of each row, int64 [B], from logits [B, V] and draws [B], float64."""
    return RowSettings([sampling], logits.device).choose(logits, uniforms)


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """A token of each row, int64 [S], with the probabilities of logits [S, V], from draws [S].

    Inverts the cumulative distribution: one draw a token, whatever the filters, and no dependence
    between rows. Sums are float64, of blocks first, so that only one block is gone through.
    """
    rows, size = logits.shape
    weights = (logits - logits.amax(dim=-1, keepdim=True)).exp_()
    if missing := -size % _BLOCK:
        weights = F.pad(weights, (0, missing))
    blocks = weights.view(rows, -1, _BLOCK)
    sums = blocks.sum(dim=-1, dtype=torch.float64)
    cumulative = sums.cumsum(dim=-1)
    total = cumulative[:, -1:]
    # A point must lie below the total, or rounding could choose what was filtered out.
    points = torch.minimum(uniforms[:, None] * total, _just_below(total))
    block = torch.searchsorted(cumulative, points, right=True).clamp_max(sums.shape[1] - 1)
    before = cumulative.gather(1, block) - sums.gather(1, block)
    inside = blocks.gather(1, block[..., None].expand(-1, -1, _BLOCK)).squeeze(1)
    inside = inside.double().cumsum(dim=-1) + before
    points = torch.minimum(torch.maximum(points, before), _just_below(inside[:, -1:]))
    place = torch.searchsorted(inside, points, right=True)
    return (block * _BLOCK + place).squeeze(-1).clamp_max(size - 1)


def _just_below(numbers: Tensor) -> Tensor:
    return numbers.nextafter(torch.zeros_like(numbers))
