"""Short ways to end a text: from the state of a matcher to a complete text in few tokens.

llguidance says which token may come next, not how far the end is. What is found here is an upper
bound with its proof: the tokens themselves, each checked by the matcher.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from llguidance import LLMatcher

from lilliput.generate.constraints.vocabulary import Vocabulary

Tokens = tuple[int, ...]
MOST_TOKENS = 4096
_WIDTH = 6
"""How many states of the same cost the search follows."""
_MOST_STATES = 4000
"""How many states the search looks at before it gives up: about half a second."""
_PATIENCE = 8
"""How often the same token is taken where nothing seems to change, before the next is tried."""


def closes(matcher: LLMatcher, tokens: Sequence[int], end: int) -> bool:
    """Whether these tokens lead from the matcher's state to a complete text."""
    if matcher.is_stopped():
        return not tokens
    return matcher.validate_tokens([*tokens, end]) == len(tokens) + 1


def greedy(matcher: LLMatcher, vocabulary: Vocabulary, most: int = MOST_TOKENS) -> Tokens | None:
    """The tokens of one completion: at each step the token that looks most like closing.

    None where that leads nowhere within `most` tokens.
    """
    state = matcher.deep_copy()
    written: list[int] = []
    mask, before = np.zeros((2, vocabulary.words), dtype=np.int32)
    repeated = 0
    while len(written) <= most:
        if state.is_accepting():
            return tuple(written)
        forced = state.compute_ff_tokens() if vocabulary.complete else []
        if not forced:
            before[:] = mask
            state.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
            repeated = repeated + 1 if np.array_equal(mask, before) else 0
            ids = vocabulary.ids(mask)
            if repeated >= _PATIENCE:
                ids = ids[repeated // _PATIENCE % len(ids) :]
            forced = ids[:1].tolist()
        if state.is_error() or not forced or not state.consume_tokens(forced):
            return None
        written += forced
    return None


def search(
    matcher: LLMatcher,
    vocabulary: Vocabulary,
    most: int = MOST_TOKENS,
    phrases: Sequence[Tokens] = (),
) -> Tokens | None:
    """The tokens of a completion, the shortest of a wide search; None if none is found.

    `phrases` are tokens that may be needed together (the literals of a grammar): a search that
    compares states by what they allow next cannot see them come.
    """
    layers: dict[int, list[tuple[LLMatcher, Tokens]]] = {0: [(matcher.deep_copy(), ())]}
    cost = looked = 0
    while layers and cost <= most and looked < _MOST_STATES:
        seen: set[bytes] = set()
        for state, written in layers.pop(cost, []):
            if state.is_accepting():
                return written
            mask = np.zeros(vocabulary.words, dtype=np.int32)
            state.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
            if state.is_error() or mask.tobytes() in seen or len(seen) == _WIDTH:
                continue
            seen.add(mask.tobytes())
            looked += 1
            for tokens in _steps(state, mask, vocabulary, phrases):
                following = state.deep_copy()
                if following.consume_tokens(list(tokens)):
                    layer = layers.setdefault(cost + len(tokens), [])
                    layer.append((following, (*written, *tokens)))
        cost += 1
    return None


def _steps(
    state: LLMatcher, mask: np.ndarray, vocabulary: Vocabulary, phrases: Sequence[Tokens]
) -> Iterator[Tokens]:
    forced = state.compute_ff_tokens() if vocabulary.complete else []
    if forced:
        yield tuple(forced)
        return
    for phrase in phrases:
        if state.validate_tokens(list(phrase)) == len(phrase):
            yield phrase
    for token in vocabulary.candidates(vocabulary.ids(mask)):
        yield (token,)
