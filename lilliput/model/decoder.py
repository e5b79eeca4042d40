"""The one decoder: token ids in, logits out.

Read top to bottom, this is the forward pass of every decoder family: `Decoder.hidden` runs the
layers, a `Block` is one layer, and what happens inside is in attention.py and feed_forward.py.
"""

from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.model.attention import Attention, LatentAttention, Memory, Sight
from lilliput.model.cache import Cache, KeyValueCache
from lilliput.model.config import ModelConfig
from lilliput.model.depths import DepthRouter, work_on_some
from lilliput.model.feed_forward import FeedForward, Mixture
from lilliput.model.future import FuturePredictor
from lilliput.model.kernels import Reach, linear_cross_entropy, visible_to
from lilliput.model.norms import make_norm
from lilliput.model.positions import alibi_slopes, rotary_table, sinusoids


class Block(nn.Module):
    """One layer: attention and feed-forward, each added to the residual stream.

    The norms stand where `norm_placement` says; where there is none, nothing happens.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        before = config.norm_placement in ("pre", "sandwich")
        after = config.norm_placement in ("sandwich", "out")
        on_sum = config.norm_placement == "post"
        own_norm = before and config.parallel != "one_norm"

        def norm(wanted: bool) -> nn.Module:
            return make_norm(config, config.d_model) if wanted else nn.Identity()

        self.attention_norm = norm(before)
        self.attention = (
            LatentAttention(config, layer) if config.latent_rank else Attention(config, layer)
        )
        self.attention_out_norm, self.attention_sum_norm = norm(after), norm(on_sum)
        self.feed_forward_norm = norm(own_norm)
        self.feed_forward = (
            Mixture(config)
            if config.is_mixture(layer)
            else FeedForward(config, config.feed_forward_width(layer))
        )
        self.feed_forward_out_norm, self.feed_forward_sum_norm = norm(after), norm(on_sum)
        self.depth_router = DepthRouter(config) if config.is_routed(layer) else None

    def forward(self, residual: Tensor, sight: Sight, memory: Memory) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        scale, parallel = self.config.residual_scale, self.config.parallel
        normed = self.attention_norm(residual)
        mixed = self.attention_out_norm(self.attention(normed, sight, memory))
        if parallel != "none":
            inner = normed if parallel == "one_norm" else self.feed_forward_norm(residual)
            return residual + scale * (mixed + self.feed_forward(inner))  # type: ignore[no-any-return]
        residual = self.attention_sum_norm(_plus(residual, mixed, scale))
        inner = self.feed_forward(self.feed_forward_norm(residual))
        changed = _plus(residual, self.feed_forward_out_norm(inner), scale)
        return self.feed_forward_sum_norm(changed)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """A causal transformer of any decoder family; `config` holds every choice."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._windowed = any(config.windows)
        width = config.d_model
        self.embedding = nn.Embedding(config.vocabulary_size, width)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.context_length, width)
        self.embedding_norm = make_norm(config, width) if config.embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.final_norm = make_norm(config, width) if config.final_norm else nn.Identity()
        if not config.tied:
            self.head = nn.Linear(width, config.vocabulary_size, bias=config.head_bias)
        self.future = nn.ModuleList(
            FuturePredictor(config, Block(config, config.n_layers - 1))
            for _ in range(config.n_future_tokens)
        )

    @property
    def head_weight(self) -> Tensor:
        """The output head's matrix [V, D]: the embedding's own when tied."""
        return self.embedding.weight if self.config.tied else self.head.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def forward(
        self, ids: Tensor, *, cache: Cache | None = None, document_starts: Tensor | None = None
    ) -> Tensor:
        """Logits [B, T, V], float32, for ids [B, T], int64. See `hidden` for the arguments."""
        return self.logits_of(self.hidden(ids, cache=cache, document_starts=document_starts))

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The output head: hidden [..., D] → logits [..., V], float32."""
        bias = self.head.bias if self.config.head_bias else None
        logits = F.linear(hidden, self.head_weight, bias).float() * self.config.logit_scale
        if cap := self.config.logit_softcap:
            logits = cap * torch.tanh(logits / cap)
        return logits

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Sum of the losses of targets [B, T] in nats; -100 where none is wanted."""
        rows, weight = hidden.flatten(0, 1), self.head_weight
        if self.config.logit_scale != 1:
            rows = rows * self.config.logit_scale
        if self.config.head_bias:
            ones = rows.new_full((len(rows), 1), self.config.logit_scale)
            rows = torch.cat((rows, ones), dim=1)
            weight = torch.cat((weight, self.head.bias[:, None]), dim=1)
        cap = self.config.logit_softcap
        return linear_cross_entropy(rows, weight, targets.flatten(), softcap=cap)

    def hidden(
        self, ids: Tensor, *, cache: Cache | None = None, document_starts: Tensor | None = None
    ) -> Tensor:
        """The residual stream after the final norm, [B, T, D].

        `cache`: ids are the T tokens that follow the `cache.length` already stored.
        `document_starts` [B, T or 1], int64: for each token the one, counted from the first ever
        given, with which its document begins. Attention never looks back past it, and positions
        count from it; so does a row that begins with padding end it.
        Raises UserError when the sequence outgrows learned positions.
        """
        past, time = cache.length if cache is not None else 0, ids.shape[1]
        positions = torch.arange(past, past + time, device=ids.device)
        if document_starts is not None:
            positions = (positions - document_starts).clamp_min(0)
        residual = self._embedded(ids, positions, past + time)
        sights = self._sights(positions, document_starts, past, residual)
        memory = Memory(cache, document_starts=document_starts)
        for layer, block in enumerate(self.blocks):
            sight = sights[self.config.kind(layer)]
            if self.config.is_routed(layer):
                residual = work_on_some(block, residual, sight, memory)  # type: ignore[arg-type]
            else:
                residual = block(residual, sight, memory)
        if cache is not None:
            cache.advance(time)
        return self.final_norm(residual)  # type: ignore[no-any-return]

    def ahead(
        self, hidden: Tensor, following: Tensor, document_starts: Tensor | None = None
    ) -> Generator[Tensor, Tensor | None, None]:
        """States [B, T, D] that predict the second, third … next token, one for each predictor.

        hidden [B, T, D] is what `hidden` returned, following [B, T] the token after each. What
        follows the last of them may be sent after each state, [B]; without, it is not known.
        """
        positions = torch.arange(following.shape[1], device=following.device)
        if document_starts is not None:
            positions = (positions - document_starts).clamp_min(0)
        kind = self.config.kind(self.config.n_layers - 1)
        sight = self._sight(kind, positions, document_starts, 0, hidden)
        for predictor in self.future:
            hidden = predictor(hidden, self.embedding(following), sight)
            last = yield hidden
            following = following.roll(-1, dims=1)
            if last is not None:
                following[:, -1] = last

    def make_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """An empty cache for so many rows of at most `capacity` tokens."""
        return KeyValueCache(rows, capacity, self.config.windows)

    def _embedded(self, ids: Tensor, positions: Tensor, length: int) -> Tensor:
        """ids [B, T] → the residual stream's beginning, [B, T, D]."""
        config = self.config
        residual = self.embedding(ids)
        if config.embedding_scale != 1:
            # Rounded like the weights, as Gemma's own code does.
            residual = residual * torch.tensor(config.embedding_scale, dtype=residual.dtype)
        if config.positions == "learned":
            if length > config.context_length:
                raise UserError(
                    f"{length} tokens do not fit in this model's context length of "
                    f"{config.context_length}: shorten the text"
                )
            residual = residual + self.position_embedding(positions)
        elif config.positions == "sinusoidal":
            residual = residual + sinusoids(positions, config.d_model).to(residual.dtype)
        return self.embedding_norm(residual)  # type: ignore[no-any-return]

    def _sights(
        self, positions: Tensor, document_starts: Tensor | None, past: int, residual: Tensor
    ) -> dict[str, Sight]:
        """What the layers of each kind see, for positions [B or none, T] of new tokens."""
        kinds = dict.fromkeys(map(self.config.kind, range(self.config.n_layers)))
        return {
            kind: self._sight(kind, positions, document_starts, past, residual) for kind in kinds
        }

    def _sight(
        self,
        kind: str,
        positions: Tensor,
        document_starts: Tensor | None,
        past: int,
        residual: Tensor,
    ) -> Sight:
        """What the layers of a kind see; of `past` tokens, a cache gives what a window holds."""
        config, time, device = self.config, residual.shape[1], residual.device
        if kind in "LC" and past >= config.window and self._windowed:
            left_out = past - (config.window - 1)
            if document_starts is not None or kind == "C":
                starts = 0 if document_starts is None else document_starts
                document_starts = torch.zeros(1, 1, dtype=torch.int64, device=device) + starts
                document_starts = document_starts - left_out
            past -= left_out
        reach = Reach(
            window=config.window if kind == "L" else 0, chunk=config.window if kind == "C" else 0
        )
        rotary = slopes = distances = temperature = None
        if config.positions == "rotary" and kind != "N":
            cosine, sine = rotary_table(config, positions, local=kind == "L")
            rotary = cosine.to(residual.dtype), sine.to(residual.dtype)
        elif config.positions == "alibi":
            slopes = alibi_slopes(config.n_heads, config.alibi_scale).to(device)
        elif config.positions == "relative":
            away = torch.arange(past + time, device=device)
            distances = sinusoids(away, config.d_model).to(residual.dtype)
        if config.attention_temperature and kind == "N":
            steps = ((positions + 1.0) / config.attention_temperature_from).floor()
            warmer = torch.log1p(steps) * config.attention_temperature + 1
            temperature = warmer[..., None, None].to(residual.dtype)
        visible = visible_to(
            document_starts,
            past,
            time,
            device,
            reach=reach,
            slopes=slopes,
            plain=config.plain_scores,
            dense=config.positions == "relative",
        )
        return Sight(visible, rotary, distances, temperature)


def _plus(residual: Tensor, added: Tensor, scale: float) -> Tensor:
    return residual + (added if scale == 1 else scale * added)
