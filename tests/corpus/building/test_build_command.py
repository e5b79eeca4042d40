"""`lilliput corpus build` and `lilliput.build_corpus`: presets, changes, dry run, funnel."""

import json
import re
from pathlib import Path

import pytest
from building_inputs import make_texts, write_lines
from building_stages import Shorter, without_vowels
from click.testing import CliRunner, Result

import lilliput
from lilliput.cli.corpus import command
from lilliput.corpus import open_corpus
from lilliput.corpus.readers import Source
from lilliput.errors import UserError


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "a.jsonl", make_texts(400))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(command, ["build", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_stages_and_settings_from_the_command_line(tmp_path: Path, lines: Path) -> None:
    out = tmp_path / "c"
    result = run(
        lines, "-o", out, "--stage", "length", "--set", "length.fewest_words=9", "--no-report"
    )
    few = sum(len(text.split()) < 9 for text in make_texts(400))
    assert re.search(rf"length\s+fewest_words\s+-{few}\s+{few / 400:.2%}", result.stdout)
    assert re.search(rf"kept\s+{400 - few}\s", result.stdout)
    assert open_corpus(out).manifest.documents == 400 - few
    assert not (out / "report.html").exists()


def test_offline_holds_for_stages_too(tmp_path: Path, lines: Path) -> None:
    """An annotator would send texts to another machine."""
    told = ["--set", "annotate.endpoint=https://example.org/v1", "--set", "annotate.model=judge"]
    with pytest.raises(UserError, match="offline, so texts are not sent to"):
        run(lines, "-o", tmp_path / "c", "--stage", "annotate", *told, "--offline")
    assert not (tmp_path / "c").exists()


def test_a_recipe_file_and_a_preset(tmp_path: Path, lines: Path) -> None:
    recipe = tmp_path / "corpus.toml"
    recipe.write_text(
        f'preset = "qa"\n[[sources]]\nlocation = {str(lines)!r}\nname = "lines"\n',
        encoding="utf-8",
    )
    arguments = [recipe, "--without", "near_duplicates", "--license", "CC0-1.0", "--no-report"]
    facts = json.loads(run(*arguments, lines, "-o", tmp_path / "c", "--json").stdout)
    settings = open_corpus(tmp_path / "c").manifest.settings
    assert [table["stage"] for table in settings["stages"]] == [
        "length",
        "exact_duplicates",
        "personal_data",
    ]
    # The licence is that of the source named on the command line.
    assert [source.get("license") for source in settings["sources"]] == [None, "CC0-1.0"]
    assert facts["dropped"]["exact_duplicates.exact_copy"] >= 300
    assert {row["stage"] for row in facts["funnel"]} == {"length", "exact_duplicates"}


def test_a_report_is_written_beside_the_corpus(tmp_path: Path, lines: Path) -> None:
    facts = json.loads(run(lines, "-o", tmp_path / "c", "--json").stdout)
    assert Path(facts["report"]).is_file()


def test_mistakes_end_before_anything_is_written(tmp_path: Path, lines: Path) -> None:
    for arguments, message in (
        (["--stage", "lenght"], "did you mean 'length'"),
        (["--without", "c4"], "stage c4 cannot be left out: there is no stage 'c4' here"),
        (["--set", "c4.curly_brackets=false"], "add it with --stage c4"),
        (["--preset", "wikipedia"], "no preset 'wikipedia'"),
        (["--memory", "much"], "memory is 'much'"),
        (["--memory", "10 MB"], "too little"),
    ):
        with pytest.raises(UserError, match=message):
            run(lines, "-o", tmp_path / "c", *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]


def test_a_dry_run_of_everything_is_exact_and_writes_nothing(tmp_path: Path, lines: Path) -> None:
    arguments = [lines, "-o", tmp_path / "c", "--stage", "length", "--set", "length.fewest_words=9"]
    facts = json.loads(run(*arguments, "--dry-run", "--json").stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]
    run(*arguments, "--no-report")
    manifest = open_corpus(tmp_path / "c").manifest
    assert facts["whole"] is True
    assert facts["documents"] == {
        "low": manifest.documents,
        "likely": manifest.documents,
        "high": manifest.documents,
    }
    assert facts["bytes"]["likely"] == manifest.bytes
    assert facts["tokens"]["likely"] == pytest.approx(manifest.bytes / facts["bytes_per_token"])
    assert 1 < facts["bytes_per_token"] < 8
    part = tmp_path / "c" / "part-00000.parquet"
    assert facts["corpus_bytes"] == part.stat().st_size
    shown = run(*arguments, "--dry-run").stdout
    assert "1 of 1 pieces" in shown and "learned from the sample" in shown


def test_a_dry_run_of_a_sample_comes_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import functools

    import lilliput.corpus.building.dry_run as dry_run
    from lilliput.corpus import readers

    monkeypatch.setattr(dry_run, "cut", functools.partial(readers.cut, piece_bytes=10_000))
    monkeypatch.setattr(dry_run, "SAMPLED_PIECES", 5)
    for name in ("a", "b"):
        write_lines(tmp_path / f"{name}.jsonl", make_texts(2000, seed=ord(name)))
    facts = json.loads(
        run(
            tmp_path / "a.jsonl",
            tmp_path / "b.jsonl",
            "--dry-run",
            "--json",
            "--stage",
            "exact_duplicates",
            "--set",
            "mixing.order=shuffled",
        ).stdout
    )
    assert facts["sampled_pieces"] == 5 < facts["pieces"]
    assert facts["whole"] is False
    assert facts["documents"]["low"] < 4000 < facts["documents"]["high"]
    assert facts["documents"]["likely"] == pytest.approx(4000, rel=0.1)
    assert any("exact_duplicates" in note for note in facts["notes"])
    assert any("mixing" in note for note in facts["notes"])


def test_in_python(tmp_path: Path, lines: Path) -> None:
    folder = lilliput.build_corpus(
        [Source(str(lines), name="lines")],
        tmp_path / "c",
        stages=[Shorter(5), without_vowels, "exact_duplicates"],
        mixing={"order": "shuffled"},
        seed=3,
        memory="2 GB",
        report=False,
        workers=1,
    )
    corpus = open_corpus(folder)
    assert not any(set(text) & set("aeiou") for text in corpus.texts())
    settings = corpus.manifest.settings
    assert settings["mixing"]["seed"] == 3
    assert [table["stage"] for table in settings["stages"]] == [
        "shorter",
        "without_vowels",
        "exact_duplicates",
    ]
    assert settings["stages"][1]["function"] == "building_stages:without_vowels"


def test_every_stage_may_be_called_alone() -> None:
    import pyarrow as pa

    from lilliput.corpus.registry import make_stage

    batch = pa.record_batch({"id": ["1"], "text": ["Too short."], "source": ["x"]})
    outcome = make_stage("gopher_quality", {}, "here")(batch)  # type: ignore[operator]
    assert outcome.batch.num_rows == 0
    assert outcome.dropped[0].rule == "fewest_words"
