"""Models on their way to other runtimes and back."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.export.folder import write_folder
from lilliput.export.gguf import read_gguf, write_gguf
from lilliput.export.onnx import write_onnx
from lilliput.export.single_file import write_single_file
from lilliput.files import write_text
from lilliput.generate.language_model import load, model_folder
from lilliput.tokens import open_tokens
from lilliput.training import read_recipe

_VALIDATION_TEXTS = 32
_CARD_TITLE = "## Exports"
_HEADER = ("format", "kind", "bytes", "bits a weight", "largest logit difference", "bits per byte")

_WRITERS: Mapping[str, Callable[..., Any]] = {
    "hf": write_folder,
    "gguf": write_gguf,
    "onnx": write_onnx,
    "single-file": write_single_file,
}
_USUAL_NAMES = {"hf": "{}-hf", "gguf": "{}.gguf", "onnx": "{}-onnx", "single-file": "{}.lilliput"}


def export(
    model: Path | str,
    to: str,
    target: Path | str | None = None,
    *,
    kind: str = "f32",
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """Write a model for another runtime, prove what was written, and note it in the model's card.

    `to` is hf, gguf, onnx or single-file; `kind` one of the format's number formats. Bits per byte
    are measured on `texts`, or on validation documents of the run the model belongs to. Returns the
    facts of the proof. Raises UserError for what the format cannot hold, WorkFailed if the proof
    fails; then nothing is left behind.
    """
    if to not in _WRITERS:
        raise UserError(f"--to {to}: choose {', '.join(_WRITERS)}")
    folder = model_folder(model)
    name = (folder.parent if folder.name == "model" else folder).resolve().name
    target = Path(target) if target is not None else Path(_USUAL_NAMES[to].format(name))
    held_out = list(texts) or _validation_texts(folder)
    facts: dict[str, Any] = _WRITERS[to](folder, target, kind=kind, texts=held_out).facts()
    _note_in_card(folder, to, facts)
    return facts


def import_gguf(source: Path | str, folder: Path | str) -> Path:
    """A GGUF file → a model folder that `lilliput.load` and transformers open."""
    read_gguf(source, folder)
    return Path(folder)


def _validation_texts(folder: Path) -> list[str]:
    """Some held-out documents of the run that made the model; none if they are not to be had."""
    recipe = folder.parent / "recipe.toml"
    if not recipe.is_file():
        return []
    try:
        split = open_tokens(read_recipe(recipe)["data"]["tokens"]).split("val")
    except UserError:  # the tokens have moved: the export needs them for one figure only
        return []
    tokenizer = load(folder, "cpu").tokenizer
    pairs = zip(split.document_starts, split.document_lengths, strict=True)
    return [
        tokenizer.decode(split.read(int(start) + 1, int(start + length)).tolist())
        for start, length in list(pairs)[:_VALIDATION_TEXTS]
        if length > 1
    ]


def _note_in_card(folder: Path, to: str, facts: Mapping[str, Any]) -> None:
    """One row a format and kind in the card; a repeated export replaces its row."""
    path = folder / "README.md"
    card = path.read_text(encoding="utf-8") if path.is_file() else "# A tiny language model\n"
    text, _, table = card.partition(f"\n{_CARD_TITLE}\n")
    kind = str(facts.get("kind", "f32"))
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    rows = [row for row in rows if not row.startswith(f"| {to} | {kind} |")]
    bits = facts.get("bits_per_byte")
    cells = (
        to,
        kind,
        f"{facts['bytes']:,}",
        f"{facts['bits_per_weight']:.2f}",
        f"{facts.get('max_logit_difference', float('nan')):.2g}",
        "not measured" if bits is None else f"{bits:.4f}",
    )
    lines = [_HEADER, ("---",) * len(_HEADER)]
    made = [f"| {' | '.join(line)} |" for line in lines]
    made += sorted([*rows, f"| {' | '.join(cells)} |"])
    write_text(path, f"{text.rstrip()}\n\n{_CARD_TITLE}\n\n" + "\n".join(made) + "\n")
