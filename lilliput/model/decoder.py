"""The one decoder: token ids in, logits out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig
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
        self, ids: Tensor, *, cache: Cache | None = None, left_padding: Tensor | None = None
    ) -> Tensor:
        """Logits [B, T, V], float32, for ids [B, T], int64. See `hidden` for the arguments."""
        return self.logits_of(self.hidden(ids, cache=cache, left_padding=left_padding))

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The output head: hidden [..., D] → logits [..., V], float32."""
        return F.linear(hidden, self.head_weight).float()

    def hidden(
        self, ids: Tensor, *, cache: Cache | None = None, left_padding: Tensor | None = None
    ) -> Tensor:
        """The residual stream after the final norm, [B, T, D].

        `cache`: ids are the T tokens that follow the `cache.length` already stored.
        `left_padding` [B], int64: how many tokens at the start of each row are padding, counted
        from the first token ever given; they are never attended to and positions start after them.
        Raises UserError when the sequence outgrows learned positions.
        """
        past = cache.length if cache is not None else 0
        positions = torch.arange(past, past + ids.shape[1], device=ids.device)
        if left_padding is not None:
            positions = (positions - left_padding[:, None]).clamp_min(0)
        residual = self.embedding(ids)
        rotary = None
        if self.config.positions == "learned":
            if past + ids.shape[1] > self.config.context_length:
                raise UserError(
                    f"{past + ids.shape[1]} tokens do not fit in this model's context length of "
                    f"{self.config.context_length}: shorten the text"
                )
            residual = residual + self.position_embedding(positions)
        else:
            cosine, sine = rotary_table(positions, self.config.head_dim, self.config.rope_theta)
            if left_padding is not None:
                cosine, sine = cosine[:, None], sine[:, None]
            rotary = cosine.to(residual.dtype), sine.to(residual.dtype)
        mask = attention_mask(past, ids.shape[1], left_padding, ids.device)
        for block in self.blocks:
            residual = block(residual, rotary, mask, cache)
        if cache is not None:
            cache.advance(ids.shape[1])
        return self.final_norm(residual)  # type: ignore[no-any-return]


def attention_mask(
    past: int, time: int, left_padding: Tensor | None, device: torch.device
) -> Tensor | None:
    """Boolean mask [B or 1, 1, T, S], or None where plain causal attention says it all.

    A padding token sees itself alone, so that its softmax is defined; nothing reads its output.
    """
    if left_padding is None and (past == 0 or time == 1):
        return None
    keys = torch.arange(past + time, device=device)
    queries = keys[past:, None]
    causal = keys <= queries
    if left_padding is None:
        return causal[None, None]
    visible = causal & (keys >= left_padding[:, None, None])
    return (visible | (keys == queries))[:, None]
