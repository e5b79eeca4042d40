"""Stages by name: ours, others', functions; what is wrong with them is named."""

import importlib.metadata
import pickle

import pyarrow as pa
import pytest
from building_stages import Shorter, without_vowels

from lilliput.corpus import registry
from lilliput.corpus.functions import FunctionStage
from lilliput.corpus.registry import as_stage, make_stage, settings_of, stage_name, stage_names
from lilliput.corpus.stages import Dropped, Outcome
from lilliput.errors import UserError


def batch(*texts: str, ids: list[str] | None = None) -> pa.RecordBatch:
    names = ids or [str(n) for n in range(len(texts))]
    return pa.record_batch(
        {"id": names, "text": list(texts), "source": ["s"] * len(texts)},
    )


@pytest.mark.parametrize("name", stage_names())
def test_every_stage_of_ours_is_there_and_says_its_settings(name: str) -> None:
    settings = {"evaluation": ["x.jsonl"]} if name == "decontaminate" else {}
    try:
        stage = make_stage(name, settings, "here")
    except UserError as error:  # a stage that needs a file says which field
        assert "here: stage" in str(error)
        return
    assert stage_name(stage) == name
    again = make_stage(name, settings_of(stage), "here")
    assert settings_of(again) == settings_of(stage)
    assert settings_of(pickle.loads(pickle.dumps(stage))) == settings_of(stage)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gopher_qualty", {}, "here: stage gopher_qualty: .* did you mean 'gopher_quality'"),
        (
            "gopher_quality",
            {"fewest_wrds": 3},
            "no field 'fewest_wrds'; did you mean 'fewest_words'",
        ),
        ("gopher_quality", {"fewest_words": "many"}, "'fewest_words' is 'many': .* of type int"),
        ("gopher_quality", {"fewest_words": True}, "must be of type int"),
        ("gopher_quality", {"stop_words": "the"}, "'stop_words' is 'the': give a list"),
        ("gopher_quality", {"stop_words": ["the", 3]}, "'stop_words' is 3: .* of type str"),
        ("no_such_module:stage", {}, "the module cannot be imported"),
        ("building_stages:nothing", {}, "building_stages has no 'nothing'"),
        ("building_stages:NO_STAGE", {}, "is no function"),
        ("building_stages:without_vowels", {"leters": "a"}, "did you mean 'letters'"),
    ],
)
def test_mistakes_are_named(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_stage(name, settings, "here")


def test_settings_take_the_types_of_toml() -> None:
    stage = make_stage(
        "building_stages:Shorter", {"marks": ["a"], "share": 1, "fewest": 2.0}, "here"
    )
    assert stage == Shorter(fewest=2, marks=("a",), share=1.0)
    assert isinstance(stage.share, float) and isinstance(stage.fewest, int)
    assert stage_name(stage) == "shorter"
    assert settings_of(stage) == {"fewest": 2, "marks": ["a"], "share": 1.0, "file": None}


def test_a_function_is_a_stage() -> None:
    stage = make_stage("building_stages:without_vowels", {"letters": "ae"}, "here")
    outcome = stage(batch("back", "apple", "extra", "bed"))
    assert outcome.batch.column("text").to_pylist() == ["bck", "bd"]
    assert outcome.dropped == (Dropped(1, "without_vowels"), Dropped(2, "without_vowels"))
    assert stage_name(stage) == "without_vowels"
    assert settings_of(stage) == {"function": "building_stages:without_vowels", "letters": "ae"}
    assert as_stage(without_vowels)(batch("tab")).batch.column("text").to_pylist() == ["tb"]


def test_equal_ids_are_counted_one_by_one() -> None:
    stage = FunctionStage("first_two", lambda batch: batch.slice(0, 2))
    outcome = stage(batch("a", "b", "c", "d", ids=["x", "x", "x", "y"]))
    assert [one.row for one in outcome.dropped] == [2, 3]


def test_a_function_may_return_an_outcome_or_a_table() -> None:
    outcome = Outcome(batch("a"), counts={"seen": 1})
    assert FunctionStage("f", lambda _: outcome)(batch("a")) is outcome
    table = FunctionStage("f", lambda one: pa.Table.from_batches([one]).slice(0, 1))
    assert table(batch("a", "b")).batch.num_rows == 1
    empty = FunctionStage("f", lambda one: pa.Table.from_batches([one]).slice(0, 0))
    assert len(empty(batch("a", "b")).dropped) == 2


def test_stages_of_other_packages_come_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint(
        "their_stage", "building_stages:Shorter", registry.ENTRY_POINT_GROUP
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry._foreign_stages.cache_clear()
    try:
        assert "their_stage" in stage_names()
        stage = make_stage("their_stage", {"fewest": 9}, "here")
        assert stage == Shorter(9)
        assert stage_name(stage) == "their_stage"
    finally:
        registry._foreign_stages.cache_clear()
