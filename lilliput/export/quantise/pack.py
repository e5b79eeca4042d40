"""Decoder → the same decoder with packed matrices."""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.export.quantise.calibration import round_in_order
from lilliput.export.quantise.gptq import gptq
from lilliput.model.config import ModelConfig
from lilliput.model.decoder import Decoder
from lilliput.model.linear import RoundedLinear
from lilliput.model.packed import (
    PackedMatrix,
    PackedWeights,
    Packing,
    empty_packed,
    matrices_of,
    set_module,
)
from lilliput.model.rounding import nearest, usual_packing
from lilliput.model.trunks import Trunk

Method = Literal["nearest", "gptq", "trained"]
METHODS: tuple[Method, ...] = ("nearest", "gptq", "trained")
# How far, in its steps, a weight that training rounded may lie from a whole number.
_ON_GRID = 1e-3


def check_quantisable(model: Trunk) -> Decoder:
    """The decoder that `model` is. Raises UserError if its matrices cannot be packed."""
    if type(model) is not Decoder:
        kind = model.config.family
        raise UserError(f"models of family {kind} cannot be quantised: only plain decoders can")
    if model.config.n_experts:
        raise UserError("a mixture of experts cannot be quantised yet: its experts would stay wide")
    if any(isinstance(module, PackedMatrix) for module in model.modules()):
        raise UserError("this model is quantised already: give the one it was made from")
    return model


def packing_for(config: ModelConfig, bits: int, group: int | None) -> Packing:
    """int8 or int4, in groups of `group`, or the usual ones. Raises UserError for other bits."""
    if bits not in (4, 8):
        raise UserError(f"{bits} bits: post-training quantisation writes 8 or 4")
    return usual_packing(config, bits) if group is None else Packing(f"int{bits}", group)  # type: ignore[arg-type]


def pack(
    decoder: Decoder,
    weights: PackedWeights,
    method: Method,
    batches: Sequence[Tensor] = (),
) -> Decoder:
    """A copy of `decoder` whose matrices are packed as `weights` says.

    "nearest" rounds to the nearest code; "gptq" lets later columns make up for earlier ones on the
    text in `batches` [B, T]; "trained" stores weights that training has rounded as they are.
    """
    made = copy.deepcopy(decoder).requires_grad_(False)
    if method == "gptq":
        return _pack_by_text(made, weights, list(batches))
    for name, module, in_block in list(matrices_of(made)):
        packing = weights.blocks if in_block else weights.embedding
        if packing is not None:
            assert isinstance(module, nn.Linear | nn.Embedding)
            _put(made, name, packing, *nearest(module.weight, packing))
    return made


def trained_packing(decoder: Decoder) -> Packing:
    """How training rounded the blocks' matrices. Raises UserError if it did not.

    A folder holds int8, int4 and int2 matrices as the numbers they were rounded to, ternary ones as
    they were before.
    """
    if decoder.config.linear == "ternary":
        return Packing("ternary", 0)
    matrices = [module for _, module, in_block in matrices_of(decoder) if in_block]
    for bits, name in ((2, "int2"), (4, "int4"), (8, "int8")):
        packing = Packing(name, 0)  # type: ignore[arg-type]
        if all(_on_grid(module.weight, bits) for module in matrices):  # type: ignore[arg-type]
            return packing
    raise UserError(
        "training did not round this model's weights (recipe: model.linear): choose the method "
        "nearest or gptq"
    )


def _on_grid(weight: Tensor, bits: int) -> bool:
    largest = 2 ** (bits - 1) - 1
    steps = weight / (weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / largest)
    return bool(((steps - steps.round()).abs() < _ON_GRID).all())


def _pack_by_text(made: Decoder, weights: PackedWeights, batches: list[Tensor]) -> Decoder:
    if made.config.depth_capacity:
        raise UserError("gptq needs every token in every layer: choose the method nearest")
    if any(isinstance(module, RoundedLinear) for module in made.modules()):
        raise UserError("training rounded these weights already: choose the method trained")
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def round_matrix(name: str, matrix: nn.Linear, moments: Tensor) -> None:
        packing = weights.blocks if name.startswith("blocks.") else weights.embedding
        if packing is None:
            return
        found[name] = codes, scales = gptq(matrix.weight, moments, packing)
        columns = matrix.weight.shape[1]
        wide = scales.float().repeat_interleave(packing.group_width(columns), dim=1)
        matrix.weight.copy_((codes.float() - packing.zero) * wide[:, :columns])

    round_in_order(made, batches, round_matrix)
    for name, module, in_block in list(matrices_of(made)):
        packing = weights.blocks if in_block else weights.embedding
        if packing is not None:
            assert isinstance(module, nn.Linear | nn.Embedding)
            codes = found[name] if name in found else nearest(module.weight, packing)
            _put(made, name, packing, *codes)
    return made


def _put(model: Decoder, name: str, packing: Packing, codes: Tensor, scales: Tensor) -> None:
    before = model.get_submodule(name)
    matrix = empty_packed(before, packing)
    matrix.codes, matrix.scales = packing.pack(codes), scales
    if isinstance(before, nn.Linear) and before.bias is not None:
        matrix.bias = before.bias
    set_module(model, name, matrix)


def stored_bytes(model: nn.Module) -> int:
    """Bytes of a model's tensors."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def same(one: Decoder, other: Decoder, ids: Tensor) -> bool:
    """Whether two decoders give the same logits for ids [B, T], bit for bit."""
    with torch.inference_mode():
        return torch.equal(one(ids), other(ids))
