"""The recipe: everything that defines a run, as a TOML file."""

import dataclasses
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import tomli_w

from lilliput.errors import UserError
from lilliput.files import write_text
from lilliput.model.retro.config import RetroConfig
from lilliput.training.budget import BudgetSettings
from lilliput.training.optimizers import OptimizerSettings
from lilliput.training.schedule import Schedule


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class ModelDial:
    """The dial and what overrides it; a value left out is derived."""

    family: str | None = _setting(
        None, "name of the row in the table of families: lilliput, or that of train.start_from"
    )
    depth: int | None = _setting(None, "the one dial: layers, from which the rest follows")
    size: str | None = _setting(None, "a named size instead of the dial: xs, s, m, l or xl")
    context_length: int | None = _setting(
        None, "longest sequence in tokens: 512, or that of train.start_from"
    )

    def overrides(self) -> dict[str, Any]:
        """The configuration's fields that are set."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        dial = ("family", "depth", "size")
        return {name: value for name, value in values.items() if name not in dial}


def _model_settings() -> type[ModelDial]:
    """`ModelDial` with every field of decoders, retrieving ones too, as an optional override."""
    given = {item.name for item in dataclasses.fields(ModelDial)} | {"vocabulary_size"}
    kinds = get_type_hints(RetroConfig)
    overrides = [
        (item.name, kinds[item.name] | None, _setting(None, item.metadata["help"]))
        for item in dataclasses.fields(RetroConfig)
        if item.name not in given
    ]
    return dataclasses.make_dataclass(
        "ModelSettings", overrides, bases=(ModelDial,), frozen=True, kw_only=True
    )


ModelSettings = _model_settings()


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where batches come from."""

    tokens: str = _setting(
        "tokens", "folder of token shards; of a run on pairs with new weights, its tokenizer alone"
    )
    pairs: str | None = _setting(
        None, "file of pairs to train on instead: .jsonl, .csv, .tsv or .parquet"
    )
    input_field: str = _setting("input", "field of a pair that the model is given")
    answer_field: str = _setting("answer", "field of a pair that the model should answer")
    frame: str | None = _setting(
        None,
        "what a pair's input becomes, {input} standing for it: that of train.start_from, or "
        "{input} and, for a model without an encoder, a line break",
    )
    held_out_pairs: str | None = _setting(
        None, "file of pairs to validate on; else a share of data.pairs"
    )
    held_out_share: float = _setting(0.05, "share of data.pairs that is only validated on")
    align: Literal["document", "random"] = _setting(
        "document", "windows packed from whole documents, or plain random windows"
    )
    across_documents: bool = _setting(
        False, "attention may look into the documents before in the same window"
    )
    batch_tokens: int | None = _setting(None, "tokens an optimiser step sees")
    micro_batch_tokens: int | None = _setting(
        None, "tokens computed at once; a step accumulates them to batch_tokens"
    )

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share < 1:
            raise UserError(
                f"data.held_out_share is {self.held_out_share}: it must be between 0 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class RunSettings(BudgetSettings):
    """How long the loop runs, how, and what it leaves behind."""

    start_from: str | None = _setting(
        None,
        "model folder or run whose weights to begin with; with --model.family retro it is given "
        "retrieval, its own weights frozen",
    )
    seed: int = _setting(0, "of the weights, the data order and the samples")
    device: str = _setting("auto", "auto, cpu, cuda, mps")
    precision: Literal["auto", "bfloat16", "float32"] = _setting(
        "auto", "number format of the computation; weights are kept in float32"
    )
    compile: Literal["auto", "yes", "no"] = _setting(
        "auto", "torch.compile, where it pays for itself within the budget"
    )
    log_every: int = _setting(10, "steps between records of the training loss")
    validations: int | None = _setting(
        None, "validations over the run, the last one at its end; 3 to 10 by how long it lasts"
    )
    validation_tokens: int | None = _setting(
        None, "most tokens a validation scores; the last one takes 8 times as many"
    )
    samples: int | None = _setting(
        None, "moments at which samples are written; 1 to 5 by how long the run lasts"
    )
    sample_tokens: int = _setting(80, "longest sample, in tokens")
    prompts: list[str] = field(
        default_factory=lambda: [""], metadata={"help": "openings of the samples"}
    )
    checkpoint_minutes: float = _setting(5.0, "most minutes between checkpoints")
    checkpoint_steps: int | None = _setting(None, "steps between checkpoints, besides")
    keep_checkpoints: int = _setting(2, "newest checkpoints kept")
    max_skipped_steps: int = _setting(10, "steps in a row without a finite loss that end the run")
    tensorboard: bool = _setting(False, "write TensorBoard events too")

    def __post_init__(self) -> None:
        self.check_amounts()
        for name in ("log_every", "validations", "keep_checkpoints", "max_skipped_steps"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f"train.{name} is {getattr(self, name)}: it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a run. Sections are TOML tables of the same names."""

    model: ModelDial = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: Schedule = field(default_factory=Schedule)
    train: RunSettings = field(default_factory=RunSettings)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "recipe") -> Self:
        """Build and check a recipe. Raises UserError naming the file, section and field."""
        sections: dict[str, Any] = {}
        for name, table in values.items():
            if name not in SECTIONS:
                raise UserError(
                    f"{where}: section [{name}] is unknown (sections: {', '.join(SECTIONS)})"
                )
            if not isinstance(table, Mapping):
                raise UserError(f"{where}: {name} must be a section [{name}], not a value")
            sections[name] = _section(SECTIONS[name], name, table, where)
        return cls(**sections)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain values without those that are not set, as TOML has no null."""
        tables = {}
        for name in SECTIONS:
            table = dataclasses.asdict(getattr(self, name))
            tables[name] = {key: value for key, value in table.items() if value is not None}
        return tables


_PLURALS = {str: "texts", int: "whole numbers", float: "numbers"}

SECTIONS: dict[str, type[Any]] = {
    "model": ModelSettings,
    "data": DataSettings,
    "optimizer": OptimizerSettings,
    "schedule": Schedule,
    "train": RunSettings,
}


def read_recipe(path: Path | str) -> dict[str, dict[str, Any]]:
    """The tables of a recipe file. Raises UserError with file and line if it is not TOML."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such recipe") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not a valid recipe: {error}") from None


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe file atomically."""
    write_text(path, tomli_w.dumps(recipe.to_dict()))


def merge(*layers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tables one over the other, the last one winning field by field."""
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for name, table in layer.items():
            merged[name] = {**merged.get(name, {}), **table}
    return merged


def _section(kind: type[Any], name: str, table: Mapping[str, Any], where: str) -> Any:
    known = {item.name: item for item in dataclasses.fields(kind)}
    values = {}
    for key, value in table.items():
        if key not in known:
            raise UserError(
                f"{where}: {name}.{key} is unknown (fields of [{name}]: {', '.join(known)})"
            )
        values[key] = _checked(value, known[key].type, f"{where}: {name}.{key}")
    return kind(**values)


def _checked(value: Any, annotation: Any, where: str) -> Any:
    """The value in the annotated type; an int where a float is meant is taken."""
    if get_origin(annotation) in (Union, types.UnionType):
        if value is None:
            return None
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        if value not in get_args(annotation):
            choices = ", ".join(repr(choice) for choice in get_args(annotation))
            raise UserError(f"{where} is {value!r}: choose one of {choices}")
        return value
    if get_origin(annotation) in (list, tuple):
        kind = get_args(annotation)[0]
        if not isinstance(value, list | tuple):
            raise UserError(f"{where} is {value!r}: give a list of {_PLURALS[kind]}")
        return [_checked(item, kind, where) for item in value]
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, annotation) or (annotation is int and isinstance(value, bool)):
        raise UserError(f"{where} is {value!r}: it must be of type {annotation.__name__}")
    return value
