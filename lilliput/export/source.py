"""A model folder of Llama's kind, as ONNX and the single file read it: shape, weights, checks.

The one computation all classes here share (arXiv 2307.09288): RMSNorms, rotary positions in
half-split layout, grouped queries, a gated feed-forward. Qwen3 (arXiv 2505.09388) adds an RMSNorm
on every query and key head before the rotation; what others add stands in `switches`.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lilliput.errors import UserError
from lilliput.export.switches import PLAIN, SWITCHES_OF_TYPE, Switches
from lilliput.files import read_json

Matrix = npt.NDArray[np.float32]
Weights = dict[str, Matrix]

EMBEDDING, FINAL_NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
_HEAD_NORMS = ("qwen3", "gemma3_text")
_TIED = ("gemma", "gemma2", "gemma3_text")  # unless they say otherwise


@dataclass(frozen=True)
class Shape:
    """The sizes and switches of a model; sizes count units."""

    model_type: str
    vocabulary_size: int
    context_length: int
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_ff: int
    norm_eps: float
    rope_theta: float
    qk_norm: bool
    tied: bool
    switches: Switches = PLAIN

    def inverse_frequencies(self, *, local: bool = False) -> Matrix:
        """Angle a position of every rotated pair, [head_dim / 2], rounded as PyTorch rounds it.

        `local`: of layers that see a window, which may have a base of their own.
        """
        import torch

        theta = (self.switches.local_theta if local else None) or self.rope_theta
        exponents = torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim
        frequencies = theta**-exponents
        if self.switches.divisors:
            frequencies = frequencies / torch.tensor(self.switches.divisors)
        table: Matrix = frequencies.numpy()
        return table

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the model under its name in transformers."""
        query, key = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (self.vocabulary_size, self.d_model)}
        for layer in range(self.n_layers):
            shapes |= {
                layer_name(layer, "self_attn.q_proj"): (query, self.d_model),
                layer_name(layer, "self_attn.k_proj"): (key, self.d_model),
                layer_name(layer, "self_attn.v_proj"): (key, self.d_model),
                layer_name(layer, "self_attn.o_proj"): (self.d_model, query),
                layer_name(layer, "mlp.gate_proj"): (self.d_ff, self.d_model),
                layer_name(layer, "mlp.up_proj"): (self.d_ff, self.d_model),
                layer_name(layer, "mlp.down_proj"): (self.d_model, self.d_ff),
            }
            shapes |= {layer_name(layer, norm): (self.d_model,) for norm in self.switches.norms}
            if self.qk_norm or self.switches.full_qk_norm:
                full = self.switches.full_qk_norm
                shapes[layer_name(layer, "self_attn.q_norm")] = (query if full else self.head_dim,)
                shapes[layer_name(layer, "self_attn.k_norm")] = (key if full else self.head_dim,)
            if self.switches.qkv_bias:
                for part, rows in (("q", query), ("k", key), ("v", key)):
                    shapes[layer_name(layer, f"self_attn.{part}_proj", "bias")] = (rows,)
        shapes[FINAL_NORM] = (self.d_model,)
        if not self.tied:
            shapes[HEAD] = (self.vocabulary_size, self.d_model)
        return shapes


def layer_name(layer: int, part: str, kind: str = "weight") -> str:
    """The full name of a layer's weight, or its bias."""
    return f"model.layers.{layer}.{part}.{kind}"


def read_shape(folder: Path) -> Shape:
    """The shape of a model folder. Raises UserError if it is of another class, or a variant."""
    path = folder / "config.json"
    values = read_json(path)
    model_type = values.get("model_type")
    if model_type not in SWITCHES_OF_TYPE:
        raise UserError(
            f"{path}: model_type {model_type!r} has no export of this kind: "
            f"it is written for {', '.join(SWITCHES_OF_TYPE)}"
        )
    _refuse_variants(path, values)
    rope = _rope(values)
    try:
        heads = values["num_attention_heads"]
        return Shape(
            model_type=model_type,
            vocabulary_size=values["vocab_size"],
            context_length=values["max_position_embeddings"],
            n_layers=values["num_hidden_layers"],
            d_model=values["hidden_size"],
            n_heads=heads,
            n_kv_heads=values.get("num_key_value_heads") or heads,
            head_dim=values.get("head_dim") or values["hidden_size"] // heads,
            d_ff=values["intermediate_size"],
            norm_eps=values.get("rms_norm_eps", 1e-6),
            rope_theta=rope.get("rope_theta") or values.get("rope_theta", 10_000.0),
            qk_norm=model_type in _HEAD_NORMS,
            tied=values.get("tie_word_embeddings", model_type in _TIED),
            switches=SWITCHES_OF_TYPE[model_type](values),
        )
    except KeyError as error:
        raise UserError(f"{path}: field {error} is missing") from None


def read_plain_shape(folder: Path) -> Shape:
    """The shape of a folder of Llama's or Qwen3's own computation. Raises UserError otherwise.

    Stretched frequencies are theirs too.
    """
    shape = read_shape(folder)
    if replace(shape.switches, divisors=()) != PLAIN:
        raise UserError(
            f"{folder / 'config.json'}: a {shape.model_type} computes more than this export does: "
            "it is written for llama and qwen3 (families llama and lilliput)"
        )
    return shape


def _refuse_variants(path: Path, values: Mapping[str, Any]) -> None:
    rope = _rope(values)
    gelu = values["model_type"] in _TIED
    activation = values.get("hidden_activation") or values.get("hidden_act", "silu")
    refused = {
        "rope_parameters.rope_type": rope.get("rope_type", rope.get("type", "default"))
        not in (("default", "llama3") if values["model_type"] == "llama" else ("default",)),
        "partial_rotary_factor": rope.get("partial_rotary_factor", 1.0) != 1.0,
        "attention_bias": bool(values.get("attention_bias")),
        "mlp_bias": bool(values.get("mlp_bias")),
        "use_sliding_window": bool(values.get("use_sliding_window"))
        and values["model_type"] != "ministral",
        "hidden_act": activation not in (("gelu_pytorch_tanh", "gelu_new") if gelu else ("silu",)),
        "use_bidirectional_attention": bool(values.get("use_bidirectional_attention")),
    }
    for name, found in refused.items():
        if found:
            raise UserError(f"{path}: {name} has a value this export cannot compute")


def _rope(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rotary parameters of layers that see everything."""
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    found: Mapping[str, Any] = rope.get("full_attention", rope)
    return found


def read_weights(folder: Path, shape: Shape) -> Weights:
    """All tensors of the model, float32, under transformers' names.

    Reads `model.safetensors`, or the files that `model.safetensors.index.json` lists.
    Raises UserError if a file or tensor is missing, damaged, or of another shape.
    """
    from safetensors import SafetensorError, safe_open

    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        names = sorted(set(read_json(index)["weight_map"].values()))
    wanted = shape.tensor_shapes()
    weights: Weights = {}
    for name in names:
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; an export reads weights from safetensors")
        try:
            with safe_open(path, framework="pt") as handle:
                for key in handle.keys():  # noqa: SIM118 (no mapping)
                    if key in wanted:
                        weights[key] = handle.get_tensor(key).float().numpy()
        except SafetensorError as error:
            raise UserError(f"{path}: not a whole safetensors file: {error}") from None
    for key, expected in wanted.items():
        if key not in weights:
            raise UserError(f"{folder}: the weights lack {key}")
        if weights[key].shape != expected:
            raise UserError(
                f"{folder}: {key} has shape {weights[key].shape} where config.json says {expected}"
            )
    return weights


@contextmanager
def folder_with(folder: Path, weights: Weights) -> Iterator[Path]:
    """A temporary copy of the model folder that holds these weights instead of its own.

    A quantised export is proved against it: our own decoder run on the rounded weights.
    """
    import shutil

    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory(prefix="lilliput-export-") as name:
        copy = Path(name)
        for path in folder.glob("*.json"):
            if path.name != "model.safetensors.index.json":
                shutil.copy(path, copy / path.name)
        save_file(
            {key: np.ascontiguousarray(value) for key, value in weights.items()},
            copy / "model.safetensors",
            metadata={"format": "pt"},
        )
        yield copy
