"""What a build is: sources, stages and mixing, from `corpus.toml`, a preset, or both with changes.

Presets are recipes without sources that are shipped in `lilliput/corpus/presets/`.
"""

import dataclasses
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from lilliput.corpus.mixing import Mixing
from lilliput.corpus.readers import Source
from lilliput.corpus.registry import as_stage, make_stage, settings_of, stage_name, stage_names
from lilliput.corpus.settings import settings_from, suggestion
from lilliput.corpus.stages import CorpusWideStage, Stage
from lilliput.errors import UserError

PRESETS = ("web", "wiki", "books", "qa", "records", "code")
AnyStage = Stage | CorpusWideStage
Tables = dict[str, Any]
"""A recipe as TOML holds it: preset, seed, memory, sources, stages, mixing."""

_KEYS = ("preset", "seed", "memory", "sources", "stages", "mixing")
_STAGE_KEYS = ("stage", "skip", "before")
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class BuildRecipe:
    """A whole build. `memory` is bytes, or None for no limit; it changes no byte of the corpus."""

    sources: tuple[Source, ...]
    stages: tuple[AnyStage, ...] = ()
    mixing: Mixing | None = None
    preset: str | None = None
    seed: int = 0
    memory: int | None = None

    def settings(self) -> dict[str, Any]:
        """What decides the corpus, as plain JSON values: for the manifest."""
        stages = [{"stage": stage_name(one), **settings_of(one)} for one in self.stages]
        mixing = None if self.mixing is None else settings_of(self.mixing)  # type: ignore[arg-type]
        return {
            "sources": [_changed_fields(source) for source in self.sources],
            "preset": self.preset,
            "stages": stages,
            "mixing": mixing,
            "seed": self.seed,
        }


def read_tables(path: Path | str) -> Tables:
    """The tables of a recipe file. Raises UserError with file and line if it is not TOML.

    Modules of stages ("module:function") are found beside the file too.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such recipe") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not a valid recipe: {error}") from None
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return tables


def preset_tables(name: str, where: str) -> Tables:
    """The tables of a shipped preset."""
    if name not in PRESETS:
        raise UserError(f"{where}: there is no preset {name!r}{suggestion(name, list(PRESETS))}")
    shipped = resources.files("lilliput.corpus") / "presets" / f"{name}.toml"
    return tomllib.loads(shipped.read_text(encoding="utf-8"))


def make_recipe(tables: Mapping[str, Any], where: str = "recipe") -> BuildRecipe:
    """Build and check a recipe; of one with a preset, the preset's tables come first.

    A `[[stages]]` table of a stage that the preset has changes its fields (`skip = true` leaves it
    out); any other is added at the end, or before the one that `before` names. `seed` is that of
    the mixing and of every stage with a seed, where they say none. Raises UserError naming file,
    table and field.
    """
    for key in tables:
        if key not in _KEYS:
            raise UserError(f"{where}: no key {key!r}{suggestion(key, list(_KEYS))}")
    preset = _typed(tables, "preset", str, where)
    under = preset_tables(preset, where) if preset else {}
    seed = _typed(tables, "seed", int, where) or 0
    listed = merged_stages(
        _list_of_tables(under, "stages", where), _list_of_tables(tables, "stages", where), where
    )
    mixing = {**under.get("mixing", {}), **(_typed(tables, "mixing", dict, where) or {})}
    sources = _list_of_tables(tables, "sources", where)
    return BuildRecipe(
        sources=tuple(
            settings_from(Source, source, f"{where}: source {source.get('location', number)}")
            for number, source in enumerate(sources, 1)
        ),
        stages=tuple(_stage(table, seed, where) for table in listed),
        mixing=settings_from(Mixing, {"seed": seed, **mixing}, f"{where}: mixing")
        if mixing
        else None,
        preset=preset,
        seed=seed,
        memory=None if tables.get("memory") is None else memory_bytes(tables["memory"], where),
    )


def merged_stages(
    under: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]], where: str
) -> list[dict[str, Any]]:
    """A preset's stage tables changed by those of a recipe."""
    merged = [dict(table) for table in under]
    ours = [table.get("stage") for table in under]
    changed: set[str] = set()
    for table in over:
        name = table.get("stage")
        if not isinstance(name, str):
            raise UserError(f'{where}: a [[stages]] table needs stage = "NAME"')
        if table.get("skip", False):
            merged.pop(_place(merged, name, f"{where}: stage {name} cannot be left out"))
            continue
        table, before = dict(table), table.get("before")
        if before is not None:
            place = _place(merged, before, f"{where}: stage {name}: before")
        if name in ours and name not in changed:
            changed.add(name)
            here = _place(merged, name, where)
            table = {**merged[here], **table}
            if before is None:
                merged[here] = table
                continue
            merged.pop(here)
            place = _place(merged, before, where)
        merged.insert(place if before is not None else len(merged), table)
    return merged


def set_fields(tables: Tables, changes: Sequence[str], where: str = "--set") -> Tables:
    """The tables with `stage.field=value`, `mixing.field=value` and `key=value` changed.

    Values are written as in TOML; what is none is taken as text. Raises UserError for a stage that
    the recipe does not have.
    """
    changed = {**tables, "stages": [dict(table) for table in tables.get("stages", [])]}
    for change in changes:
        name, equals, written = change.partition("=")
        stage, _, field = name.rpartition(".")
        if not equals or not field:
            raise UserError(f"{where} {change}: write it as stage.field=value")
        value = _value(written)
        if not stage:
            changed[field] = value
        elif stage == "mixing":
            changed["mixing"] = {**changed.get("mixing", {}), field: value}
        else:
            _set_field(changed, stage, field, value, f"{where} {change}")
    return changed


def _set_field(tables: Tables, stage: str, field: str, value: Any, where: str) -> None:
    for table in tables["stages"]:
        if table.get("stage") == stage:
            table[field] = value
            return
    preset = tables.get("preset")
    known = [one["stage"] for one in preset_tables(preset, where)["stages"]] if preset else []
    if stage not in known:
        there = [*known, *(str(one.get("stage")) for one in tables["stages"])]
        hint = f"; add it with --stage {stage}" if stage in stage_names() else ""
        hint = hint or suggestion(stage, there)
        raise UserError(f"{where}: this build has no stage {stage!r}{hint}")
    tables["stages"].append({"stage": stage, field: value})


def memory_bytes(value: Any, where: str = "memory") -> int:
    """ "2 GB", "500MB", "1 GiB" or a number of bytes. Raises UserError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) == 0:
        raise UserError(f'{where}: memory is {value!r}; write it as "2 GB" or "500 MB"')
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** _POWERS[found[2].lower()])


def stages_given(stages: Sequence[AnyStage | str | Callable[..., Any]]) -> tuple[AnyStage, ...]:
    """Stages from Python: objects, plain functions, or names of stages with their defaults."""
    return tuple(
        make_stage(one, {}, "stages") if isinstance(one, str) else as_stage(one) for one in stages
    )


def _stage(table: Mapping[str, Any], seed: int, where: str) -> AnyStage:
    settings = {key: value for key, value in table.items() if key not in _STAGE_KEYS}
    made = make_stage(table["stage"], settings, where)
    if seed and "seed" not in settings and "seed" in settings_of(made):
        return make_stage(table["stage"], {**settings, "seed": seed}, where)
    return made


def _place(stages: Sequence[Mapping[str, Any]], name: Any, where: str) -> int:
    names = [str(table["stage"]) for table in stages]
    if name not in names:
        raise UserError(f"{where}: there is no stage {name!r} here{suggestion(str(name), names)}")
    return names.index(name)


def _list_of_tables(tables: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found = tables.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise UserError(f"{where}: {key} must be tables [[{key}]]")
    return found


def _typed(tables: Mapping[str, Any], key: str, kind: type[Kind], where: str) -> Kind | None:
    value = tables.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise UserError(f"{where}: {key} is {value!r}: it must be of type {kind.__name__}")
    return value


def _value(written: str) -> Any:
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written


def _changed_fields(source: Source) -> dict[str, Any]:
    """The location and every field that is not at its default."""
    values = dataclasses.asdict(source)
    defaults = dataclasses.asdict(Source(source.location))
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name == "location" or value != defaults[name]
    }
