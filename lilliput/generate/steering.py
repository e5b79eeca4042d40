"""What changes the logits of some rows before they choose: penalties, biases, constraints."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lilliput.generate.sampling import Sampling, penalise_repetition
from lilliput.generate.texts import Text


class Steering:
    """The penalties, biases and constraints of a batch of texts, laid out for one call a step."""

    def __init__(
        self, texts: Sequence[Text], vocabulary_size: int, device: torch.device | str = "cpu"
    ) -> None:
        self._size, self._device = vocabulary_size, device
        settings = [text.request.sampling for text in texts]
        self._repeating = _Counts(
            texts, lambda one: one.repetition_penalty != 1, vocabulary_size, prompts=True
        )
        self._counting = _Counts(
            texts, lambda one: bool(one.presence_penalty or one.frequency_penalty), vocabulary_size
        )
        self._repetition = self._numbers(one.repetition_penalty for one in settings)
        self._presence = self._numbers(one.presence_penalty for one in settings)
        self._frequency = self._numbers(one.frequency_penalty for one in settings)
        biases = [
            (row, token, bias)
            for row, one in enumerate(settings)
            for token, bias in one.logit_bias.items()
            if token < vocabulary_size
        ]
        self._biased = self._indices(row for row, _, _ in biases)
        self._biased_tokens = self._indices(token for _, token, _ in biases)
        self._biases = self._numbers(bias for _, _, bias in biases)
        self._constrained = [
            (row, text) for row, text in enumerate(texts) if text.request.constraint is not None
        ]
        asked = self._repeating.asked or self._counting.asked
        self._idle = not (asked or biases or self._constrained)

    def steered(self, logits: Tensor) -> Tensor:
        """Logits [B, V] as the rows' settings change them; a copy where anything does.

        The order is repetition penalty, frequency and presence penalty, bias, constraint.
        """
        if self._idle:
            return logits
        logits = logits.clone()
        if self._repeating.asked:
            rows, tokens, counts = self._repeating.up_to_date(self._device)
            own = logits[rows, tokens]
            logits[rows, tokens] = penalise_repetition(own, counts > 0, self._repetition[rows])
        if self._counting.asked:
            rows, tokens, counts = self._counting.up_to_date(self._device)
            logits[rows, tokens] -= self._frequency[rows] * counts + self._presence[rows]
        if len(self._biases):
            places = self._biased, self._biased_tokens
            logits.index_put_(places, self._biases.to(logits.dtype), accumulate=True)
        self._constrain(logits)
        return logits

    def _constrain(self, logits: Tensor) -> None:
        """Make what constraints do not allow impossible, in place."""
        masks = [(row, text.allowed()) for row, text in self._constrained]
        bound = [(row, mask) for row, mask in masks if mask is not None]
        if not bound:
            return
        bits = np.zeros((len(bound), -(-self._size // 32)), dtype=np.int32)
        for place, (_, mask) in enumerate(bound):
            width = min(len(mask), bits.shape[1])
            bits[place, :width] = mask[:width]
        flags = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little", count=self._size)
        forbidden = torch.from_numpy(flags == 0).to(self._device)
        rows = self._indices(row for row, _ in bound)
        logits[rows] = logits[rows].masked_fill(forbidden, -torch.inf)

    def _indices(self, numbers: Iterable[int]) -> Tensor:
        return torch.tensor(list(numbers), dtype=torch.int64, device=self._device)

    def _numbers(self, numbers: Iterable[float]) -> Tensor:
        return torch.tensor(list(numbers), dtype=torch.float32, device=self._device)


class _Counts:
    """How often each token stands in the texts that ask for it, with their prompts or without."""

    def __init__(
        self,
        texts: Sequence[Text],
        asks: Callable[[Sampling], bool],
        vocabulary_size: int,
        *,
        prompts: bool = False,
    ) -> None:
        self._texts = [(row, one) for row, one in enumerate(texts) if asks(one.request.sampling)]
        self._size = vocabulary_size
        self._place: dict[tuple[int, int], int] = {}
        self._rows: NDArray[np.int64] = np.empty(256, dtype=np.int64)
        self._tokens: NDArray[np.int64] = np.empty(256, dtype=np.int64)
        self._counts: NDArray[np.float32] = np.empty(256, dtype=np.float32)
        self._told = [0] * len(self._texts)
        if prompts:
            for row, text in self._texts:
                self._add(row, text.request.ids, text.end_tokens)

    @property
    def asked(self) -> bool:
        """Whether any text asks."""
        return bool(self._texts)

    def up_to_date(self, device: torch.device | str) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, tokens (int64) and counts (float32) [N] of all that was said, end tokens aside."""
        for number, (row, text) in enumerate(self._texts):
            self._add(row, text.ids[self._told[number] :], text.end_tokens)
            self._told[number] = len(text.ids)
        count = len(self._place)
        rows, tokens, counts = (
            torch.from_numpy(one[:count]).to(device)
            for one in (self._rows, self._tokens, self._counts)
        )
        return rows, tokens, counts

    def _add(self, row: int, tokens: Sequence[int], end_tokens: frozenset[int]) -> None:
        for token in tokens:
            # Documents begin with the end token; penalising it would keep a text from ever ending.
            if token in end_tokens or token >= self._size:
                continue
            place = self._place.get((row, token))
            if place is None:
                self._begin(row, token)
            else:
                self._counts[place] += 1

    def _begin(self, row: int, token: int) -> None:
        """Note a token that a text says for the first time."""
        place = self._place[row, token] = len(self._place)
        if place == len(self._rows):
            self._rows = np.resize(self._rows, 2 * place)
            self._tokens = np.resize(self._tokens, 2 * place)
            self._counts = np.resize(self._counts, 2 * place)
        self._rows[place], self._tokens[place], self._counts[place] = row, token, 1
