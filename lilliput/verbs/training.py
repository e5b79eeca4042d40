"""Training as plain functions."""

import json
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.generate.language_model import LanguageModel, load
from lilliput.machine import choose_device
from lilliput.training import Plan, Recipe, RunResult, merge, plan_run, read_recipe, resume_run
from lilliput.training import start_run as _start_run


class Run:
    """A finished or stopped run: `path`, `model`, `metrics`, and its facts in `result`."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        self.path = result.path

    @property
    def model(self) -> LanguageModel:
        """The trained model, loaded. Raises UserError if the run is not finished."""
        return load(self.path)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Every record of `metrics.jsonl`."""
        lines = (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def recipe_of(source: Path | str | None, overrides: Mapping[str, Mapping[str, Any]]) -> Recipe:
    """A recipe from a recipe file, a tokens folder or the name of a shipped recipe.

    Sections of overrides win over it, and are all there is if `source` is None: then they must
    name the data. Raises UserError if `source` is none of these.
    """
    if source is None:
        if not {"tokens", "pairs"} & overrides.get("data", {}).keys():
            raise UserError(
                "nothing to train on: give a recipe file, a tokens folder or --data.pairs FILE"
            )
        return Recipe.from_dict(overrides)
    source = Path(source)
    shipped = resources.files("lilliput") / "recipes" / f"{source}.toml"
    if not source.exists() and source.parent == Path() and shipped.is_file():
        with resources.as_file(shipped) as path:
            return Recipe.from_dict(merge(read_recipe(path), overrides), f"recipe {source}")
    if source.is_dir():
        tables: dict[str, Any] = {"data": {"tokens": str(source)}}
    elif source.suffix == ".toml" or source.is_file():
        tables = read_recipe(source)
    else:
        raise UserError(f"{source}: no such recipe file, tokens folder or shipped recipe")
    return Recipe.from_dict(merge(tables, overrides), str(source))


def train(
    source: Path | str | None = None,
    *,
    name: str | None = None,
    started: float | None = None,
    **overrides: Any,
) -> Run:
    """Train by a recipe file, on a tokens folder, or by overrides alone, into `runs/NAME`.

    Overrides name a field as the command line does, with a dot or, as keywords cannot hold one,
    two underscores: `train(recipe, train__minutes=30, model__depth=4)`; sections given whole work
    too: `train(recipe, model={"depth": 4})`. `name` may be a path.
    """
    started = time.perf_counter() if started is None else started
    recipe = recipe_of(source, _sections(overrides))
    folder = _run_folder(name, recipe)
    return Run(_start_run(recipe, folder, started=started))


def resume(run: Path | str) -> Run:
    """Go on with a run that was stopped."""
    return Run(resume_run(Path(run)))


def plan(source: Path | str | None = None, **overrides: Any) -> Plan:
    """What `train` would do with the same arguments, without doing it."""
    recipe = recipe_of(source, _sections(overrides))
    return plan_run(recipe, choose_device(recipe.train.device))


def _sections(overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {}
    for name, value in overrides.items():
        section, _, field = name.replace("__", ".").partition(".")
        if field:
            sections.setdefault(section, {})[field] = value
        elif isinstance(value, Mapping):
            sections.setdefault(section, {}).update(value)
        else:
            raise UserError(
                f"{name}: write section__field=value, such as train__minutes=30 or model__depth=4"
            )
    return sections


def _run_folder(name: str | None, recipe: Recipe) -> Path:
    """`runs/NAME`; without a name, the first of tokens-1, tokens-2… that is free.

    A run on pairs is named after their file.
    """
    if name is not None:
        return Path(name) if Path(name).parent != Path() else Path("runs") / name
    pairs = recipe.data.pairs
    stem = Path(pairs).stem if pairs else Path(recipe.data.tokens).resolve().name
    number = 1
    while (Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return Path("runs") / f"{stem}-{number}"
