"""A GGUF file → a Hugging Face model folder, every tensor dequantised to float32."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lilliput.errors import UserError
from lilliput.export.gguf.architectures import architecture_of_file
from lilliput.export.gguf.config import config_of, file_metadata, sizes_of
from lilliput.export.gguf.file import FloatArray, GgufFile, open_gguf
from lilliput.export.gguf.rope import DIVISORS
from lilliput.export.gguf.rows import Architecture, placements
from lilliput.export.gguf.tokenizer_read import special_ids, tokenizer_files
from lilliput.files import atomic_path, write_json


@dataclass(frozen=True)
class GgufImport:
    """What a GGUF file held; `types` counts its tensors by type."""

    folder: Path
    architecture: str
    parameters: int
    types: dict[str, int]


def read_gguf(path: Path | str, folder: Path | str) -> GgufImport:
    """Write `config.json`, the tokenizer and `model.safetensors` (float32) into `folder`.

    The folder opens in `lilliput.load` and in transformers; the weights are written last, so that
    a folder with weights is whole. Raises UserError, with the file's name and the reason, for a
    file that is damaged, of an architecture or with a tokenizer that is not known, or if the folder
    already holds a model.
    """
    folder = Path(folder)
    if (folder / "model.safetensors").exists():
        raise UserError(f"{folder}: already holds a model; name another folder")
    file = open_gguf(path)
    architecture = _architecture(file)
    metadata = file_metadata(architecture, file)
    tied = _is_tied(architecture, file)
    definition, tokenizer_config = tokenizer_files(file)
    config = config_of(architecture, metadata, file, tied=tied) | special_ids(file)
    tensors = _tensors(architecture, file, metadata, tied=tied)
    _check_sizes(architecture, file, metadata, tensors, len(definition["model"]["vocab"]))
    write_json(folder / "tokenizer.json", definition)
    write_json(folder / "tokenizer_config.json", tokenizer_config)
    write_json(folder / "generation_config.json", special_ids(file))
    write_json(folder / "config.json", config)
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    return GgufImport(
        folder,
        architecture.hf_class,
        sum(tensor.size for tensor in tensors.values()),
        dict(Counter(tensor.type for tensor in file.tensors.values())),
    )


def _architecture(file: GgufFile) -> Architecture:
    name = file.architecture
    found = architecture_of_file(name, set(file.tensors))
    if found is None:
        raise UserError(f"{file.path}: its architecture {name!r} is not known here")
    return found


def _is_tied(architecture: Architecture, file: GgufFile) -> bool:
    head, embedding = (file.tensors.get(f"{name}.weight") for name in ("output", "token_embd"))
    if head is None or embedding is None:
        return head is None
    return architecture.separate_head and np.array_equal(head.raw, embedding.raw)


def _tensors(
    architecture: Architecture, file: GgufFile, metadata: dict[str, Any], *, tied: bool
) -> dict[str, FloatArray]:
    """Every tensor of the folder, contiguous float32."""
    sizes = sizes_of(metadata)
    tensors: dict[str, FloatArray] = {}
    left = set(file.tensors) - {DIVISORS}
    for place in placements(
        architecture,
        sizes,
        lambda place: file.tensors.keys() >= set(place.file_names),
        tied=tied,
        where=str(file.path),
    ):
        left -= set(place.file_names)
        if set(place.folder_names) <= tensors.keys():
            continue  # a head written a second time
        stored = [file.tensors[name] for name in place.file_names]
        try:
            parts = place.layout.to_folder([one.dequantised() for one in stored], sizes)
            if len(parts) != len(place.folder_names):
                raise ValueError(f"{len(parts)} experts instead of {len(place.folder_names)}")
        except ValueError as reason:
            raise UserError(
                f"{file.path}: tensor {stored[0].name} of shape {stored[0].shape} and type "
                f"{stored[0].type} cannot be read: {reason}"
            ) from None
        for name, part in zip(place.folder_names, parts, strict=True):
            tensors[name] = np.ascontiguousarray(part, dtype=np.float32)
    if left:
        raise UserError(
            f"{file.path}: tensor {min(left)} has no place in a {architecture.hf_class}"
        )
    return tensors


def _check_sizes(
    architecture: Architecture,
    file: GgufFile,
    metadata: dict[str, Any],
    tensors: dict[str, FloatArray],
    tokens: int,
) -> None:
    """Raise UserError where the metadata's sizes are not the tensors'."""
    width, heads = metadata["embedding_length"], metadata["attention.head_count"]
    head_dim = metadata.get("attention.key_length", width // heads)
    query_dim = metadata.get("attention.key_length_mla", head_dim)
    kv_heads = metadata.get("attention.head_count_kv", heads)
    inner = metadata["feed_forward_length"]
    expected = {
        "token_embd.weight": (metadata["vocab_size"], width),
        "output_norm.weight": (width,),
        "blk.0.attn_q.weight": (heads * query_dim, width),
        "blk.0.attn_k.weight": (kv_heads * head_dim, width),
        "blk.0.attn_qkv.weight": ((heads + 2 * kv_heads) * head_dim, width),
        "blk.0.ffn_up.weight": (inner * (2 if architecture.name == "phi3" else 1), width),
        "blk.0.ffn_down.weight": (width, inner),
        "position_embd.weight": (metadata["context_length"], width),
    }
    for name, shape in expected.items():
        found = file.tensors.get(name)
        if found is not None and found.shape != shape:
            raise UserError(
                f"{file.path}: {name} has shape {found.shape} where the metadata mean {shape}"
            )
    if tokens > metadata["vocab_size"]:
        raise UserError(
            f"{file.path}: {tokens} tokens in its tokenizer, {metadata['vocab_size']} in its model"
        )
