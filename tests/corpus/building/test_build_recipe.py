"""Recipes: presets, files, changes; what is wrong is named with file and table."""

from pathlib import Path

import pytest

from lilliput.corpus.building.memory import allowance
from lilliput.corpus.building.recipe import (
    PRESETS,
    BuildRecipe,
    make_recipe,
    memory_bytes,
    read_tables,
    set_fields,
)
from lilliput.corpus.registry import stage_name
from lilliput.errors import UserError

SOURCE = {"sources": [{"location": "a.txt"}]}


def names(recipe: BuildRecipe) -> list[str]:
    return [stage_name(stage) for stage in recipe.stages]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_whole_and_are_written_down(preset: str) -> None:
    recipe = make_recipe({"preset": preset, **SOURCE})
    settings = recipe.settings()
    assert settings["preset"] == preset
    assert [table["stage"] for table in settings["stages"]] == names(recipe)
    stages = [
        {key: value for key, value in table.items() if value is not None}
        for table in settings["stages"]
    ]
    assert make_recipe({**SOURCE, "stages": stages}).stages == recipe.stages


def test_the_web_preset_is_fineweb_in_its_order() -> None:
    assert names(make_recipe({"preset": "web", **SOURCE})) == [
        "language",
        "gopher_repetition",
        "gopher_quality",
        "c4",
        "fineweb",
        "near_duplicates",
        "personal_data",
    ]


def test_a_file_changes_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "corpus.toml"
    path.write_text(
        """
preset = "web"
seed = 7
memory = "1.5 GB"
[[sources]]
location = "crawl/"
license = "CC0-1.0"
[[stages]]
stage = "gopher_quality"
fewest_words = 9
[[stages]]
stage = "c4"
skip = true
[[stages]]
stage = "exact_duplicates"
before = "near_duplicates"
[[stages]]
stage = "building_stages:without_vowels"
letters = "y"
[mixing]
order = "shuffled"
""",
        encoding="utf-8",
    )
    recipe = make_recipe(read_tables(path), str(path))
    assert names(recipe) == [
        "language",
        "gopher_repetition",
        "gopher_quality",
        "fineweb",
        "exact_duplicates",
        "near_duplicates",
        "personal_data",
        "without_vowels",
    ]
    assert recipe.stages[2].fewest_words == 9  # type: ignore[union-attr]
    assert recipe.stages[5].seed == 7  # type: ignore[union-attr]
    assert recipe.mixing is not None and recipe.mixing.seed == 7
    assert recipe.memory == 1_500_000_000
    assert recipe.sources[0].license == "CC0-1.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("preset = ", r"corpus\.toml: not a valid recipe"),
        ("stagges = []", "no key 'stagges'; did you mean 'stages'"),
        ('preset = "webb"', "no preset 'webb'; did you mean 'web'"),
        ("preset = 3", "preset is 3: it must be of type str"),
        ("seed = true", "seed is True"),
        ('memory = "lots"', "memory is 'lots'"),
        ("[stages]", r"stages must be tables \[\[stages\]\]"),
        ("[[stages]]\nfewest = 1", 'needs stage = "NAME"'),
        (
            '[[stages]]\nstage = "finewep"',
            "no such stage; did you mean 'fineweb'",
        ),
        ('[[stages]]\nstage = "c4"\nbefore = "x"', "stage c4: before: there is no stage 'x' here"),
        ('[[sources]]\nlocaton = "a"', r"no field 'localton'|no field 'locaton'; did you mean"),
        ('[[sources]]\nname = "a"', "the field 'location' must be given"),
        ('[[sources]]\nlocation = "a"\nmalformed = "fix"', "choose one of 'stop', 'skip'"),
        ('[mixing]\norder = "random"', "mixing"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "corpus.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as found:
        make_recipe(read_tables(path), str(path))
    assert "corpus.toml" in str(found.value)


def test_there_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such recipe"):
        read_tables(tmp_path / "corpus.toml")
    (tmp_path / "corpus.toml").write_bytes(b"\xff")
    with pytest.raises(UserError, match="not UTF-8"):
        read_tables(tmp_path / "corpus.toml")


def test_fields_are_set_from_the_command_line() -> None:
    tables = {"preset": "web", **SOURCE, "stages": [{"stage": "length"}]}
    changed = set_fields(
        tables,
        [
            "gopher_quality.fewest_words=30",
            "length.fewest_words=2",
            "mixing.order=shuffled",
            'language.keep=["de", "fr"]',
            "seed=5",
        ],
    )
    recipe = make_recipe(changed)
    assert recipe.stages[2].fewest_words == 30  # type: ignore[union-attr]
    assert recipe.stages[-1].fewest_words == 2  # type: ignore[union-attr]
    assert recipe.stages[0].keep == ("de", "fr")  # type: ignore[union-attr]
    assert recipe.mixing is not None and recipe.mixing.order == "shuffled"
    assert recipe.seed == 5
    assert tables["stages"] == [{"stage": "length"}]
    with pytest.raises(UserError, match="no stage 'boilerplate'; add it with --stage boilerplate"):
        set_fields(tables, ["boilerplate.repeated=2"])
    with pytest.raises(UserError, match="did you mean 'fineweb'"):
        set_fields(tables, ["finewebb.short_line=2"])
    with pytest.raises(UserError, match=r"write it as stage\.field=value"):
        set_fields(tables, ["fewest"])


@pytest.mark.parametrize(
    ("written", "size"),
    [("2 GB", 2e9), ("500MB", 5e8), ("1 GiB", 2**30), ("1.5g", 1.5e9), ("4096", 4096), (77, 77)],
)
def test_sizes_of_memory(written: str | int, size: float) -> None:
    assert memory_bytes(written) == size


@pytest.mark.parametrize("written", ["", "GB", "-1 GB", "0", 0, True, 1.5, "2 apples"])
def test_no_sizes_of_memory(written: object) -> None:
    with pytest.raises(UserError, match="2 GB"):
        memory_bytes(written)


def test_a_memory_limit_sets_workers_and_buckets() -> None:
    much = 10 << 30
    assert allowance(None, 8, much).workers == 8
    assert allowance(None, None, 1000).workers == 1
    few = allowance(2_000_000_000, 8, much)
    assert 1 < few.workers < 8
    one = allowance(1_000_000_000, 8, much)
    assert one.workers == 1
    assert one.bucket_bytes < few.bucket_bytes
    with pytest.raises(UserError, match="too little"):
        allowance(100_000_000, None, much)
