"""The shape of a Mamba model: every field that defines its computation."""

from dataclasses import dataclass, fields

from lilliput.errors import UserError
from lilliput.model.fields import PlainFields, option

_SCAN_OPERATIONS = 7
"""Forward, for one state of one channel and one token; see `MambaConfig.flops_per_token`."""


@dataclass(frozen=True, kw_only=True)
class MambaConfig(PlainFields):
    """Everything that defines a Mamba trunk's computation (arXiv 2312.00752).

    Sizes count units, never bytes. `d_inner` and `dt_rank` given as 0 become their usual shares of
    `d_model`. Raises UserError, naming the field, for a value that cannot be.
    """

    family: str = option("name of the row in the table of families", "mamba")
    vocabulary_size: int = option("number of tokens")
    context_length: int = option("longest sequence in tokens", 512)
    n_layers: int = option("number of layers")
    d_model: int = option("width of the residual stream")
    d_inner: int = option("channels of the state space; 0: twice d_model", 0)
    d_state: int = option("states of a channel", 16)
    d_conv: int = option("taps of the convolution", 4)
    dt_rank: int = option("rank of the step's matrix; 0: a sixteenth of d_model, rounded up", 0)
    norm_eps: float = option("added to the variance in every norm", 1e-5)
    tied: bool = option("output head shares the embedding's weights (arXiv 1608.05859)", True)

    def __post_init__(self) -> None:
        if self.family != "mamba":
            raise UserError(f"model.family is {self.family!r}: a Mamba trunk's is 'mamba'")
        derived = {"d_inner": 2 * self.d_model, "dt_rank": -(-self.d_model // 16)}
        for name, value in derived.items():
            if getattr(self, name) == 0:
                object.__setattr__(self, name, value)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type is int and value < 1:
                raise UserError(f"model.{item.name} is {value}: it must be at least 1")
        if not self.norm_eps > 0:
            raise UserError(f"model.norm_eps is {self.norm_eps}: it must be above 0")

    @property
    def parameters(self) -> int:
        """Number of distinct parameters (a tied head counts once)."""
        return self.block_parameters + self.embedding_parameters

    @property
    def block_parameters(self) -> int:
        """Parameters of all layers and the final norm."""
        convolution = self.d_inner * (self.d_conv + 1)
        state_space = self.d_inner * (self.d_state + 1) + self.d_inner
        layer = self._matrices + convolution + state_space + self.d_model
        return self.n_layers * layer + self.d_model

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the token embedding and an untied head."""
        return self.vocabulary_size * self.d_model * (1 if self.tied else 2)

    @property
    def cached_per_row(self) -> int:
        """Numbers that a recurrent state holds for each text, however long, over all layers."""
        return self.n_layers * self.d_inner * (self.d_state + self.d_conv - 1)

    @property
    def _matrices(self) -> int:
        """Weights of a layer's matrix products."""
        to_and_from = 3 * self.d_model * self.d_inner
        return to_and_from + self.d_inner * (2 * self.dt_rank + 2 * self.d_state)

    def flops_per_token(self, sequence_length: int | None = None) -> float:
        """Training FLOPs a token, forward and backward, the same for every sequence length.

        6 a matrix weight and a tap of the convolution; the output head counts once whether tied or
        not. The scan counts 7 forward for each state of each channel (one product for the exponent,
        one exponential, one product to write, two operations to update and two to read), and twice
        that backward.
        """
        channels = self.n_layers * self.d_inner
        weights = self.n_layers * self._matrices + channels * self.d_conv
        weights += self.vocabulary_size * self.d_model
        return 6.0 * weights + 3.0 * _SCAN_OPERATIONS * channels * self.d_state
