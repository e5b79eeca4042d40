"""Mamba (arXiv 2312.00752): a trunk without attention, whose memory of the past has one size.

Shapes: B batch, T tokens, D width of the residual stream, I inner channels, N states a channel,
R rank of the step, L layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.model.kernels import linear_cross_entropy
from lilliput.model.kernels.convolution import causal_convolution
from lilliput.model.kernels.scan import selective_scan
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.state import RecurrentState
from lilliput.model.norms import RMSNorm


class MambaBlock(nn.Module):
    """One pre-norm layer: a gated, selective state space behind a short convolution."""

    def __init__(self, config: MambaConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        width, inner, states = config.d_model, config.d_inner, config.d_state
        self.norm = RMSNorm((width,), config.norm_eps)
        self.values = nn.Linear(width, inner, bias=False)
        self.gate = nn.Linear(width, inner, bias=False)
        self.convolution = nn.Conv1d(inner, inner, config.d_conv, groups=inner)
        self.selection = nn.Linear(inner, config.dt_rank + 2 * states, bias=False)
        self.step = nn.Linear(config.dt_rank, inner)
        self.decay_log = nn.Parameter(torch.empty(inner, states))
        self.skip = nn.Parameter(torch.empty(inner))
        self.output = nn.Linear(inner, width, bias=False)

    def forward(
        self, residual: Tensor, reach: Tensor | None, cache: RecurrentState | None
    ) -> Tensor:
        """[B, T, D] → [B, T, D]. `reach` [B, T]: tokens since the document's first, or None."""
        normed = self.norm(residual)
        values = F.silu(self._convolve(self.values(normed), reach, cache))
        low_rank, write, read = self.selection(values).split(
            (self.config.dt_rank, self.config.d_state, self.config.d_state), dim=-1
        )
        # The recurrence multiplies errors in its coefficients over time: float32 from here.
        steps = F.softplus(F.linear(low_rank, self.step.weight).float() + self.step.bias.float())
        mixed, last = selective_scan(
            values,
            steps,
            -self.decay_log.float().exp(),
            write,
            read,
            state=None if cache is None else cache.states(self.layer),
            restarts=None if reach is None else reach == 0,
        )
        if cache is not None:
            cache.states(self.layer).copy_(last)
        mixed = torch.addcmul(mixed, values, self.skip) * F.silu(self.gate(normed))
        changed: Tensor = residual + self.output(mixed)
        return changed

    def _convolve(
        self, values: Tensor, reach: Tensor | None, cache: RecurrentState | None
    ) -> Tensor:
        """[B, T, I] → [B, T, I]; the cache hands on the last inputs."""
        weight, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        if cache is None:
            return causal_convolution(values, weight, bias, reach)
        earlier = cache.inputs(self.layer)
        count = earlier.shape[1]
        values = torch.cat((earlier, values), dim=1)
        if reach is not None:
            reach = F.pad(reach, (count, 0))
        earlier.copy_(values[:, values.shape[1] - count :].detach())
        return causal_convolution(values, weight, bias, reach)[:, count:]


class Mamba(nn.Module):
    """A causal language model of Mamba blocks, behind the interface of `Decoder`."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.d_model)
        self.blocks = nn.ModuleList(MambaBlock(config, layer) for layer in range(config.n_layers))
        self.final_norm = RMSNorm((config.d_model,), config.norm_eps)
        if not config.tied:
            self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head's matrix [V, D]: the embedding's own when tied."""
        return self.embedding.weight if self.config.tied else self.head.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def make_cache(
        self,
        rows: int,
        capacity: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> RecurrentState:
        """An empty memory for `rows` texts; `capacity` is a count of tokens and costs nothing.

        On the weights' device and in their dtype, if not told otherwise.
        """
        weight = self.head_weight
        return RecurrentState(
            self.config, rows, capacity, device or weight.device, dtype or weight.dtype
        )

    def forward(
        self,
        ids: Tensor,
        *,
        cache: RecurrentState | None = None,
        document_starts: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, V], float32, for ids [B, T], int64. See `hidden` for the arguments."""
        return self.logits_of(self.hidden(ids, cache=cache, document_starts=document_starts))

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The output head: hidden [..., D] → logits [..., V], float32."""
        return F.linear(hidden, self.head_weight).float()

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Sum of the losses of targets [B, T] in nats; -100 where none is wanted."""
        return linear_cross_entropy(hidden.flatten(0, 1), self.head_weight, targets.flatten())

    def hidden(
        self,
        ids: Tensor,
        *,
        cache: RecurrentState | None = None,
        document_starts: Tensor | None = None,
    ) -> Tensor:
        """The residual stream after the final norm, [B, T, D].

        `cache`: ids are the T tokens that follow the `cache.length` it has taken in; no gradient
        goes through it. `document_starts` [B, T or 1], int64: for each token the one, counted from
        the first ever given, with which its document begins. There the convolution and the state
        begin anew, so that neither an earlier document nor padding leaves a trace.
        """
        past, time = cache.length if cache is not None else 0, ids.shape[1]
        reach = _reach(document_starts, past, time, self.config.d_conv)
        residual = self.embedding(ids)
        for block in self.blocks:
            residual = block(residual, reach, cache)
        if cache is not None:
            cache.advance(time)
        return self.final_norm(residual)  # type: ignore[no-any-return]


def _reach(document_starts: Tensor | None, past: int, time: int, taps: int) -> Tensor | None:
    """How many tokens of its own document come before each, [B, T]; None where all are one.

    Below 0 for padding in front of a document, and None too when every document began before
    anything these tokens look at.
    """
    if document_starts is None:
        return None
    if past == 0 and document_starts.device.type == "cpu" and not document_starts.any():
        return None
    positions = torch.arange(past, past + time, device=document_starts.device)
    reach = positions - document_starts
    return None if time == 1 and int(reach.min()) >= max(1, taps - 1) else reach


def initialise_mamba(model: Mamba, seed: int) -> None:
    """Fill `model` in place, the same on every machine for the same seed.

    Matrices are uniform with a standard deviation of their inputs^-1/2, those that write to the
    residual stream zero and the embedding's deviation 0.02, or 0.5 under a head of its own, as in
    `initialise`. The state space begins as in the paper, section 3.6: decays -1 to -N in every
    channel, steps log-uniform between 0.001 and 0.1, no dependence of the step's scale on its rank.
    """
    generator = torch.Generator().manual_seed(seed)
    deviation = 0.02 if model.config.tied else 0.5
    with torch.no_grad():
        draw = torch.randn(model.embedding.weight.shape, generator=generator)
        model.embedding.weight.copy_(draw * deviation)
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
        if not model.config.tied:
            model.head.weight.zero_()
        for block in model.blocks:
            assert isinstance(block, MambaBlock)
            _initialise_block(block, generator)


def _initialise_block(block: MambaBlock, generator: torch.Generator) -> None:
    def fill(weight: Tensor, bound: float) -> None:
        weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * bound)

    config = block.config
    fill(block.values.weight, (3.0 / config.d_model) ** 0.5)
    fill(block.gate.weight, (3.0 / config.d_model) ** 0.5)
    fill(block.selection.weight, (3.0 / config.d_inner) ** 0.5)
    fill(block.step.weight, config.dt_rank**-0.5)
    fill(block.convolution.weight, config.d_conv**-0.5)
    assert block.convolution.bias is not None
    block.convolution.bias.zero_()
    block.output.weight.zero_()
    # In float64, so that a library's last bit does not show.
    draw = torch.rand(config.d_inner, generator=generator, dtype=torch.float64)
    steps = 0.001 * 100.0**draw
    block.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))
    decays = torch.arange(1, config.d_state + 1, dtype=torch.float64)
    block.decay_log.copy_(decays.log().expand_as(block.decay_log))
    block.skip.fill_(1.0)
