"""A grammar as a constraint: masks and forced tokens from llguidance, and an end within budget.

How a text closes in time: a constraint knows tokens that would complete its text (`completion`).
While they leave more room than a few tokens could use up, nothing is narrowed and nothing is
computed. When the limit comes near, only tokens stay allowed after which a completion is known
that still fits; when just the completion fits, it is forced.
"""

import math
import re
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.constraints.completion import Tokens, closes, greedy, search
from lilliput.generate.constraints.protocol import Mask
from lilliput.generate.constraints.vocabulary import MOST_CANDIDATES, Vocabulary

_LEAST_RISE = 8
_PROBED_STATES = 40
_MOST_KEPT = 256
_MOST_TRIED = 4096
_LONGEST_DETOUR = 128
_UNDECIDED = 1 << 62


@dataclass(slots=True)
class _Known:
    """What was found out at one place of a grammar."""

    inert: NDArray[np.int64]
    """Tokens after which the completion still holds, where many tokens are allowed."""
    others: list[int]
    """Of the rest one of each kind."""
    after: dict[int, Tokens | None] = field(default_factory=dict)
    """A completion after each token; None where none was found."""


class Grammar:
    """A grammar in llguidance's Lark syntax, compiled for a vocabulary: a `ConstraintMaker`.

    `phrases` are strings that completions may need whole, and `what` names the rule in messages.
    Raises UserError if the grammar is wrong, or no text satisfies it.
    """

    def __init__(
        self, lark: str, vocabulary: Vocabulary, *, what: str, phrases: Iterable[str] = ()
    ) -> None:
        forcing = "" if vocabulary.complete else '%llguidance {"no_forcing": true}\n'
        self.vocabulary, self.what = vocabulary, what
        self.matcher = LLMatcher(vocabulary.llguidance, forcing + lark, log_level=0)
        if self.matcher.is_error():
            raise UserError(f"{what}: {_reason(self.matcher.get_error())}")
        encoded = (vocabulary.encode_greedily(phrase.encode()) for phrase in phrases)
        self._phrases = tuple(tuple(ids) for ids in encoded if ids)
        completion = greedy(self.matcher, vocabulary) or self.shortest(self.matcher)
        if completion is None:
            raise UserError(f"{what}: no text satisfies it that this tokenizer can write")
        self.completion: Tokens = completion
        self.rise = self._most_rise() if vocabulary.complete else math.inf
        """How many tokens one token can add to what a text still needs, as far as is known."""
        self._known: OrderedDict[tuple[bytes, Tokens], _Known] = OrderedDict()
        self._warm()

    def start(self, prompt_ids: tuple[int, ...], prompt: str) -> "Matching":
        """A constraint for one completion, whatever the prompt."""
        return Matching(self)

    def shortest(self, matcher: LLMatcher, most: int = _MOST_TRIED) -> Tokens | None:
        """The shortest completion that a wide search finds from a matcher's state."""
        return search(matcher, self.vocabulary, most, self._phrases)

    def completed(self, matcher: LLMatcher, before: Tokens, most: int) -> Tokens | None:
        """A completion of at most `most` tokens; `before` is one from a state a little earlier."""
        end = self.vocabulary.end_tokens[0]
        for start in range(len(before) + 1):
            if len(before) - start <= most and closes(matcher, before[start:], end):
                return before[start:]
        return greedy(matcher, self.vocabulary, most)

    def fitting(
        self, matcher: LLMatcher, mask: Mask, completion: Tokens, remaining: int
    ) -> NDArray[np.int64]:
        """The allowed tokens after which a completion is known that fits, one of each kind at most.

        Where many tokens are allowed, as inside a string, those are added after which `completion`
        still holds: found once for each mask and completion, which together say where in the
        grammar a text is. Every other completion is checked each time.
        """
        key = mask.tobytes(), completion
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find_out(matcher, mask, completion)
            if len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        others = [
            token
            for token in known.others
            if self._fits(matcher, token, known, completion, remaining)
        ]
        few = np.array([*completion[:1], *others], dtype=np.int64)
        return np.concatenate([few, known.inert]) if len(completion) < remaining else few

    def _find_out(self, matcher: LLMatcher, mask: Mask, completion: Tokens) -> "_Known":
        end = self.vocabulary.end_tokens[0]
        allowed = self.vocabulary.ids(mask)
        tried = np.sort(allowed)[:_MOST_TRIED] if len(allowed) > MOST_CANDIDATES else allowed[:0]
        inert = [t for t in tried.tolist() if closes(matcher, (t, *completion), end)]
        done = {*completion[:1], *inert}
        others = [token for token in self.vocabulary.candidates(allowed) if token not in done]
        return _Known(np.array(inert, dtype=np.int64), others)

    def _fits(
        self, matcher: LLMatcher, token: int, known: "_Known", completion: Tokens, remaining: int
    ) -> bool:
        end = self.vocabulary.end_tokens[0]
        after = known.after.get(token, ())
        if after is None:
            return False
        if token not in known.after or not closes(matcher, (token, *after), end):
            state = matcher.deep_copy()
            most = len(completion) + _LONGEST_DETOUR
            after = self.completed(state, completion, most) if state.consume_token(token) else None
            known.after[token] = after
        return after is not None and len(after) < remaining

    def _most_rise(self) -> float:
        """The most by which one token lengthens the completion, over states near it.

        Infinite where a token leads to where no completion is found: then every step is looked at.
        """
        vocabulary, rise = self.vocabulary, _LEAST_RISE
        waiting = deque([(self.matcher.deep_copy(), self.completion)])
        seen: set[bytes] = set()
        most = len(self.completion) + _PROBED_STATES
        mask = np.zeros(vocabulary.words, dtype=np.int32)
        while waiting:
            state, completion = waiting.popleft()
            while not state.is_stopped() and len(seen) < most:
                state.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
                allowed = vocabulary.ids(mask)
                if len(allowed) > 1 and mask.tobytes() not in seen:
                    seen.add(mask.tobytes())
                    for token in vocabulary.candidates(allowed):
                        after = state.deep_copy()
                        after.consume_token(token)
                        need = self.completed(after, completion, _MOST_TRIED)
                        if need is None:
                            return math.inf
                        if len(need) > len(completion):
                            rise = max(rise, len(need) - len(completion))
                            waiting.append((after, need))
                if not completion:
                    break
                state.consume_token(completion[0])
                completion = completion[1:]
        return 2 * rise

    def _warm(self) -> None:
        """Let the lexer learn its states once; copies of the matcher keep them."""
        mask = np.zeros(self.vocabulary.words, dtype=np.int32)
        for token in self.completion:
            self.matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
            self.matcher.consume_token(token)
        if not self.matcher.reset():
            raise UserError(f"{self.what}: max_tokens and temperature cannot be set in a grammar")


class Matching:
    """The state of one text under a `Grammar`: a `Constraint`."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._vocabulary = grammar.vocabulary
        self.matcher = grammar.matcher.deep_copy()
        self._completion = grammar.completion
        self._known = True  # whether the completion is one from this very state
        self._remaining = self._look_at = _UNDECIDED
        self._near = False
        self._mask: Mask | None = None
        self._ended = False

    @property
    def finished(self) -> bool:
        """Whether nothing may follow."""
        return self._ended or self.matcher.is_stopped()

    def limit(self, remaining: int) -> None:
        """Tokens left. Raises UserError at the first step if no complete text is that short."""
        first, self._remaining = self._remaining == _UNDECIDED, remaining
        if remaining <= self._look_at:
            self._look(first)

    def forced(self) -> list[int]:
        """Tokens that the grammar leaves no choice about, or the limit."""
        if not self._vocabulary.complete:
            return list(self._completion) if self._near and self._no_slack else []
        forced = self.matcher.compute_ff_tokens()
        if not self._near:
            return forced
        if forced and not self._no_slack:
            after = self.matcher.deep_copy()
            after.consume_tokens(forced)
            most = self._remaining - len(forced)
            if self._grammar.completed(after, self._completion, most) is not None:
                return forced
            return list(self._completion)
        return list(self._completion) if self._no_slack else []

    def allowed(self) -> Mask:
        """The tokens that may come next, as a mask of the vocabulary."""
        if self._mask is None:
            mask = np.empty(self._vocabulary.words, dtype=np.int32)
            self.matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
            if self.matcher.is_error():
                raise WorkFailed(f"{self._grammar.what}: {_reason(self.matcher.get_error())}")
            self._mask = self._narrowed(mask) if self._near else mask
        return self._mask

    def accept(self, token: int) -> None:
        """Go on past a token. Raises WorkFailed if it was not allowed."""
        self._mask = None
        if token in self._vocabulary.end_tokens and self.matcher.is_accepting():
            self._ended = True
            return
        if not self.matcher.consume_token(token):
            reason = _reason(self.matcher.get_error())
            raise WorkFailed(f"{self._grammar.what}: token {token} does not fit: {reason}")
        if self._completion and self._completion[0] == token:
            self._completion = self._completion[1:]
        else:
            self._known = False

    @property
    def _no_slack(self) -> bool:
        return self._remaining == len(self._completion)

    def _look(self, first: bool) -> None:
        """Decide whether the limit is near, and when to look again if it is not."""
        remaining, grammar = self._remaining, self._grammar
        if not self._known:
            found = grammar.completed(self.matcher, self._completion, _MOST_TRIED)
            found = grammar.shortest(self.matcher) if found is None else found
            if found is None:  # a place that probing the grammar did not reach: look again soon
                self._look_at = remaining - 1
                return
            self._completion, self._known = found, True
        if len(self._completion) > remaining:
            shorter = grammar.shortest(self.matcher, remaining)
            if shorter is None and first:
                raise UserError(
                    f"{grammar.what}: the shortest text found takes {len(self._completion)} tokens "
                    f"and only {remaining} may be written: allow more"
                )
            self._completion = self._completion if shorter is None else shorter
        slack = remaining - len(self._completion)
        self._near = slack <= grammar.rise
        self._look_at = _UNDECIDED if self._near else remaining - int(slack // (grammar.rise + 1))

    def _narrowed(self, mask: Mask) -> Mask:
        """Only the tokens after which a completion is known that fits in what remains."""
        vocabulary = self._vocabulary
        fitting = self._grammar.fitting(self.matcher, mask, self._completion, self._remaining)
        bits = np.zeros(vocabulary.words * 32, dtype=np.uint8)
        bits[fitting] = 1
        if self.matcher.is_accepting():
            bits[list(vocabulary.end_tokens)] = 1
        return np.packbits(bits, bitorder="little").view(np.int32)


def _reason(message: str) -> str:
    """What llguidance says is wrong, without its quotation of the grammar."""
    said = re.split(r"<state>|<non-verbose/>|\n\s+\d+ \|", message)[0]
    return " ".join(word for word in said.split() if word.strip("^"))
