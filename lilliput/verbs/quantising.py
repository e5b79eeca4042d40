"""Smaller models: quantise, measure, and note the result in the model's card."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.export.quantise import Choice, QuantisedFolder, write_quantised
from lilliput.export.quantise.write import measured_bits
from lilliput.files import write_text
from lilliput.generate.language_model import load, model_folder
from lilliput.tokens import TokenSplit, open_tokens
from lilliput.training import read_recipe

COMPARED = (
    Choice(8, "nearest", 8),
    Choice(4, "nearest", 8),
    Choice(4, "gptq", 8),
    Choice(4, "nearest", 4),
    Choice(4, "gptq", 4),
)
_TITLE = "## Quantised"
_HEADER = ("weights", "embedding", "method", "bytes", "bits a weight", "bits per byte")
_MEASURED_BYTES = 300_000


def quantise(
    model: Path | str,
    target: Path | str | None = None,
    *,
    bits: int = 8,
    method: str = "nearest",
    embedding_bits: int = 8,
    group: int | None = None,
    calibrate: Path | str | None = None,
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """Write a model folder with packed weights, prove it, and note it in both cards.

    `calibrate` is a folder of token shards for method "gptq", by default those the model's run was
    trained on. Bits per byte are measured on `texts`, or on validation documents of those shards.
    Returns the facts. Raises UserError for what cannot be quantised so.
    """
    folder = model_folder(model)
    choice = Choice(bits, method, embedding_bits, group)  # type: ignore[arg-type]
    name = (folder.parent if folder.name == "model" else folder).resolve().name
    target = Path(target) if target is not None else Path(f"{name}-{method}-int{bits}")
    shards = _Shards(folder, calibrate)
    measured = list(texts) or shards.held_out(folder)
    made = write_quantised(
        folder, target, choice, calibration=shards.split("train"), texts=measured
    )
    for card in (folder, target):
        _note(card, folder, [made])
    return made.facts()


def compare_quantisations(
    model: Path | str,
    *,
    calibrate: Path | str | None = None,
    texts: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Every usual way to quantise a model, measured, and the table put in its card.

    Nothing else is kept. Raises UserError as `quantise` does, and without texts to measure on.
    """
    folder = model_folder(model)
    shards = _Shards(folder, calibrate)
    measured = list(texts) or shards.held_out(folder)
    if not measured:
        raise UserError("there is no text to measure on: give --texts or --calibrate TOKENS")
    calibration = shards.split("train")
    before = measured_bits(folder, measured)
    made: list[QuantisedFolder] = []
    with tempfile.TemporaryDirectory(prefix="lilliput-quantise-") as place:
        for number, choice in enumerate(COMPARED):
            if choice.method == "gptq" and calibration is None:
                continue
            made.append(
                write_quantised(
                    folder,
                    Path(place) / str(number),
                    choice,
                    calibration=calibration,
                    texts=measured,
                    bits_before=before,
                )
            )
    _note(folder, folder, made)
    return [one.facts() for one in made]


class _Shards:
    """The token shards that go with a model: those named, or its run's, if they can be had."""

    def __init__(self, folder: Path, named: Path | str | None) -> None:
        self._tokens = None
        recipe = folder.parent / "recipe.toml"
        if named is not None:
            self._tokens = open_tokens(Path(named))
        elif recipe.is_file():
            try:
                self._tokens = open_tokens(read_recipe(recipe)["data"]["tokens"])
            except UserError:  # they have moved: only some methods need them
                return

    def split(self, name: str) -> TokenSplit | None:
        return self._tokens.split(name) if self._tokens is not None else None

    def held_out(self, folder: Path) -> list[str]:
        """Validation documents, up to so many bytes as tell models apart."""
        if self._tokens is None:
            return []
        split, tokenizer = self._tokens.split("val"), load(folder, "cpu").tokenizer
        texts: list[str] = []
        room = _MEASURED_BYTES
        for start, length in zip(split.document_starts, split.document_lengths, strict=True):
            if room <= 0:
                break
            if length > 1:
                ids = split.read(int(start) + 1, int(start + length))
                texts.append(tokenizer.decode(ids.tolist()))
                room -= len(texts[-1].encode())
        return texts


def _note(card_folder: Path, folder: Path, made: Sequence[QuantisedFolder]) -> None:
    """One row for each way in the card, the float32 model's first; a repeated one is replaced."""
    path = card_folder / "README.md"
    card = path.read_text(encoding="utf-8") if path.is_file() else "# A tiny language model\n"
    text, _, rest = card.partition(f"\n{_TITLE}\n")
    table, _, after = rest.partition("\n## ")
    rows = {
        tuple(cells[:3]): cells
        for line in table.splitlines()
        if line.startswith("|") and len(cells := _cells(line)) == len(_HEADER)
    }
    rows = {key: cells for key, cells in rows.items() if key[0] not in ("weights", "---")}
    for one in made:
        facts, bits = one.facts(), one.bits_per_byte
        before, now = (f"{value:.4f}" for value in bits) if bits else ("not measured",) * 2
        plain = ("float32", "float32", "")
        wide = f"{8 * one.float_size / one.parameters:.2f}"
        rows[plain] = [*plain, f"{one.float_size:,}", wide, before]
        key = (facts["weights"], facts["embedding"], facts["method"])
        rows[key] = [*key, f"{one.size:,}", f"{one.bits_per_weight:.2f}", now]
    ordered = sorted(rows.values(), key=lambda cells: -int(cells[3].replace(",", "")))
    lines = [_HEADER, ("---",) * len(_HEADER), *ordered]
    made_table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    tail = f"\n## {after}" if after else ""
    write_text(path, f"{text.rstrip()}\n\n{_TITLE}\n\n{made_table}\n{tail}")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
