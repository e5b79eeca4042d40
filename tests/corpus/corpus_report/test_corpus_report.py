"""The corpus report: the facts are there, and hostile text is only text."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from build_records import HOSTILE, NASTY, record, write_built
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lilliput.cli.corpus_report import command
from lilliput.corpus.building.record import write_record
from lilliput.corpus.corpus_report import corpus_facts, write_corpus_report
from lilliput.corpus.corpus_report.changes import changed
from lilliput.corpus.documents import Document
from lilliput.corpus.folder import write_corpus
from lilliput.errors import UserError

STORIES = [
    f"The {animal} saw a {thing}. It was very happy and went home with the {thing}."
    for animal in ("fox", "hen", "cow", "dog")
    for thing in ("leaf", "boat", "stone", "star", "kite")
]
VOID = {"meta", "link", "br"}
FETCHING = {"script", "img", "iframe", "object", "embed", "link", "video", "audio", "form", "base"}


class Reader(HTMLParser):
    """Checks that elements nest; collects tags with attributes, and the text outside scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_tells_what_was_dropped_and_what_is_left(tmp_path: Path) -> None:
    spoken = ("Petal by petal and root by root. ", "A mast, a sail, a deck and a rope. ")
    texts = [story + spoken[place % 2] * 20 for place, story in enumerate(STORIES)]
    folder = write_built(tmp_path / "corpus", [*texts, texts[0]])
    report = write_corpus_report(folder)
    assert report == folder / "report.html"
    text = read(report).text
    for told in (
        "From what was found to what is left",
        "gopher quality: fewest words",
        "−290 (29.3%)",
        "23 of 50",
        "Kept: A plain text.",
        "repaired encodings",
        "52 found, in 31 documents (4.4%)",
        "j***@e***.com",
        "[EMAIL]",
        "Length of documents",
        "Readability",
        "How many words cover the text",
        "Topics",
        "petal",
        "1 of 21",
        "CC-BY-SA-4.0",
        "wiki: 2.0",
    ):
        assert told in text, told


def test_the_json_holds_the_same_facts_and_is_the_same_again(tmp_path: Path) -> None:
    folder = write_built(tmp_path / "corpus", STORIES)
    report = write_corpus_report(folder)
    written = (folder / "report.json").read_bytes(), report.read_bytes()
    facts = json.loads(written[0])
    assert facts == corpus_facts(folder)
    assert facts["stages"][1]["dropped"]["fewest_words"]["documents"] == 200
    assert [step["documents"] for step in facts["funnel"]] == [1000, 990, 700, 700, 700, 4]
    assert facts["funnel"][-1]["step"] == "mixing"
    assert facts["profile"]["documents"] == 20
    assert write_corpus_report(folder).read_bytes() == written[1]
    assert (folder / "report.json").read_bytes() == written[0]


def test_a_profile_in_the_record_is_used_and_none_counted(tmp_path: Path) -> None:
    folder = write_built(tmp_path / "corpus", STORIES)
    profile = corpus_facts(folder)["profile"] | {"words": 123_456_789}
    write_record(record(profile=profile), folder)
    assert "123 million" in read(write_corpus_report(folder)).text


def test_a_corpus_without_a_record_is_counted(tmp_path: Path) -> None:
    write_corpus(
        (Document(str(place), text, "tales") for place, text in enumerate([*STORIES, ""])),
        tmp_path / "corpus",
        settings={},
    )
    text = read(write_corpus_report(tmp_path / "corpus")).text
    assert "It has no build.json" in text
    assert "Left out" in text
    assert "Length of documents" in text
    assert "No text is there twice" in text


def test_a_corpus_of_nothing_has_a_report(tmp_path: Path) -> None:
    write_corpus([], tmp_path / "corpus", settings={})
    assert "holds no documents" in read(write_corpus_report(tmp_path / "corpus")).text
    write_corpus([Document("a", "1 2 ...", "x")], tmp_path / "numbers", settings={})
    assert "Length of documents" in read(write_corpus_report(tmp_path / "numbers")).text


def test_hostile_texts_are_only_text(tmp_path: Path) -> None:
    texts = [NASTY, f"{HOSTILE} word " * 30, "\u202e\u2066 שלום עולם", "x" * 200_000, "\x00" * 50]
    folder = write_built(tmp_path / "corpus", texts, note=NASTY)
    page = write_corpus_report(folder)
    reader = read(page)
    assert [tag for tag, _ in reader.tags if tag in FETCHING] == ["link", "script"]
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "action", "formaction"} & set(attributes)
    assert "<script>alert(1)</script>" in reader.text
    content = page.read_text(encoding="utf-8")
    assert "\x00" not in content
    assert "\x1b" not in content
    assert len(content) < 400_000
    json.loads((folder / "report.json").read_text(encoding="utf-8"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_change_is_marked_and_nothing_of_the_texts_is_lost(before: str, after: str) -> None:
    marked = changed(before, after)
    for text, shown, tag in zip((before, after), marked, ("del", "ins"), strict=True):
        reader = Reader()
        reader.feed(f"<p>{shown}</p>")
        reader.close()
        assert {name for name, _ in reader.tags} <= {"p", tag}
        if text.isprintable():
            assert reader.text == text
    if before == after:
        assert "<" not in "".join(marked)


def test_only_the_changed_words_are_marked() -> None:
    before, after = changed("The large dog ran.", "The big dog ran.")
    assert before == "The <del>large</del> dog ran."
    assert after == "The <ins>big</ins> dog ran."


def test_the_command_prints_the_facts_and_names_a_wrong_folder(tmp_path: Path) -> None:
    folder = write_built(tmp_path / "corpus", STORIES)
    done = CliRunner().invoke(command, [str(folder), "--json"])
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert facts["documents"] == 20
    assert Path(facts["report"]) == folder / "report.html"
    with pytest.raises(UserError, match="not a corpus folder"):
        write_corpus_report(tmp_path)
    (folder / "build.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="not a build record"):
        write_corpus_report(folder)
