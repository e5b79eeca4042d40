"""The engine: a batch of texts that grow together, which requests join and leave at any step."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.prefixes import PrefixCache
from lilliput.generate.reading import Reading, begin_reading
from lilliput.generate.requests import Event, FinishReason, Request, Written
from lilliput.generate.sampling import RowSettings
from lilliput.generate.steering import Steering
from lilliput.generate.texts import Text
from lilliput.model import Trunk, TrunkConfig, cached_numbers
from lilliput.model.cache import piece_of
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.t5.config import T5Config

# A second CPU thread pays only where one operation lasts far longer than waking the thread, which
# on a busy machine takes a scheduler quantum each time and makes small models 10 times slower.
MULTIPLY_ADDS_WORTH_THREADS = 500_000_000
CHUNK_BESIDE_WRITING = 128
"""So many prompt tokens are read in a step on a CPU while texts are being written, twice the texts
where they are more: those should not stand still (stall-free batching, arXiv 2403.02310)."""
MANY_FORCED = 8
"""So many forced tokens more than others have are read at once, for which a row is copied twice."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What an engine holds and has done so far."""

    rows: int
    """Texts being written or read."""
    waiting: int
    cache_bytes: int
    prefix_cache_bytes: int
    prompt_tokens: int
    """Tokens of the prompts that were taken up."""
    prompt_tokens_reused: int
    """Those of them that were not read again, for an earlier text began alike."""
    tokens: int
    """Tokens written."""


class Engine:
    """Writes many texts at once with one trunk.

    `submit` puts a request in a queue; each `step` writes a token of every text in the batch and
    reads a chunk of waiting prompts. Prompts are read in caches of their own and then copied into
    the batch, where every text ends at the same column. What a request draws depends on nothing but
    itself. Not thread-safe: one thread submits, cancels and steps.

    `end_tokens` end a text. Ids from `vocabulary_size` on are never chosen. At most `most_rows`
    texts are written at a time, and fewer where their keys and values could come to more than
    `cache_bytes`; one is always served. `prefill_chunk` bounds the prompt tokens read in a step.
    `prefix_cache_bytes` are for texts that were read before: what another begins with is not read
    again.
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        end_tokens: Sequence[int],
        vocabulary_size: int,
        most_rows: int = 256,
        cache_bytes: int = 1 << 30,
        prefill_chunk: int = 512,
        prefix_cache_bytes: int = 1 << 28,
    ) -> None:
        self._trunk: Any = trunk
        self._config: TrunkConfig = trunk.config
        self._parameters: int = trunk.config.parameters
        self._device = trunk.device
        # Apple's MPS has no float64; the draw is made on the CPU there.
        on_mps = self._device.type == "mps"
        self._draw_device = torch.device("cpu") if on_mps else self._device
        self._end_tokens = frozenset(end_tokens)
        self._vocabulary_size = min(vocabulary_size, trunk.config.vocabulary_size)
        self._most_rows, self._cache_bytes = most_rows, cache_bytes
        self._whole = _reads_whole(trunk.config)
        self._prefill_chunk = prefill_chunk
        self._prefixes: PrefixCache | None = None
        if prefix_cache_bytes and not self._whole:
            self._prefixes = PrefixCache(trunk.make_cache, prefix_cache_bytes)
        self._tickets = count()
        self._waiting: deque[Text] = deque()
        self._reading: Reading | None = None
        self._texts: list[Text] = []  # one for each row of the cache
        self._starts: list[int] = []  # the column with which each row begins
        self._cache: Any = None
        self._document_starts: Tensor | None = None  # of the rows as they are; None: to be made
        self._asked: list[Text] = []  # those for whom settings and steering are laid out
        self._number_bytes = 4
        self._tokens = self._prompt_tokens = self._reused = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting, being read or being written."""
        return not (self._waiting or self._reading or self._texts)

    @property
    def statistics(self) -> Statistics:
        """What the engine holds and has done so far."""
        held = [self._cache, self._reading.cache if self._reading else None]
        return Statistics(
            rows=len(self._texts) + (len(self._reading.all_texts) if self._reading else 0),
            waiting=len(self._waiting),
            cache_bytes=sum(cache.memory_bytes for cache in held if cache is not None),
            prefix_cache_bytes=self._prefixes.memory_bytes if self._prefixes else 0,
            prompt_tokens=self._prompt_tokens,
            prompt_tokens_reused=self._reused,
            tokens=self._tokens,
        )

    def submit(self, request: Request) -> int:
        """Queue a request; gives its ticket.

        Raises UserError if the prompt is empty or leaves no room in the context, if an id is none
        of the vocabulary, or if a constraint cannot be met in the tokens there are.
        """
        room = room_for(self._config, request.ids)
        for token in (min(request.ids), max(request.ids)):
            if not 0 <= token < self._config.vocabulary_size:
                raise UserError(f"the prompt holds token {token}, which the model does not have")
        wanted = request.sampling.max_tokens
        reason: FinishReason = "length" if wanted <= room else "context"
        if request.constraint is not None:
            request.constraint.limit(min(wanted, room))
        text = Text(next(self._tickets), request, min(wanted, room), reason, self._end_tokens)
        self._waiting.append(text)
        return text.ticket

    @torch.inference_mode()
    def cancel(
        self, ticket: int, reason: FinishReason = "cancelled", *, keep: bool = False
    ) -> None:
        """Forget a request; its row is free at once. No event follows; no-op if it is finished.

        With `keep`, what was read and written is remembered for texts that go on from it.
        """
        for waiting in self._waiting:
            if waiting.ticket == ticket:
                waiting.finish = reason
                self._waiting.remove(waiting)
                return
        if self._reading and self._reading.forget(ticket):
            if not self._reading.all_texts:
                self._reading = None
            return
        for row, text in enumerate(self._texts):
            if text.ticket == ticket:
                text.finish = reason
                if keep:
                    self._keep(row)
                self._drop_row(row)
                return

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Write a token of every text in the batch, and read a chunk of prompts.

        A text whose constraint fails ends with "failed". Raises WorkFailed if the model's states
        are not finite; the texts are lost then.
        """
        states = [state for state in (self._decode(), self._read()) if state is not None]
        if not states:
            return []
        self._choose(torch.cat(states) if len(states) > 1 else states[0])
        return self._report()

    def _decode(self) -> Tensor | None:
        """Give every text its next tokens to the trunk; the state [B, D] after them."""
        texts = self._texts
        if not texts:
            return None
        self._catch_up()
        # Where all have forced tokens left, these are read together.
        time = min(len(text.pending) for text in texts)
        ids = torch.tensor([text.pending[:time] for text in texts], device=self._device)
        for text in texts:
            del text.pending[:time]
        if self._document_starts is None and any(self._starts):
            self._document_starts = torch.tensor(self._starts, device=self._device)[:, None]
        return self._hidden(ids, self._cache, self._document_starts)

    def _read(self) -> Tensor | None:
        """Read a chunk of prompts; when they are read, their texts join the batch.

        Gives the state [B, D] that predicts the first token of each text that joined.
        """
        if self._reading is None:
            self._reading = begin_reading(
                self._waiting,
                self._may_join,
                self._trunk.make_cache,
                self._prefixes,
                most_tokens=self._prefill_chunk,
                alone=not self._texts,
            )
            if self._reading is None:
                return None
            self._prompt_tokens += self._reading.tokens
            self._reused += self._reading.reused
        reading = self._reading
        width = len(reading.ids[0]) if self._whole else self._chunk() // len(reading.ids)
        ids = torch.tensor(reading.take(max(1, width)), device=self._device)
        starts = None
        if any(reading.starts):
            starts = torch.tensor(reading.starts, device=self._device)[:, None]
        hidden = self._hidden(ids, reading.cache, starts)
        if not reading.done:
            return None
        self._reading = None
        return self._join(reading, hidden)

    def _chunk(self) -> int:
        """How many prompt tokens are read in this step."""
        if not self._texts or self._device.type != "cpu":
            return self._prefill_chunk
        return min(self._prefill_chunk, max(CHUNK_BESIDE_WRITING, 2 * len(self._texts)))

    def _hidden(self, ids: Tensor, cache: Any, starts: Tensor | None) -> Tensor:
        """The last states [B, D] after ids [B, T]."""
        with decoding_threads(self._device, ids.numel() * self._parameters):
            hidden: Tensor = self._trunk.hidden(ids, cache=cache, document_starts=starts)[:, -1]
        self._number_bytes = hidden.element_size()
        return hidden

    def _may_join(self, text: Text, others: Sequence[Text]) -> bool:
        """Whether a text fits beside those in the batch and `others` about to join it."""
        together = [*self._texts, *others, text]
        if len(together) == 1:
            return True
        columns = max(len(one.request.ids) + one.room for one in together)
        numbers = len(together) * cached_numbers(self._config, columns)
        fits = numbers * self._number_bytes <= self._cache_bytes
        return fits and len(together) <= self._most_rows

    def _join(self, reading: Reading, hidden: Tensor) -> Tensor:
        """Copy what was read into the batch, for every text; the states [B, D] of their ends."""
        rows = []
        length = reading.cache.length
        for row, (prompt, texts) in enumerate(zip(reading.prompts, reading.texts, strict=True)):
            if self._prefixes is not None:
                self._prefixes.keep(prompt, reading.cache, row)
            rows += [row] * len(texts)
        if not self._texts and rows == list(range(len(reading.prompts))):
            self._cache = reading.cache
            self._starts = [length - self._columns(reading, row) for row in rows]
        else:
            if self._cache is None:
                self._cache = self._trunk.make_cache(0, length)
            for row in rows:
                self._adopt(reading.cache, row, self._columns(reading, row))
        self._document_starts = None
        for texts in reading.texts:
            self._texts += texts
            for text in texts:
                text.force()
        return hidden if len(rows) == len(hidden) else hidden[self._indices(rows)]

    def _catch_up(self) -> None:
        """Read the forced tokens of texts that have many more than others, in one go each."""
        fewest = min(len(text.pending) for text in self._texts)
        ahead = [one for one in self._texts if len(one.pending) >= fewest + MANY_FORCED]
        for text in ahead:
            row = self._texts.index(text)
            columns = self._cache.length - self._starts[row]
            cache = self._trunk.make_cache(0, columns + len(text.pending))
            cache.adopt([piece_of(self._cache, row, columns)])
            given, text.pending = text.pending[:-1], text.pending[-1:]
            self._hidden(torch.tensor([given], device=self._device), cache, None)
            self._drop_row(row)
            self._adopt(cache, 0, columns + len(given))
            self._texts.append(text)

    def _adopt(self, cache: Any, row: int, columns: int) -> None:
        """Copy the last columns of a cache's row into the batch, as its last row."""
        before = self._cache.length if self._starts else 0
        self._cache.adopt([piece_of(cache, row, columns)])
        if grown := self._cache.length - before:
            self._starts = [start + grown for start in self._starts]
        self._starts.append(self._cache.length - columns)
        self._document_starts = None

    @staticmethod
    def _columns(reading: Reading, row: int) -> int:
        """How many columns a prompt takes; one that an encoder read takes but the first."""
        length: int = reading.cache.length
        return min(len(reading.prompts[row]), length)

    def _choose(self, hidden: Tensor) -> None:
        """The next token of every text that has no forced one left, from states [B, D]."""
        rows = [n for n, one in enumerate(self._texts) if not (one.pending or one.finish)]
        if not rows:
            return
        texts = self._texts
        if len(rows) < len(texts):
            texts, hidden = [texts[row] for row in rows], hidden[self._indices(rows)]
        if texts != self._asked:
            self._settings = RowSettings([one.request.sampling for one in texts], self._draw_device)
            self._steering = Steering(texts, self._vocabulary_size, self._draw_device)
            self._asked = list(texts)
        with decoding_threads(self._device, hidden.numel() * self._config.vocabulary_size):
            logits = self._trunk.logits_of(hidden)[:, : self._vocabulary_size]
            logits = logits.to(self._draw_device)
            chosen = self._settings.choose(self._steering.steered(logits), self._draws())
        sound = hidden.isfinite().all(dim=-1).to(self._draw_device)
        tokens = torch.where(sound, chosen, -1).tolist()
        if min(tokens) < 0:
            raise WorkFailed("the model's logits are not finite: its weights are damaged")
        for text, written in zip(texts, _told(logits, chosen, tokens, texts), strict=True):
            text.write(written)

    def _draws(self) -> Tensor:
        """The numbers in [0, 1) that choose, of the texts that do not take the likeliest token."""
        draws = [self._asked[row].draw for row in self._settings.sampled_rows]
        return torch.tensor(draws, dtype=torch.float64, device=self._draw_device)

    def _report(self) -> list[Event]:
        """Tell what was written, and drop the rows that are finished."""
        events, finished = [], []
        for row, text in enumerate(self._texts):
            if text.news or text.finish:
                events.append(Event(text.ticket, text.news, text.finish, text.failure))
                self._tokens += len(text.news)
                text.news = []
            if text.finish:
                finished.append(row)
        for row in reversed(finished):
            self._keep(row)
            self._drop_row(row)
        return events

    def _keep(self, row: int) -> None:
        """Remember a finished text for those that go on from it."""
        if self._prefixes is None:
            return
        text = self._texts[row]
        ids = (*text.request.ids, *text.ids)
        self._prefixes.keep(ids[: len(ids) - len(text.pending)], self._cache, row)

    def _drop_row(self, row: int) -> None:
        """Take a row out of the batch; the last takes its place."""
        self._texts[row], self._starts[row] = self._texts[-1], self._starts[-1]
        self._texts.pop()
        self._starts.pop()
        self._document_starts = None
        if not self._texts:
            self._cache = None
            return
        self._cache.drop_row(row)
        if unused := min(self._starts):
            self._cache.drop_first(unused)
            self._starts = [start - unused for start in self._starts]

    def _indices(self, rows: Sequence[int]) -> Tensor:
        return torch.tensor(rows, dtype=torch.int64, device=self._device)


def room_for(config: TrunkConfig, ids: Sequence[int]) -> int:
    """How many tokens may follow these in the context. Raises UserError if none."""
    if not ids:
        raise UserError("the prompt holds no token: give it some text")
    room: int = config.context_length - len(ids)
    if room < 1:
        raise UserError(
            f"the prompt is {len(ids)} tokens long and the model's context holds "
            f"{config.context_length}, of which one must be left for the answer: shorten it"
        )
    return room


@contextmanager
def decoding_threads(device: torch.device, multiply_adds: int) -> Iterator[None]:
    """Do so much work with one CPU thread where more would not pay, then as before."""
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu" or multiply_adds >= MULTIPLY_ADDS_WORTH_THREADS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _reads_whole(config: TrunkConfig) -> bool:
    """Whether a prompt must be read in one go."""
    if isinstance(config, T5Config):  # its encoder looks at the whole
        return True
    # Such rotary scalings turn keys by how long the text is when they are made.
    return not isinstance(config, MambaConfig) and config.rope_follows_length


def _told(
    logits: Tensor, chosen: Tensor, tokens: Sequence[int], texts: Sequence[Text]
) -> list[Written]:
    """The chosen tokens of rows of logits [B, V], with the log-probabilities asked for."""
    asked = [row for row, text in enumerate(texts) if text.request.log_probabilities]
    told = [Written(token) for token in tokens]
    if not asked:
        return told
    if len(asked) < len(texts):
        rows = torch.tensor(asked, device=logits.device)
        logits, chosen = logits[rows], chosen[rows]
    total = logits.logsumexp(dim=-1, keepdim=True)
    own = (logits.gather(-1, chosen[:, None]) - total)[:, 0].tolist()
    most = min(max(texts[row].request.alternatives for row in asked), logits.shape[-1])
    best = logits.topk(most, dim=-1) if most else None
    ids = best.indices.tolist() if best else [()] * len(asked)
    scores = (best.values - total).tolist() if best else [()] * len(asked)
    for place, row in enumerate(asked):
        wanted = texts[row].request.alternatives
        pairs = zip(ids[place][:wanted], scores[place][:wanted], strict=True)
        told[row] = Written(tokens[row], own[place], tuple(pairs))
    return told
