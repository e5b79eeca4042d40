"""Training on windows of a text: its next tokens, its gaps, or its next tokens with neighbours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from lilliput.generate.language_model import LanguageModel
from lilliput.generate.retrieval import index_of, note_tokens
from lilliput.model import TrunkConfig
from lilliput.model.retro.config import RetroConfig
from lilliput.model.t5.config import T5Config
from lilliput.tokens import Batches, Position, Tokens, ValidationWindows, validation_windows
from lilliput.tokens.neighbours import LeakageControl, NeighbourIndex
from lilliput.tokens.span_corruption import corrupt_rows, corrupted_lengths
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.method import ClosableBatches, HeldOut, Sample
from lilliput.training.objective import Objective, compiled_next_token, next_token
from lilliput.training.recipe import Recipe
from lilliput.training.retrieval import (
    RetrievedBatches,
    neighbours_of_rows,
    retrieved_next_token,
)
from lilliput.training.text_to_text import CorruptedBatches, span_corruption, text_to_text


def windows_for(config: TrunkConfig, tokens: Tokens, recipe: Recipe, *, fitted: bool) -> "Windows":
    """Span corruption for encoder-decoders (arXiv 1910.10683), the next token for all others.

    With the neighbours of the tokens' training split where the model retrieves; `fitted` if only
    retrieval is trained.
    """
    if isinstance(config, T5Config):
        return CorruptedWindows(config, tokens, recipe)
    if isinstance(config, RetroConfig):
        return RetrievedWindows(config, tokens, recipe, fitted=fitted)
    return Windows(config, tokens, recipe)


@dataclass(frozen=True)
class HeldOutWindows:
    """Validation windows, made into batches of the objective."""

    windows: ValidationWindows
    made: Callable[[Tensor, Tensor], tuple[Tensor, ...]]

    @property
    def tokens(self) -> int:
        """How many targets there are."""
        return self.windows.tokens

    @property
    def bytes(self) -> int:
        """How many bytes of text they stand for."""
        return self.windows.bytes

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for inputs, targets in self.windows:
            yield self.made(inputs, targets)


class Windows:
    """The next token of every window: a `Method`."""

    remarks: tuple[str, ...] = ()

    def __init__(self, config: TrunkConfig, tokens: Tokens, recipe: Recipe) -> None:
        self.tokens, self._recipe = tokens, recipe
        self._time = config.context_length
        self.row_tokens, self.scored_tokens = self._time, float(self._time)
        self.flops_per_token = config.flops_per_token()

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the tokens."""
        return self.tokens.tokenizer

    @property
    def identity(self) -> str:
        """Hashes of corpus and tokenizer."""
        manifest = self.tokens.manifest
        return f"{manifest.corpus_hash} {manifest.tokenizer_hash}"

    @cached_property
    def bytes_per_token(self) -> float:
        """Of the training split."""
        split = self.tokens.split("train")
        return split.bytes / max(1, split.tokens)

    def objective(self, *, compiled: bool) -> Objective:
        """The loss of every next token."""
        return compiled_next_token() if compiled else next_token

    def batches(self, position: Position, batch_size: int, device: torch.device) -> ClosableBatches:
        """Windows of the training split."""
        data = self._recipe.data
        plain = Batches(
            self.tokens.split("train"),
            context_length=self._time,
            batch_size=batch_size,
            seed=self._recipe.train.seed,
            align=data.align,
            across_documents=data.across_documents,
            position=position,
            device=device,
        )
        return self._made(plain, device)

    def held_out(self, most_tokens: int) -> HeldOut:
        """Windows of the validation split."""
        windows = validation_windows(self.tokens.split("val"), self._time, most_tokens)
        return HeldOutWindows(windows, self._made_of_held_out)

    def measures(self, writer: LanguageModel, held_out: HeldOut) -> dict[str, float]:
        """Nothing but the loss."""
        return {}

    def samples(self, writer: LanguageModel) -> Iterator[Sample]:
        """What follows each prompt of the recipe."""
        settings = self._recipe.train
        for index, prompt in enumerate(settings.prompts):
            text = writer.generate(
                prompt,
                max_tokens=settings.sample_tokens,
                temperature=0.8,
                seed=settings.seed + index,
            )[0]
            yield {"prompt": prompt, "text": text}

    def note(self, folder: Path) -> None:
        """Nothing."""

    def _made(self, plain: Batches, device: torch.device) -> ClosableBatches:
        """Batches of the objective, of plain ones."""
        return plain

    def _made_of_held_out(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        """A batch of the objective, of a validation window batch."""
        return inputs, targets


class CorruptedWindows(Windows):
    """The gaps cut into every window, for an encoder-decoder."""

    def __init__(self, config: T5Config, tokens: Tokens, recipe: Recipe) -> None:
        super().__init__(config, tokens, recipe)
        self._end = tokens.manifest.end_of_text
        self._settings = span_corruption(config, self._end)
        self.scored_tokens = float(corrupted_lengths(max(2, self._time))[1])

    def objective(self, *, compiled: bool) -> Objective:
        """The loss of every token of the gaps and their markers."""
        return text_to_text

    def _made(self, plain: Batches, device: torch.device) -> ClosableBatches:
        seed = self._recipe.train.seed
        return CorruptedBatches(plain, self._settings, seed=seed, device=device)

    def _made_of_held_out(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        windows = torch.where(targets == -100, self._end, inputs).numpy()
        parts = corrupt_rows(windows, self._settings, [(row,) for row in range(len(windows))])
        return tuple(map(torch.from_numpy, parts))


class RetrievedWindows(Windows):
    """The next token of every window, its chunks' neighbours given."""

    def __init__(
        self, config: RetroConfig, tokens: Tokens, recipe: Recipe, *, fitted: bool
    ) -> None:
        super().__init__(config, tokens, recipe)
        self._config = config
        if fitted:
            self.flops_per_token = config.fitting_flops_per_token

    def objective(self, *, compiled: bool) -> Objective:
        """The loss of every next token, given the neighbours."""
        return retrieved_next_token

    def note(self, folder: Path) -> None:
        """Where the neighbours are."""
        note_tokens(folder, self.tokens.folder)

    @cached_property
    def _index(self) -> NeighbourIndex:
        return index_of(self.tokens, self._config.chunk_length)

    def _made(self, plain: Batches, device: torch.device) -> ClosableBatches:
        seed, align = self._recipe.train.seed, self._recipe.data.align
        return RetrievedBatches(
            plain, self._index, self._config, seed=seed, align=align, device=device
        )

    def _made_of_held_out(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        found = neighbours_of_rows(
            self._index, inputs.numpy(), targets.numpy(), None, None,
            count=self._config.n_neighbours, control=LeakageControl(),
        )  # fmt: skip
        return inputs, targets, torch.from_numpy(found)
