"""A Hugging Face model folder → one GGUF file, written here and proven against the folder."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.errors import UserError, WorkFailed
from lilliput.export.gguf.check import GgufCheck, check_file
from lilliput.export.gguf.config import architecture_of, completed, metadata_of, sizes_of
from lilliput.export.gguf.file import FloatArray, gguf_package, open_gguf
from lilliput.export.gguf.layouts import Sizes
from lilliput.export.gguf.rope import DIVISORS, divisors, kept_metadata
from lilliput.export.gguf.rows import Architecture, Placement, placements
from lilliput.export.gguf.source import FolderWeights, open_weights
from lilliput.export.gguf.tokenizer import tokenizer_metadata, tokenizer_notes
from lilliput.export.gguf.types import Kind, check_kind, error_share, stored_type, wanted_type
from lilliput.files import atomic_path, read_json

_GELU_NOTE = "llama.cpp computes GELU from a table in float16: logits differ by about 1e-3"
_ERF_NOTE = "llama.cpp's Falcon has GELU by its tanh formula, the original by the error function"
# How far llama.cpp may be off: by how many nats it may prefer another token (it rounds activations
# to the type of the weights, and 8 bits where those have fewer), and its float32 log-probabilities.
_MARGINS, _MARGIN = {"f32": 0.02, "f16": 0.1, "bf16": 0.3}, 1.0
_DIFFERENCE, _GELU_DIFFERENCE = 0.002, 0.05
# In a model of this name llama.cpp asks for tokens of the published ones.
_PHI3 = re.compile("phi-?3", re.IGNORECASE)
# A model trained with weights of three values moves by the rounding of its scales alone.
_TERNARY_SHARE = 0.05
_TERNARY_NOTE = (
    "this model was not trained with weights of three values (BitNet): rounding to them breaks it"
)


@dataclass(frozen=True)
class GgufExport:
    """A written file. `wider` names the tensors stored wider than the kind, and their types."""

    path: Path
    architecture: str
    kind: str
    bytes: int
    parameters: int
    wider: dict[str, str]
    notes: tuple[str, ...]
    check: GgufCheck

    @property
    def bits_per_weight(self) -> float:
        """The file's size over its parameters."""
        return 8 * self.bytes / self.parameters

    def facts(self) -> dict[str, Any]:
        """The result as plain values, for a command to print; absent proofs are left out."""
        check = self.check
        facts: dict[str, Any] = {
            "path": str(self.path),
            "architecture": self.architecture,
            "kind": self.kind,
            "bytes": self.bytes,
            "bits_per_weight": self.bits_per_weight,
            "tensors_kept_wider": len(self.wider),
        }
        if check.logits is not None:
            facts |= {
                "compared_by": check.computed_by,
                "max_logit_difference": check.logits.max_difference,
                "kl_nats": check.logits.kl,
                "same_choice": check.logits.same_choice,
            }
        if check.bits_per_byte is not None:
            facts |= dict(
                zip(("bits_per_byte_before", "bits_per_byte"), check.bits_per_byte, strict=True)
            )
        if check.llama_cpp is not None:
            theirs = check.llama_cpp
            facts |= {
                "llama_cpp": theirs.version,
                "llama_cpp_same_tokens": f"{theirs.same_tokens} of {theirs.tokens}",
                "llama_cpp_max_difference": theirs.max_difference,
                "llama_cpp_same_ids": f"{theirs.same_ids} of {theirs.texts} texts",
            }
        return facts | ({"notes": list(self.notes)} if self.notes else {})


@dataclass(frozen=True)
class _Planned:
    """One tensor to write, the `part`-th of its place; `place` is None for one that is computed."""

    name: str
    shape: tuple[int, ...]
    type: str
    place: Placement | None
    part: int = 0


def write_gguf(
    model_folder: Path | str,
    target: Path | str,
    *,
    kind: Kind = "f32",
    texts: Sequence[str] = (),
) -> GgufExport:
    """Write a model folder as a GGUF file and prove the file before it takes its name.

    The file is read back: every tensor must lie within what its type's rounding allows, the logits
    of the dequantised model are compared with the folder's (float32: equal), and llama.cpp's next
    tokens with ours where `xllamacpp` is installed. With `texts`, the bits per byte of both are
    measured on them. Raises UserError, with the reason, for what
    llama.cpp cannot hold or would compute wrongly; WorkFailed if the proof fails (no file is left).
    """
    check_kind(kind)
    folder, target = Path(model_folder), Path(target)
    config_path = folder / "config.json"
    config = read_json(config_path)
    architecture = architecture_of(config, config_path)
    values = completed(architecture, config, config_path)
    metadata = metadata_of(architecture, values, config_path)
    sizes = sizes_of(metadata)
    vocabulary = tokenizer_metadata(folder, metadata["vocab_size"])
    with open_weights(folder, architecture.base_prefix) as weights, atomic_path(target) as file:
        plan = list(_plan(architecture, values, weights, sizes, kind, folder))
        header = {
            **_general(folder, kind),
            **{f"{architecture.name}.{key}": value for key, value in metadata.items()},
            **vocabulary,
            **kept_metadata(values),
        }
        _write(file, architecture.name, header, plan, weights, sizes, divisors(values))
        shares = _error_shares(file, plan, weights, sizes)
        check = check_file(
            file,
            folder,
            error_share=max(shares.values()),
            beginning=_beginning(vocabulary),
            context_length=metadata["context_length"],
            texts=texts,
        )
        _require(check, kind, architecture, target)
        size = file.stat().st_size
    return GgufExport(
        target,
        architecture.name,
        kind,
        size,
        sum(int(np.prod(item.shape)) for item in plan),
        {
            item.name: item.type
            for item in plan
            if item.type != kind.upper() and wanted_type(item.name, item.shape, kind) != "F32"
        },
        tokenizer_notes(folder) + _notes(architecture) + _rounding_notes(kind, shares),
        check,
    )


def _plan(
    architecture: Architecture,
    values: dict[str, Any],
    weights: FolderWeights,
    sizes: Sizes,
    kind: Kind,
    folder: Path,
) -> Iterator[_Planned]:
    """Every tensor of the file, in order. Raises UserError if the folder's are not the class's."""
    tied = bool(values.get("tie_word_embeddings", "lm_head.weight" not in weights.names))
    left = weights.names - ({"lm_head.weight"} if tied else set())
    extra = divisors(values)
    if extra is not None:
        yield _Planned(DIVISORS, extra.shape, "F32", None)
    for place in placements(
        architecture,
        sizes,
        lambda place: weights.names.issuperset(place.folder_names),
        tied=tied,
        where=str(folder),
    ):
        left -= set(place.folder_names)
        arrays = _arrays(place, weights, sizes, folder)
        for part, (name, array) in enumerate(zip(place.file_names, arrays, strict=True)):
            yield _Planned(name, array.shape, stored_type(name, array, kind), place, part)
    if left:
        raise UserError(
            f"{folder}: tensor {min(left)} has no place in llama.cpp's class "
            f"{architecture.name!r}, so no GGUF file is written"
        )


def _arrays(
    place: Placement, weights: FolderWeights, sizes: Sizes, folder: Path
) -> list[FloatArray]:
    try:
        arrays = place.layout.to_file([weights.read(name) for name in place.folder_names], sizes)
    except ValueError as reason:
        raise UserError(
            f"{folder}: {place.folder_names[0]} does not have the shape that config.json means: "
            f"{reason}"
        ) from None
    return [np.ascontiguousarray(array) for array in arrays]


def _general(folder: Path, kind: Kind) -> dict[str, Any]:
    package = gguf_package()
    name = folder.parent.name if folder.name == "model" else folder.name
    types = package.LlamaFileType
    return {
        "general.type": "model",
        "general.name": _PHI3.sub("phi 3", name) or "model",
        "general.file_type": int(
            types.ALL_F32 if kind == "f32" else types[f"MOSTLY_{kind.upper()}"]
        ),
        "general.quantization_version": int(package.GGML_QUANT_VERSION),
    }


def _write(
    path: Path,
    architecture: str,
    header: dict[str, Any],
    plan: list[_Planned],
    weights: FolderWeights,
    sizes: Sizes,
    computed: FloatArray | None,
) -> None:
    """The file's bytes, one tensor in memory at a time."""
    package = gguf_package()
    writer = package.GGUFWriter(path, architecture)
    for key, value in header.items():
        _add(writer, key, value)
    for item in plan:
        kind = package.GGMLQuantizationType[item.type]
        block, block_bytes = package.GGML_QUANT_SIZES[kind]
        size = int(np.prod(item.shape)) // block * block_bytes
        writer.add_tensor_info(item.name, item.shape, np.dtype(np.float32), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    try:
        for item in plan:
            array = computed
            if item.place is not None:
                array = _arrays(item.place, weights, sizes, path)[item.part]
            kind = package.GGMLQuantizationType[item.type]
            writer.write_tensor_data(package.quants.quantize(array, kind))
    finally:
        writer.close()


def _add(writer: Any, key: str, value: Any) -> None:
    adders = {bool: "add_bool", int: "add_uint32", float: "add_float32", str: "add_string"}
    getattr(writer, adders.get(type(value), "add_array"))(key, value)


def _error_shares(
    path: Path, plan: list[_Planned], weights: FolderWeights, sizes: Sizes
) -> dict[str, float]:
    """For each type, the largest error of a stored tensor as a share of what the type allows."""
    file = open_gguf(path)
    worst: dict[str, float] = {}
    for item in plan:
        if item.place is not None:
            source = _arrays(item.place, weights, sizes, path)[item.part]
            stored = file.tensors[item.name].dequantised()
            share = error_share(item.type, source, stored)
            worst[item.type] = max(worst.get(item.type, 0.0), share)
    return worst


def _beginning(vocabulary: dict[str, Any]) -> list[int]:
    begins = vocabulary["tokenizer.ggml.add_bos_token"]
    return [vocabulary["tokenizer.ggml.bos_token_id"]] if begins else []


def _require(check: GgufCheck, kind: Kind, architecture: Architecture, target: Path) -> None:
    """Raise WorkFailed unless the proof holds."""
    if check.error_share > 1:
        raise WorkFailed(f"{target}: a stored weight lies further off than {kind} rounds; not kept")
    if kind == "f32" and check.logits is not None and check.logits.max_difference > 0:
        raise WorkFailed(
            f"{target}: the file's logits differ from the folder's by "
            f"{check.logits.max_difference:g}; not kept"
        )
    if check.llama_cpp is not None and check.llama_cpp.margin > _MARGINS.get(kind, _MARGIN):
        raise WorkFailed(
            f"{target}: llama.cpp chooses a token that is less likely by "
            f"{check.llama_cpp.margin:.3g} nats in the file's model; not kept"
        )
    allowed = _GELU_DIFFERENCE if _notes(architecture) else _DIFFERENCE
    if kind == "f32" and check.llama_cpp is not None and check.llama_cpp.max_difference > allowed:
        raise WorkFailed(
            f"{target}: llama.cpp's log-probabilities differ by "
            f"{check.llama_cpp.max_difference:.3g} nats; not kept"
        )


def _notes(architecture: Architecture) -> tuple[str, ...]:
    if architecture.name == "falcon":
        return (_GELU_NOTE, _ERF_NOTE)
    return (_GELU_NOTE,) if architecture.gelu else ()


def _rounding_notes(kind: Kind, shares: dict[str, float]) -> tuple[str, ...]:
    ternary = kind.startswith("tq") and shares.get(kind.upper(), 0.0) > _TERNARY_SHARE
    return (_TERNARY_NOTE,) if ternary else ()
