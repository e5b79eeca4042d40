"""What a build did, stage by stage: `build.json`, from which the report is written.

It says nothing of clocks or workers, so the same inputs and settings give the same bytes; what a
build took stands in `timings.json` beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from lilliput.errors import UserError
from lilliput.files import read_json, write_json

RECORD_NAME = "build.json"
SAMPLE_CHARACTERS = 600
SAMPLES_A_RULE = 5
"""Samples kept of each rule of a stage, and of what it kept."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Documents and the UTF-8 bytes of their text."""

    documents: int = 0
    bytes: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.documents + other.documents, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Sample:
    """A document that a rule dropped (`after` is None), edited or, with rule "kept", let through.

    `text` and `after` are at most 600 characters: of a dropped document its beginning, of an edit
    its surroundings. Samples are those of the smallest hash of rule and id, so that they are spread
    over the corpus and the same ones whatever the number of workers.
    """

    rule: str
    id: str
    source: str
    detail: str
    text: str
    after: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(**values)


@dataclass(frozen=True)
class StageRecord:
    """One stage: what came in, what stayed, what each rule dropped, what else was counted.

    `samples` are dropped and edited documents, at most 5 a rule, in order of rule; `kept` at most 5
    documents that stayed.
    """

    name: str
    settings: Mapping[str, Any]
    came: Tally
    stayed: Tally
    dropped: Mapping[str, Tally] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    kept: tuple[Sample, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            name=values["name"],
            settings=values["settings"],
            came=Tally(**values["came"]),
            stayed=Tally(**values["stayed"]),
            dropped={rule: Tally(**tally) for rule, tally in values["dropped"].items()},
            counts=values["counts"],
            samples=_samples(values["samples"]),
            kept=_samples(values["kept"]),
        )


@dataclass(frozen=True)
class SourceRecord:
    """One configured source: what it is, whose it is, what was read from it and what was written.

    `read` counts documents as they were read, before any stage; `written` those in the corpus,
    repeats included; `files` the files (or pieces without a file) it consisted of.
    """

    name: str
    location: str
    license: str | None
    attribution: str | None
    read: Tally
    written: Tally
    files: int

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        tallies = {name: Tally(**values[name]) for name in ("read", "written")}
        return cls(**{**values, **tallies})


@dataclass(frozen=True)
class BuildRecord:
    """A whole build. The first stage is "reading"; `profile` is a Profile as JSON, or empty.

    `mixing` holds the settings of the mixture (None: natural order, every document once).
    """

    sources: tuple[SourceRecord, ...]
    stages: tuple[StageRecord, ...]
    mixing: Mapping[str, Any] | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError if `values` are not a build record."""
        return cls(
            sources=tuple(SourceRecord.from_dict(source) for source in values["sources"]),
            stages=tuple(StageRecord.from_dict(stage) for stage in values["stages"]),
            mixing=values["mixing"],
            profile=values["profile"],
        )


def write_record(record: BuildRecord, folder: Path | str) -> None:
    """Write `build.json` into a corpus folder, atomically."""
    write_json(Path(folder) / RECORD_NAME, record.to_dict())


def read_record(folder: Path | str) -> BuildRecord:
    """Read `build.json` of a corpus folder. Raises UserError if it is missing or malformed."""
    path = Path(folder) / RECORD_NAME
    values = read_json(path)
    try:
        return BuildRecord.from_dict(values)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a build record: {error}") from None


def _samples(values: Sequence[Mapping[str, Any]]) -> tuple[Sample, ...]:
    return tuple(Sample.from_dict(sample) for sample in values)
