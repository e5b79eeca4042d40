"""Building a corpus, as one function of everything the command line offers."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from lilliput.corpus.build import build
from lilliput.corpus.building.dry_run import Prediction, Range, predict
from lilliput.corpus.building.executor import Executor
from lilliput.corpus.building.executors import executor_of
from lilliput.corpus.building.recipe import (
    AnyStage,
    BuildRecipe,
    Tables,
    make_recipe,
    read_tables,
    set_fields,
    stages_given,
)
from lilliput.corpus.readers import Source
from lilliput.quantities import byte_size, duration, large_count
from lilliput.tokens import train_tokenizer
from lilliput.tokens.trainer import suggested_vocabulary_size

Given = str | Path | Source
_TOKEN_SAMPLE_CHARACTERS = 8_000_000


def build_corpus(
    sources: Sequence[Given] | Given,
    folder: Path | str = "corpus",
    *,
    preset: str | None = None,
    stages: Sequence[AnyStage | Callable[..., Any] | str] = (),
    mixing: Mapping[str, Any] | None = None,
    seed: int | None = None,
    memory: str | int | None = None,
    text_field: str = "text",
    template: str | None = None,
    license: str | None = None,  # noqa: A002 (the word of the recipe)
    workers: int | None = None,
    offline: bool = False,
    overwrite: bool = False,
    report: bool = True,
    executor: str | Executor = "local",
) -> Path:
    """Read sources into a corpus folder; as `lilliput corpus build`.

    `sources` are files, folders, datasets (see `lilliput.corpus.readers.Source`), or one
    `corpus.toml`. `preset` is web, wiki, books, qa, records or code; `stages` come after its own:
    stage objects, functions of a `pyarrow.RecordBatch`, or names. `mixing` holds fields of
    `lilliput.corpus.mixing.Mixing`. `memory` ("2 GB") and `workers` change no byte of the corpus.
    A stopped build goes on where it was when it is called again. `executor` is ray, dask, spark or
    slurm, where need be with an address (`ray:auto`), or an `Executor`; see docs/scale-out.md.

    Raises UserError for what is wrong with sources or settings, WorkFailed if a stage fails.
    """
    tables: Tables = {}
    listed = [sources] if isinstance(sources, str | Path | Source) else list(sources)
    given = {"preset": preset, "mixing": mixing, "seed": seed, "memory": memory}
    tables |= {key: value for key, value in given.items() if value is not None}
    options = {"text_field": text_field, "template": template, "license": license}
    recipe = recipe_of(listed, tables, options)
    recipe = replace(recipe, stages=recipe.stages + stages_given(stages))
    with _engine(executor, folder, workers) as engine:
        build(
            recipe,
            folder,
            workers=workers,
            offline=offline,
            overwrite=overwrite,
            report=report,
            executor=engine,
        )
    return Path(folder)


def _engine(
    executor: str | Executor, folder: Path | str, workers: int | None
) -> AbstractContextManager[Executor | None]:
    if isinstance(executor, str):
        return executor_of(executor, folder, workers)
    return nullcontext(executor)


def recipe_of(
    sources: Sequence[Given],
    tables: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    stages: Sequence[str] = (),
    without: Sequence[str] = (),
    changes: Sequence[str] = (),
) -> BuildRecipe:
    """The recipe of sources, one of which may be a recipe file, and of what changes it.

    `tables` and `changes` (`stage.field=value`) come over the file; `stages` are names added,
    `without` those left out; `options` are fields of the sources that are named here.
    """
    where = "corpus build"
    merged: Tables = {}
    files = [one for one in sources if _is_recipe(one)]
    for file in files:
        where = str(file)
        merged = {**merged, **read_tables(file)}  # type: ignore[arg-type]
    merged = {**merged, **tables}
    fields = {name: value for name, value in options.items() if value is not None}
    named = [one for one in sources if not _is_recipe(one)]
    objects = [one for one in named if isinstance(one, Source)]
    paths = [{"location": str(one), **fields} for one in named if not isinstance(one, Source)]
    merged["sources"] = [*merged.get("sources", []), *paths]
    added = [{"stage": name} for name in stages]
    left_out = [{"stage": name, "skip": True} for name in without]
    merged["stages"] = [*merged.get("stages", []), *added, *left_out]
    recipe = make_recipe(set_fields(merged, changes), where)
    return replace(recipe, sources=(*recipe.sources, *objects))


def predict_build(
    recipe: BuildRecipe, *, workers: int | None = None, offline: bool = False
) -> Prediction:
    """Predict a build from a sample (`lilliput corpus build --dry-run`); writes nothing.

    Tokens are counted with a byte-pair vocabulary learned from half of the sample, of the size that
    suits the text predicted, on the other half.
    """
    return predict(recipe, workers=workers, offline=offline, bytes_per_token=_bytes_per_token)


def prediction_facts(prediction: Prediction) -> dict[str, str]:
    """A prediction for people, line by line."""
    shown = prediction
    facts = {
        "sample": f"{shown.sampled_pieces:,} of {shown.pieces:,} pieces, "
        f"{byte_size(shown.sampled_bytes)} of text through every stage",
        "input": byte_size(shown.input_bytes),
        "documents": _shown(shown.documents, large_count),
        "text": _shown(shown.bytes, byte_size),
    }
    if shown.tokens is not None and shown.bytes_per_token is not None:
        facts["tokens"] = (
            f"{_shown(shown.tokens, large_count)}, {shown.bytes_per_token:.2f} bytes each "
            "(a vocabulary learned from the sample)"
        )
    facts["time"] = (
        f"{_shown(shown.minutes, lambda minutes: duration(60 * minutes))} with "
        f"{shown.workers} worker{'s' if shown.workers > 1 else ''}"
    )
    facts["disk"] = (
        f"{byte_size(shown.corpus_bytes)}, and {byte_size(shown.working_bytes)} while it is built"
    )
    for number, note in enumerate(shown.notes, 1):
        facts[f"note {number}"] = note
    return facts


def _shown(values: Range, form: Callable[[float], str]) -> str:
    if values.low == values.high:
        return form(values.likely)
    return f"{form(values.likely)} ({form(values.low)} to {form(values.high)})"


def _bytes_per_token(texts: Iterator[str], predicted: float) -> float:
    """Of half the texts, with a vocabulary learned from the other half."""
    some, held = [], 0
    for text in texts:
        some.append(text)
        held += len(text)
        if held >= _TOKEN_SAMPLE_CHARACTERS:
            break
    learned, measured = (some[::2], some[1::2]) if len(some) > 1 else (some, some)
    size = suggested_vocabulary_size(round(predicted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a small sample yields fewer tokens
        tokenizer = train_tokenizer(learned, vocabulary_size=size)
    tokens = sum(len(ids) for ids in tokenizer.encode_batch(measured))
    return sum(len(text.encode("utf-8")) for text in measured) / max(1, tokens)


def _is_recipe(source: Given) -> bool:
    return not isinstance(source, Source) and str(source).endswith(".toml")
