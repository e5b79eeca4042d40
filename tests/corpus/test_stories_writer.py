"""Stories as a corpus folder: the same for any number of workers, with their columns."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lilliput.cli.corpus_stories import command
from lilliput.corpus.folder import open_corpus
from lilliput.corpus.stories import World, generate_story, write_stories
from lilliput.corpus.stories import writer as writer_module
from lilliput.errors import UserError


def test_workers_do_not_change_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_WORTH_WORKERS", 1)
    one = write_stories(1_200, tmp_path / "one", seed=3, workers=1)
    two = write_stories(1_200, tmp_path / "two", seed=3, workers=2)
    assert one.hash == two.hash
    assert one.parts == two.parts
    for part in one.parts:
        assert (tmp_path / "one" / part).read_bytes() == (tmp_path / "two" / part).read_bytes()


def test_a_document_is_its_story(tmp_path: Path) -> None:
    manifest = write_stories(50, tmp_path / "stories", seed=4)
    assert manifest.documents == 50
    documents = list(open_corpus(tmp_path / "stories").documents())
    for index, document in enumerate(documents):
        story = generate_story(4, index)
        assert document.id == story.id
        assert document.text == story.text
        assert document.source == "lilliput stories"
        assert list(document.metadata["words"]) == list(story.words)
        assert list(document.metadata["features"]) == list(story.features)
        assert json.loads(document.metadata["facts"])["plot"] == document.metadata["plot"]
        assert (document.metadata["seed"], document.metadata["index"]) == (4, index)


def test_a_longer_corpus_begins_with_the_shorter(tmp_path: Path) -> None:
    write_stories(10, tmp_path / "short", seed=1)
    write_stories(20, tmp_path / "long", seed=1)
    short = list(open_corpus(tmp_path / "short").texts())
    assert short == list(open_corpus(tmp_path / "long").texts())[:10]


@pytest.mark.parametrize(("count", "workers"), [(0, None), (-3, None), (5, 0)])
def test_impossible_numbers_are_the_users_mistake(
    tmp_path: Path, count: int, workers: int | None
) -> None:
    with pytest.raises(UserError):
        write_stories(count, tmp_path / "none", workers=workers)


def test_too_few_names_are_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--names 7"):
        write_stories(5, tmp_path / "none", world=World(names=7))


def test_command(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    result = CliRunner().invoke(command, ["-n", "30", "-o", str(folder), "--seed", "2", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["documents"] == 30
    assert facts["hash"] == open_corpus(folder).manifest.hash
