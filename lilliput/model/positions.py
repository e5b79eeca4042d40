"""Positions: rotary angles in their scalings, ALiBi's slopes, sinusoids."""

import math

import torch
from torch import Tensor

from lilliput.model.config import ModelConfig


def rotary_table(config: ModelConfig, positions: Tensor, *, local: bool) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of positions [..., T], float32 [..., T, 1, rope_dim].

    Half-split layout: dimension i turns together with i + rope_dim/2. RoFormer, arXiv 2104.09864.
    The sine's first half carries the minus sign. `local`: for a local layer.
    """
    lengths = text_lengths(positions) if config.rope_follows_length else None
    frequencies = rotary_frequencies(config, local=local, lengths=lengths).to(positions.device)
    angles = positions[..., None, None].float() * frequencies
    cosine, sine = angles.cos() * config.rope_magnitude, angles.sin() * config.rope_magnitude
    return torch.cat((cosine, cosine), dim=-1), torch.cat((-sine, sine), dim=-1)


def text_lengths(positions: Tensor) -> Tensor:
    """For positions [..., T] of texts that lie one after the other, how long the text of each is.

    That is the text's last position here plus 1: what else is in the row or the batch is no part of
    it, nor is what is still to come after a cache.
    """
    places = torch.arange(positions.shape[-1], device=positions.device)
    goes_on = (positions.roll(-1, dims=-1) > positions) & (places < len(places) - 1)
    ends = torch.where(goes_on, len(places), places)
    next_end = ends.flip(-1).cummin(dim=-1).values.flip(-1)
    return positions.gather(-1, next_end) + 1


def rotary_frequencies(config: ModelConfig, *, local: bool, lengths: Tensor | None) -> Tensor:
    """Radians a token of every turning pair, float32 [rope_dim / 2], after scaling.

    `lengths` [..., T]: of each token's text, where `config.rope_follows_length`; the result is then
    [..., T, 1, rope_dim / 2].
    """
    exponents = torch.arange(0, config.rope_dim, 2, dtype=torch.float32) / config.rope_dim
    if local and config.rope_local_theta is not None:
        return config.rope_local_theta**-exponents
    frequencies = config.rope_theta**-exponents
    if config.rope_scaling == "linear":
        return frequencies / config.rope_factor
    if config.rope_scaling == "llama3":
        return _llama3(config, frequencies)
    if config.rope_scaling == "yarn":
        return _yarn(config, frequencies)
    if config.rope_scaling == "longrope":
        assert lengths is not None
        short, long = (
            (frequencies / torch.tensor(factors)).to(lengths.device)
            for factors in (config.rope_short_factors, config.rope_long_factors)
        )
        beyond = lengths > config.rope_original_context
        return torch.where(beyond[..., None, None], long, short)
    if config.rope_scaling == "dynamic":
        assert lengths is not None
        return _dynamic(config, exponents.to(lengths.device), lengths)
    return frequencies


def _dynamic(config: ModelConfig, exponents: Tensor, lengths: Tensor) -> Tensor:
    """The base grows with the text's length, so that its longest wave is stretched as much as the
    text is ("dynamic NTK", arXiv 2309.00071); shortest waves stay.
    """
    original = config.rope_original_context
    stretch = config.rope_factor * lengths.clamp_min(original) / original - config.rope_factor + 1
    bases = config.rope_theta * stretch ** (config.rope_dim / (config.rope_dim - 2))
    return bases[..., None, None] ** -exponents


def _llama3(config: ModelConfig, frequencies: Tensor) -> Tensor:
    """Long waves stretched, short ones kept, a ramp between; Llama 3.1, arXiv 2407.21783."""
    turns = config.rope_original_context * frequencies / (2 * math.pi)
    low, high = config.rope_low_factor, config.rope_high_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return kept * frequencies + (1 - kept) * frequencies / config.rope_factor


def _yarn(config: ModelConfig, frequencies: Tensor) -> Tensor:
    """The ramp of YaRN, arXiv 2309.00071: linear in the dimension between two numbers of turns."""
    first = _dimension_of(config, config.rope_beta_fast)
    last = _dimension_of(config, config.rope_beta_slow)
    if config.rope_truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, config.rope_dim - 1)
    last = last + 0.001 if first == last else last
    dimension = torch.arange(config.rope_dim // 2, dtype=torch.float32)
    kept = 1 - ((dimension - first) / (last - first)).clamp(0, 1)
    return kept * frequencies + (1 - kept) * frequencies / config.rope_factor


def _dimension_of(config: ModelConfig, turns: float) -> float:
    """The dimension that makes so many turns in the original context."""
    wavelength = config.rope_original_context / (turns * 2 * math.pi)
    return config.rope_dim * math.log(wavelength) / (2 * math.log(config.rope_theta))


def yarn_magnitude(factor: float, weight: float = 1.0) -> float:
    """YaRN's factor of queries and keys for a context `factor` times as long."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def longrope_magnitude(context_length: int, original_context: int) -> float:
    """LongRoPE's factor of queries and keys."""
    factor = context_length / original_context
    return math.sqrt(1 + math.log(factor) / math.log(original_context)) if factor > 1 else 1.0


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sines and cosines of positions [..., T], float32 [..., T, width], halves side by side.

    "Attention is all you need", arXiv 1706.03762, in the layout of tensor2tensor and
    Transformer-XL.
    """
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device) / width
    angles = positions[..., None].float() * 10_000.0**-exponents
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def alibi_slopes(heads: int, scale: float) -> Tensor:
    """The slope of every head, float32 [heads]; ALiBi, arXiv 2108.12409.

    A geometric series for a power of two of heads; else that of the power below, then every other
    member of the series of the power above.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    slopes += [2 ** (-4 * (head + 1) / power) for head in range(0, 2 * (heads - power), 2)]
    return torch.tensor(slopes) * scale
