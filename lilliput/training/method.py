"""What a run trains on and towards: a new way of training is a new one of these."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from lilliput.generate.language_model import LanguageModel
from lilliput.tokens import Position
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.loop import BatchSource
from lilliput.training.objective import Objective

Sample = dict[str, str]
"""`prompt` and `text`, and `expected` where it is known what the text should be."""


class ClosableBatches(BatchSource, Protocol):
    """Batches from something that is to be closed."""

    def close(self) -> None:
        """Free what it holds."""


class HeldOut(Protocol):
    """Batches to validate on, each scored target once: as `objective` takes them, on the CPU.

    `tokens` are the targets and `bytes` those of the UTF-8 text they stand for. Where a batch
    scores some of them only, the bytes count in proportion.
    """

    @property
    def tokens(self) -> int:
        """How many targets there are."""

    @property
    def bytes(self) -> int:
        """How many bytes of text they stand for."""

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """The batches."""


class Method(Protocol):
    """A way of training one model, as the run asks for it.

    Its plain numbers are known before anything heavy is opened, for `lilliput plan`.
    """

    row_tokens: int
    """Tokens that a row of a batch takes, on average."""
    scored_tokens: float
    """How many of them are scored."""
    flops_per_token: float
    """Training FLOPs, forward and backward, a scored token."""
    remarks: tuple[str, ...]
    """What the user should know of the data, for the run's first lines."""

    @property
    def tokenizer(self) -> Tokenizer:
        """What the model's ids mean."""

    @property
    def identity(self) -> str:
        """Changes when the data does."""

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text that a scored token stands for."""

    def objective(self, *, compiled: bool) -> Objective:
        """What a batch's loss is, with torch.compile if asked for and there is something to."""

    def batches(self, position: Position, batch_size: int, device: torch.device) -> ClosableBatches:
        """Batches of so many rows, from `position` on."""

    def held_out(self, most_tokens: int) -> HeldOut:
        """What to validate on: about `most_tokens` scored tokens, always the same."""

    def measures(self, writer: LanguageModel, held_out: HeldOut) -> dict[str, float]:
        """What is measured of the text that a model writes, by name; each from 0 to 1."""

    def samples(self, writer: LanguageModel) -> Iterator[Sample]:
        """What the model writes now."""

    def note(self, folder: Path) -> None:
        """Leave in the model folder what a user of the model must know of its training."""
