"""The selective scan of Mamba (arXiv 2312.00752): a linear recurrence whose coefficients are made
from the tokens, computed by an associative scan of pieces that stay in cache.

Shapes: B batch, T tokens, K tokens of a piece, I inner channels, N states a channel. Pieces are
time first and channels last, [K, B, N, I], so that every operation runs along contiguous channels.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

_PIECE_ELEMENTS = {"cpu": 1 << 20}
_PIECE_ELEMENTS_ELSEWHERE = 1 << 27
"""Elements of a piece at most: on a CPU what its caches hold, on an accelerator what fills it."""

_SHORTEST_PIECE = 4
_SMALLEST_EXPONENT = -87.0
"""exp of less is not a normal float32; making subnormal ones takes a CPU 20 times the time."""


def selective_scan(
    values: Tensor,
    steps: Tensor,
    decay: Tensor,
    write: Tensor,
    read: Tensor,
    *,
    state: Tensor | None = None,
    restarts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run h[t] = exp(steps[t]·decay)·h[t-1] + steps[t]·write[t]·values[t], and read it off.

    values and steps [B, T, I]; decay [I, N], below 0; write and read [B, T, N]; T is at least 1.
    `state` [B, N, I] is h before the first token (zero if None); where `restarts` [B, T] is true,
    h is forgotten before the token. Returns Σ_n read[t, n]·h[t, n] as [B, T, I], in the values'
    dtype, and the last h [B, N, I]. Computed in float32, in float64 if `decay` is.

    Gradients, by hand, reach all five tensors; none goes through a state, given or returned. The
    backward pass makes the states anew from one kept per piece, as the paper's section 3.3.2 does.
    """
    initial = _initial_state(values, decay) if state is None else state
    tensors = (values, steps, decay, write, read)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _SelectiveScan.apply(*tensors, initial, restarts)  # type: ignore[no-any-return, no-untyped-call]
    if values.shape[1] == 1 and restarts is None:
        return _one_token(*tensors, initial)
    output, states = _run(_Inputs.of(*tensors, restarts), initial)
    return output.transpose(0, 1).to(values.dtype), states[-1]


def _initial_state(values: Tensor, decay: Tensor) -> Tensor:
    batch, _, channels = values.shape
    return values.new_zeros(batch, decay.shape[1], channels, dtype=_working_dtype(decay))


def _working_dtype(decay: Tensor) -> torch.dtype:
    return torch.float64 if decay.dtype == torch.float64 else torch.float32


def _one_token(
    values: Tensor, steps: Tensor, decay: Tensor, write: Tensor, read: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence itself, for decoding."""
    dtype = state.dtype
    step = steps.to(dtype)
    kept = state * torch.exp(step * decay.t().to(dtype))
    state = torch.baddbmm(kept, write.to(dtype).mT, step * values.to(dtype))
    return torch.bmm(read.to(dtype), state).to(values.dtype), state


class _Piece(NamedTuple):
    """K tokens: steps, written and weighted values [K, B, I], write and read [K, B, N].

    Its methods fill and return what they are given, [K, B, N, I].
    """

    steps: Tensor
    written: Tensor
    write: Tensor
    read: Tensor
    decay: Tensor
    restarts: tuple[Tensor, Tensor] | None
    deep: bool

    def decays(self, out: Tensor) -> Tensor:
        """exp(steps·decay), 0 where the state restarts."""
        torch.mul(self.steps.unsqueeze(2), self.decay, out=out)
        if self.deep:
            out.clamp_min_(_SMALLEST_EXPONENT)
        out.exp_()
        if self.restarts is not None:
            out[self.restarts] = 0.0
        return out

    def states(self, decays: Tensor, state: Tensor, out: Tensor, spare: Tensor) -> Tensor:
        """h at each of the tokens, from h before the first, [B, N, I]; `spare` is scratch."""
        torch.mul(self.written.unsqueeze(2), self.write.unsqueeze(3), out=out)
        out[0].addcmul_(decays[0], state)
        _scan_forward(spare.copy_(decays), out)
        return out


class _Inputs(NamedTuple):
    """What the recurrence runs on, time first and in the dtype it is computed in."""

    values: Tensor
    steps: Tensor
    written: Tensor
    write: Tensor
    read: Tensor
    decay: Tensor
    restarts: Tensor | None
    deep: bool

    @classmethod
    def of(
        cls,
        values: Tensor,
        steps: Tensor,
        decay: Tensor,
        write: Tensor,
        read: Tensor,
        restarts: Tensor | None,
    ) -> "_Inputs":
        dtype = _working_dtype(decay)
        values, steps, write, read = (
            tensor.transpose(0, 1).to(dtype).contiguous() for tensor in (values, steps, write, read)
        )
        decay = decay.t().to(dtype).contiguous()
        deep = steps.device.type != "cpu" or bool(steps.amax() * decay.amin() < _SMALLEST_EXPONENT)
        marks = None if restarts is None else restarts.t()
        return cls(values, steps, steps * values, write, read, decay, marks, deep)

    def bounds(self) -> list[tuple[int, int]]:
        """(first token, end) of every piece, in order."""
        time, batch, channels = self.values.shape
        device = self.values.device.type
        elements = _PIECE_ELEMENTS.get(device, _PIECE_ELEMENTS_ELSEWHERE)
        room = elements // (batch * channels * len(self.decay))
        length = 1 << max(room, _SHORTEST_PIECE).bit_length() - 1
        return [(start, min(start + length, time)) for start in range(0, time, length)]

    def scratch(self, count: int) -> Tensor:
        """Memory for `count` tensors of the longest piece: [count, K, B, N, I].

        Taken once: fresh pages for every piece cost more than what is computed in them.
        """
        _, batch, channels = self.values.shape
        length = self.bounds()[0][1]
        return self.values.new_empty(count, length, batch, len(self.decay), channels)

    def piece(self, start: int, stop: int) -> _Piece:
        """The tokens from `start` to before `stop`."""
        restarts = None
        if self.restarts is not None:
            tokens, rows = self.restarts[start:stop].nonzero(as_tuple=True)
            restarts = (tokens, rows) if len(tokens) else None
        place = slice(start, stop)
        return _Piece(
            self.steps[place],
            self.written[place],
            self.write[place],
            self.read[place],
            self.decay,
            restarts,
            self.deep,
        )


def _run(inputs: _Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs [T, B, I], and h before every piece and at the end, [pieces + 1, B, N, I]."""
    bounds = inputs.bounds()
    outputs = torch.empty_like(inputs.values)
    kept = state.new_empty(len(bounds) + 1, *state.shape)
    kept[0] = state
    scratch = inputs.scratch(3)
    for index, (start, stop) in enumerate(bounds):
        piece = inputs.piece(start, stop)
        first, second, third = scratch[:, : stop - start].unbind()
        states = piece.states(piece.decays(first), kept[index], second, third)
        kept[index + 1] = states[-1]
        _weigh_states(piece.read, states, outputs[start:stop])
    return outputs, kept


def _weigh_states(weights: Tensor, states: Tensor, out: Tensor) -> None:
    """Σ_n weights[K, B, N]·states[K, B, N, I] into out [K, B, I]."""
    torch.bmm(
        weights.flatten(0, 1).unsqueeze(1),
        states.flatten(0, 1),
        out=out.view(-1, 1, out.shape[-1]),
    )


def _weigh_channels(weights: Tensor, states: Tensor, out: Tensor) -> None:
    """Σ_i weights[K, B, I]·states[K, B, N, I] into out [K, B, N]."""
    torch.bmm(
        weights.flatten(0, 1).unsqueeze(1),
        states.flatten(0, 1).mT,
        out=out.view(-1, 1, out.shape[-1]),
    )


def _scan_forward(decays: Tensor, states: Tensor) -> None:
    """states[t] += decays[t]·states[t-1] in order of t, in place, in log2(K) rounds.

    Neighbours are joined into one step each, those scanned in turn, and what lies between filled
    in (Brent and Kung 1982): 2K steps' work in all, and no quotient or difference of decays, so
    nothing can overflow. `decays` is used up.
    """
    time = len(states)
    if time < 2:
        return
    first, second = slice(0, time - 1, 2), slice(1, time, 2)
    states[second].addcmul_(decays[second], states[first])
    if time > 2:
        decays[second].mul_(decays[first])
        _scan_forward(decays[second], states[second])
        between = slice(2, time, 2)
        states[between].addcmul_(decays[between], states[1 : time - 1 : 2])


def _scan_backward(decays: Tensor, states: Tensor) -> None:
    """states[t] += decays[t]·states[t+1] from the last t to the first: `_scan_forward` mirrored."""
    time = len(states)
    if time < 2:
        return
    odd = time % 2
    first, second = slice(odd, time, 2), slice(odd + 1, time, 2)
    states[first].addcmul_(decays[first], states[second])
    if time > 2:
        decays[first].mul_(decays[second])
        _scan_backward(decays[first], states[first])
        between, after = slice(1 - odd, time - 1, 2), slice(2 - odd, time, 2)
        states[between].addcmul_(decays[between], states[after])


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        steps: Tensor,
        decay: Tensor,
        write: Tensor,
        read: Tensor,
        state: Tensor,
        restarts: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        outputs, kept = _run(_Inputs.of(values, steps, decay, write, read, restarts), state)
        ctx.save_for_backward(values, steps, decay, write, read, kept, restarts)
        last = kept[-1].clone()
        ctx.mark_non_differentiable(last)
        return outputs.transpose(0, 1).to(values.dtype), last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, steps, decay, write, read, kept, restarts = ctx.saved_tensors
        inputs = _Inputs.of(values, steps, decay, write, read, restarts)
        outer = gradients[0].transpose(0, 1).to(kept.dtype).contiguous()
        found = _gradients(inputs, kept, outer)
        step_gradient = found.steps.addcmul_(found.written, inputs.values)
        value_gradient = found.written.mul_(inputs.steps)
        return (
            value_gradient.transpose(0, 1).to(values.dtype),
            step_gradient.transpose(0, 1).to(steps.dtype),
            found.decay.t().to(decay.dtype),
            found.write.transpose(0, 1).to(write.dtype),
            found.read.transpose(0, 1).to(read.dtype),
            None,
            None,
        )


class _Gradients(NamedTuple):
    """Of the loss by a piece's tensors, and by `decay` [N, I]."""

    steps: Tensor
    written: Tensor
    write: Tensor
    read: Tensor
    decay: Tensor


def _gradients(inputs: _Inputs, kept: Tensor, outer: Tensor) -> _Gradients:
    """From the gradient by the outputs, `outer` [T, B, I], and h before every piece.

    With λ[t] the gradient by h[t], λ[t] = read[t]·outer[t] + decays[t+1]·λ[t+1]. The gradient by
    the exponent steps[t]·decay is λ[t]·decays[t]·h[t-1].
    """
    found = _Gradients(
        torch.empty_like(inputs.steps),
        torch.empty_like(inputs.written),
        torch.empty_like(inputs.write),
        torch.empty_like(inputs.read),
        torch.zeros_like(inputs.decay),
    )
    scratch = inputs.scratch(4)
    carried: Tensor | None = None  # decays[t+1]·λ[t+1] of the piece after
    for index, (start, stop) in reversed(list(enumerate(inputs.bounds()))):
        piece, state, place = inputs.piece(start, stop), kept[index], slice(start, stop)
        first, second, by_state, spare = scratch[:, : stop - start].unbind()
        decays = piece.decays(first)
        states = piece.states(decays, state, second, spare)
        _weigh_channels(outer[place], states, found.read[place])
        torch.mul(outer[place].unsqueeze(2), piece.read.unsqueeze(3), out=by_state)
        if carried is not None:
            by_state[-1] += carried
        spare[:-1] = decays[1:]
        _scan_backward(spare, by_state)
        _weigh_states(piece.write, by_state, found.written[place])
        _weigh_channels(piece.written, by_state, found.write[place])
        by_exponent = decays.mul_(by_state)
        carried = by_exponent[0].clone()
        by_exponent[0] *= state
        by_exponent[1:] *= states[:-1]
        found.decay.add_(torch.mul(by_exponent, piece.steps.unsqueeze(2), out=spare).sum((0, 1)))
        torch.sum(by_exponent.mul_(inputs.decay), 2, out=found.steps[place])
    return found
