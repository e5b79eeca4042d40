"""What a person and a model write in turns: the state behind `lilliput chat`."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lilliput.errors import UserError
from lilliput.generate.candidates import Candidate, candidates
from lilliput.generate.completions import tokens_of
from lilliput.generate.engine import Engine, room_for
from lilliput.generate.language_model import LanguageModel
from lilliput.generate.requests import FinishReason, Request, Written
from lilliput.generate.sampling import Sampling, fresh_seed
from lilliput.generate.scoring import Target, log_probabilities
from lilliput.generate.streaming import CompletionText
from lilliput.generate.turn_prompts import (
    Exchange,
    Mode,
    TurnForm,
    TurnPrompt,
    fitting_mode,
    text_of,
    turn_form,
)


@dataclass(eq=False)
class Turn:
    """What a person said, and one version of what the model wrote after it."""

    before: "Turn | None"
    said: str
    """Nothing: the model goes on by itself."""
    prompt: tuple[int, ...]
    """The ids that the model read; none where they are not known (a text of another tokenizer)."""
    left_out: int = 0
    """How much of the start was forgotten: tokens of a text, or turns of a chat."""
    origin: "Turn | None" = None
    """The version that this one branched from."""
    kept: int = 0
    """How many of its tokens were there when the model began: its origin's, and what was put."""
    seed: int = 0
    sample: int = 0
    written: list[Written] = field(default_factory=list)
    text: str = ""
    """What `written` says, up to a stop string."""
    finish: FinishReason | None = None
    """Why it ended; None before it was begun."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens of the answer, with those of a stop string or the end."""
        return tuple(one.id for one in self.written)

    @property
    def path(self) -> list["Turn"]:
        """The turns up to and with this one, the first first."""
        turns = []
        turn: Turn | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.before
        return turns[::-1]


@dataclass
class Thread:
    """The turns of one mode: versions that follow or branch from one another; none is lost."""

    turns: list[Turn] = field(default_factory=list)
    """In the order in which they were begun."""
    current: Turn | None = None


class Conversation:
    """The turns so far and the settings. Each mode has its own turns.

    `reply`, `more`, `again` and `branch` begin a turn, which `write` then writes. What makes no
    sense raises UserError and changes nothing.
    """

    def __init__(
        self,
        model: LanguageModel,
        sampling: Sampling,
        *,
        mode: Mode | None = None,
        system: str = "",
    ) -> None:
        self.model, self.sampling, self.system = model, sampling, system
        self.mode: Mode = mode or ("chat" if system else fitting_mode(model))
        self.replies = 0
        """How many were begun since the start or since the seed was set."""
        self.threads: dict[Mode, Thread] = {"complete": Thread(), "chat": Thread()}
        self.fresh_seed = fresh_seed()
        """What draws where the settings name no seed."""
        # An engine remembers what it read: a turn reads only what the conversation has grown by.
        self._engines: dict[Mode, Engine] = {}
        self._forms: dict[Mode, TurnForm] = {}

    @property
    def turn(self) -> Turn | None:
        """The last turn."""
        return self.threads[self.mode].current

    @property
    def text(self) -> str:
        """The text so far; of a chat, what the model read and wrote last, with its marks."""
        turn = self.turn
        if turn is None:
            return ""
        if self.mode == "complete":
            return text_of([_exchange(one) for one in turn.path])
        return self.model.tokenizer.decode((*turn.prompt, *turn.ids), special=True)

    def switch(self, mode: Mode) -> None:
        """Go to the turns of a mode. Raises UserError if the chat template cannot be used."""
        self._form(mode)
        self.mode = mode

    def set(self, **settings: Any) -> None:
        """Change fields of `sampling`; setting the seed starts its samples anew."""
        self.sampling = replace(self.sampling, **settings)
        if "seed" in settings:
            self.replies = 0

    def reply(self, said: str) -> Turn:
        """Begin the model's answer to what a person said; to nothing, as `more`."""
        return self._begin(self.turn, said) if said else self.more()

    def more(self) -> Turn:
        """Begin to go on from where the model stopped."""
        turn = self.turn
        if self.mode == "chat" and (turn is None or turn.finish in ("end", "stop")):
            raise UserError("the model has said what it had to say: write a message, or /again")
        return self._begin(turn, "")

    def again(self) -> Turn:
        """Begin another version of the last answer; of a branch, from where it branched."""
        turn = self._last()
        if not turn.kept:
            return self._begin(turn.before, turn.said)
        return self._begin(turn.before, turn.said, turn, turn.written[: turn.kept])

    def branch(self, place: int, tokens: Sequence[int]) -> Turn:
        """Begin a version of the last answer that has `tokens` from its token `place` (from 1)."""
        turn = self._at(place)
        if not tokens:
            raise UserError("give at least one token to go on with")
        for token in tokens:
            if not 0 <= token < self.model.tokenizer.vocabulary_size:
                raise UserError(f"{token} is no token of this model")
        before = (*turn.prompt, *turn.ids[: place - 1])
        room_for(self.model.decoder.config, (*before, *tokens))
        target = Target((*before, *tokens), len(before))
        [scores] = log_probabilities(self.model.decoder, [target])
        put = [Written(one, score) for one, score in zip(tokens, scores.tolist(), strict=True)]
        return self._begin(turn.before, turn.said, turn, [*turn.written[: place - 1], *put])

    def undo(self) -> None:
        """Take back the last answer and what was said before it."""
        self.threads[self.mode].current = self._last().before

    def reset(self) -> None:
        """Start over; the versions so far can still be gone to."""
        self.threads[self.mode].current = None

    def go_to(self, number: int) -> None:
        """Make a version the last turn: one of `turns`, from 1."""
        turns = self.threads[self.mode].turns
        if not 1 <= number <= len(turns):
            raise UserError(f"there is no version {number}: there are {len(turns)}")
        self.threads[self.mode].current = turns[number - 1]

    def write(self, turn: Turn) -> Generator[str, None, None]:
        """Write the model's part of a turn just begun: pieces of its text, one for each token.

        A piece may be empty: what could be the start of a stop string waits. A consumer that
        stops early leaves the turn with the pieces it was given.
        """
        growing, turn.text = self._growing(turn)
        turn.finish = "cancelled"
        if growing.stopped or self._ends(turn.ids[-1:]):
            turn.finish = "stop" if growing.stopped else "end"
            return
        engine = self._engine()
        request = Request((*turn.prompt, *turn.ids), self.sampling, turn.seed, turn.sample)
        tokens = tokens_of(engine, engine.submit(request))
        try:
            while True:
                try:
                    written = next(tokens)
                except StopIteration as end:
                    turn.finish = end.value
                    piece = growing.close()
                    turn.text += piece
                    yield piece
                    return
                turn.written.append(written)
                piece = growing.write(self._bytes(written.id))
                turn.text += piece
                if growing.stopped:
                    turn.finish = "stop"
                yield piece
                if growing.stopped:
                    return
        except GeneratorExit:
            raise
        except BaseException:
            # It was stopped in the middle of a step: what it holds may be half done.
            self._engines.clear()
            raise
        finally:
            tokens.close()

    def alternatives(self, place: int, count: int) -> list[Candidate]:
        """What could have stood at token `place` (from 1) of the last answer, likeliest first."""
        turn = self._at(place)
        return candidates(
            self.model, turn.prompt, turn.ids[: place - 1], self.sampling, max(1, count)
        )

    def last(self) -> Turn:
        """The last turn, with its tokens. Raises UserError if there is none, or they are unknown.

        They are where the turn came from a file that another tokenizer wrote.
        """
        turn = self._last()
        if not turn.prompt:
            raise UserError("another tokenizer wrote this answer: its tokens are not known here")
        return turn

    def scored(self) -> list[tuple[int, float | None]]:
        """Every token the model read and wrote last, with its log-probability in nats.

        What it began with has none.
        """
        turn = self.last()
        ids = (*turn.prompt, *turn.ids)
        first = max(1, min(len(self.model.beginning), len(turn.prompt)))
        [scores] = log_probabilities(self.model.decoder, [Target(ids, first)])
        return list(zip(ids, [None] * first + scores.tolist(), strict=True))

    @property
    def reused(self) -> tuple[int, int]:
        """How many tokens the engine was given to read so far, and how many of them it knew."""
        if self.mode not in self._engines:
            return 0, 0
        statistics = self._engine().statistics
        return statistics.prompt_tokens, statistics.prompt_tokens_reused

    def _begin(
        self,
        before: Turn | None,
        said: str,
        origin: Turn | None = None,
        kept: Iterable[Written] = (),
    ) -> Turn:
        written = list(kept)
        # A branch goes on from the very tokens that its origin read.
        prompt = (
            TurnPrompt(origin.prompt, origin.left_out) if origin else self._prompt(before, said)
        )
        room_for(self.model.decoder.config, (*prompt.ids, *(one.id for one in written)))
        self.replies += 1
        seed = self.fresh_seed if self.sampling.seed is None else self.sampling.seed
        turn = Turn(
            before,
            said,
            prompt.ids,
            prompt.left_out,
            origin,
            len(written),
            seed,
            self.replies,
            written,
        )
        turn.text = self._growing(turn)[1]
        thread = self.threads[self.mode]
        thread.turns.append(turn)
        thread.current = turn
        return turn

    def _growing(self, turn: Turn) -> tuple[CompletionText, str]:
        """The text of a turn that is being written, and what of it is certain."""
        growing = CompletionText((*self.sampling.stop, *self._form(self.mode).stop))
        return growing, "".join(growing.write(self._bytes(one.id)) for one in turn.written)

    def _prompt(self, before: Turn | None, said: str) -> TurnPrompt:
        exchanges = [_exchange(one) for one in before.path] if before else []
        reserved = min(self.sampling.max_tokens, self.model.context_length // 2)
        room = self.model.context_length - reserved
        return self._form(self.mode).prompt([*exchanges, Exchange(said, "")], self.system, room)

    def _last(self) -> Turn:
        if self.turn is None:
            raise UserError("nothing is written yet")
        return self.turn

    def _at(self, place: int) -> Turn:
        """The last turn, if it has such a token."""
        turn = self.last()
        if not 1 <= place <= len(turn.written):
            raise UserError(f"token {place}: the last answer has {len(turn.written)} tokens")
        return turn

    def _form(self, mode: Mode) -> TurnForm:
        if mode not in self._forms:
            self._forms[mode] = turn_form(self.model, mode)
        return self._forms[mode]

    def _engine(self) -> Engine:
        if self.mode not in self._engines:
            self._engines[self.mode] = Engine(
                self.model.decoder,
                end_tokens=(*self.model.end_tokens, *self._form(self.mode).end_tokens),
                vocabulary_size=self.model.tokenizer.vocabulary_size,
            )
        return self._engines[self.mode]

    def _bytes(self, token: int) -> bytes:
        return b"" if self._ends((token,)) else self.model.written_bytes(token)

    def _ends(self, tokens: Sequence[int]) -> bool:
        ends = (*self.model.end_tokens, *self._form(self.mode).end_tokens)
        return any(token in ends for token in tokens)


def _exchange(turn: Turn) -> Exchange:
    return Exchange(turn.said, turn.text, turn.finish == "end")
