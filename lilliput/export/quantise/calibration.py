"""What the matrices of a model see when it reads text: the moments that GPTQ rounds by."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lilliput.errors import UserError
from lilliput.model.decoder import Decoder
from lilliput.progress import progress
from lilliput.tokens import TokenSplit

CALIBRATION_TOKENS = 32_768
_TOKENS_AT_ONCE = 4096


def calibration_batches(split: TokenSplit, context_length: int, tokens: int) -> list[Tensor]:
    """Windows [B, T] from all over a split, evenly spaced: the same at every call."""
    width = min(context_length, split.tokens)
    if width < 2:
        raise UserError("the calibration shards hold no text")
    count = max(1, min(tokens // width, split.tokens // width))
    starts = np.linspace(0, split.tokens - width, count).astype(np.int64)
    rows = [split.read(int(start), int(start) + width).astype(np.int64) for start in starts]
    whole = torch.from_numpy(np.stack(rows))
    return list(torch.split(whole, max(1, _TOKENS_AT_ONCE // width)))


@torch.no_grad()
def round_in_order(
    decoder: Decoder,
    batches: list[Tensor],
    round_matrix: Callable[[str, nn.Linear, Tensor], None],
) -> None:
    """Call `round_matrix(name, matrix, moments)` for every matrix of a decoder, first to last.

    The moments [inputs, inputs] are of what the matrix sees once those of the layers before it are
    rounded: `round_matrix` changes the weights in place. The last call is for the output head,
    whose matrix is the embedding's where they are tied (then under the name "embedding").
    """
    steps = [_steps(decoder, batch) for batch in batches]
    residuals = [arguments[0][0] for arguments in steps]
    with progress("Rounding", total=len(decoder.blocks) + 1, unit="layers") as advance:
        for layer, block in enumerate(decoder.blocks):
            matrices = {
                f"blocks.{layer}.{name}": module
                for name, module in block.named_modules()
                if isinstance(module, nn.Linear)
            }
            watch = _Watch(matrices)
            for residual, arguments in zip(residuals, steps, strict=True):
                block(residual, *arguments[layer][1:])
            for name, total in watch.finish().items():
                round_matrix(name, matrices[name], total)
            residuals = [
                block(residual, *arguments[layer][1:])
                for residual, arguments in zip(residuals, steps, strict=True)
            ]
            advance(1)
        total = torch.zeros(decoder.config.d_model, decoder.config.d_model)
        for residual in residuals:
            rows = decoder.final_norm(residual).flatten(0, -2)
            total.addmm_(rows.t(), rows)
        name = "embedding" if decoder.config.tied else "head"
        round_matrix(name, decoder.get_submodule(name), total)  # type: ignore[arg-type]
        advance(1)


def _steps(decoder: Decoder, batch: Tensor) -> list[tuple[Any, ...]]:
    """What each block of the decoder is called with when it reads a batch."""
    calls: list[tuple[Any, ...]] = []
    handles = [
        block.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
        for block in decoder.blocks
    ]
    decoder.hidden(batch)
    for handle in handles:
        handle.remove()
    # Of the residuals only the first is needed again.
    return [calls[0], *((None, *arguments[1:]) for arguments in calls[1:])]


class _Watch:
    """Sums x xᵀ of everything that goes into some matrices, until `finish`."""

    def __init__(self, matrices: dict[str, nn.Linear]) -> None:
        self._moments = {
            name: torch.zeros(matrix.in_features, matrix.in_features)
            for name, matrix in matrices.items()
        }
        self._handles = [
            matrix.register_forward_pre_hook(self._adder(name)) for name, matrix in matrices.items()
        ]

    def finish(self) -> dict[str, Tensor]:
        for handle in self._handles:
            handle.remove()
        return self._moments

    def _adder(self, name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def add(_: nn.Module, inputs: tuple[Tensor]) -> None:
            rows = inputs[0].flatten(0, -2).float()
            self._moments[name].addmm_(rows.t(), rows)

        return add
