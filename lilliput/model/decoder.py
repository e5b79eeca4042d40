"""The one decoder: token ids in, logits out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
from lilliput.model.kernels import visible_to
from lilliput.model.layers import Block, Cache, make_norm, rotary_table


class Decoder(nn.Module):
    """A causal transformer of any decoder family; `config` holds every choice."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.d_model)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.final_norm = make_norm(config, config.d_model)
        if not config.tied:
            self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head's matrix [V, D]: the embedding's own when tied."""
        return self.embedding.weight if self.config.tied else self.head.weight

    def forward(
        self, ids: Tensor, *, cache: Cache | None = None, document_starts: Tensor | None = None
    ) -> Tensor:
        """Logits [B, T, V], float32, for ids [B, T], int64. See `hidden` for the arguments."""
        return self.logits_of(self.hidden(ids, cache=cache, document_starts=document_starts))

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The output head: hidden [..., D] → logits [..., V], float32."""
        return F.linear(hidden, self.head_weight).float()

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
        visible = visible_to(document_starts, past, time, ids.device)
        if document_starts is not None:
            positions = (positions - document_starts).clamp_min(0)
        residual = self.embedding(ids)
        rotary = None
        if self.config.positions == "learned":
            if past + time > self.config.context_length:
                raise UserError(
                    f"{past + time} tokens do not fit in this model's context length of "
                    f"{self.config.context_length}: shorten the text"
                )
            residual = residual + self.position_embedding(positions)
        else:
            cosine, sine = rotary_table(positions, self.config.head_dim, self.config.rope_theta)
            rotary = cosine.to(residual.dtype), sine.to(residual.dtype)
        for block in self.blocks:
            residual = block(residual, rotary, visible, cache)
        if cache is not None:
            cache.advance(time)
        return self.final_norm(residual)  # type: ignore[no-any-return]
