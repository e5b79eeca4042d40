"""Stages by name: ours, and those of other packages by the entry-point group `lilliput.stages`.

A stage's module is imported when it is asked for, so a heavy library costs only who uses it.
"""

import dataclasses
import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from lilliput.corpus.functions import FunctionStage, imported
from lilliput.corpus.settings import settings_from, suggestion
from lilliput.corpus.stages import CorpusWideStage, Stage
from lilliput.errors import UserError

ENTRY_POINT_GROUP = "lilliput.stages"

_OWN_STAGES: Mapping[str, str] = {
    "gopher_quality": "lilliput.corpus.filters.gopher_quality:GopherQuality",
    "gopher_repetition": "lilliput.corpus.filters.gopher_repetition:GopherRepetition",
    "c4": "lilliput.corpus.filters.c4:C4",
    "fineweb": "lilliput.corpus.filters.fineweb:FineWeb",
    "language": "lilliput.corpus.filters.language:Language",
    "readability": "lilliput.corpus.filters.readability:Readability",
    "vocabulary": "lilliput.corpus.filters.vocabulary:Vocabulary",
    "simplify": "lilliput.corpus.filters.simplify:Simplify",
    "keywords": "lilliput.corpus.filters.keywords:Keywords",
    "length": "lilliput.corpus.filters.length:Length",
    "urls": "lilliput.corpus.filters.urls:Urls",
    "boilerplate": "lilliput.corpus.filters.boilerplate:Boilerplate",
    "exact_duplicates": "lilliput.corpus.deduplication.exact:ExactDuplicates",
    "near_duplicates": "lilliput.corpus.deduplication.near:NearDuplicates",
    "paragraph_duplicates": "lilliput.corpus.deduplication.paragraphs:ParagraphDuplicates",
    "substring_duplicates": "lilliput.corpus.deduplication.substrings:SubstringDuplicates",
    "decontaminate": "lilliput.corpus.deduplication.decontaminate:Decontaminate",
    "personal_data": "lilliput.corpus.personal.stage:PersonalData",
    "quality": "lilliput.corpus.quality.classifier:Quality",
    "best_share": "lilliput.corpus.quality.best_share:BestShare",
    "label": "lilliput.corpus.quality.classifier:Label",
    "annotate": "lilliput.corpus.quality.annotator:Annotate",
    "perplexity": "lilliput.evaluate.perplexity:Perplexity",
}


def stage_names() -> list[str]:
    """Every known stage's name, sorted."""
    return sorted({*_OWN_STAGES, *_foreign_stages()})


def make_stage(name: str, settings: Mapping[str, Any], where: str) -> Stage | CorpusWideStage:
    """The stage of that name with these settings.

    `name` is one of `stage_names()`, or "module:name" of a function or a class, looked for in the
    working folder too. A function is given the settings as keyword arguments. `where` begins every
    message ("corpus.toml"). Raises UserError naming stage and field.
    """
    where = f"{where}: stage {name}"
    target = {**_foreign_stages(), **_OWN_STAGES}.get(name)
    if target is None and ":" in name:
        target = name
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
    if target is None:
        raise UserError(f"{where}: there is no such stage{suggestion(name, stage_names())}")
    try:
        found = imported(target)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if isinstance(found, type):
        if not dataclasses.is_dataclass(found):
            raise UserError(f"{where}: {target} is a class but no dataclass")
        made: Any = settings_from(found, settings, where)
        return cast(Stage | CorpusWideStage, made)
    if not callable(found):
        raise UserError(f"{where}: {target} is no function")
    _check_arguments(found, settings, where)
    return FunctionStage(name.rpartition(":")[2], target, dict(settings))


def stage_name(stage: Stage | CorpusWideStage) -> str:
    """The name that records and reports use: the registered one, else that of class or function."""
    if isinstance(stage, FunctionStage):
        return stage.name
    target = f"{type(stage).__module__}:{type(stage).__qualname__}"
    for name, registered in {**_foreign_stages(), **_OWN_STAGES}.items():
        if registered == target:
            return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(stage).__name__).lower()


def settings_of(stage: Stage | CorpusWideStage) -> dict[str, Any]:
    """A stage's settings as plain JSON values; of a function, what it is called with."""
    if isinstance(stage, FunctionStage):
        if isinstance(stage.function, str):
            return {"function": stage.function, **stage.settings}
        return {"function": _name_of(stage.function), **stage.settings}
    if not dataclasses.is_dataclass(stage):
        return {}
    values = {
        item.name: getattr(stage, item.name) for item in dataclasses.fields(stage) if item.init
    }
    return {name: _plain(value) for name, value in values.items()}


def as_stage(stage: Stage | CorpusWideStage | Callable[..., Any]) -> Stage | CorpusWideStage:
    """A stage object as it is; a plain function as a stage."""
    if inspect.isroutine(stage):
        return FunctionStage(stage.__name__, stage)
    return stage


def code_files(stage: Stage | CorpusWideStage) -> set[Path]:
    """The source files that say what a stage does: of its class, or of its function."""
    about: Any = type(stage)
    if isinstance(stage, FunctionStage):
        given = stage.function
        about = imported(given) if isinstance(given, str) else given
    try:
        file = inspect.getsourcefile(about)
    except TypeError:  # built in, or made at run time
        return set()
    return {Path(file)} if file and Path(file).is_file() else set()


def _name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _check_arguments(function: Callable[..., Any], settings: Mapping[str, Any], where: str) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters[1:]]
    for name in settings:
        if name not in names:
            raise UserError(f"{where}: no field {name!r}{suggestion(name, names)}")


@cache
def _foreign_stages() -> Mapping[str, str]:
    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINT_GROUP)}
