"""The one scorer: log-probabilities of given text, batched, in nats."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from lilliput.generate.prefixes import common_length
from lilliput.model import Trunk
from lilliput.model.t5.trunk import T5, present_after

TOKENS_PER_BATCH = 8192
# Matrices are multiplied at full rate from so many rows on: more only cost padding.
TOKENS_WORTH_A_BATCH = 256
MOST_PADDING = 1 / 16
BATCHES_WORTH_A_THREAD = 4
LOGITS_PER_CHUNK = 1 << 24
# A shorter common beginning is cheaper to read again with each row than to copy into each.
SHORTEST_SHARED_PREFIX = 16
_ROUNDING = 4

_Item = TypeVar("_Item")
_Job = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Target:
    """The question: how probable are `ids[first:]`, each given all ids before it? `first` ≥ 1."""

    ids: Sequence[int]
    first: int


class DocumentScore(NamedTuple):
    """What a model makes of a whole text."""

    log_probability: float
    """Sum over its tokens, in nats: never above 0."""
    bytes: int
    """Length of the text in UTF-8."""

    @property
    def bits_per_byte(self) -> float:
        """The code length the model gives the text; 0 for an empty text."""
        return -self.log_probability / math.log(2) / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a target that the context holds: read from `start`, score `first` to `stop`.

    The last token is only predicted, never read, so a window is up to one token longer than the
    context.
    """

    start: int
    first: int
    stop: int


def windows(length: int, first: int, context_length: int) -> list[Window]:
    """Cover the tokens `first` to `length` so that each is scored once.

    A text longer than the context is read in windows that overlap by half: every token but the
    first window's is given at least half a context of what precedes it.
    """
    step = max(1, context_length // 2)
    stop = min(length, max(context_length + 1, first + step))
    covered = [Window(max(0, stop - 1 - context_length), first, stop)]
    while stop < length:
        first, stop = stop, min(length, stop + step)
        covered.append(Window(stop - 1 - context_length, first, stop))
    return covered


@torch.inference_mode()
def log_probabilities(decoder: Trunk, targets: Sequence[Target]) -> list[Tensor]:
    """For each target the log-probability in nats of each of its tokens, float64, on the CPU.

    What targets begin with alike goes through the decoder once, and rows of similar length go
    through it together.
    """
    context_length = decoder.config.context_length
    scores = [
        torch.zeros(len(target.ids) - target.first, dtype=torch.float64) for target in targets
    ]
    rows = []
    for index, target in enumerate(targets):
        if target.first == len(target.ids):
            continue
        ids = tuple(target.ids)
        for window in windows(len(ids), target.first, context_length):
            first = window.first - window.start
            into = scores[index][window.first - target.first : window.stop - target.first]
            rows.append(_Row(ids[window.start : window.stop], first, into))
    if isinstance(decoder, T5):
        _score_answers(decoder, rows)
    else:
        _score_below(decoder, prefix_tree(rows), None)
    return scores


@dataclass(frozen=True, slots=True)
class _Row:
    """A target that fits in the context, and where its scores go."""

    ids: tuple[int, ...]
    first: int
    scores: Tensor


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Rows that all begin with the same `length` tokens, which are to be read once.

    Those that share more stand in `children`, the others in `rows`.
    """

    length: int
    rows: "list[_Row]"
    children: "list[PrefixTree]"

    @property
    def some_row(self) -> _Row:
        """Any row, which begins as all do."""
        return self.rows[0] if self.rows else self.children[0].some_row

    @property
    def count(self) -> int:
        """How many rows there are, those of children too."""
        return len(self.rows) + sum(child.count for child in self.children)


def prefix_tree(rows: Sequence[_Row]) -> PrefixTree:
    """The rows by what they begin with; a beginning that saves little is not a node.

    A row reads its last shared token itself, for its output predicts the row's own first one, so
    a node ends before the first scored token of all its rows.
    """
    ordered = sorted(rows, key=lambda row: row.ids)
    shared = [
        min(common_length(one.ids, other.ids), one.first, other.first) - 1
        for one, other in pairwise(ordered)
    ]
    return _tree(ordered, shared, 0)


def _tree(rows: Sequence[_Row], shared: Sequence[int], length: int) -> PrefixTree:
    """The tree of sorted rows that share `length` tokens; `shared` are those of neighbours."""
    ends = [place + 1 for place, one in enumerate(shared) if one - length < SHORTEST_SHARED_PREFIX]
    groups = list(pairwise([0, *ends, len(rows)]))
    together = [(start, stop) for start, stop in groups if stop - start > 1]
    # Children of equal length go through the decoder together, so lengths are rounded.
    step = _ROUNDING if len(together) > 1 else 1
    children = []
    for start, stop in together:
        inner = shared[start : stop - 1]
        deeper = length + (min(inner) - length) // step * step
        children.append(_tree(rows[start:stop], inner, deeper))
    alone = [rows[start] for start, stop in groups if stop - start == 1]
    return PrefixTree(length, alone, children)


def _score_below(decoder: Trunk, tree: PrefixTree, cache: Any) -> None:
    """Score the rows of a tree, whose shared tokens one row of `cache` has read."""
    jobs = _row_jobs(decoder, [(0, row) for row in tree.rows], tree.length, cache)
    by_length = sorted(tree.children, key=lambda child: (child.length, -child.count))
    for _, group in groupby(by_length, key=lambda child: child.length):
        some = _portions(list(group), lambda child: child.length * (1 + child.count))
        jobs += [partial(_score_children, decoder, one, tree.length, cache) for one in some]
    _do(decoder, jobs)


def _score_children(decoder: Trunk, children: Sequence[PrefixTree], done: int, cache: Any) -> None:
    """Read what each of these trees of one length shares after `done` tokens; score its rows."""
    length = children[0].length
    ids = [child.some_row.ids[done:length] for child in children]
    read = _repeated(decoder, cache, [0] * len(children), length)
    decoder.hidden(torch.tensor(ids, device=decoder.device), cache=read)
    rows = [(number, row) for number, child in enumerate(children) for row in child.rows]
    _do(decoder, _row_jobs(decoder, rows, length, read))
    for number, child in enumerate(children):
        if child.children:
            deeper = PrefixTree(length, [], child.children)
            _score_below(decoder, deeper, _repeated(decoder, read, [number], length))


def _row_jobs(
    decoder: Trunk, rows: Sequence[tuple[int, _Row]], done: int, cache: Any
) -> list[_Job]:
    """Work that scores rows; the cache's row of the number beside each has read `done` tokens."""
    ordered = sorted(rows, key=lambda one: -len(one[1].ids))
    portions = _portions(ordered, lambda one: len(one[1].ids) - done)
    return [partial(_score_rows, decoder, some, done, cache) for some in portions]


def _score_rows(decoder: Trunk, rows: Sequence[tuple[int, _Row]], done: int, cache: Any) -> None:
    width = max(len(row.ids) for _, row in rows) - 1
    # Padding on the right needs no mask: what comes later is never attended to.
    ids = torch.tensor(
        [(*row.ids[done:-1], *[0] * (width + 1 - len(row.ids))) for _, row in rows],
        device=decoder.device,
    )
    read = _repeated(decoder, cache, [number for number, _ in rows], width) if done else None
    hidden = decoder.hidden(ids, cache=read)
    wanted = [
        hidden[n, row.first - 1 - done : len(row.ids) - 1 - done] for n, (_, row) in enumerate(rows)
    ]
    _answer(decoder, torch.cat(wanted), [row for _, row in rows])


def _do(decoder: Trunk, jobs: Sequence[_Job]) -> None:
    """Do independent work; where there is much, each CPU thread has batches of its own.

    Two threads that share every small multiplication wait for each other more than they gain.
    """
    threads = torch.get_num_threads() if decoder.device.type == "cpu" else 1
    if threads == 1 or len(jobs) < BATCHES_WORTH_A_THREAD * threads:
        for job in jobs:
            job()
        return
    # A thread takes over the number when it first computes: one, so that it shares no further.
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            try:
                for done in [pool.submit(torch.inference_mode()(job)) for job in jobs]:
                    done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)


def _score_answers(model: T5, rows: Sequence[_Row]) -> None:
    """The same of an encoder-decoder: what comes before `first` is read, the rest written."""
    ordered = sorted(rows, key=lambda row: (-row.first, row.ids[: row.first]))
    for some in _portions(ordered, lambda row: len(row.ids)):
        prompts = list(dict.fromkeys(row.ids[: row.first] for row in some))
        reads = max(map(len, prompts))
        writes = max(len(row.ids) - row.first for row in some)
        read = torch.tensor([[0] * (reads - len(one)) + list(one) for one in prompts])
        starts = torch.tensor([[reads - len(one)] for one in prompts], device=model.device)
        said = torch.full((len(some), writes), model.config.start_token)
        for number, row in enumerate(some):
            said[number, 1 : len(row.ids) - row.first] = torch.tensor(row.ids[row.first : -1])
        number_of = {prompt: number for number, prompt in enumerate(prompts)}
        which = torch.tensor([number_of[row.ids[: row.first]] for row in some])
        memory = model.memory_of(read.to(model.device), present_after(starts, reads))
        hidden = model.decode(said.to(model.device), memory.rows(which.to(model.device)))
        wanted = [hidden[n, : len(row.ids) - row.first] for n, row in enumerate(some)]
        _answer(model, torch.cat(wanted), some)


def _portions(items: Sequence[_Item], tokens: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """The items in their order, in batches of little padding and TOKENS_PER_BATCH at most."""
    portion: list[_Item] = []
    longest = own = 0
    for item in items:
        size = tokens(item)
        padded = max(longest, size) * (len(portion) + 1)
        wasteful = padded - own - size > MOST_PADDING * padded
        if portion and (
            padded > TOKENS_PER_BATCH
            or (wasteful and longest * len(portion) >= TOKENS_WORTH_A_BATCH)
        ):
            yield portion
            portion, longest, own = [], 0, 0
        portion.append(item)
        longest, own = max(longest, size), own + size
    if portion:
        yield portion


def _repeated(decoder: Trunk, cache: Any, rows: Sequence[int], capacity: int) -> Any:
    """A cache of these rows of another, which may repeat; an empty one where there is none."""
    repeated: Any = decoder.make_cache(len(rows), capacity)
    if cache is not None:
        repeated.fill_from(cache, torch.tensor(rows, device=decoder.device))
    return repeated


def _answer(decoder: Trunk, hidden: Tensor, rows: Sequence[_Row]) -> None:
    """Write the log-probabilities of all rows' answers, from the states [N, D] before each."""
    answers = torch.tensor([token for row in rows for token in row.ids[row.first :]])
    answers = answers.to(decoder.device)
    chunk = max(1, LOGITS_PER_CHUNK // decoder.config.vocabulary_size)
    parts = []
    for part, chosen in zip(torch.split(hidden, chunk), torch.split(answers, chunk), strict=True):
        logits = decoder.logits_of(part)
        own = logits.gather(-1, chosen[:, None]).squeeze(-1)
        parts.append(own - logits.logsumexp(dim=-1))
    scores = torch.cat(parts).double().cpu()
    for row, own in zip(rows, torch.split(scores, [len(row.scores) for row in rows]), strict=True):
        row.scores.copy_(own)
