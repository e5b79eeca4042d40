"""A model folder for transformers and vLLM: the folder as it is, proved by transformers itself."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lilliput.errors import UserError, WorkFailed
from lilliput.export.parity import F32_TOLERANCE, Agreement, compare, model_logits, written_ids
from lilliput.files import read_json

_PROBE_TOKENS = 40


@dataclass(frozen=True)
class FolderExport:
    """A copied folder; `agreement` is None where transformers is not installed."""

    path: Path
    architecture: str
    size: int
    parameters: int
    agreement: Agreement | None

    def facts(self) -> dict[str, Any]:
        """The result as plain values, for a command to print."""
        facts: dict[str, Any] = {
            "path": str(self.path),
            "architecture": self.architecture,
            "kind": "f32",
            "bytes": self.size,
            "bits_per_weight": 8 * self.size / self.parameters,
            "compared_by": "transformers" if self.agreement else "nobody: install transformers",
        }
        if self.agreement:
            facts["max_logit_difference"] = self.agreement.max_difference
        return facts


def write_folder(
    model_folder: Path | str,
    target: Path | str,
    *,
    kind: Literal["f32"] = "f32",
    texts: Sequence[str] = (),
) -> FolderExport:
    """Copy a model folder to `target` once transformers gives the same logits from the copy.

    Weights stay as they are, so `texts` need no new measure. Raises UserError if no class of
    transformers computes the model or the target exists, WorkFailed if the logits differ.
    """
    folder, target = Path(model_folder), Path(target)
    values = read_json(folder / "config.json")
    if kind != "f32":
        raise UserError(f"--kind {kind}: a folder for transformers holds f32")
    if "architectures" not in values:
        raise UserError(f"{folder}: no class of transformers computes this model")
    if target.exists():
        raise UserError(f"{target}: exists already; name another folder with -o")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as staging:
        copy = Path(staging) / "model"
        shutil.copytree(folder, copy)
        agreement = _agreement(folder, copy)
        copy.replace(target)
    weights = list(target.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in weights)
    return FolderExport(target, values["architectures"][0], size, _parameters(weights), agreement)


def _agreement(folder: Path, copy: Path) -> Agreement | None:
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        return None
    import torch

    theirs = AutoModelForCausalLM.from_pretrained(copy, dtype=torch.float32).eval()
    ids = written_ids(folder, _PROBE_TOKENS)
    with torch.no_grad():
        found = theirs(torch.tensor([ids])).logits[0].numpy()
    agreement = compare(found, model_logits(folder, ids))
    if not agreement.relative <= F32_TOLERANCE:
        raise WorkFailed(
            f"transformers computes other logits from this folder (they differ by "
            f"{agreement.max_difference:.2g}); nothing was written"
        )
    return agreement


def _parameters(weights: Sequence[Path]) -> int:
    from safetensors import safe_open

    total = 0
    for path in weights:
        with safe_open(path, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118
                count = 1
                for width in handle.get_slice(name).get_shape():
                    count *= width
                total += count
    return total
