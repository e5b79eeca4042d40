"""Rotary positions stretched to longer contexts: config.json's `rope_parameters` ↔ GGUF.

Linear (arXiv 2306.15595) and YaRN (arXiv 2309.00071) are numbers in the metadata; Llama 3's is a
tensor of divisors, one a pair of dimensions (The Llama 3 Herd of Models, arXiv 2407.21783; the
formula is that of transformers' `modeling_rope_utils`).
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.errors import UserError
from lilliput.export.gguf.file import FloatArray, GgufFile

DIVISORS = "rope_freqs.weight"
_KEPT_KEY = "lilliput.rope_parameters"
_WITH_DIVISORS = ("llama", "granite")
# The one published setting, for files that do not carry ours.
_LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def rope_type(values: Mapping[str, Any]) -> str:
    """The kind of stretching in a completed config.json."""
    rope = values.get("rope_parameters") or {}
    return str(rope.get("rope_type", rope.get("type", "default")))


def rope_metadata(architecture: str, values: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Metadata, without prefix, for a completed config. Raises UserError where GGUF has none."""
    rope, kind = values.get("rope_parameters") or {}, rope_type(values)
    if kind == "default":
        return {}
    if kind == "llama3" and architecture in _WITH_DIVISORS:
        return {}  # `divisors` writes the tensor
    if kind == "linear":
        return {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    if kind == "yarn" and not {"mscale", "mscale_all_dim", "attention_factor"} & _set(rope):
        original = rope.get("original_max_position_embeddings") or values["max_position_embeddings"]
        return {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(rope["factor"]),
            "rope.scaling.original_context_length": int(original),
            "rope.scaling.yarn_beta_fast": float(rope.get("beta_fast") or 32.0),
            "rope.scaling.yarn_beta_slow": float(rope.get("beta_slow") or 1.0),
        }
    raise UserError(
        f"{where}: rotary positions stretched by {kind!r} are not what llama.cpp's "
        f"{architecture} computes, so no GGUF file is written"
    )


def kept_metadata(values: Mapping[str, Any]) -> dict[str, str]:
    """A metadata entry of ours that keeps what GGUF cannot say, for reading the file back."""
    if rope_type(values) == "default":
        return {}
    return {_KEPT_KEY: json.dumps(values["rope_parameters"])}


def divisors(values: Mapping[str, Any]) -> FloatArray | None:
    """What divides each pair's frequency, [head_dim / 2], for Llama 3's stretching; else None."""
    if rope_type(values) != "llama3":
        return None
    return llama3_divisors(values["rope_parameters"], values["rope_theta"], values["head_dim"])


def llama3_divisors(rope: Mapping[str, Any], theta: float, head_dim: int) -> FloatArray:
    """1 for short wavelengths, `factor` for long ones, a blend between."""
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    frequency = theta ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
    blend = np.clip((turns - low) / (high - low), 0.0, 1.0)
    stretched = 1 / ((1 - blend) / float(rope["factor"]) + blend)
    return np.asarray(stretched, dtype=np.float32)


def rope_parameters(file: GgufFile, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """`rope_parameters` of a file; `numbers` are config.json's. Raises UserError if unknown."""
    theta = numbers["rope_theta"]
    plain = {"rope_type": "default", "rope_theta": theta}
    prefix = f"{file.architecture}.rope.scaling."
    kind, factor = file.metadata.get(f"{prefix}type"), file.metadata.get(f"{prefix}factor", 0.0)
    if _KEPT_KEY in file.metadata:
        kept = _kept(file)
        if DIVISORS not in file.tensors or _explains(kept, file, numbers):
            return {**kept, "rope_theta": theta}
    if DIVISORS in file.tensors:
        largest = float(file.tensors[DIVISORS].dequantised().max())
        guess = {**_LLAMA3, "factor": largest, "rope_theta": theta}
        if not _explains(guess, file, numbers):
            raise UserError(
                f"{file.path}: its rotary divisors ({DIVISORS}) are not those of Llama 3's "
                "published setting, so transformers has no name for them"
            )
        return guess
    if kind in (None, "none") or not isinstance(factor, float) or factor in (0.0, 1.0):
        return plain
    if kind == "linear":
        return plain | {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        original = file.metadata.get(f"{prefix}original_context_length")
        return plain | {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": original or numbers["max_position_embeddings"],
        }
    raise UserError(f"{file.path}: rotary positions stretched by {kind!r} are not known")


def _kept(file: GgufFile) -> dict[str, Any]:
    try:
        kept = json.loads(file.metadata[_KEPT_KEY])
        return {"rope_type": str(kept["rope_type"]), **kept}
    except (TypeError, ValueError, KeyError):
        raise UserError(f"{file.path}: its metadata entry {_KEPT_KEY} is damaged") from None


def _explains(rope: Mapping[str, Any], file: GgufFile, numbers: Mapping[str, Any]) -> bool:
    try:
        expected = llama3_divisors(rope, numbers["rope_theta"], numbers["head_dim"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return False
    found = file.tensors[DIVISORS].dequantised()
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=1e-4))


def _set(rope: Mapping[str, Any]) -> set[str]:
    return {name for name, value in rope.items() if value is not None}
