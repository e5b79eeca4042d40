"""onnxruntime as a trunk: our engine decodes with it as with a decoder of PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.generate.engine import Engine
from lilliput.model import ModelConfig
from lilliput.model.cache import Piece

FloatArray = npt.NDArray[np.float32]


class OnnxCache:
    """Keys and values as onnxruntime gives them back: one array [B, K, S, E] each, layer by layer.

    The operations are those of `KeyValueCache`.
    """

    divisible = True

    def __init__(self, rows: int, capacity: int, empty: Sequence[FloatArray]) -> None:
        self.rows, self.capacity, self.length = rows, capacity, 0
        self.arrays = [np.repeat(array, rows, axis=0) for array in empty]

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self.arrays)

    def replace(self, arrays: Sequence[FloatArray]) -> None:
        """Take what a run of the graph returned: everything so far and the new columns."""
        self.arrays = list(arrays)
        self.length = self.arrays[0].shape[2]

    def drop_row(self, row: int) -> None:
        """Forget a row: the last row takes its place."""
        order = list(range(self.rows - 1))
        if row < self.rows - 1:
            order[row] = self.rows - 1
        self._take(np.array(order, dtype=np.intp))

    def drop_first(self, count: int) -> None:
        """Forget the first `count` tokens of every row."""
        self._columns(count, self.length)

    def can_cut(self, length: int) -> bool:
        """Whether what came after the first `length` columns can be forgotten: always."""
        return True

    def cut(self, length: int) -> None:
        """Forget what came after the first `length` columns of every row."""
        self._columns(0, length)

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row rows[i] was; indices [B] may repeat."""
        self._take(rows.numpy())

    def fill_from(self, source: Self, rows: Tensor) -> None:
        """Become a copy of `source`'s rows with these indices [B], which may repeat."""
        self.arrays, self.length = source.arrays, source.length
        self._take(rows.numpy())

    def adopt(self, pieces: Sequence[Piece]) -> None:
        """Add a row that holds these pieces one after the other, to end at the last column."""
        caches: list[Any] = [piece.cache for piece in pieces]
        joined = [
            np.concatenate(
                [
                    cache.arrays[number][piece.row, :, piece.start : piece.stop]
                    for cache, piece in zip(caches, pieces, strict=True)
                ],
                axis=1,
            )
            for number in range(len(self.arrays))
        ]
        length = max(self.length if self.rows else 0, joined[0].shape[1])
        self.arrays = [
            np.concatenate([_ending_at(old[: self.rows], length), _ending_at(new[None], length)])
            for old, new in zip(self.arrays, joined, strict=True)
        ]
        self.rows, self.length = self.rows + 1, length

    def _take(self, order: npt.NDArray[np.intp]) -> None:
        self.arrays = [array[order] for array in self.arrays]
        self.rows = len(order)

    def _columns(self, start: int, stop: int) -> None:
        self.arrays = [np.ascontiguousarray(array[:, :, start:stop]) for array in self.arrays]
        self.length = stop - start


class OnnxTrunk:
    """An ONNX file of ours as a trunk for the engine, with `config` of the model it was made from.

    What `hidden` returns are the logits themselves, [B, T, V], and `logits_of` passes them on: the
    output head is part of the graph. Raises UserError if onnxruntime is not installed.
    """

    def __init__(self, file: Path, config: ModelConfig, *, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(
                "onnxruntime is not installed: pip install 'lilliput[onnx]', or --backend torch"
            ) from None
        self.config, self.device = config, torch.device("cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A waiting thread that spins takes the core from whatever else runs on the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        inputs = {one.name: one.shape for one in self._session.get_inputs()}
        self._pasts = [name for name in inputs if name.startswith("past_key_values.")]
        presents = [name.replace("past_key_values", "present") for name in self._pasts]
        self._outputs = ["logits", *presents]
        self._empty = [
            np.zeros((1, inputs[name][1], 0, inputs[name][3]), dtype=np.float32)
            for name in self._pasts
        ]

    def engine(self, end_tokens: Sequence[int], vocabulary_size: int, **options: Any) -> Engine:
        """An engine on this trunk."""
        trunk: Any = self
        return Engine(trunk, end_tokens=end_tokens, vocabulary_size=vocabulary_size, **options)

    def close(self) -> None:
        """Nothing needs an end: the session goes with this object."""

    def hidden(
        self,
        ids: Tensor,
        *,
        cache: OnnxCache | None = None,
        document_starts: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of ids [B, T]; arguments as of `Decoder.hidden`."""
        rows, time = ids.shape
        store = cache if cache is not None else self.make_cache(rows, time)
        columns = np.arange(store.length + time, dtype=np.int64)
        starts = np.zeros((rows, 1), dtype=np.int64)
        if document_starts is not None:
            starts = np.broadcast_to(document_starts[:, :1].numpy(), (rows, 1))
        feeds = {
            "input_ids": ids.numpy(),
            "attention_mask": (columns >= starts).astype(np.int64),
            "position_ids": np.maximum(columns[-time:] - starts, 0),
            **dict(zip(self._pasts, store.arrays, strict=True)),
        }
        logits, *presents = self._session.run(self._outputs, feeds)
        store.replace(presents)
        return torch.from_numpy(logits)

    def logits_of(self, hidden: Tensor) -> Tensor:
        """The logits that `hidden` returned."""
        return hidden

    def make_cache(self, rows: int, capacity: int) -> OnnxCache:
        """An empty cache for so many rows."""
        return OnnxCache(rows, capacity, self._empty)


def _ending_at(rows: FloatArray, length: int) -> FloatArray:
    """Rows [B, K, S, E] with zeros on the left up to `length` columns."""
    missing = length - rows.shape[2]
    return np.pad(rows, ((0, 0), (0, 0), (missing, 0), (0, 0))) if missing else rows
