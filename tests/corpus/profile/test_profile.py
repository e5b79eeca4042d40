"""Profiles: the same in any grouping, and right against counts made the plain way."""

import re
import string
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import write_corpus
from lilliput.corpus.profile import (
    Profile,
    ProfileSettings,
    characteristic_words,
    merge,
    merge_all,
    profile,
    profile_facts,
    profile_folder,
    settings_for,
)
from lilliput.corpus.profile.tables import TextTable, WordTable, level_of

rows = st.fixed_dictionaries(
    {
        "text": st.text(st.sampled_from("ab cd'’é漢\n\t7.,\x00"), max_size=40)
        | st.text(max_size=20),
        "source": st.sampled_from([f"s{number}" for number in range(90)]),
        "topic": st.sampled_from([f"t{number}" for number in range(30)]),
        "language": st.sampled_from(["en", "de"]),
    }
)
corpora = st.lists(rows, min_size=1, max_size=60)


def batch_of(documents: list[dict[str, str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        documents,
        schema=pa.schema([(name, pa.string()) for name in ("text", "source", "topic", "language")]),
    )


def small(made: Profile) -> Profile:
    """A profile whose tables are full soon."""
    made.words.limit, made.texts.limit = 12, 5
    made.words.fit()
    made.texts.fit()
    return made


@given(corpora, st.randoms(use_true_random=False), st.sampled_from([1, 2, 8]))
def test_any_grouping_and_order_gives_the_same_profile(
    documents: list[dict[str, str]], random: Any, one_in: int
) -> None:
    settings = ProfileSettings(words_one_in=one_in, reading_one_in=one_in)
    whole = small(profile(batch_of(documents), settings))
    shuffled = list(documents)
    random.shuffle(shuffled)
    parts = []
    while shuffled:
        size = random.randint(1, len(shuffled))
        parts.append(small(profile(batch_of(shuffled[:size]), settings)))
        del shuffled[:size]
    assert merge_all(parts) == whole
    while len(parts) > 1:
        one = parts.pop(random.randrange(len(parts)))
        other = parts.pop(random.randrange(len(parts)))
        parts.append(merge(one, other))
    assert parts[0] == whole
    assert profile_facts(parts[0]) == profile_facts(whole)


@given(corpora, corpora)
def test_merging_leaves_its_arguments_alone(
    some: list[dict[str, str]], others: list[dict[str, str]]
) -> None:
    one, other = profile(batch_of(some)), profile(batch_of(others))
    merge(one, other)
    assert one == profile(batch_of(some))
    assert other == profile(batch_of(others))


@given(corpora)
def test_counts_are_those_of_plain_python(documents: list[dict[str, str]]) -> None:
    facts = profile_facts(profile(batch_of(documents)))
    texts = [document["text"] for document in documents]
    everything = "".join(texts)
    assert facts["documents"] == len(texts)
    assert facts["bytes"] == len(everything.encode())
    assert facts["characters"] == len(everything)
    assert facts["words"] == sum(len(text.encode().split()) for text in texts)
    assert facts["lines"] == sum(text.count("\n") + 1 for text in texts if text)
    kinds = facts["characters_by_kind"]
    count = max(1, len(everything))
    assert kinds["digits"] == sum(letter in string.digits for letter in everything) / count
    assert (
        kinds["punctuation"] == sum(letter in string.punctuation for letter in everything) / count
    )
    assert kinds["beyond ASCII"] == sum(letter > "\x7f" for letter in everything) / count
    assert sum(kinds.values()) == pytest.approx(1 if everything else 0)
    for source, measures in facts["sources"].items():
        if source != "(others)":
            own = [one["text"] for one in documents if one["source"] == source]
            assert measures["documents"] == len(own)
            assert measures["bytes"] == sum(len(text.encode()) for text in own)
            assert measures["words"] == sum(len(text.encode().split()) for text in own)
    assert facts["copies"]["repeats"] == len(texts) - len(set(texts))


@given(st.lists(st.text(st.sampled_from("aB c'’é\n.7"), max_size=30), min_size=1, max_size=20))
def test_words_are_those_of_a_regular_expression(texts: list[str]) -> None:
    plain = Counter(
        word
        for text in texts
        for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text.lower().replace("’", "'"))
    )
    made = profile(pa.RecordBatch.from_pydict({"text": texts}))
    assert made.words.themes().get("", {}) == plain
    vocabulary = profile_facts(made)["vocabulary"]
    ranked = sorted(plain.values(), reverse=True)
    for share, needed in vocabulary["covering"].items():
        if ranked:
            assert sum(ranked[:needed]) >= (float(share) - 1e-9) * sum(ranked)
            assert sum(ranked[: needed - 1]) < float(share) * sum(ranked)


def test_columns_that_are_missing_null_or_large_are_no_obstacle() -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["a b", None, "c"], pa.large_string()), pa.array(["CC0", None, "CC0"])],
        names=["text", "license"],
    )
    facts = profile_facts(profile(batch.slice(1)))
    assert (facts["documents"], facts["words"]) == (2, 1)
    assert facts["licenses"]["(unknown)"]["documents"] == 1
    assert facts["sources"] == {}
    empty = profile_facts(Profile())
    assert empty["vocabulary"]["distinct"] == empty["documents"] == 0
    assert profile_facts(profile(batch.slice(0, 0))) == empty


def test_origin_goes_before_source_and_topic_before_origin() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"text": ["x"], "origin": ["wiki"], "source": ["page 1"], "topic": ["plants"]}
    )
    facts = profile_facts(profile(batch))
    assert list(facts["sources"]) == ["wiki"]
    assert list(facts["topics"]) == ["plants"]
    odd = pa.RecordBatch.from_pydict({"text": ["x"], "source": [7], "topic": [["a", "b"]]})
    facts = profile_facts(profile(odd))
    assert (list(facts["sources"]), list(facts["topics"])) == (["7"], ["['a', 'b']"])


def test_lengths_and_their_quantiles() -> None:
    texts = ["x" * length for length in range(1, 2001)]
    lengths = profile_facts(profile(pa.RecordBatch.from_pydict({"text": texts})))["lengths"]
    assert sum(count for _, count in lengths["bins"]) == 2000
    for share, value in lengths["quantiles"].items():
        assert value == pytest.approx(2000 * float(share), rel=0.05, abs=1)


def test_a_table_that_is_full_holds_a_sample_and_says_so() -> None:
    texts = [f"common word{number}x" for number in range(3000)]
    made = profile(
        pa.RecordBatch.from_pydict({"text": [re.sub(r"\d", letter_of, t) for t in texts]})
    )
    made.words.limit = 1000
    made.texts.limit = 1000
    made.words.fit()
    made.texts.fit()
    vocabulary = profile_facts(made)["vocabulary"]
    assert vocabulary["one_in"] == 4
    assert vocabulary["distinct"] <= 1001
    assert vocabulary["commonest"][0] == ["common", vocabulary["words"] // 2]
    assert profile_facts(made)["copies"]["one_in"] == 4


def letter_of(digit: re.Match[str]) -> str:
    return "abcdefghij"[int(digit[0])]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=80), st.integers(1, 20))
def test_the_text_table_holds_the_least_base_that_fits(hashes: list[int], limit: int) -> None:
    table = TextTable(limit=limit)
    table.count(hashes)
    fitting = [
        base for base in range(65) if len({one for one in hashes if level_of(one) >= base}) <= limit
    ]
    assert table.base == fitting[0]
    assert table.times == Counter(one for one in hashes if level_of(one) >= table.base)


def test_word_tables_count_a_word_once_a_level_whatever_its_themes() -> None:
    table = WordTable(limit=2)
    table.levels = {0: {"a": {"x": 1, "y": 1}, "b": {"x": 2}}}
    table.fit()
    assert table.base == 0
    table.add(WordTable(levels={0: {"a": {"z": 1}}, 1: {"b": {"x": 1}}}))
    assert table.base == 1
    assert table.themes() == {"b": {"x": 1}}


def test_characteristic_words_are_those_that_set_a_theme_apart() -> None:
    shared = {"the": 4000, "of": 4000}
    themes = {
        "plants": shared | {"leaf": 40, "root": 30, "day": 20},
        "ships": shared | {"sail": 50, "mast": 20, "day": 20},
    }
    found = characteristic_words(themes)
    assert [word for word, _ in found["plants"]] == ["leaf", "root"]
    assert found["ships"][0][0] == "sail"
    # Equation 16 and 22 worked out by hand for "leaf".
    whole = 2 * 8000 + 180
    prior = 40 * 500 / whole
    own, others = 40 + prior, prior
    own_all, others_all = 8090 + 500, 8090 + 500
    odds = np.log(own / (own_all - own)) - np.log(others / (others_all - others))
    assert found["plants"][0][1] == pytest.approx(odds / np.sqrt(1 / own + 1 / others), abs=0.01)
    assert characteristic_words({"all": themes["plants"]})["all"][0] == ["leaf", None]


def test_other_settings_do_not_merge() -> None:
    one = Profile(ProfileSettings(words_one_in=2))
    with pytest.raises(ValueError, match="other settings"):
        merge(one, Profile())
    with pytest.raises(ValueError, match="power of two"):
        ProfileSettings(reading_one_in=3)
    assert settings_for(4_000_000) == ProfileSettings()
    assert settings_for(1_000_000_000) == ProfileSettings(16, 256)


def test_a_corpus_folder_is_profiled(tmp_path: Any) -> None:
    texts = [f"Story number {number} of a fox." for number in range(50)]
    write_corpus(
        (Document(str(number), text, "tales") for number, text in enumerate(texts)),
        tmp_path / "corpus",
        settings={},
        rows_per_part=20,
    )
    whole = profile(pa.RecordBatch.from_pydict({"text": texts, "source": ["tales"] * 50}))
    assert profile_folder(tmp_path / "corpus") == whole
