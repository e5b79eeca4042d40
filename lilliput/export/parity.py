"""What an export computes beside what the model computes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lilliput.export.source import Matrix, Shape

F32_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Agreement:
    """Two tables of logits compared; `kl` is the mean divergence from the model's, in nats."""

    max_difference: float
    max_logit: float
    kl: float
    same_first_choice: float
    """Share of positions where both give the same token the highest logit."""

    @property
    def relative(self) -> float:
        """`max_difference` over the largest logit, which counts as at least 1."""
        return self.max_difference / max(1.0, self.max_logit)


class Proved(Protocol):
    """What an export's result says of its proof."""

    @property
    def bits_per_weight(self) -> float: ...
    @property
    def computation(self) -> Agreement: ...
    @property
    def model(self) -> Agreement: ...
    @property
    def bits_per_byte(self) -> tuple[float, float] | None: ...


def proof_facts(result: Proved) -> dict[str, Any]:
    """The proof as plain values, for a command to print."""
    facts: dict[str, Any] = {
        "bits_per_weight": result.bits_per_weight,
        "max_logit_difference": result.computation.max_difference,
        "kl_nats": result.model.kl,
        "same_choice": result.model.same_first_choice,
    }
    if result.bits_per_byte is not None:
        before, after = result.bits_per_byte
        facts |= {"bits_per_byte_before": before, "bits_per_byte": after}
    return facts


def compare(found: Matrix, expected: Matrix) -> Agreement:
    """Logits [T, V] of an export beside the model's own."""
    difference = float(np.abs(found - expected).max())
    log_found, log_expected = _log_softmax(found), _log_softmax(expected)
    divergence = (np.exp(log_expected) * (log_expected - log_found)).sum(axis=-1).mean()
    same = (found.argmax(axis=-1) == expected.argmax(axis=-1)).mean()
    return Agreement(
        max_difference=difference if np.isfinite(found).all() else float("inf"),
        max_logit=float(np.abs(expected).max()),
        kl=float(divergence),
        same_first_choice=float(same),
    )


def probe_ids(shape: Shape, count: int) -> list[int]:
    """`count` ids spread over the whole vocabulary, fewer if the context is shorter."""
    source = np.random.default_rng(20)
    ids = source.integers(0, shape.vocabulary_size, min(count, shape.context_length))
    return [int(number) for number in ids]


def model_logits(folder: Path, ids: list[int]) -> Matrix:
    """Our own logits [T, V] for these ids, on the CPU in float32."""
    import torch

    from lilliput.generate import load

    logits: Matrix = load(folder, device="cpu").logits(torch.tensor([ids]))[0].numpy()
    return logits


def written_ids(folder: Path, count: int) -> list[int]:
    """`count` ids that the model itself writes, sampled: what it is used on, unlike probe ids."""
    import torch

    from lilliput.generate import load

    model = load(folder, device="cpu")
    source = np.random.default_rng(21)
    ids = list(model.beginning) or [model.tokenizer.end_of_text]
    while len(ids) < min(count, model.context_length):
        logits = model.logits(torch.tensor([ids]))[0, -1:].numpy()
        shares = np.exp(_log_softmax(logits))[0]
        ids.append(int(source.choice(len(shares), p=shares / shares.sum())))
    return ids


def bits_per_byte_of(
    folder: Path, logits_of: Callable[[list[int]], Matrix], texts: Sequence[str]
) -> tuple[float, float] | None:
    """Bits per byte of the model and of the export (`logits_of`: ids [T] → [T, V]) on texts.

    Each text is cut to the context length. None if there are no texts.
    """
    import torch

    from lilliput.generate import load

    if not texts:
        return None
    model = load(folder, device="cpu")
    nats, size = np.zeros(2), 0
    for text in texts:
        ids = [*model.beginning, *model.tokenizer.encode(text)][: model.context_length]
        own = model.logits(torch.tensor([ids]))[0].numpy()
        wanted = np.array(ids[1:])
        for place, logits in enumerate((own, logits_of(ids))):
            nats[place] -= np.take_along_axis(_log_softmax(logits[:-1]), wanted[:, None], 1).sum()
        size += len(model.tokenizer.decode(ids[len(model.beginning) :]).encode())
    before, after = nats / math.log(2) / max(1, size)
    return float(before), float(after)


def _log_softmax(logits: Matrix) -> Matrix:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    log: Matrix = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log
