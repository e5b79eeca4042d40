"""The families of models: what each is, how large, where it goes, and a drawing of any of them."""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from lilliput.errors import UserError
from lilliput.export.gguf.config import architecture_of, completed, metadata_of
from lilliput.export.source import Shape, read_plain_shape, read_shape
from lilliput.files import write_json
from lilliput.model import (
    FAMILIES,
    SIZES,
    Family,
    ModelConfig,
    export_class,
    field_types,
    shape_of_size,
)
from lilliput.model.drawing import active_parameters, model_diagram
from lilliput.model.exchange import foreign_config
from lilliput.model.folder import settled
from lilliput.report.diagram import Diagram, boxes, column_values, total
from lilliput.verbs.trunk_families import (
    TRUNK_ROWS,
    Own,
    own_fields,
    transformers_class,
    trunk_diagram,
    trunk_shape,
)

VOCABULARY = 8192
"""Size of vocabulary that parameters are counted with unless another is asked for."""
TARGETS = ("transformers", "gguf", "onnx", "single-file")
_SIZE_OF_EXPORTS = "m"
_SIMILAR = 0.6
_SOURCE = re.compile(r"arXiv (\d{4}\.\d{5})")
_GROUPS = {
    "family": "Sizes",
    "norm": "Norms",
    "positions": "Positions",
    "layer_pattern": "Attention",
    "gated": "Feed-forward",
    "n_experts": "Mixture of experts",
    "tied": "Input and output",
    "linear": "Arithmetic",
}
"""The first field of each group of ModelConfig; the others follow it."""


@dataclass(frozen=True)
class Exports:
    """Where a model's folder goes: the class of transformers that computes it, and file formats.

    `refusals` says why not, for each of TARGETS that is left out.
    """

    transformers: str | None
    gguf: bool
    onnx: bool
    single_file: bool
    refusals: Mapping[str, str]

    def reaches(self, target: str) -> bool:
        """Whether one of TARGETS takes the model."""
        return target not in self.refusals


@dataclass(frozen=True)
class FamilyFacts:
    """One row of the table of families, with its parameters at each named size."""

    name: str
    year: int
    paper: str
    distinctive: str
    parameters: Mapping[str, int]
    exports: Exports


@dataclass(frozen=True)
class Switch:
    """A field of ModelConfig: what it means, which papers it comes from, what it can be.

    `choices` is empty where any number or text will do.
    """

    name: str
    group: str
    value: Any
    default: Any
    help: str
    sources: tuple[str, ...]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FamilyShown:
    """A family at one size: its diagram, what differs from Llama's defaults, where it goes.

    Of a family that is no decoder `switches` are its own fields.
    """

    family: Family
    size: str
    config: ModelConfig | Own
    diagram: Diagram
    switches: tuple[Switch, ...]
    exports: Exports

    def values(self) -> dict[str, Any]:
        """The same as plain values, for JSON; the parts add up to all parameters."""
        drawn = list(boxes(self.diagram.column))
        return {
            "family": self.family.name,
            "year": self.family.year,
            "paper": self.family.paper,
            "distinctive": self.family.distinctive,
            "size": self.size,
            "parameters": sum(box.total for box in drawn),
            "active_parameters": _active(self.config),
            "training_only_parameters": total(self.diagram.training_only),
            "parts": _totals_by_name(self.diagram),
            "config": self.config.to_dict(),
            "switches": [asdict(switch) for switch in self.switches],
            "exports": asdict(self.exports),
            "diagram": column_values(self.diagram.column),
        }


def list_families(
    words: Sequence[str] = (), *, exports_to: str | None = None, vocabulary_size: int = VOCABULARY
) -> list[FamilyFacts]:
    """The families whose facts hold all `words` and that `exports_to` (one of TARGETS) takes.

    Words are looked for in names, papers, what is distinctive, the class of transformers and the
    switches ("rotary", "layernorm", "n_experts"). Raises UserError if no family is left.
    """
    if exports_to is not None and exports_to not in TARGETS:
        raise UserError(f"export {exports_to!r} is unknown: choose {', '.join(TARGETS)}")
    found = []
    for row in all_families().values():
        config = _shape(row.name, _SIZE_OF_EXPORTS, vocabulary_size)
        exports = exports_of(config)
        if (exports_to is None or exports.reaches(exports_to)) and _mentions(
            row, config, exports, words
        ):
            found.append(_facts(row, exports, vocabulary_size))
    if not found:
        wanted = " and ".join(
            [*map(repr, words), *([f"export to {exports_to}"] * bool(exports_to))]
        )
        raise UserError(f"no family matches {wanted}: `lilliput families` lists all")
    return found


@lru_cache(maxsize=1)
def all_families() -> Mapping[str, Family]:
    """The rows of all families by name, in order of year: decoders and the other trunks."""
    rows = [*FAMILIES.values(), *TRUNK_ROWS.values()]
    return {row.name: row for row in sorted(rows, key=lambda row: row.year)}


def show_family(name: str, size: str = "m", *, vocabulary_size: int = VOCABULARY) -> FamilyShown:
    """A family drawn at a named size. Raises UserError for an unknown name or size."""
    row = _family(name)
    config = _shape(row.name, size, vocabulary_size)
    title = f"{row.name} at size {size}"
    if isinstance(config, Own):
        diagram = trunk_diagram(config, title)
        shown = tuple(_switch(item, "", value) for item, value in own_fields(config))
    else:
        diagram = model_diagram(config, title)
        shown = tuple(one for one in switches(config) if one.value != one.default)
    return FamilyShown(row, size, config, diagram, shown, exports_of(config))


def _active(config: ModelConfig | Own) -> int:
    """Parameters that one token meets."""
    return config.parameters if isinstance(config, Own) else active_parameters(config)


def switches(config: ModelConfig) -> list[Switch]:
    """Every field that has a default (Llama's), but the family's name."""
    group, found = "", []
    for item in fields(ModelConfig):
        group = _GROUPS.get(item.name, group)
        if item.default is not MISSING and item.name != "family":
            found.append(_switch(item, group, getattr(config, item.name)))
    return found


def groups_of_switches() -> dict[str, list[Switch]]:
    """All fields by group, at their defaults; a field without one has None."""
    groups: dict[str, list[Switch]] = {}
    group = ""
    for item in fields(ModelConfig):
        group = _GROUPS.get(item.name, group)
        default = None if item.default is MISSING else item.default
        groups.setdefault(group, []).append(_switch(item, group, default))
    return groups


@lru_cache(maxsize=256)
def exports_of(config: ModelConfig | Own) -> Exports:
    """Where a trained model of this configuration goes, asked of the exports themselves."""
    if isinstance(config, Own):
        return _trunk_exports(config)
    one, reason = export_class(config)
    values = foreign_config(settled(config), one, end_of_text=0, padding=0)
    answers = {
        "transformers": "" if one is not None else reason,
        "gguf": _gguf_refusal(values),
        "onnx": _shape_refusal(values, read_shape),
        "single-file": _shape_refusal(values, read_plain_shape),
    }
    refusals = {target: refusal for target, refusal in answers.items() if refusal}
    return Exports(
        transformers=one.architecture if one is not None else None,
        gguf="gguf" not in refusals,
        onnx="onnx" not in refusals,
        single_file="single-file" not in refusals,
        refusals=refusals,
    )


def _trunk_exports(config: Own) -> Exports:
    loads_as = transformers_class(config)
    refusals = dict.fromkeys(TARGETS, "it is written for decoders, and this is none")
    if loads_as is not None:
        del refusals["transformers"]
    else:
        refusals |= dict.fromkeys(TARGETS, "nothing but Lilliput retrieves")
    return Exports(loads_as, gguf=False, onnx=False, single_file=False, refusals=refusals)


def _gguf_refusal(values: Mapping[str, Any]) -> str:
    where = Path("config.json")
    try:
        architecture = architecture_of(values, where)
        metadata_of(architecture, completed(architecture, values, where), where)
    except UserError as error:
        return _reason(error, where)
    return ""


def _shape_refusal(values: Mapping[str, Any], read: Callable[[Path], Shape]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        write_json(path, dict(values))
        try:
            read(Path(folder))
        except UserError as error:
            return _reason(error, path)
    return ""


def _reason(error: UserError, where: Path) -> str:
    return str(error).removeprefix(f"{where}: ")


def _family(name: str) -> Family:
    known = all_families()
    if name in known:
        return known[name]
    lowered = name.lower()
    near = [one for one in known if lowered and lowered in one]
    similar = get_close_matches(lowered, known, n=3, cutoff=_SIMILAR)
    near += [one for one in similar if one not in near]
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise UserError(f"family {name!r} is unknown: {hint}`lilliput families` lists all {len(known)}")


@lru_cache(maxsize=512)
def _shape(name: str, size: str, vocabulary_size: int) -> ModelConfig | Own:
    if name in TRUNK_ROWS:
        return trunk_shape(name, size, vocabulary_size)
    return shape_of_size(size, vocabulary_size=vocabulary_size, family=name)


def _facts(row: Family, exports: Exports, vocabulary_size: int) -> FamilyFacts:
    sizes = {size: _shape(row.name, size, vocabulary_size).parameters for size in SIZES}
    return FamilyFacts(row.name, row.year, row.paper, row.distinctive, sizes, exports)


def _mentions(
    row: Family, config: ModelConfig | Own, exports: Exports, words: Sequence[str]
) -> bool:
    """Whether all words occur; of switches, names that differ from Llama's and words as values."""
    said = [row.name, str(row.year), row.paper, row.distinctive, exports.transformers or ""]
    for switch in () if isinstance(config, Own) else switches(config):
        differs = switch.value != switch.default
        said += [switch.name] * differs
        said += [switch.value] * (isinstance(switch.value, str) and switch.name != "layer_pattern")
    haystack = "\n".join(said).lower()
    return all(word.lower() in haystack for word in words)


def _switch(item: Field[Any], group: str, value: Any) -> Switch:
    text = str(item.metadata["help"])
    default = None if item.default is MISSING else item.default
    sources = tuple(_SOURCE.findall(text))
    return Switch(item.name, group, value, default, text, sources, _choices().get(item.name, ()))


@lru_cache(maxsize=1)
def _choices() -> dict[str, tuple[str, ...]]:
    """The words that fields of words can hold."""
    return {
        name: get_args(kind) for name, kind in field_types().items() if get_origin(kind) is Literal
    }


def _totals_by_name(diagram: Diagram) -> dict[str, int]:
    totals: dict[str, int] = {}
    for box in boxes(diagram.column):
        for weights in box.weights:
            totals[weights.name] = totals.get(weights.name, 0) + weights.total
    return totals
