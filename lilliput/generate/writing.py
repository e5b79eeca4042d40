"""Writing with a model: from prompts to texts, in whichever way."""

from collections.abc import Callable, Generator, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import chain
from typing import Any, Literal, Self, TypeAlias, TypedDict, TypeVar, Unpack, overload

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.beams import beam_search
from lilliput.generate.completions import (
    Completion,
    completion_of,
    pieces_of,
    tokens_of,
    write_all,
)
from lilliput.generate.constraints import ConstraintMaker
from lilliput.generate.engine import Engine
from lilliput.generate.requests import FinishReason, Request, Written
from lilliput.generate.sampling import Sampling, fresh_seed
from lilliput.generate.speculative import ModelDrafter, OwnDrafter, Speculation
from lilliput.generate.voting import Vote, answer_by, vote
from lilliput.model import Decoder, Trunk
from lilliput.tokens.tokenizer import Tokenizer

Kind = TypeVar("Kind")
Draft: TypeAlias = "Writer | Speculation | Literal['own']"


class SamplingOptions(TypedDict, total=False):
    """The fields of `Sampling`, as keyword arguments."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[int, float]
    seed: int | None
    max_tokens: int
    stop: str | Sequence[str]


class Writer:
    """What writes with a trunk and a tokenizer: one half of `LanguageModel`."""

    decoder: Trunk
    tokenizer: Tokenizer
    beginning: tuple[int, ...]
    end_tokens: tuple[int, ...]
    make_engine: Callable[..., Any] | None = None
    """Makes the engines that write; ours if None."""

    @property
    def writing_trunk(self) -> Trunk:
        """The trunk that our engine writes with."""
        return self.decoder

    def prompt_ids(self, prompt: str) -> tuple[int, ...]:
        """The ids a prompt becomes."""
        raise NotImplementedError

    @overload
    def generate(
        self,
        prompt: str,
        *,
        into: type[Kind],
        n: int = 1,
        draft: "Draft | None" = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Kind]: ...
    @overload
    def generate(
        self,
        prompt: str,
        *,
        n: int = 1,
        best_of: int = 0,
        stream: Literal[False] = False,
        constraint: ConstraintMaker | None = None,
        draft: "Draft | None" = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[str]: ...
    @overload
    def generate(
        self,
        prompt: list[str],
        *,
        n: int = 1,
        best_of: int = 0,
        stream: Literal[False] = False,
        constraint: ConstraintMaker | None = None,
        draft: "Draft | None" = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[list[str]]: ...
    @overload
    def generate(
        self,
        prompt: str,
        *,
        stream: Literal[True],
        constraint: ConstraintMaker | None = None,
        draft: "Draft | None" = None,
        **sampling: Unpack[SamplingOptions],
    ) -> Iterator[str]: ...

    def generate(
        self,
        prompt: str | list[str],
        *,
        n: int = 1,
        best_of: int = 0,
        stream: bool = False,
        constraint: ConstraintMaker | None = None,
        into: type[Any] | None = None,
        draft: "Draft | None" = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[str] | list[list[str]] | list[Any] | Iterator[str]:
        """Continue a prompt, or each of a list of prompts, `n` times.

        Returns the n continuations (without the prompt), or a list of such lists; with
        `stream=True` (one prompt, n = 1) an iterator over pieces of text as they come. Keywords
        are the fields of `Sampling`: temperature=0.8, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0,
        repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0, logit_bias={},
        seed=None, max_tokens=200, stop=(). `best_of`: write so many and give the n that are
        likeliest a token. `constraint`: what a text may say. `into`: a pydantic model or dataclass
        of which each text becomes an instance. `draft`: a smaller model with the same tokenizer, or
        "own" for the model's own predictors of further tokens, that guesses what comes next.

        Sample i of a prompt depends on the prompt, the seed and i alone, not on the rest of the
        batch. Raises UserError on a prompt that does not fit in the context with room for one
        token, or a number that makes no sense; WorkFailed if a constraint fails amid a text
        (`complete` gives the other texts all the same).
        """
        settings = Sampling(**sampling)  # type: ignore[arg-type]
        if into is not None:
            from lilliput.generate.constraints.rules import json_schema
            from lilliput.generate.constraints.typed import schema_of

            schema = schema_of(into)
            constraint = json_schema(schema, self.tokenizer, end_tokens=self.end_tokens)
        if stream:
            if not isinstance(prompt, str) or n != 1 or best_of or into is not None:
                raise UserError("stream=True writes one text: give one prompt and n=1")
            ids = self.prompt_ids(prompt)
            return self.stream(ids, settings, constraint=constraint, draft=draft)
        prompts = [prompt] if isinstance(prompt, str) else prompt
        completions = self.complete(
            [self.prompt_ids(one) for one in prompts],
            settings,
            n=n,
            best_of=best_of,
            constraint=constraint,
            draft=draft,
        )
        for completion in chain.from_iterable(completions):
            if completion.failure:
                raise WorkFailed(completion.failure)
        texts = [[completion.text for completion in of_prompt] for of_prompt in completions]
        if into is not None:
            from lilliput.generate.constraints.typed import instance_of

            made = [[instance_of(into, text) for text in of_prompt] for of_prompt in texts]
            return made[0] if isinstance(prompt, str) else made
        return texts[0] if isinstance(prompt, str) else texts

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        n: int = 1,
        best_of: int = 0,
        constraint: ConstraintMaker | None = None,
        draft: "Draft | None" = None,
        log_probabilities: bool = False,
        alternatives: int = 0,
    ) -> list[list[Completion]]:
        """Continue each prompt, given as ids, `n` times. Raises UserError as `generate` does.

        With `log_probabilities` each completion tells those of its tokens, and of so many
        `alternatives` at each place.
        """
        if n < 1:
            raise UserError(f"n is {n}: it must be 1 or above")
        if best_of and best_of < n:
            raise UserError(f"best_of is {best_of}: it must be n ({n}) or above")
        count = best_of or n
        wanted = log_probabilities or bool(alternatives) or bool(best_of)
        requests: list[Request] = []
        for prompt in prompts:
            seed = fresh_seed() if sampling.seed is None else sampling.seed
            requests += [
                self._request(prompt, sampling, seed, sample, constraint, wanted, alternatives)
                for sample in range(count)
            ]
        if draft is None:
            written = write_all(self.engine(), requests, self.written_bytes)
        else:
            speculation = self.speculation(draft)
            written = [
                completion_of(speculation.write(one), sampling.stop, self.written_bytes)
                for one in requests
            ]
        groups = [written[start : start + count] for start in range(0, len(written), count)]
        if best_of:
            groups = [_best(group)[:n] for group in groups]
        return groups

    def stream(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        sample: int = 0,
        constraint: ConstraintMaker | None = None,
        draft: "Draft | None" = None,
        engine: Engine | None = None,
    ) -> Generator[str, None, FinishReason]:
        """Continue one prompt, given as ids, piece by piece; the generator returns why it ended.

        The pieces are those of sample number `sample` of `complete`. `engine`: one that remembers
        what it read before, and that nobody else steps meanwhile.
        """
        seed = fresh_seed() if sampling.seed is None else sampling.seed
        request = self._request(prompt, sampling, seed, sample, constraint)
        return pieces_of(
            self._tokens(request, draft, engine or self.engine()), sampling.stop, self.written_bytes
        )

    def search(
        self,
        prompt: Sequence[int],
        beams: int,
        *,
        n: int = 1,
        max_tokens: int = 200,
        length_penalty: float = 1.0,
    ) -> list[Completion]:
        """The `n` best of `beams` texts that beam search finds after a prompt, best first.

        Raises UserError as `beam_search` does.
        """
        if not 1 <= n <= beams:
            raise UserError(f"n is {n}: it must be 1 to the number of beams, {beams}")
        found = beam_search(
            self.decoder,
            prompt,
            beams,
            max_tokens=max_tokens,
            end_tokens=self.end_tokens,
            vocabulary_size=self.tokenizer.vocabulary_size,
            length_penalty=length_penalty,
        )
        return [
            completion_of(_told(beam.written, beam.finish), (), self.written_bytes)
            for beam in found[:n]
        ]

    def vote(
        self,
        prompt: str,
        answer: str | Callable[[str], str | None],
        *,
        n: int = 16,
        **sampling: Unpack[SamplingOptions],
    ) -> Vote:
        """What most of `n` texts answer (self-consistency, arXiv 2203.11171).

        `answer` reads a text's answer: a function, or a regular expression whose last match's
        group 1 (or all of it) is the answer.
        """
        answer_of = answer_by(answer) if isinstance(answer, str) else answer
        return vote(self.generate(prompt, n=n, **sampling), answer_of)

    def engine(self, **options: Any) -> Engine:
        """An engine that writes with this model; `options` are those of `Engine`."""
        make: Callable[..., Engine] = self.make_engine or partial(Engine, self.writing_trunk)
        return make(
            end_tokens=self.end_tokens,
            vocabulary_size=self.tokenizer.vocabulary_size,
            **options,
        )

    def written_by(self, make_engine: Callable[..., Any] | None) -> Self:
        """The same model, its texts written by other engines, or by ours if None.

        `make_engine` takes the keywords of `Engine` and gives what has its methods.
        """
        other = copy(self)
        other.make_engine = make_engine
        return other

    def speculation(self, draft: "Draft") -> Speculation:
        """What writes with a draft, and counts how much of it is kept.

        Raises UserError if the two cannot write together.
        """
        if isinstance(draft, Speculation):
            return draft
        size = self.tokenizer.vocabulary_size
        drafter: ModelDrafter | OwnDrafter
        if isinstance(draft, Writer):
            if draft.tokenizer.bytes_of != self.tokenizer.bytes_of:
                raise UserError("the draft model has other tokens: it needs the same tokenizer")
            drafter = ModelDrafter(draft.decoder, size)
        elif isinstance(self.decoder, Decoder):
            drafter = OwnDrafter(self.decoder, size)
        else:
            raise UserError('draft="own" needs a decoder that predicts further tokens')
        return Speculation(self.decoder, drafter, end_tokens=self.end_tokens, vocabulary_size=size)

    def written_bytes(self, token: int) -> bytes:
        """The bytes that a written token adds to a text; none for those that end it."""
        return b"" if token in self.end_tokens else self.tokenizer.bytes_of[token]

    def _tokens(
        self, request: Request, draft: "Draft | None", engine: Engine
    ) -> Generator[Written, None, FinishReason]:
        if draft is not None:
            return self.speculation(draft).write(request)
        return tokens_of(engine, engine.submit(request))

    def _request(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        seed: int,
        sample: int,
        constraint: ConstraintMaker | None,
        log_probabilities: bool = False,
        alternatives: int = 0,
    ) -> Request:
        ids = tuple(prompt)
        started = None
        if constraint is not None:
            own = (
                ids[len(self.beginning) :] if ids[: len(self.beginning)] == self.beginning else ids
            )
            started = constraint.start(ids, self.tokenizer.decode(own))
        return Request(ids, sampling, seed, sample, started, alternatives, log_probabilities)


def _best(completions: Sequence[Completion]) -> list[Completion]:
    """The likeliest a token first; those that failed last."""
    return sorted(completions, key=lambda one: (one.failure != "", -one.mean_log_probability))


def _told(
    written: Sequence[Written], finish: FinishReason
) -> Generator[Written, None, FinishReason]:
    yield from written
    return finish
