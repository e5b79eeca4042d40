"""The memorisation audit against copies planted by hand and brute force."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.evaluate.memorisation import CopiedRun, audit_memorisation
from lilliput.tokens import TokenSplit
from lilliput.tokens.neighbours import build_neighbours

END = 0
Ids = list[int]


def split_of(documents: list[Ids], shards: int = 1) -> TokenSplit:
    stream = np.array([t for ids in documents for t in (END, *ids)] + [END], dtype=np.uint16)
    return TokenSplit("train", np.array_split(stream, shards), END, 0)


def random_documents(seed: int, *, low: int = 1, high: int = 30_000) -> list[Ids]:
    generator = np.random.default_rng(seed)
    return [generator.integers(low, high, size).tolist() for size in (70, 3, 400, 90)]


def longest_by_hand(text: Ids, documents: list[Ids]) -> int:
    """The longest common run with any document, by the table of all pairs."""
    best = 0
    for ids in documents:
        before = [0] * (len(ids) + 1)
        for token in text:
            row = [0] * (len(ids) + 1)
            for place, other in enumerate(ids):
                row[place + 1] = before[place] + 1 if token == other else 0
            best, before = max(best, *row), row
    return best


def found_by_hand(text: Ids, documents: list[Ids], ngram: int) -> int:
    grams = {tuple(ids[i : i + ngram]) for ids in documents for i in range(len(ids) - ngram + 1)}
    return sum(tuple(text[i : i + ngram]) in grams for i in range(len(text) - ngram + 1))


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(
        st.lists(st.integers(1, 3), min_size=0, max_size=40), min_size=1, max_size=5
    ),
    texts=st.lists(st.lists(st.integers(1, 3), min_size=0, max_size=20), min_size=1, max_size=4),
    ngram=st.integers(1, 5),
    stretch=st.sampled_from([3, 16, 1 << 20]),
    shards=st.integers(1, 3),
)
def test_audit_is_brute_force(
    documents: list[Ids], texts: list[Ids], ngram: int, stretch: int, shards: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lilliput.evaluate.memorisation._TOKENS_AT_ONCE", stretch)
        audit = audit_memorisation(texts, split_of(documents, shards), ngram=ngram)
    for text, result in zip(texts, audit.texts, strict=True):
        longest = longest_by_hand(text, documents)
        assert result.tokens == len(text)
        assert result.ngrams == max(0, len(text) - ngram + 1)
        assert result.ngrams_found == found_by_hand(text, documents, ngram)
        if longest < ngram:
            assert result.longest is None
        else:
            run = result.longest
            assert run is not None and run.length == longest
            own = text[run.start : run.start + longest]
            ids = documents[run.document]
            assert ids[run.document_start : run.document_start + longest] == own


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    document=st.sampled_from([0, 2, 3]),
    length=st.integers(8, 60),
    before=st.integers(0, 30),
    after=st.integers(0, 30),
    data=st.data(),
)
def test_planted_copies_are_found_exactly(
    seed: int, document: int, length: int, before: int, after: int, data: st.DataObject
) -> None:
    """And in fresh text, of the same vocabulary, nothing is."""
    documents = random_documents(seed)
    start = data.draw(st.integers(0, len(documents[document]) - length))
    fresh = np.random.default_rng(seed + 5000).integers(30_000, 60_000, before + after).tolist()
    copy = documents[document][start : start + length]
    text = fresh[:before] + copy + fresh[before:]
    same_words = np.random.default_rng(seed + 9000).integers(1, 30_000, 300).tolist()
    audit = audit_memorisation([text, same_words], split_of(documents))
    assert audit.texts[0].longest == CopiedRun(length, before, document, start)
    assert audit.texts[0].ngrams_found == length - 7
    assert audit.texts[1].longest is None
    assert audit.texts[1].ngrams_found == 0
    assert audit.longest_run == length
    assert audit.share_found == (length - 7) / (len(text) - 7 + 293)
    assert (audit.share_with_run(length), audit.share_with_run(length + 1)) == (0.5, 0.0)


def test_nearest_chunks(tmp_path: Path) -> None:
    documents = random_documents(4)
    split = split_of(documents)
    index = build_neighbours(split, tmp_path, chunk_length=16)
    shuffled = documents[2][100:116]
    np.random.default_rng(0).shuffle(shuffled)
    texts = [[7, 7, *documents[3][20:60]], shuffled, [59_999], []]
    audit = audit_memorisation(texts, split, index=index, nearest=2)
    copied, reordered, unknown, empty = audit.texts
    assert copied.longest == CopiedRun(40, 2, 3, 20)
    assert [near.document for near in copied.nearest] == [3, 3]
    assert {near.start for near in copied.nearest} <= {16, 32, 48}
    assert copied.nearest[0].similarity > 0.6
    # An index finds what is said in other words' order; runs of tokens do not.
    assert reordered.longest is None
    assert (reordered.nearest[0].document, reordered.nearest[0].start) in {(2, 96), (2, 112)}
    assert unknown.nearest == ()
    assert (empty.tokens, empty.ngrams, empty.longest, empty.nearest) == (0, 0, None, ())
    facts = json.loads(json.dumps(audit.to_dict()))
    assert facts["longest_run"] == 40
    assert facts["texts"][0]["nearest"][0]["document"] == 3


def test_refusals() -> None:
    with pytest.raises(UserError, match="no text to audit"):
        audit_memorisation([], split_of([[1, 2]]))
    with pytest.raises(UserError, match="n must be at least 1"):
        audit_memorisation([[1]], split_of([[1, 2]]), ngram=0)
