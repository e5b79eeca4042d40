"""Equal documents, against a dictionary of texts."""

import pytest
from corpora_with_copies import batch, decided
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.deduplication.exact import ExactDuplicates


@given(
    st.lists(st.text(alphabet="aAßs \n", max_size=4), max_size=12),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
)
def test_all_but_the_first_of_equal_texts_go(
    texts: list[str], whitespace: bool, case: bool, pieces: int
) -> None:
    first: dict[str, int] = {}
    expected = {}
    for number, text in enumerate(texts):
        form = " ".join(text.split()) if whitespace else text
        original = first.setdefault(form.casefold() if case else form, number)
        if original != number:
            expected[number] = ("exact_copy", f"a copy of document {original}")
    stage = ExactDuplicates(ignore_whitespace=whitespace, ignore_case=case)
    assert dict(decided(stage, texts, pieces).dropped) == expected


def test_a_sketch_takes_16_bytes() -> None:
    assert ExactDuplicates().sketch(batch(["one", "two"])).nbytes == 32


def test_hashes_that_agree_by_half_are_different(monkeypatch: pytest.MonkeyPatch) -> None:
    from lilliput.corpus.deduplication import exact

    class Half:
        def __init__(self, content: bytes, **_: int) -> None:
            self._content = content

        def digest(self) -> bytes:
            return b"the same" + self._content[:8].ljust(8)

    monkeypatch.setattr(exact.hashlib, "blake2b", Half)
    assert list(decided(ExactDuplicates(), ["one", "two", "one"]).dropped) == [2]
