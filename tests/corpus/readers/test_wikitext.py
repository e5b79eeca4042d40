"""Wikitext to text: by example, and against the tree that mwparserfromhell builds."""

import re

import mwparserfromhell
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.readers.wikitext import plain_text

EXAMPLES = {
    "'''Bold''' and ''italic'' and '''''both'''''": "Bold and italic and both",
    "[[Apple]] [[Apple|an apple]] [[Apple]]s [[#Uses|below]] [[:Category:Fruit]]": (
        "Apple an apple Apples below Category:Fruit"
    ),
    "a [[File:x.png|thumb|A [[red]] ''fox'']] b [[Category:Fruit]][[de:Apfel]]c": "a b c",
    "[http://a.org The site] and [https://b.org] and http://c.org": "The site and and http://c.org",
    "x {{cite|a={{b|c}}|d}} y": "x y",
    "It is {{convert|5|km|mi|abbr=on}} of {{lang|fr|pain}}.": "It is 5 km of pain.",
    'a<!-- b -->c<ref>d</ref>e<ref name="f" />g<ref name=h>i [[j]]</ref>k': "acegk",
    "a<br>b<br />c <small>d</small> <sub>2</sub>": "a\nb\nc d 2",
    "<nowiki>[[not]] ''a'' {{link}}</nowiki> &amp; &nbsp;&lt;b&gt;": "[[not]] ''a'' {{link}} & <b>",
    "== One ==\ntext\n=== Two ===\n* a\n** b\n# c\n: d\n; e": (
        "One\n\ntext\n\nTwo\n\n- a\n- b\n- c\nd\ne"
    ),
    "Text\n\n== Empty ==\n\n=== Below ===\n{{x}}\n== References ==\n<references />": "Text",
    "== Parent ==\n=== Child ===\nwords": "Parent\n\nChild\n\nwords",
    '{| class="wikitable"\n|+ style="x" | Sizes\n! Name !! Size\n|-\n| Fox || align="right" | 1\n'
    "|-\n| Dog\n| 2\n|}\nafter": "Sizes\nName | Size\nFox | 1\nDog | 2\n\nafter",
    "{|\n| a\n{|\n| b\n|}\n| c\n|}\nd": "a\nb\nc\n\nd",
    "Anna ({{lang-pl|x}}; born 1950) and ({{x}}) go": "Anna (born 1950) and go",
    "__NOTOC__\n----\na": "a",
    "{{Infobox\n| a = {|\n| b\n|}\n}}\nx": "x",
    "{{open\nx": "open\nx",
    "{{#if: {{{1|}}} | yes | no }}x": "x",
    "<math>x^2</math>a<gallery>\nFile:b.png|c\n</gallery>": "a",
    "": "",
}


@pytest.mark.parametrize("wikitext", EXAMPLES)
def test_examples(wikitext: str) -> None:
    assert plain_text(wikitext) == EXAMPLES[wikitext]


words = st.text("abcdé", min_size=1, max_size=5)
inline = st.deferred(
    lambda: st.one_of(
        words,
        words.map(lambda w: f"'''{w}'''"),
        words.map(lambda w: f"''{w}''"),
        words.map(lambda w: f"[[{w}]]"),
        st.tuples(words, words).map(lambda p: f"[[{p[0]}|{p[1]}]]"),
        words.map(lambda w: f"[http://x.org/{w} {w}]"),
        st.lists(words, max_size=2).map(lambda p: "{{T|" + "|{{S}}".join(p) + "}}"),
        words.map(lambda w: f"<!-- {w} -->"),
        words.map(lambda w: f"<small>{w}</small>"),
        st.just("&amp;"),
    )
)
blocks = st.lists(inline, min_size=1, max_size=5).map(" ".join)
headed = st.tuples(words, blocks).map(lambda p: f"== {p[0]} ==\nw {p[1]}")
articles = st.lists(blocks | headed, max_size=5).map("\n\n".join)


@given(articles)
def test_the_words_are_those_the_parser_finds(wikitext: str) -> None:
    parsed = mwparserfromhell.parse(wikitext).strip_code(normalize=True, collapse=True)
    assert plain_text(wikitext).split() == parsed.split()


@given(st.text("[]{}|='*#<>/!-&;: \nabFileref", max_size=80))
def test_any_characters_become_text(wikitext: str) -> None:
    text = plain_text(wikitext)
    assert text == text.strip()
    assert not re.search(r"\[\[[^\[\]]*\]\]|<!--", text)
    assert "\f" not in text
