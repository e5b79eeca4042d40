"""The shape of a model: one frozen table of orthogonal switches."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

from lilliput.errors import UserError


def _help(text: str, default: Any = ...) -> Any:
    """A dataclass field with the sentence that documents it on the command line."""
    if default is ...:
        return field(metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that defines a decoder's computation.

    Sizes count units, never bytes. `d_model` is the width of the residual stream, `d_ff` the inner
    width of the feed-forward. Raises UserError when two fields conflict.
    """

    family: str = _help("name of the row in the table of families", "lilliput")
    vocabulary_size: int = _help("number of tokens")
    context_length: int = _help("longest sequence in tokens", 512)
    n_layers: int = _help("number of layers")
    d_model: int = _help("width of the residual stream")
    n_heads: int = _help("number of query heads")
    n_kv_heads: int = _help("number of key/value heads; fewer than n_heads groups queries")
    head_dim: int = _help("width of one head")
    d_ff: int = _help("inner width of the feed-forward")
    norm: Literal["rmsnorm", "layernorm"] = _help(
        "RMSNorm (arXiv 1910.07467) or LayerNorm with bias (arXiv 1607.06450)", "rmsnorm"
    )
    norm_eps: float = _help("added to the variance in every norm", 1e-6)
    positions: Literal["rotary", "learned"] = _help(
        "rotary (arXiv 2104.09864) or learned absolute positions", "rotary"
    )
    rope_theta: float = _help("base of the rotary wavelengths", 10_000.0)
    qk_norm: bool = _help("RMSNorm on every query and key head (arXiv 2302.05442)", False)
    activation: Literal["silu", "gelu_tanh"] = _help("non-linearity of the feed-forward", "silu")
    gated: bool = _help("gated feed-forward (SwiGLU, arXiv 2002.05202)", True)
    bias: bool = _help("biases in every linear layer of the blocks", False)
    tied: bool = _help("output head shares the embedding's weights (arXiv 1608.05859)", True)

    def __post_init__(self) -> None:
        for name in (
            "vocabulary_size",
            "context_length",
            "n_layers",
            "d_model",
            "n_heads",
            "n_kv_heads",
            "head_dim",
            "d_ff",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"model.{name} is {getattr(self, name)}: it must be at least 1")
        if self.n_heads % self.n_kv_heads:
            raise UserError(
                f"model.n_heads ({self.n_heads}) must be a multiple of "
                f"model.n_kv_heads ({self.n_kv_heads})"
            )
        if self.positions == "rotary" and self.head_dim % 2:
            raise UserError(
                f"model.positions 'rotary' turns pairs, so model.head_dim ({self.head_dim}) "
                "must be even"
            )
        for item in fields(self):
            allowed = getattr(item.type, "__args__", None)
            if allowed and getattr(self, item.name) not in allowed:
                raise UserError(
                    f"model.{item.name} is {getattr(self, item.name)!r}: "
                    f"choose one of {', '.join(map(repr, allowed))}"
                )

    @property
    def parameters(self) -> int:
        """Number of distinct parameters (a tied head counts once)."""
        return self.block_parameters + self.embedding_parameters

    @property
    def block_parameters(self) -> int:
        """Parameters of all layers and the final norm."""
        bias, norm_width = int(self.bias), 1 if self.norm == "rmsnorm" else 2
        query, key_value = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        attention = self.d_model * (2 * query + 2 * key_value)
        attention += bias * (query + 2 * key_value + self.d_model)
        attention += 2 * self.head_dim * int(self.qk_norm)
        feed_forward = self.d_model * self.d_ff * (3 if self.gated else 2)
        feed_forward += bias * (self.d_ff * (2 if self.gated else 1) + self.d_model)
        norms = norm_width * self.d_model
        return self.n_layers * (attention + feed_forward + 2 * norms) + norms

    @property
    def embedding_parameters(self) -> int:
        """Parameters of token embedding, learned positions and an untied head."""
        tables = self.vocabulary_size * (1 if self.tied else 2)
        tables += self.context_length if self.positions == "learned" else 0
        return tables * self.d_model

    def flops_per_token(self, sequence_length: int | None = None) -> float:
        """Training FLOPs a token, forward and backward: 6 a matrix weight, plus causal attention.

        The lookup of an embedding costs nothing; the output head counts once whether tied or not.
        Attention counts half of its square, since causality needs no more (PaLM, arXiv 2204.02311,
        appendix B, halved).
        """
        time = sequence_length or self.context_length
        query, key_value = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        matrices = self.n_layers * self.d_model * (2 * query + 2 * key_value)
        matrices += self.n_layers * self.d_model * self.d_ff * (3 if self.gated else 2)
        matrices += self.vocabulary_size * self.d_model
        return 6.0 * matrices + 6.0 * self.n_layers * query * time

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises UserError on a field that does not exist."""
        known = {item.name for item in fields(cls)}
        for name in values:
            if name not in known:
                raise UserError(f"model.{name}: no such field (fields: {', '.join(sorted(known))})")
        return cls(**values)

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)
