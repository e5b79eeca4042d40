"""llama.cpp as an engine: the same requests and events as ours, written by its server.

A text is asked for in blocks of tokens, each a request that finds the text so far in the slot's
key-value memory; so ids come back exactly, where a stream of text would hide those of half
characters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from lilliput.errors import UserError
from lilliput.export.gguf.llama_cpp import LlamaCpp
from lilliput.generate.engine import Statistics, room_for
from lilliput.generate.requests import Event, FinishReason, Request, Written
from lilliput.generate.sampling import Sampling
from lilliput.model import ModelConfig

FIRST_BLOCK, BLOCK = 4, 32
# The order in which ours apply, and none of llama.cpp's other samplers.
_SAMPLERS = ("penalties", "temperature", "top_k", "top_p", "min_p", "typ_p")


@dataclass(frozen=True)
class _Failure:
    """What stopped a text, to be raised where the engine is stepped."""

    error: Exception


@dataclass(eq=False)
class _Work:
    """A request that waits for a slot or is being written by it."""

    ticket: int
    request: Request
    events: "SimpleQueue[Event | _Failure]"
    over: bool = False


class LlamaCppProgram:
    """llama.cpp's process with a GGUF file, and a thread for each of its `rows` slots.

    `config` is that of the model the file was made from. Close it when done.
    Raises WorkFailed if llama.cpp does not load the file.
    """

    def __init__(self, file: Path, config: ModelConfig, *, rows: int = 1, threads: int = 1) -> None:
        self.config, self.rows = config, rows
        self._program = LlamaCpp(file, config.context_length, rows=rows, threads=threads)
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        for slot in range(rows):
            Thread(target=self._serve, args=(slot,), daemon=True).start()

    def engine(
        self, end_tokens: Sequence[int], vocabulary_size: int, **options: Any
    ) -> "LlamaCppEngine":
        """An engine of its own on this process; what else `Engine` is told, llama.cpp decides."""
        return LlamaCppEngine(self, frozenset(end_tokens))

    def close(self) -> None:
        """End the process; unfinished texts bring no more events."""
        for _ in range(self.rows):
            self._waiting.put(None)
        self._program.close()

    def put(self, work: _Work) -> None:
        """Have a request written, by the next slot that is free."""
        self._waiting.put(work)

    def _serve(self, slot: int) -> None:
        while work := self._waiting.get():
            try:
                self._write(slot, work)
            except Exception as error:
                work.events.put(_Failure(error))

    def _write(self, slot: int, work: _Work) -> None:
        request, written, number = work.request, 0, 0
        ids = list(request.ids)
        room = room_for(self.config, ids)
        wanted = min(request.sampling.max_tokens, room)
        settings = _settings(request.sampling, self.config.context_length)
        while not work.over and written < wanted:
            answer = self._program.ask(
                "completion",
                prompt=ids,
                n_predict=min(BLOCK if number else FIRST_BLOCK, wanted - written),
                id_slot=slot,
                cache_prompt=True,
                return_tokens=True,
                seed=_seed(request, number),
                **settings,
            )
            tokens = answer["tokens"]
            ids += tokens
            written, number = written + len(tokens), number + 1
            finish: FinishReason | None = None
            if answer["stop_type"] == "eos":
                finish = "end"
            elif written >= wanted:
                finish = "context" if room < request.sampling.max_tokens else "length"
            work.over = work.over or finish is not None
            work.events.put(Event(work.ticket, [Written(token) for token in tokens], finish))


class LlamaCppEngine:
    """Writes requests as `Engine` does, with llama.cpp.

    Greedy text of a float32 file is ours. Sampled text is drawn by llama.cpp's own generator: the
    same for the same seed and sample, but not what our engine draws. Constraints, log-probabilities
    and alternatives are refused with a UserError.
    """

    def __init__(self, program: LlamaCppProgram, end_tokens: frozenset[int]) -> None:
        self._program, self._end_tokens = program, end_tokens
        self._tickets, self._tokens = count(), 0
        self._open: dict[int, _Work] = {}
        self._events: SimpleQueue[Event | _Failure] = SimpleQueue()

    @property
    def idle(self) -> bool:
        """Whether no request is unfinished."""
        return not self._open

    @property
    def statistics(self) -> Statistics:
        """Texts being written and waiting, and tokens written; llama.cpp tells no more."""
        rows = min(len(self._open), self._program.rows)
        return Statistics(
            rows=rows,
            waiting=len(self._open) - rows,
            cache_bytes=0,
            prefix_cache_bytes=0,
            prompt_tokens=0,
            prompt_tokens_reused=0,
            tokens=self._tokens,
        )

    def submit(self, request: Request) -> int:
        """Queue a request; gives its ticket.

        Raises UserError if the prompt is empty or leaves no room, or for what llama.cpp cannot do.
        """
        room_for(self._program.config, request.ids)
        if reason := unsupported(request):
            raise UserError(f"llama.cpp as a backend does not give {reason}: use --backend torch")
        work = _Work(next(self._tickets), request, self._events)
        self._open[work.ticket] = work
        self._program.put(work)
        return work.ticket

    def cancel(self, ticket: int, reason: FinishReason = "cancelled") -> None:
        """Forget a request; no event follows. Its slot is free after the block it is at."""
        if work := self._open.pop(ticket, None):
            work.over = True

    def step(self) -> list[Event]:
        """Wait for events and give those there are. Raises WorkFailed if llama.cpp stopped."""
        events: list[Event] = []
        while self._open and (not events or not self._events.empty()):
            event = self._events.get()
            if isinstance(event, _Failure):
                raise event.error
            if event.ticket in self._open:
                self._tokens += len(event.written)
                events.append(self._ended(event))
                if events[-1].finish:
                    self._open.pop(event.ticket).over = True
        return events

    def _ended(self, event: Event) -> Event:
        """The event up to the first token that ends a text for us, if there is one."""
        for place, written in enumerate(event.written):
            if written.id in self._end_tokens:
                return Event(event.ticket, event.written[: place + 1], "end")
        return event


def unsupported(request: Request) -> str:
    """What of a request llama.cpp does not give as a backend; empty if it gives it all."""
    if request.constraint is not None:
        return "constrained texts"
    if request.alternatives or request.log_probabilities:
        return "log-probabilities of what it writes"
    return ""


def _settings(sampling: Sampling, context_length: int) -> Mapping[str, Any]:
    return {
        "samplers": list(_SAMPLERS),
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "typical_p": sampling.typical_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_last_n": context_length,
        "logit_bias": [[token, bias] for token, bias in sampling.logit_bias.items()],
    }


def _seed(request: Request, block: int) -> int:
    """32 bits that a block of a text owns."""
    text = f"{request.seed}/{request.sample}/{block}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest(), "big")
