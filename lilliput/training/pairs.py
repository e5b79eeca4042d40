"""Training on pairs: the model is given an input, and the loss is that of the answer alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lilliput.corpus.pairs import TextPair, read_pairs, split_pairs
from lilliput.errors import UserError
from lilliput.files import hash_bytes
from lilliput.generate.framing import Framing
from lilliput.generate.language_model import LanguageModel
from lilliput.generate.sampling import Sampling
from lilliput.model import TrunkConfig
from lilliput.model.retro.config import RetroConfig
from lilliput.model.t5.config import T5Config
from lilliput.tokens import Position
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.method import ClosableBatches, HeldOut, Sample
from lilliput.training.objective import Objective, next_token
from lilliput.training.pair_batches import (
    Collate,
    Pair,
    PairBatches,
    continued_pairs,
    encoded_pairs,
)
from lilliput.training.recipe import DataSettings, Recipe
from lilliput.training.text_to_text import text_to_text

_BATCH_TOKENS = 16_384
_SCORED_PER_ANSWER = 80
"""Writing an answer takes about as long as scoring so many tokens: so many fewer are written."""
_SAMPLES = 3


@dataclass(frozen=True)
class _Example:
    """A pair as text and as ids."""

    text: TextPair
    ids: Pair


@dataclass(frozen=True)
class HeldOutPairs:
    """Pairs to validate on, those of similar length together; the first `answered` to answer."""

    examples: Sequence[_Example]
    answered: int
    collate: Collate

    @property
    def tokens(self) -> int:
        """How many tokens the answers have, each with its end."""
        return sum(len(example.ids.written) + 1 for example in self.examples)

    @property
    def bytes(self) -> int:
        """How many bytes the answers have."""
        return sum(len(example.text.answer.encode("utf-8")) for example in self.examples)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        pairs = sorted((example.ids for example in self.examples), key=_length)
        rows: list[Pair] = []
        for pair in pairs:
            if rows and (len(rows) + 1) * _length(pair) > _BATCH_TOKENS:
                yield self.collate(rows)
                rows = []
            rows.append(pair)
        if rows:
            yield self.collate(rows)


class Pairs:
    """Answers to inputs: a `Method` for encoder-decoders and for models that continue texts.

    Raises UserError if the files hold too few pairs that fit in the model's context, or the model
    retrieves.
    """

    def __init__(
        self, config: TrunkConfig, tokenizer: Tokenizer, recipe: Recipe, framing: Framing | None
    ) -> None:
        if isinstance(config, RetroConfig):
            raise UserError("data.pairs: a model that retrieves is not trained on pairs yet")
        self.tokenizer, self._settings = tokenizer, recipe.train
        encodes = isinstance(config, T5Config)
        frame = recipe.data.frame
        if frame is not None:
            framing = Framing(frame)
        self._framing = framing or Framing("{input}" if encodes else "{input}\n")
        train, held_out = _texts(recipe.data)
        self.identity = _identity(train, held_out, self._framing, tokenizer)
        self._train = self._fitting(train, config.context_length)
        self._held_out = self._fitting(held_out, config.context_length)
        for name, examples in (("train on", self._train), ("validate on", self._held_out)):
            if not examples:
                raise UserError(
                    f"{recipe.data.pairs}: no pair to {name} fits in the model's context of "
                    f"{config.context_length} tokens: shorten them, or raise model.context_length"
                )
        left_out = len(train) + len(held_out) - len(self._train) - len(self._held_out)
        self.remarks: tuple[str, ...] = (
            f"{len(self._train):,} pairs to train on, {len(self._held_out):,} held out"
            + (f"; {left_out:,} longer than the context left out" if left_out else ""),
        )
        order = np.random.default_rng(0).permutation(len(self._held_out))
        self._held_out = [self._held_out[number] for number in order]
        read = _mean(len(example.ids.read) for example in self._train)
        self.scored_tokens = _mean(len(example.ids.written) + 1 for example in self._train)
        self.row_tokens = max(1, round(read + self.scored_tokens))
        self.bytes_per_token = (
            _mean(len(example.text.answer.encode("utf-8")) for example in self._train)
            / self.scored_tokens
        )
        end, padding = tokenizer.end_of_text, tokenizer.padding
        self._objective: Objective
        self._collate: Collate
        if isinstance(config, T5Config):
            self._objective = text_to_text
            self._collate = partial(
                encoded_pairs, start=config.start_token, end=end, padding=padding
            )
            row_flops = config.flops(round(read), round(self.scored_tokens))
        else:
            self._objective = next_token
            self._collate = partial(continued_pairs, end=end, padding=padding)
            row_flops = config.flops_per_token(self.row_tokens) * self.row_tokens
        self.flops_per_token = row_flops / self.scored_tokens

    def objective(self, *, compiled: bool) -> Objective:
        """The loss of the answers. Never compiled: their lengths are too many."""
        return self._objective

    def batches(self, position: Position, batch_size: int, device: torch.device) -> ClosableBatches:
        """Pairs in a random order."""
        return PairBatches(
            [example.ids for example in self._train],
            self._collate,
            batch_size=batch_size,
            seed=self._settings.seed,
            position=position,
            device=device,
        )

    def held_out(self, most_tokens: int) -> HeldOutPairs:
        """Pairs that are not trained on."""
        chosen: list[_Example] = []
        tokens = 0
        for example in self._held_out:
            tokens += len(example.ids.written) + 1
            if chosen and tokens > most_tokens:
                break
            chosen.append(example)
        return HeldOutPairs(chosen, max(1, most_tokens // _SCORED_PER_ANSWER), self._collate)

    def measures(self, writer: LanguageModel, held_out: HeldOut) -> dict[str, float]:
        """`exact_match`: the share of answers, each the likeliest token by token, that are right.

        White space at their ends does not count.
        """
        assert isinstance(held_out, HeldOutPairs)
        asked = held_out.examples[: held_out.answered]
        answers = self._answers(writer, [example.ids for example in asked])
        right = [
            answer.strip() == example.text.answer.strip()
            for answer, example in zip(answers, asked, strict=True)
        ]
        return {"exact_match": sum(right) / len(right)}

    def samples(self, writer: LanguageModel) -> Iterator[Sample]:
        """Answers to the recipe's prompts if there are any, else to inputs that are held out."""
        prompts = [prompt for prompt in self._settings.prompts if prompt]
        if prompts:
            pairs = [Pair(self._read(prompt), ()) for prompt in prompts]
            for prompt, text in zip(prompts, self._answers(writer, pairs), strict=True):
                yield {"prompt": prompt, "text": text}
            return
        asked = self._held_out[:_SAMPLES]
        for example, text in zip(
            asked, self._answers(writer, [example.ids for example in asked]), strict=True
        ):
            input_text, expected = example.text
            yield {"prompt": input_text, "text": text, "expected": expected}

    def note(self, folder: Path) -> None:
        """How inputs are framed."""
        self._framing.save(folder)

    def _answers(self, writer: LanguageModel, pairs: Sequence[Pair]) -> list[str]:
        """What the model answers; no longer than the longest right answer, if that is known."""
        longest = max(len(pair.written) for pair in pairs)
        limit = longest + 1 if longest else self._settings.sample_tokens
        sampling = Sampling(temperature=0, max_tokens=limit)
        completions = writer.complete([pair.read for pair in pairs], sampling)
        return [completion[0].text for completion in completions]

    def _read(self, text: str) -> list[int]:
        return [self.tokenizer.end_of_text, *self.tokenizer.encode(self._framing.of(text))]

    def _fitting(self, pairs: Sequence[TextPair], context_length: int) -> list[_Example]:
        """Those that the model can read and then answer, encoded."""
        inputs = self.tokenizer.encode_batch([self._framing.of(pair.input) for pair in pairs])
        answers = self.tokenizer.encode_batch([pair.answer for pair in pairs])
        examples = []
        for text, read, written in zip(pairs, inputs, answers, strict=True):
            ids = Pair([self.tokenizer.end_of_text, *read.tolist()], written.tolist())
            if _length(ids) <= context_length:
                examples.append(_Example(text, ids))
        return examples


def _texts(data: DataSettings) -> tuple[list[TextPair], list[TextPair]]:
    """Pairs to train on and pairs held out."""
    assert data.pairs is not None
    pairs = _read_all(data.pairs, data)
    if data.held_out_pairs is not None:
        return pairs, _read_all(data.held_out_pairs, data)
    train, held_out = split_pairs(pairs, data.held_out_share)
    if not held_out:
        raise UserError(
            f"{data.pairs}: pairs with two different inputs at least are needed, as one is held "
            "out to validate on"
        )
    return train, held_out


def _read_all(path: str, data: DataSettings) -> list[TextPair]:
    pairs = read_pairs(path, input_field=data.input_field, answer_field=data.answer_field)
    found = list(pairs)
    if not found:
        raise UserError(f"{path}: holds no pair")
    return found


def _identity(
    train: Sequence[TextPair], held_out: Sequence[TextPair], framing: Framing, tokenizer: Tokenizer
) -> str:
    texts = repr((list(map(tuple, train)), list(map(tuple, held_out)), framing.frame))
    return f"{hash_bytes(texts.encode('utf-8'))} {tokenizer.hash}"


def _length(pair: Pair) -> int:
    """Tokens of a pair, with the end of its answer."""
    return len(pair.read) + len(pair.written) + 1


def _mean(numbers: Iterator[int]) -> float:
    values = list(numbers)
    return sum(values) / len(values)
