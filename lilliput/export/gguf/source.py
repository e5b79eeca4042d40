"""The tensors of a Hugging Face model folder, read one at a time, as float32."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from lilliput.errors import UserError
from lilliput.export.gguf.file import FloatArray
from lilliput.files import read_json

# Buffers that some versions of transformers saved; they follow from config.json.
_BUFFERS = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.rotary_emb")


class FolderWeights:
    """Names and values of a folder's tensors; make one with `open_weights`."""

    def __init__(self, handles: dict[str, Any], base_prefix: str) -> None:
        self._handles: dict[str, tuple[Any, str]] = {}
        with_prefix = any(name.startswith(base_prefix) for name in handles)
        for name, handle in handles.items():
            full = name if with_prefix or name.startswith("lm_head") else base_prefix + name
            if not full.endswith(_BUFFERS):
                self._handles[full] = handle, name

    @property
    def names(self) -> set[str]:
        """The tensors' names in transformers' class with its output head."""
        return set(self._handles)

    def read(self, name: str) -> FloatArray:
        """A tensor's values (bfloat16 and float16 are exact in float32)."""
        handle, stored = self._handles[name]
        tensor: torch.Tensor = handle.get_tensor(stored)
        return np.asarray(tensor.to(torch.float32).numpy())

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, without reading it."""
        handle, stored = self._handles[name]
        return tuple(handle.get_slice(stored).get_shape())


@contextmanager
def open_weights(folder: Path, base_prefix: str) -> Iterator[FolderWeights]:
    """Open a folder's safetensors, one file or several. Raises UserError if they are not whole."""
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.exists():
        names = sorted(set(read_json(index)["weight_map"].values()))
    with ExitStack() as stack:
        handles: dict[str, Any] = {}
        for name in names:
            path = folder / name
            if not path.is_file():
                raise UserError(f"{path}: no such file; weights are read from safetensors only")
            try:
                handle = stack.enter_context(safe_open(path, framework="pt"))
            except SafetensorError as error:
                raise UserError(f"{path}: not a whole safetensors file: {error}") from None
            handles |= dict.fromkeys(handle.keys(), handle)
        yield FolderWeights(handles, base_prefix)
