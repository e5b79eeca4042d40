"""Dumps of MediaWiki: against an XML parser; what counts as an article."""

import bz2
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_readings import reading_of
from wiki_dumps import HEAD, TAIL, dump_of, multistream, page

from lilliput.corpus.readers import Source
from lilliput.errors import UserError

PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)


def test_articles_of_a_dump(tmp_path: Path) -> None:
    pages = [
        page(1, "Fox & dog", "A '''fox''' is [[red|reddish]].\n[[Datei:x.png|thumb|No]]"),
        page(2, "Old name", "#REDIRECT [[Fox]]", redirect="Fox"),
        page(3, "Talk:Fox", "Chatter", namespace=1),
        page(4, "Über Hunde", "== Arten ==\n* Pudel\n[[Kategorie:Hund]]"),
    ]
    path = tmp_path / "dewiki.xml"
    path.write_text(HEAD + "".join(pages) + TAIL, encoding="utf-8")
    whole = reading_of(path)
    assert [(row["text"], row["title"], row["page"], row["url"]) for row in whole.rows] == [
        ("A fox is reddish.", "Fox & dog", "1", "https://simple.wikipedia.org/wiki/Fox_%26_dog"),
        (
            "Arten\n\n- Pudel",
            "Über Hunde",
            "4",
            "https://simple.wikipedia.org/wiki/%C3%9Cber_Hunde",
        ),
    ]
    assert whole.counts == {
        "passed over: redirects": 1,
        "passed over: pages of other namespaces": 1,
    }
    talk = reading_of(Source(str(path), namespaces=(1,)))
    assert talk.texts == ["Chatter"]


@given(pages=st.lists(st.tuples(PLAIN, PLAIN), max_size=5))
def test_titles_and_texts_are_those_an_xml_parser_finds(
    tmp_path_factory: pytest.TempPathFactory, pages: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("wiki") / "a.xml"
    # Kept from the cleaning of wikitext, which is tested by itself.
    path.write_bytes(dump_of([(title, f"<nowiki>{text}</nowiki>.") for title, text in pages]))
    space = "{http://www.mediawiki.org/xml/export-0.11/}"
    expected = [
        (found.findtext(f"{space}title"), found.findtext(f"{space}revision/{space}text"))
        for found in ElementTree.parse(path).iter(f"{space}page")
    ]
    whole = reading_of(Source(str(path), mojibake=False))
    assert [(row["title"], f"<nowiki>{row['text'][:-1]}</nowiki>.") for row in whole.rows] == [
        (title, f"<nowiki>{text[8:-10].lstrip()}</nowiki>.") for title, text in expected if text
    ]


def test_the_last_revision_counts(tmp_path: Path) -> None:
    first = page(1, "A", "old")
    extra = '<revision><id>9</id><text bytes="3">new</text></revision>\n  </page>'
    (tmp_path / "a.xml").write_text(HEAD + first.replace("</page>", extra) + TAIL, encoding="utf-8")
    assert reading_of(tmp_path / "a.xml").texts == ["new"]


def test_a_folder_takes_only_wikis_for_xml(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text("<rss/>", encoding="utf-8")
    (tmp_path / "simplewiki-x.xml.bz2").write_bytes(multistream([("A", "text")], 1))
    assert reading_of(tmp_path).texts == ["text"]
    with pytest.raises(UserError, match=r"feed\.xml: cannot be read: not a MediaWiki dump"):
        reading_of(tmp_path / "feed.xml")


@given(keep=st.integers(1, 3000))
def test_a_cut_off_dump_is_refused(tmp_path_factory: pytest.TempPathFactory, keep: int) -> None:
    data = dump_of([(f"Page {number}", "text " * 30) for number in range(9)])
    folder = tmp_path_factory.mktemp("wiki")
    packed = bz2.compress(data)
    (folder / "a.xml.bz2").write_bytes(packed[: keep % len(packed)] or b"B")
    with pytest.raises(UserError, match=r"a\.xml\.bz2: cannot be read"):
        reading_of(folder / "a.xml.bz2")
    kept = data[: keep % len(data)]
    (folder / "a.xml").write_bytes(kept)
    if kept.count(b"<page>") > kept.count(b"</page>") or b"<mediawiki" not in kept:
        with pytest.raises(UserError, match=r"a\.xml: cannot be read"):
            reading_of(folder / "a.xml")
    else:
        assert len(reading_of(folder / "a.xml").rows) == kept.count(b"</page>")
