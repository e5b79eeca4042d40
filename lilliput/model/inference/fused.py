"""The portable form: a Decoder in PyTorch with fewer, larger products, for any device."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lilliput.model.attention import Attention, Memory, Sight
from lilliput.model.decoder import Block, Decoder
from lilliput.model.feed_forward import FeedForward, activate
from lilliput.model.inference.layouts import WeightKind
from lilliput.model.kernels import rotate
from lilliput.model.linear import RoundedLinear, linear_weight
from lilliput.model.packed import PackedLinear, PackedMatrix, Packing, matrices_of, set_module
from lilliput.model.rounding import nearest, usual_packing


class Product(nn.Module):
    """One or more matrices with the same input, stored so that a single row is a fast product.

    On a CPU, PyTorch multiplies one row by a transposed matrix at half the bandwidth that it
    reaches with the matrix laid out the other way round.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.t().contiguous())
        self.register_buffer("bias", bias)

    def forward(self, rows: Tensor) -> Tensor:
        """[..., inputs] → [..., outputs]."""
        weight, bias = self.weight, self.bias
        if bias is None:
            return rows @ weight
        shape = rows.shape[:-1]
        return torch.addmm(bias, rows.flatten(0, -2), weight).view(*shape, -1)  # type: ignore[arg-type]


class FusedAttention(nn.Module):
    """`Attention` with queries, keys and values from one product."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.config, self.layer = attention.config, attention.layer
        self.parts = [
            len(linear_weight(part)) for part in (attention.query, attention.key, attention.value)
        ]
        self.query_key_value = _product(attention.query, attention.key, attention.value)
        self.query_norm, self.key_norm = attention.query_norm, attention.key_norm
        self.sinks, self.sub_norm = attention.sinks, attention.sub_norm
        self.output = _product(attention.output)

    def forward(self, residual: Tensor, sight: Sight, memory: Memory) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        batch, time, _ = residual.shape
        heads = self.query_key_value(residual).split(self.parts, dim=-1)
        query, key, value = (part.view(batch, time, -1, self.config.head_dim) for part in heads)
        query, key = self.query_norm(query), self.key_norm(key)
        if sight.rotary is not None:
            query, key = rotate(query, *sight.rotary), rotate(key, *sight.rotary)
        if sight.temperature is not None:
            query = query * sight.temperature
        key, value = key.transpose(1, 2), value.transpose(1, 2)
        if memory.cache is not None:
            key, value = memory.cache.extend(self.layer, key, value)
        memory.made["keys"], memory.made["values"] = key, value
        mixed = Attention.attend(
            query.transpose(1, 2),
            key,
            value,
            sight.visible,
            scale=self.config.attention_scale,
            softcap=self.config.attention_softcap,
            sinks=self.sinks,
        )
        return self.output(self.sub_norm(mixed.transpose(1, 2).reshape(batch, time, -1)))  # type: ignore[no-any-return]


class FusedFeedForward(nn.Module):
    """`FeedForward` with gate and up from one product."""

    def __init__(self, feed_forward: FeedForward) -> None:
        super().__init__()
        self.config = feed_forward.config
        inputs = [feed_forward.gate] if self.config.gated else []
        self.gate_up = _product(*inputs, feed_forward.up)
        self.sub_norm, self.down = feed_forward.sub_norm, _product(feed_forward.down)

    def forward(self, residual: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        inner = self.gate_up(residual)
        gate, up = inner.chunk(2, dim=-1) if self.config.gated else (inner, None)
        return self.down(self.sub_norm(activate(self.config, gate, up)))  # type: ignore[no-any-return]


class FusedDecoder(Decoder):
    """A Decoder whose output head is stored like its other products."""

    fast_head: Tensor

    def __init__(self, decoder: Decoder) -> None:
        with torch.device("meta"):
            super().__init__(decoder.config)
        for name, child in decoder.named_children():
            setattr(self, name, child)
        # A GPU multiplies either layout as fast: there a tied head stays one with the embedding.
        on_cpu = decoder.device.type == "cpu"
        head = self.head_weight.t().contiguous() if on_cpu else self.head_weight.t()
        self.register_buffer("fast_head", head, persistent=False)

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The output head: hidden [..., D] → logits [..., V], float32."""
        config, logits = self.config, (hidden @ self.fast_head).float()
        if config.head_bias:
            logits = logits + self.head.bias.float()
        if config.logit_scale != 1:
            logits = logits * config.logit_scale
        if cap := config.logit_softcap:
            logits = cap * torch.tanh(logits / cap)
        return logits


def fused(decoder: Decoder, weights: WeightKind | None = None) -> FusedDecoder:
    """A copy of `decoder` for inference alone; its packed matrices are unpacked.

    int8 and int4 round the weights but compute in float32. Parts whose switches have no fused form
    stay as they are: latent attention, relative positions, layers that reuse another's keys,
    mixtures of experts, ternary matrices.
    """
    copied = copy.deepcopy(decoder).requires_grad_(False).eval()
    if weights in ("int8", "int4"):
        _round(copied, usual_packing(copied.config, 8 if weights == "int8" else 4))
    for name, module, _ in list(matrices_of(copied)):
        if isinstance(module, PackedMatrix) and not getattr(module, "rounds_input", False):
            set_module(copied, name, _unpacked(module))
    for block in copied.blocks:
        assert isinstance(block, Block)
        if _fusible(block.attention):
            block.attention = FusedAttention(block.attention)  # type: ignore[arg-type, assignment]
        if isinstance(block.feed_forward, FeedForward) and _plain(block.feed_forward.up):
            block.feed_forward = FusedFeedForward(block.feed_forward)  # type: ignore[assignment]
    return FusedDecoder(copied.to(torch.bfloat16) if weights == "bfloat16" else copied)


def _round(decoder: Decoder, packing: Packing) -> None:
    for _, module, _ in matrices_of(decoder):
        if isinstance(module, nn.Linear | nn.Embedding) and not isinstance(module, RoundedLinear):
            codes, scales = nearest(module.weight, packing)
            columns = module.weight.shape[1]
            wide = scales.float().repeat_interleave(packing.group_width(columns), dim=1)
            values = (codes.float() - packing.zero) * wide[:, :columns]
            module.weight.copy_(values)


def _unpacked(module: PackedMatrix) -> nn.Module:
    weight = nn.Parameter(module.weight, requires_grad=False)
    if not isinstance(module, PackedLinear):
        embedding: nn.Module = nn.Embedding(module.rows, module.columns, _weight=weight)
        return embedding.requires_grad_(False)
    with torch.device("meta"):
        plain = nn.Linear(module.columns, module.rows, bias=module.bias is not None)
    plain.weight = weight
    if module.bias is not None:
        plain.bias = module.bias
    return plain


def _fusible(attention: nn.Module) -> bool:
    if type(attention) is not Attention or not attention.makes_keys:
        return False
    return attention.config.positions != "relative" and _plain(attention.query)


def _plain(module: nn.Module) -> bool:
    """Whether a matrix multiplies rows as they are."""
    ternary = isinstance(module, RoundedLinear) and module.kind == "ternary"
    return isinstance(module, nn.Linear) and not ternary


def _product(*modules: Any) -> Product:
    biases = [module.bias for module in modules]
    bias = None
    if any(one is not None for one in biases):
        bias = torch.cat(
            [
                torch.zeros_like(linear_weight(module)[:, 0]) if one is None else one
                for module, one in zip(modules, biases, strict=True)
            ]
        )
    return Product(torch.cat([linear_weight(module) for module in modules]), bias)
