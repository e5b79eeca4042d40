"""Markdown kept as it is, or turned into its text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_readings import reading_of

from lilliput.corpus.readers import Source
from lilliput.corpus.readers.markdown import without_markup

EXAMPLES = {
    "# Title\n\nSome *em* and **strong** `code`.\nNext line": (
        "Title\n\nSome em and strong code.\nNext line"
    ),
    "- a\n- b [link](http://x)\n  - c\n\nafter": "- a\n- b link\n- c\n\nafter",
    "3. x\n4. y": "3. x\n4. y",
    "![a *fox*](f.png) <b>bold</b> &amp; &copy;": "a fox bold & ©",
    "```python\nprint('*')\n\nx\n```": "print('*')\n\nx",
    "| a | b |\n|---|---|\n| 1 | *2* |": "a | b\n1 | 2",
    "---\ntitle: x\n---\nBody": "Body",
    "> quoted\n\n---\n\n<div>html</div>\n\nend": "quoted\n\nend",
    "": "",
}


@pytest.mark.parametrize("markdown", EXAMPLES)
def test_markup_is_stripped(markdown: str) -> None:
    assert without_markup(markdown) == EXAMPLES[markdown]


@given(st.text("#*_`[]()>-|!<&;\\\n\t 1.ab", max_size=60))
def test_any_markdown_becomes_text(markdown: str) -> None:
    text = without_markup(markdown)
    assert set(text) - set("&©") <= set(markdown) | set("- \ufffd\xa0")


def test_markup_is_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n<|endoftext|>\n# B *b*\n", encoding="utf-8")
    assert reading_of(tmp_path).texts == ["# A", "# B *b*"]
    assert reading_of(Source(str(tmp_path), markup="strip")).texts == ["A", "B b"]
