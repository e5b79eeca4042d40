"""The attribution file: licences recognised, their duties said, the unknown said plainly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.mixing import LicensedSource, attribution, licence_of


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
        ("cc by-sa 4.0", "CC-BY-SA-4.0"),
        ("CC BY 3.0", "CC-BY-3.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/deed.en", "CC-BY-NC-ND-4.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("CC0", "CC0-1.0"),
        ("Public  Domain", "CC-PDM-1.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("apache-2.0", "Apache-2.0"),
        ("MIT License", "MIT"),
        ("GPL-3.0+", "GPL-3.0-or-later"),
        ("gpl 2.0", "GPL-2.0-only"),
        ("GFDL", "GFDL-1.3-or-later"),
        ("ODC-By", "ODC-By-1.0"),
        ("CDLA-Sharing-1.0", "CDLA-Sharing-1.0"),
    ],
)
def test_licences_are_recognised(text: str, identifier: str) -> None:
    licence = licence_of(text)
    assert licence is not None
    assert licence.identifier == identifier


@pytest.mark.parametrize("text", ["", "CC BY", "ask my aunt", "MIT OR Apache-2.0", "CC-BY-9.0"])
def test_what_is_no_single_known_licence_is_unknown(text: str) -> None:
    assert licence_of(text) is None


@given(st.text())
def test_any_text_may_be_asked(text: str) -> None:
    found = licence_of(text)
    assert found is None or licence_of(found.identifier) == found


def test_duties_are_said_in_plain_words() -> None:
    sources = [
        LicensedSource("wiki", "simple.xml.bz2", "CC-BY-SA-4.0", "Wikipedia's authors"),
        LicensedSource("mail", "mail/"),
        LicensedSource("code", "code/", "MIT OR Apache-2.0"),
    ]
    counts: dict[tuple[str, str | None], tuple[int, int]] = {
        ("wiki", "CC-BY-SA-4.0"): (10, 5_000_000),
        ("mail", None): (1, 300),
        ("mail", "Family only"): (2, 400),
        ("code", "MIT OR Apache-2.0"): (3, 500),
    }
    text = attribution(sources, counts)
    assert "- By: Wikipedia's authors" in text
    assert "- 10 documents, 5 MB: CC-BY-SA-4.0" in text
    assert "Creative Commons Attribution-ShareAlike 4.0" in text
    assert "under the same licence only" in text
    assert "- 1 document, 300 B: licence unknown" in text
    assert "**Licence unknown** (1 document, 300 B)" in text
    assert "**Family only** (2 documents, 400 B). Not a licence that Lilliput knows" in text
    assert "MIT: " in text
    assert "Apache-2.0: " in text
    assert "Share-alike text is in the corpus (CC-BY-SA-4.0)" in text
    assert "Do not publish the documents whose licence is unknown." in text
    assert text == attribution(sources, dict(reversed(counts.items())))


def test_a_free_corpus_asks_nothing() -> None:
    text = attribution(
        [LicensedSource("novels", "novels/", "public domain")],
        {("novels", "public domain"): (80, 62_000_000)},
    )
    assert "Asks nothing of those who use or pass on the text." in text
    assert "Share-alike" not in text
    assert "unknown" not in text


def test_a_source_of_which_nothing_is_left_and_one_undescribed_are_told() -> None:
    text = attribution([LicensedSource("gone", "gone/")], {("found", "CC0"): (1, 1)})
    assert "No document of it is in the corpus." in text
    assert "### found" in text


def test_hostile_names_stay_on_their_line() -> None:
    source = LicensedSource("a\n# Owned <script>", "x", "b\n\n| c", "[click](http://x)")
    text = attribution([source], {(source.name, source.license): (1, 1)})
    assert not any(line.startswith(("# Owned", "|")) for line in text.splitlines())
    assert "<script>" not in text
    assert "\\[click\\](http" in text
