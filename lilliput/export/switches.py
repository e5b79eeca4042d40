"""What classes of Llama's kind add to its computation, read from their config.json."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from lilliput.export.gguf.rope import llama3_divisors

Values = Mapping[str, Any]

_PRE_NORMS = ("input_layernorm", "post_attention_layernorm")
_OUT_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
_SANDWICH = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


@dataclass(frozen=True)
class Switches:
    """What differs from Llama.

    `norms` are the layer's norms by name; `unit_gain`: they scale by 1 + weight. `windows` and
    `turning` say, layer by layer, how many tokens it sees (0: all) and whether rotary positions
    turn it; empty: all tokens, and all turn. `local_theta` is the base where a window is seen,
    `divisors` what Llama 3's stretching divides each pair's frequency by. `attention_scale`
    multiplies scores (0: head_dim^-0.5).
    """

    qkv_bias: bool = False
    full_qk_norm: bool = False
    norms: tuple[str, ...] = _PRE_NORMS
    unit_gain: bool = False
    activation: Literal["silu", "gelu_tanh"] = "silu"
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    attention_scale: float = 0.0
    attention_softcap: float = 0.0
    logit_scale: float = 1.0
    logit_softcap: float = 0.0
    windows: tuple[int, ...] = ()
    turning: tuple[bool, ...] = ()
    local_theta: float | None = None
    divisors: tuple[float, ...] = ()

    def window(self, layer: int) -> int:
        """How many tokens a layer sees; 0: all before."""
        return self.windows[layer] if self.windows else 0

    def turns(self, layer: int) -> bool:
        """Whether rotary positions turn a layer's queries and keys."""
        return self.turning[layer] if self.turning else True

    @property
    def norms_before(self) -> tuple[str, str] | None:
        """The norms before attention and feed-forward."""
        if self.norms == _OUT_NORMS:
            return None
        return self.norms[0], self.norms[2 if self.norms == _SANDWICH else 1]

    @property
    def norms_after(self) -> tuple[str, str] | None:
        """The norms of what attention and feed-forward give."""
        if self.norms == _PRE_NORMS:
            return None
        return _OUT_NORMS[0], _OUT_NORMS[1]


PLAIN = Switches()


def _plain(_: Values) -> Switches:
    return PLAIN


def _llama(values: Values) -> Switches:
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type")) != "llama3":
        return PLAIN
    theta = rope.get("rope_theta") or values.get("rope_theta", 10_000.0)
    width = values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"]
    return Switches(divisors=tuple(llama3_divisors(rope, theta, width).tolist()))


def _windows(values: Values, every: int) -> tuple[int, ...]:
    """What each layer sees; of layers that config.json does not name, every n-th sees all."""
    layers = range(values["num_hidden_layers"])
    usual = ["full_attention" if every and (n + 1) % every == 0 else "sliding_attention"
             for n in layers]  # fmt: skip
    window = values.get("sliding_window") or 0
    kinds = values.get("layer_types") or usual
    found = tuple(window if kind == "sliding_attention" else 0 for kind in kinds)
    return found if any(found) else ()


def _mistral(values: Values) -> Switches:
    return Switches(windows=_windows(values, 0))


def _qwen2(values: Values) -> Switches:
    return Switches(qkv_bias=True)


def _smollm3(values: Values) -> Switches:
    step = values.get("no_rope_layer_interval", 4)
    layers = range(values["num_hidden_layers"])
    turning = values.get("no_rope_layers") or [(layer + 1) % step != 0 for layer in layers]
    return Switches(turning=tuple(map(bool, turning)))


def _granite(values: Values) -> Switches:
    return Switches(
        embedding_scale=values.get("embedding_multiplier", 1.0),
        residual_scale=values.get("residual_multiplier", 1.0),
        attention_scale=values.get("attention_multiplier", 1.0),
        logit_scale=1 / values.get("logits_scaling", 1.0),
    )


def _olmo2(values: Values) -> Switches:
    return Switches(full_qk_norm=True, norms=_OUT_NORMS)


def _gemma(values: Values, *, every: int = 0) -> Switches:
    """Gemma 1, and with `every` its successors, of whose layers every n-th sees everything."""
    width = values["hidden_size"]
    plain = Switches(unit_gain=True, activation="gelu_tanh", embedding_scale=width**0.5)
    if not every:
        return plain
    rope = values.get("rope_parameters") or {}
    local = rope.get("sliding_attention", {}).get("rope_theta")
    return Switches(
        unit_gain=True,
        activation="gelu_tanh",
        embedding_scale=width**0.5,
        norms=_SANDWICH,
        attention_scale=values.get("query_pre_attn_scalar", 256) ** -0.5,
        attention_softcap=values.get("attn_logit_softcapping") or 0.0,
        logit_softcap=values.get("final_logit_softcapping") or 0.0,
        windows=_windows(values, every),
        local_theta=local,
    )


SWITCHES_OF_TYPE: Mapping[str, Callable[[Values], Switches]] = {
    "llama": _llama,
    "qwen3": _plain,
    "qwen2": _qwen2,
    "mistral": _mistral,
    "ministral": _mistral,
    "smollm3": _smollm3,
    "granite": _granite,
    "olmo2": _olmo2,
    "gemma": _gemma,
    "gemma2": partial(_gemma, every=2),
    "gemma3_text": partial(_gemma, every=6),
}
