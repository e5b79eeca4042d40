"""RETRO: a decoder that reads, chunk by chunk, what a database knows of a text like its own.

After every chunk of a text the database is asked for the chunks most like it; an encoder reads
them with their continuations, and some layers of the decoder attend to what it read while they
write the next chunk. arXiv 2112.04426; the deviations are named at `Retro`.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lilliput.model.attention import Memory
from lilliput.model.cache import Cache
from lilliput.model.decoder import Decoder
from lilliput.model.initialise import initialise_decoder
from lilliput.model.retro.cache import RetroCache
from lilliput.model.retro.chunks import ChunkPlan, plan_chunks
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.layers import ChunkedCrossAttention, NeighbourEncoder, turn_of
from lilliput.tokens.ngrams import MISSING

_RETRIEVAL = ("encoder.", "retrieval.")


class Retriever(Protocol):
    """Finds neighbours, as `lilliput.tokens.neighbours` does."""

    def __call__(self, chunks: Tensor) -> Tensor:
        """Chunks [P, M] → neighbours [P, K, R], both int64; MISSING where there is no token."""


class Retro(Decoder):
    """A decoder of any rotary family with retrieval, behind the Decoder's own interface.

    Neighbours are an argument in training; in generation and scoring they come from `retriever`,
    as chunks are completed. Without either this is the decoder alone.

    As in the paper but for three things: a layer retrieves before its attention, not between that
    and its feed-forward, so that the layers of all families stay whole; the encoder shares the
    decoder's embedding; and what is retrieved is added through a gate that begins closed.
    """

    config: RetroConfig

    def __init__(self, config: RetroConfig) -> None:
        super().__init__(config)
        self.encoder = NeighbourEncoder(config)
        self.retrieval = nn.ModuleDict(
            {str(layer): ChunkedCrossAttention(config) for layer in config.retrieval_layers}
        )
        self.retriever: Retriever | None = None

    def make_cache(self, rows: int, capacity: int) -> RetroCache:
        """An empty cache for so many rows of at most `capacity` tokens."""
        return RetroCache(rows, capacity, self.config.windows)

    def forward(
        self,
        ids: Tensor,
        *,
        cache: Cache | None = None,
        document_starts: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, V], float32, for ids [B, T], int64. See `hidden` for the arguments."""
        return self.logits_of(
            self.hidden(ids, cache=cache, document_starts=document_starts, neighbours=neighbours)
        )

    def hidden(
        self,
        ids: Tensor,
        *,
        cache: Cache | None = None,
        document_starts: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """The residual stream after the final norm, [B, T, D]; see `Decoder.hidden`.

        `neighbours` [B, N, K, R], int64, R at most 2·chunk_length: those of the chunks that end
        among these ids, row by row in order, and MISSING (-1) where there is no token; what stands
        there for a chunk that a row does not have is not looked at. Chunks are counted from where a
        document begins, and neighbours of a document's chunk are seen in that document alone.
        Raises ValueError if they are too few.
        """
        if neighbours is None and self.retriever is None:
            return super().hidden(ids, cache=cache, document_starts=document_starts)
        assert cache is None or isinstance(cache, RetroCache)
        past, time = cache.length if cache is not None else 0, ids.shape[1]
        positions = torch.arange(past, past + time, device=ids.device)
        if document_starts is not None:
            positions = (positions - document_starts).clamp_min(0)
        residual = self._embedded(ids, positions, past + time)
        sights = self._sights(positions, document_starts, past, residual)
        memory = Memory(cache)
        retrieval: _Retrieval | None = None
        for layer, block in enumerate(self.blocks):
            if str(layer) in self.retrieval:
                if retrieval is None:
                    retrieval = self._retrieve(ids, residual, neighbours, document_starts, cache)
                residual = residual + retrieval.read(self.retrieval[str(layer)], layer, residual)
            residual = block(residual, sights[self.config.kind(layer)], memory)
        if cache is not None:
            cache.advance(time)
        return self.final_norm(residual)  # type: ignore[no-any-return]

    def _retrieve(
        self,
        ids: Tensor,
        residual: Tensor,
        neighbours: Tensor | None,
        document_starts: Tensor | None,
        cache: RetroCache | None,
    ) -> "_Retrieval":
        """Find and encode the neighbours of the chunks that end among ids [B, T]."""
        rows, time = ids.shape
        plan = plan_chunks(
            document_starts,
            rows,
            cache.length if cache is not None else 0,
            time,
            chunk_length=self.config.chunk_length,
            carried=cache is not None and cache.visible is not None,
            device=ids.device,
            most=None if neighbours is None else neighbours.shape[1],
        )
        states, past = residual, 0
        if cache is not None:
            past = cache.length
            stored = residual[:, None], ids[:, None, :, None]
            all_states, all_ids = cache.extend(self.config.n_layers, *stored)
            states, ids = all_states[:, 0], all_ids[:, 0, :, 0]
        encoded = visible = None
        if plan.ends.shape[1]:
            length = self.config.chunk_length
            if neighbours is None:
                neighbours = self._found(plan.members(ids[..., None], past, length)[..., 0], plan)
            there = (neighbours >= 0) & plan.present[..., None, None]
            encoded, visible = self.encoder(
                self._neighbours_embedded(neighbours), there, plan.members(states, past, length)
            )
        length = 0 if neighbours is None else neighbours.shape[3]
        return _Retrieval(self.config, plan, encoded, visible, length, cache)

    def _found(self, chunks: Tensor, plan: ChunkPlan) -> Tensor:
        """Ask the retriever for the chunks [B, N, M] that rows have: [B, N, K, R]."""
        assert self.retriever is not None
        answers = self.retriever(chunks[plan.present]).to(chunks.device)
        found = answers.new_full((*chunks.shape[:2], *answers.shape[1:]), MISSING)
        found[plan.present] = answers
        return found

    def _neighbours_embedded(self, neighbours: Tensor) -> Tensor:
        """[B, N, K, R] → [B, N, K, R, D]."""
        rows = neighbours.clamp_min(0).flatten(0, 2)
        places = torch.arange(rows.shape[1], device=rows.device)
        embedded = self._embedded(rows, places, rows.shape[1])
        return embedded.view(*neighbours.shape, -1)


class _Retrieval:
    """What one pass retrieves, as its layers attend to it."""

    def __init__(
        self,
        config: RetroConfig,
        plan: ChunkPlan,
        encoded: Tensor | None,
        visible: Tensor | None,
        neighbour_length: int,
        cache: RetroCache | None,
    ) -> None:
        self._config, self._plan, self._encoded, self._cache = config, plan, encoded, cache
        if encoded is not None:
            places = torch.arange(encoded.shape[2], device=encoded.device) % neighbour_length
            self._key_turn = turn_of(config, places, encoded.dtype)
        carried = cache.visible if cache is not None else None
        self._visible = _joined(carried, visible)
        if cache is not None and visible is not None:
            assert self._visible is not None
            cache.carry_visible(plan.last_of(self._visible))

    def read(self, attention: nn.Module, layer: int, residual: Tensor) -> Tensor:
        """What the layer's cross-attention adds to the residual stream [B, T, D]."""
        assert isinstance(attention, ChunkedCrossAttention)
        if self._visible is None:
            return torch.zeros_like(residual)
        plan, cache = self._plan, self._cache
        keys = values = None
        if self._encoded is not None:
            keys, values = attention.keys_and_values(self._encoded, self._key_turn)
        if plan.carried:
            assert cache is not None
            carried = cache.carried(layer)
            keys, values = _joined(carried[0], keys), _joined(carried[1], values)
        assert keys is not None and values is not None
        if cache is not None and self._encoded is not None:
            cache.carry(layer, plan.last_of(keys), plan.last_of(values))
        positions = plan.offsets + (self._config.chunk_length - 1)
        turn = turn_of(self._config, positions, residual.dtype)
        return attention(residual, turn, plan, (keys, values), self._visible)  # type: ignore[no-any-return]


def _joined(first: Tensor | None, others: Tensor | None) -> Tensor | None:
    """[B, …] and [B, N, …] → [B, 1 + N, …]; either may be missing."""
    if first is None:
        return others
    return first[:, None] if others is None else torch.cat((first[:, None], others), dim=1)


def is_retrieval(name: str) -> bool:
    """Whether a parameter of this name belongs to what retrieval adds to a decoder."""
    return name.startswith(_RETRIEVAL)


def initialise_retro(model: Retro, seed: int) -> None:
    """Fill `model` in place: the decoder as any is, and retrieval behind its gates.

    The gates are closed, so the matrix before each must not be zero too: neither would learn.
    """
    initialise_decoder(model, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for attention in model.retrieval.children():
            assert isinstance(attention, ChunkedCrossAttention)
            weight = attention.output.weight
            spread = (3.0 / weight.shape[1]) ** 0.5
            weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * spread)


def retrofit(base: Decoder, *, seed: int = 1, **changes: Any) -> Retro:
    """RETRO-fit (arXiv 2112.04426, section 4.2): give a trained decoder retrieval.

    The decoder's weights are copied and frozen; encoder and cross-attention are new. `changes` are
    fields of RetroConfig. Raises UserError for a decoder that cannot retrieve.
    """
    model = Retro(RetroConfig.over(base.config, **changes))
    initialise_retro(model, seed)
    model.load_state_dict(base.state_dict(), strict=False)
    model.to(base.head_weight.device, base.head_weight.dtype)
    freeze(model)
    return model


def freeze(model: Retro) -> None:
    """Leave only encoder and cross-attention to be trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_retrieval(name))
