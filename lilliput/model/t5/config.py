"""The shape of an encoder-decoder: T5 (arXiv 1910.10683) and T5 v1.1."""

from dataclasses import dataclass
from typing import Any, Literal

from lilliput.errors import UserError
from lilliput.model.fields import PlainFields, option
from lilliput.tokens.span_corruption import corrupted_counts, corrupted_lengths

T5_SWITCHES: dict[str, dict[str, Any]] = {
    "t5": {"gated": True, "activation": "gelu_tanh", "tied": False},
    "t5-v1.0": {"gated": False, "activation": "relu", "tied": True},
}
"""What defines a family: T5 v1.1 (as FLAN-T5 is, arXiv 2210.11416), and the paper's own T5."""

_FEED_FORWARD_RATIO = {"t5": 8 / 3, "t5-v1.0": 4.0}
_WIDTH_PER_LAYER = 64


@dataclass(frozen=True, kw_only=True)
class T5Config(PlainFields):
    """Everything that defines an encoder-decoder's computation; names as in `ModelConfig`.

    Sentinel k, which stands for the k-th span cut out of a text, is id `first_sentinel` - k. A
    model trained here has them above its tokenizer's ids, so that any tokenizer will do (see
    `t5_of_depth`); published ones have them in their tokenizer, in the same falling order.
    Raises UserError when a field is illegal or two conflict.
    """

    family: str = option("t5 (v1.1) or t5-v1.0", "t5")
    vocabulary_size: int = option("number of tokens, sentinels included")
    context_length: int = option("longest sequence in tokens, of encoder and decoder each", 512)
    n_layers: int = option("number of decoder layers")
    n_encoder_layers: int = option("number of encoder layers")
    d_model: int = option("width of the residual streams")
    n_heads: int = option("number of heads")
    head_dim: int = option("width of one head")
    d_ff: int = option("inner width of the feed-forward")
    gated: bool = option("gated feed-forward (arXiv 2002.05202)", True)
    activation: Literal["relu", "gelu_tanh", "silu"] = option(
        "non-linearity of the feed-forward", "gelu_tanh"
    )
    tied: bool = option(
        "output head shares the embedding's weights, and reads the last hidden state times "
        "d_model^-1/2",
        False,
    )
    relative_buckets: int = option("distances that attention tells apart, rounded into buckets", 32)
    relative_distance: int = option("distance from which all fall into one bucket", 128)
    norm_eps: float = option("added to the mean square in every norm", 1e-6)
    first_sentinel: int = option("id of the first sentinel; the others count down from it")
    n_sentinels: int = option("number of sentinels", 100)
    start_token: int = option("id the decoder begins with: T5 takes padding")

    def __post_init__(self) -> None:
        if self.family not in T5_SWITCHES:
            raise UserError(
                f"model.family {self.family!r} is unknown: choose {', '.join(T5_SWITCHES)}"
            )
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UserError(
                    f"model.{name} is {getattr(self, name)}: it must be at least {least}"
                )
        if self.activation not in ("relu", "gelu_tanh", "silu"):
            raise UserError(
                f"model.activation is {self.activation!r}: choose one of 'relu', 'gelu_tanh', "
                "'silu'"
            )
        if self.relative_buckets % 2:
            raise UserError(
                f"model.relative_buckets ({self.relative_buckets}) must be even: the encoder has "
                "half of them for either direction"
            )
        if self.relative_distance <= self.relative_buckets // 2:
            raise UserError(
                f"model.relative_distance ({self.relative_distance}) must be above half of "
                f"model.relative_buckets ({self.relative_buckets})"
            )
        if self.start_token >= self.vocabulary_size:
            raise UserError(
                f"model.start_token ({self.start_token}) must be below model.vocabulary_size "
                f"({self.vocabulary_size})"
            )
        if not self.n_sentinels - 1 <= self.first_sentinel < self.vocabulary_size:
            raise UserError(
                f"model.first_sentinel ({self.first_sentinel}) must be below "
                f"model.vocabulary_size ({self.vocabulary_size}) and leave room for "
                f"model.n_sentinels ({self.n_sentinels}) ids down to 0"
            )

    @property
    def n_kv_heads(self) -> int:
        """As many as query heads: T5 groups none."""
        return self.n_heads

    @property
    def cached_per_token(self) -> int:
        """Numbers a token takes in a cache: a key and a value a layer, and as many as memory."""
        return 4 * self.n_layers * self.n_heads * self.head_dim

    @property
    def parameters(self) -> int:
        """Number of distinct parameters (a tied head counts once)."""
        return self.block_parameters + self.embedding_parameters

    @property
    def block_parameters(self) -> int:
        """Parameters of all layers, the two tables of relative bias and the two final norms."""
        norms = 2 * self.n_encoder_layers + 3 * self.n_layers + 2
        bias = 2 * self.relative_buckets * self.n_heads
        return (
            self.n_encoder_layers * self._encoder_layer_weights
            + self.n_layers * self._decoder_layer_weights
            + norms * self.d_model
            + bias
        )

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the token embedding, which the two stacks share, and an untied head."""
        return self.vocabulary_size * self.d_model * (1 if self.tied else 2)

    @property
    def _attention_weights(self) -> int:
        return 4 * self.d_model * self.n_heads * self.head_dim

    @property
    def _encoder_layer_weights(self) -> int:
        return self._attention_weights + self.d_model * self.d_ff * (3 if self.gated else 2)

    @property
    def _decoder_layer_weights(self) -> int:
        return self._encoder_layer_weights + self._attention_weights

    def flops(self, read: int, written: int) -> float:
        """Training FLOPs of one pair: `read` tokens in the encoder, `written` in the decoder.

        6 a matrix weight and token that passes it; attention as in `ModelConfig.flops_per_token`,
        the whole square where it is not causal. Cross-attention's keys and values are made of
        encoder tokens.
        """
        inner = self.n_heads * self.head_dim
        cross = 2 * self.d_model * inner
        encoder = self.n_encoder_layers * self._encoder_layer_weights + self.n_layers * cross
        decoder = self.n_layers * (self._decoder_layer_weights - cross)
        decoder += self.vocabulary_size * self.d_model
        squares = self.n_encoder_layers * 2 * read * read
        squares += self.n_layers * (written * written + 2 * written * read)
        return 6.0 * (read * encoder + written * decoder) + 6.0 * inner * squares

    def flops_per_token(self, sequence_length: int | None = None) -> float:
        """Training FLOPs a scored token of span corruption in windows of `sequence_length`.

        The loop counts scored tokens, and these are the decoder's: what the encoder spends on a
        window is shared out over them, so that their product is the run's compute.
        """
        read, written = corrupted_lengths(max(2, sequence_length or self.context_length))
        return self.flops(read, written) / written


_LEAST = {
    "vocabulary_size": 1,
    "context_length": 1,
    "n_layers": 1,
    "n_encoder_layers": 1,
    "d_model": 1,
    "n_heads": 1,
    "head_dim": 1,
    "d_ff": 1,
    "relative_buckets": 4,
    "norm_eps": 0,
    "n_sentinels": 0,
    "start_token": 0,
}


def t5_of_depth(
    depth: int,
    *,
    tokenizer_vocabulary_size: int,
    start_token: int,
    family: str = "t5",
    **overrides: Any,
) -> T5Config:
    """The one dial: `depth` layers in either stack give width, heads and feed-forward.

    The vocabulary is the tokenizer's and, above it, a sentinel for each span that corrupting a
    whole context cuts out. `start_token` is the tokenizer's padding. Any field can be overridden.
    Raises UserError for an unknown family or a field that does not exist.
    """
    if family not in T5_SWITCHES:
        raise UserError(f"model.family {family!r} is unknown: choose {', '.join(T5_SWITCHES)}")
    if depth < 1:
        raise UserError(f"model.depth is {depth}: it must be at least 1")
    context_length = overrides.get("context_length", 512)
    sentinels = overrides.get("n_sentinels", corrupted_counts(max(2, context_length))[1])
    vocabulary_size = tokenizer_vocabulary_size + sentinels
    d_model = overrides.get("d_model", depth * _WIDTH_PER_LAYER)
    head_dim = overrides.get("head_dim", min(64, d_model))
    derived: dict[str, Any] = {
        "vocabulary_size": vocabulary_size,
        "n_layers": depth,
        "n_encoder_layers": depth,
        "d_model": d_model,
        "n_heads": max(1, d_model // head_dim),
        "head_dim": head_dim,
        "d_ff": max(16, round(d_model * _FEED_FORWARD_RATIO[family] / 16) * 16),
        "first_sentinel": overrides.get("vocabulary_size", vocabulary_size) - 1,
        "n_sentinels": sentinels,
        "start_token": start_token,
    }
    return T5Config.from_dict({**T5_SWITCHES[family], **derived, **overrides, "family": family})
