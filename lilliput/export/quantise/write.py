"""A model folder → a folder with packed weights, proved by loading it again."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lilliput.errors import UserError, WorkFailed
from lilliput.evaluate import bits_per_byte
from lilliput.export.quantise.calibration import CALIBRATION_TOKENS, calibration_batches
from lilliput.export.quantise.pack import (
    METHODS,
    Method,
    check_quantisable,
    pack,
    packing_for,
    same,
    trained_packing,
)
from lilliput.files import write_text
from lilliput.generate.language_model import LanguageModel, load
from lilliput.model.decoder import Decoder
from lilliput.model.folder import load_model, save_packed_model
from lilliput.model.inference import optimised
from lilliput.model.packed import PackedWeights
from lilliput.tokens import TokenSplit

_PROBE_TOKENS = 24


@dataclass(frozen=True)
class Choice:
    """One way to quantise: bits of the blocks' matrices, and of embedding and output head.

    `embedding_bits` 0 leaves these in float32. `bits` of the method "trained" are the training's.
    """

    bits: int = 8
    method: Method = "nearest"
    embedding_bits: int = 8
    group: int | None = None

    def weights_of(self, decoder: Decoder) -> PackedWeights:
        """How the model will be stored. Raises UserError for what there is not."""
        if self.method not in METHODS:
            raise UserError(f"method {self.method!r} is unknown: choose {', '.join(METHODS)}")
        if self.method == "trained":
            blocks = trained_packing(decoder)
        else:
            blocks = packing_for(decoder.config, self.bits, self.group)
        embedding = None
        if self.embedding_bits:
            embedding = packing_for(decoder.config, self.embedding_bits, self.group)
        return PackedWeights(blocks, embedding, self.method)


@dataclass(frozen=True)
class QuantisedFolder:
    """A folder that was written, loaded again and measured.

    `size` is that of its weights' file, `parameters` the model's. Bits per byte are of the float32
    model and of this folder as it decodes, on the same texts; None without texts.
    """

    path: Path
    weights: PackedWeights
    size: int
    float_size: int
    parameters: int
    bits_per_byte: tuple[float, float] | None

    @property
    def bits_per_weight(self) -> float:
        """The whole file over the model's parameters."""
        return 8 * self.size / self.parameters

    def facts(self) -> dict[str, Any]:
        """The result as plain values, for a command to print."""
        blocks, embedding = self.weights.blocks, self.weights.embedding
        facts: dict[str, Any] = {
            "path": str(self.path),
            "method": self.weights.method,
            "weights": blocks.format,
            "embedding": embedding.format if embedding else "float32",
            "group": blocks.group or "a row",
            "bytes": self.size,
            "bytes_before": self.float_size,
            "bits_per_weight": self.bits_per_weight,
        }
        if self.bits_per_byte is not None:
            facts["bits_per_byte_before"], facts["bits_per_byte"] = self.bits_per_byte
        return facts


def write_quantised(
    model_folder: Path | str,
    target: Path | str,
    choice: Choice,
    *,
    calibration: TokenSplit | None = None,
    texts: Sequence[str] = (),
    bits_before: float | None = None,
) -> QuantisedFolder:
    """Write `target`, a model folder with packed weights that `load_model` opens.

    It is loaded again before it takes its name, and must give the logits of what was to be written,
    bit for bit. `calibration` is the text that "gptq" rounds by; bits per byte are measured on
    `texts`, the float model's too unless `bits_before` says it. Raises UserError if the model
    cannot be quantised so or the target exists, WorkFailed if the proof fails.
    """
    folder, target = Path(model_folder), Path(target)
    if target.exists():
        raise UserError(f"{target}: exists already; name another folder with -o")
    decoder = check_quantisable(load_model(folder))
    weights = choice.weights_of(decoder)
    batches = []
    if choice.method == "gptq":
        if calibration is None:
            raise UserError("gptq needs text to calibrate on: give --calibrate TOKENS")
        if calibration.end_of_text >= decoder.config.vocabulary_size:
            raise UserError("the calibration shards are of another tokenizer than the model's")
        batches = calibration_batches(
            calibration, decoder.config.context_length, CALIBRATION_TOKENS
        )
    packed = pack(decoder, weights, choice.method, batches)
    if bits_before is None and texts:
        bits_before = measured_bits(folder, texts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as staging:
        made = Path(staging) / "model"
        made.mkdir()
        save_packed_model(packed, weights, folder, made)
        loaded = load_model(made)
        assert isinstance(loaded, Decoder)
        ids = torch.arange(_PROBE_TOKENS)[None] % decoder.config.vocabulary_size
        if not same(loaded, packed, ids[:, : decoder.config.context_length]):
            raise WorkFailed(
                "the folder does not give the logits it was made from; nothing written"
            )
        bits = measured_bits(made, texts) if texts else None
        write_text(made / "README.md", _card_of(folder))
        made.replace(target)
    both = None if bits is None or bits_before is None else (bits_before, bits)
    return QuantisedFolder(
        target,
        weights,
        weight_bytes(target),
        weight_bytes(folder),
        decoder.config.parameters,
        both,
    )


def measured_bits(folder: Path, texts: Sequence[str]) -> float:
    """Bits per byte of a model folder on texts, as it decodes: through its optimised form."""
    model: LanguageModel = load(folder, "cpu")
    fast = optimised(model.decoder, threads=1)
    scorer = LanguageModel(
        fast,  # type: ignore[arg-type]
        model.tokenizer,
        folder,
        beginning=model.beginning,
        end_tokens=model.end_tokens,
    )
    return bits_per_byte(scorer, texts).bits_per_byte


def weight_bytes(folder: Path) -> int:
    """Bytes of a model folder's weights on disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _card_of(folder: Path) -> str:
    path = folder / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else "# A tiny language model\n"
