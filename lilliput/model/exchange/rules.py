"""Names and layouts of tensors in two worlds, as rules that work in both directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = list[Tensor]


@dataclass(frozen=True)
class Rule:
    """Some of our tensors are some of theirs, in another layout. The functions are inverse."""

    own: tuple[str, ...]
    foreign: tuple[str, ...]
    to_foreign: Callable[[Tensors], Tensors]
    to_own: Callable[[Tensors], Tensors]


def same(own: str, foreign: str) -> Rule:
    """The tensor as it is."""
    return Rule((own,), (foreign,), list, list)


def transposed(own: str, foreign: str) -> Rule:
    """A matrix that they keep the other way round; expert matrices too."""
    return Rule((own,), (foreign,), lambda t: [t[0].mT], lambda t: [t[0].mT])


def shifted(own: str, foreign: str) -> Rule:
    """A gain that they keep less one."""
    return Rule((own,), (foreign,), lambda t: [t[0] - 1], lambda t: [t[0] + 1])


def joined(
    own: Sequence[str], foreign: str, sizes: Sequence[int], *, columns: bool = False
) -> Rule:
    """Some of ours, of these numbers of rows, one after the other in one of theirs.

    `columns`: theirs is transposed besides (GPT-2's Conv1D).
    """

    def flip(tensor: Tensor) -> Tensor:
        return tensor.mT if columns and tensor.ndim > 1 else tensor

    return Rule(
        tuple(own),
        (foreign,),
        lambda t: [flip(torch.cat(t))],
        lambda t: list(torch.split(flip(t[0]), list(sizes))),
    )


def joined_by_group(own: Sequence[str], foreign: str, heads: int, kv_heads: int) -> Rule:
    """Query, key and value in one of theirs, group after group: a group's queries, key, value.

    With one group that is all queries, then key and value; with as many groups as heads, query,
    key and value of one head after the other.
    """
    shares = (heads // kv_heads, 1, 1)

    def join(parts: Tensors) -> Tensors:
        groups = [part.reshape(kv_heads, -1, *part.shape[1:]) for part in parts]
        return [torch.cat(groups, dim=1).flatten(0, 1)]

    def part(tensors: Tensors) -> Tensors:
        whole = tensors[0]
        head_dim = len(whole) // (kv_heads * sum(shares))
        groups = whole.view(kv_heads, -1, *whole.shape[1:])
        parts = torch.split(groups, [share * head_dim for share in shares], dim=1)
        return [piece.flatten(0, 1) for piece in parts]

    return Rule(tuple(own), (foreign,), join, part)


def interleaved(own: str, foreign: str, heads: int, turning: int, *, skip: int = 0) -> Rule:
    """Rows of heads whose rotary pairs are neighbours in theirs and half a span apart in ours.

    Of each head's rows the first `skip` stay, then come `turning` that turn. One layout is a
    permutation of the other, so the scores are the same.
    """

    def permute(tensor: Tensor, halves_first: bool) -> Tensor:
        rows = tensor.reshape(heads, -1, *tensor.shape[1:]).clone()
        turns = rows[:, skip : skip + turning]
        shape = (heads, 2, turning // 2) if halves_first else (heads, turning // 2, 2)
        turns = turns.reshape(*shape, *tensor.shape[1:]).transpose(1, 2)
        rows[:, skip : skip + turning] = turns.reshape(heads, turning, *tensor.shape[1:])
        return rows.view(tensor.shape)

    return Rule(
        (own,),
        (foreign,),
        lambda t: [permute(t[0], halves_first=True)],
        lambda t: [permute(t[0], halves_first=False)],
    )


def backward_turning(own: str, foreign: str, heads: int) -> Rule:
    """Rows of heads that turn the other way round in theirs: the halves change places."""

    def swap(tensors: Tensors) -> Tensors:
        rows = tensors[0].view(heads, 2, -1, *tensors[0].shape[1:])
        return [rows.flip(1).reshape(tensors[0].shape)]

    return Rule((own,), (foreign,), swap, swap)


def unstacked(own: str, foreign: Sequence[str]) -> Rule:
    """All experts' matrices in one of ours, one of theirs for each."""
    return Rule((own,), tuple(foreign), lambda t: list(t[0].unbind()), lambda t: [torch.stack(t)])


def expert_halves(own: Sequence[str], foreign: str, *, alternate: bool) -> Rule:
    """Gate and up of all experts in one of theirs, [X, D, 2F]: side by side, or taking turns.

    Biases [X, 2F] likewise.
    """

    def turn(tensor: Tensor) -> Tensor:
        return tensor.mT if tensor.ndim == 3 else tensor

    def join(parts: Tensors) -> Tensors:
        gate, up = map(turn, parts)
        if alternate:
            return [torch.stack((gate, up), dim=-1).flatten(-2)]
        return [torch.cat((gate, up), dim=-1)]

    def part(tensors: Tensors) -> Tensors:
        whole = tensors[0]
        halves = (whole[..., ::2], whole[..., 1::2]) if alternate else whole.chunk(2, dim=-1)
        return [turn(half) for half in halves]

    return Rule(tuple(own), (foreign,), join, part)
