"""The shape of a decoder that retrieves: RETRO (arXiv 2112.04426)."""

from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, Self

import torch

from lilliput.errors import UserError
from lilliput.model.config import ModelConfig

_ENCODER_RATIO = 8 / 3
"""Inner width of the encoder's gated feed-forward over its width; 4 where it is not gated."""


def _help(text: str, default: Any) -> Any:
    """A dataclass field with the sentence that documents it on the command line."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class RetroConfig(ModelConfig):
    """A decoder's configuration, and what retrieval adds to it.

    The decoder may be of any family with rotary positions: `base_family` names its row, and `base`
    is its own configuration. Raises UserError when a field is illegal or two conflict.
    """

    family: str = _help("retro", "retro")
    base_family: str = _help("family of the decoder", "lilliput")
    chunk_length: int = _help("tokens of a chunk, for which neighbours are looked up", 64)
    n_neighbours: int = _help("neighbours of a chunk", 2)
    layers_before_retrieval: int = _help(
        "layers before the first that retrieves; -1: half of them, 5 at most (RETRO)", -1
    )
    retrieval_every: int = _help("every how many layers from then on one retrieves", 3)
    n_encoder_layers: int = _help("layers of the encoder that reads the neighbours", 2)
    d_encoder: int = _help("width of the encoder; d_model if 0", 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UserError(
                    f"model.{name} is {getattr(self, name)}: it must be at least {least}"
                )
        if self.positions != "rotary":
            raise UserError(
                f"model.positions is {self.positions!r}: retrieval is for rotary positions"
            )
        if self.n_future_tokens:
            raise UserError("model.n_future_tokens: a model that retrieves predicts one token only")
        if self.chunk_length >= self.context_length:
            raise UserError(
                f"model.chunk_length ({self.chunk_length}) must be below model.context_length "
                f"({self.context_length}): the neighbours of a chunk serve the text after it"
            )
        if not self.retrieval_layers:
            raise UserError(
                f"model.layers_before_retrieval ({self.layers_before_retrieval}) must be below "
                f"model.n_layers ({self.n_layers})"
            )
        if self.d_encoder % self.head_dim:
            raise UserError(
                f"model.d_encoder ({self.d_encoder}) must be a multiple of model.head_dim "
                f"({self.head_dim})"
            )

    @cached_property
    def base(self) -> ModelConfig:
        """The configuration of the decoder alone."""
        own = {item.name: getattr(self, item.name) for item in fields(ModelConfig)}
        return ModelConfig(**{**own, "family": self.base_family})

    @cached_property
    def encoder(self) -> ModelConfig:
        """The configuration of the encoder's layers: plain ones, with the decoder's arithmetic."""
        width = self.d_encoder or self.d_model
        heads = max(1, width // self.head_dim)
        ratio = _ENCODER_RATIO if self.gated else 4
        return ModelConfig(
            family=self.base_family,
            vocabulary_size=self.vocabulary_size,
            context_length=self.neighbour_length,
            n_layers=self.n_encoder_layers,
            d_model=width,
            n_heads=heads,
            n_kv_heads=heads,
            head_dim=self.head_dim,
            d_ff=max(16, round(width * ratio / 16) * 16),
            norm=self.norm,
            norm_gain=self.norm_gain,
            norm_eps=self.norm_eps,
            rope_theta=self.rope_theta,
            gated=self.gated,
            activation=self.activation,
            linear=self.linear,
        )

    @property
    def neighbour_length(self) -> int:
        """Tokens of a neighbour: a chunk and its continuation."""
        return 2 * self.chunk_length

    @property
    def retrieval_layers(self) -> tuple[int, ...]:
        """The layers that retrieve, counted from 0."""
        first = self.layers_before_retrieval
        if first < 0:
            first = min(5, self.n_layers // 2)
        return tuple(range(first, self.n_layers, self.retrieval_every))

    @property
    def retrieval_parameters(self) -> int:
        """Parameters of encoder and chunked cross-attention: what RETRO-fit trains."""
        return _retrieval_parameters(self)

    @property
    def embedding_parameters(self) -> int:
        """Parameters of token embedding and untied head, which the encoder shares."""
        return self.base.embedding_parameters

    @property
    def block_parameters(self) -> int:
        """Parameters of all layers and of norms outside them, retrieval among them."""
        return self.base.block_parameters + self.retrieval_parameters

    @property
    def cached_per_token(self) -> int:
        """Numbers that a cache holds for each token, over all layers.

        Besides keys and values, the state and the id from which the next chunk's neighbours are
        found and read; what the last chunk's neighbours take is shared out over a whole context.
        """
        keys_values = 2 * self.n_heads * self.head_dim * len(self.retrieval_layers)
        neighbours = keys_values * self.n_neighbours * self.neighbour_length
        carried = -(-neighbours // self.context_length)
        return self.base.cached_per_token + self.d_model + 1 + carried

    def flops_per_token(self, sequence_length: int | None = None) -> float:
        """Training FLOPs a token, forward and backward, counted as for any decoder.

        For each token the encoder reads 2·n_neighbours others.
        """
        encoder, layers = self.encoder, len(self.retrieval_layers)
        read = 2 * self.n_neighbours
        inner, inner_encoder = self.n_heads * self.head_dim, encoder.n_heads * self.head_dim
        layer = 4 * encoder.d_model * inner_encoder
        layer += encoder.d_model * encoder.d_ff * (3 if encoder.gated else 2)
        of_neighbours = self.n_encoder_layers * layer + 2 * encoder.d_model * inner_encoder
        of_neighbours += 2 * layers * encoder.d_model * inner
        if encoder.d_model != self.d_model:
            of_neighbours += self.d_model * encoder.d_model
        of_text = 2 * self.d_model * inner_encoder + 2 * layers * self.d_model * inner
        keys = self.n_encoder_layers * self.neighbour_length + self.chunk_length
        attended = 2 * read * (inner_encoder * keys + layers * inner * self.chunk_length)
        return self.base.flops_per_token(sequence_length) + 6.0 * (
            of_text + read * of_neighbours + attended
        )

    @property
    def fitting_flops_per_token(self) -> float:
        """`flops_per_token` where only retrieval is trained (RETRO-fit).

        A frozen layer saves the gradient of its weights, a third of its share; one below the first
        that retrieves is passed forwards only.
        """
        base = self.base.flops_per_token()
        head = 6.0 * self.vocabulary_size * self.d_model
        below = self.retrieval_layers[0] / self.n_layers
        saved = head / 3 + (base - head) * (below * 2 / 3 + (1 - below) / 3)
        return self.flops_per_token() - saved

    @classmethod
    def over(cls, base: ModelConfig, **changes: Any) -> Self:
        """The configuration of `base` with retrieval, which is trained on next tokens alone.

        Raises UserError as any does.
        """
        own = {item.name: getattr(base, item.name) for item in fields(ModelConfig)}
        return cls.from_dict({**own, **_GIVEN, "base_family": base.family, **changes})


RETRIEVAL_FIELDS = tuple(
    item.name for item in fields(RetroConfig) if item.name not in ModelConfig.__dataclass_fields__
)
"""The fields that a decoder's configuration lacks."""

_GIVEN = {"family": "retro", "n_future_tokens": 0}
_LEAST = {
    "chunk_length": 1,
    "n_neighbours": 1,
    "layers_before_retrieval": -1,
    "retrieval_every": 1,
    "n_encoder_layers": 1,
    "d_encoder": 0,
}


@lru_cache(maxsize=256)
def _retrieval_parameters(config: RetroConfig) -> int:
    from lilliput.model.retro.trunk import Retro, is_retrieval

    with torch.device("meta"):
        model = Retro(config)
    return sum(
        parameter.numel() for name, parameter in model.named_parameters() if is_retrieval(name)
    )
