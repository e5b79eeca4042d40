"""Text of evaluation sets in documents, against sets of n-grams."""

import gzip
import json
import random
import re
import string
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora_with_copies import batch, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.corpus.deduplication import evaluation
from lilliput.corpus.deduplication.decontaminate import Decontaminate
from lilliput.corpus.stages import texts_of
from lilliput.errors import UserError

QUESTION = "Which of the seven old ships in the harbour was the first to leave it in the morning?"


@pytest.fixture
def questions(tmp_path: Path) -> str:
    file = tmp_path / "quiz.jsonl"
    lines = [{"question": QUESTION, "choices": {"text": ["the red one", "none"]}, "answer": "A"}]
    file.write_text("\n".join(map(json.dumps, [{"question": "Short?"}, *lines])), encoding="utf-8")
    return str(file)


def test_a_document_with_a_question_is_dropped_and_named(questions: str) -> None:
    texts = ["He asked: " + QUESTION.upper().replace(" ", " - "), "Nothing of that kind."]
    outcome = Decontaminate((questions,))(batch(texts))
    assert texts_of(outcome.batch) == texts[1:]
    [dropped] = outcome.dropped
    assert (dropped.row, dropped.rule) == (0, "evaluation_overlap")
    assert dropped.detail == (
        "quiz.jsonl:2: which of the seven old ships in the harbour was the first to"
    )
    assert outcome.counts == {"hits: quiz.jsonl:2": 1}


def test_twelve_words_are_not_enough(questions: str) -> None:
    texts = [" ".join(QUESTION.split()[:12]), " ".join(QUESTION.split()[-13:])]
    outcome = Decontaminate((questions,))(batch(texts))
    assert texts_of(outcome.batch) == texts[:1]
    assert not texts_of(Decontaminate((questions,), words=12)(batch(texts)).batch)


def test_only_named_fields_count(questions: str) -> None:
    texts = ["the red one, he said", QUESTION]
    stage = Decontaminate((questions,), fields=("choices",), fewest_words=3)
    assert texts_of(stage(batch(texts)).batch) == [QUESTION]


def test_digits_count(tmp_path: Path) -> None:
    (tmp_path / "sums.txt").write_text("Tom has 17 apples and eats 4 of them, how many now?")
    stage = Decontaminate((str(tmp_path),))
    texts = ["Tom has 18 apples and eats 4 of them, how many now?"]
    assert texts_of(stage(batch(texts)).batch) == texts
    assert not texts_of(stage(batch([texts[0].replace("18", "17")])).batch)


def words_of(text: str) -> list[str]:
    return re.sub(f"[{re.escape(string.punctuation)}]", " ", text.lower()).split()


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "D.", "e"]), max_size=14).map(" ".join)


@given(
    st.lists(WORDS, min_size=1, max_size=8),
    st.lists(WORDS, min_size=1, max_size=5),
    st.integers(2, 6),
    st.integers(0, 4),
    st.integers(0, 2),
)
@settings(max_examples=150)
def test_hits_are_the_shared_ngrams(
    texts: list[str], items: list[str], length: int, spared: int, most: int
) -> None:
    shortest = max(1, length - spared)
    grams: dict[tuple[str, ...], set[str]] = {}
    for item in items:
        words = words_of(item)
        size = min(length, len(words))
        if size >= shortest:
            for start in range(len(words) - size + 1):
                grams.setdefault(tuple(words[start : start + size]), set()).add(item)
    known = {gram for gram, owners in grams.items() if not most or len(owners) <= most}

    def hit(text: str) -> bool:
        words = words_of(text)
        return any(
            tuple(words[start : start + size]) in known
            for size in range(shortest, length + 1)
            for start in range(len(words) - size + 1)
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "_files", lambda path: [_File(items)])
        patch.setattr(
            evaluation, "_labelled", lambda file, fields: ((str(i), t) for i, t in items_of)
        )
        items_of = list(enumerate(items))
        evaluation._index.cache_clear()
        stage = Decontaminate(("x",), words=length, fewest_words=shortest, most_texts=most)
        left = texts_of(stage(batch(texts)).batch)
    assert left == [text for text in texts if not hit(text)]


class _File:
    """A file that stands for the items."""

    def __init__(self, items: list[str]) -> None:
        self.st_mtime_ns, self.st_size = 0, len(items)

    def stat(self) -> "_File":
        return self


def test_a_cut_takes_the_hit_and_its_margin(questions: str) -> None:
    dice = random.Random(1)
    before, after = " ".join(prose(dice, 200)), " ".join(prose(dice, 200))
    stage = Decontaminate((questions,), action="cut", margin=20)
    outcome = stage(batch([f"{before} {QUESTION} {after}", after]))
    first, second = texts_of(outcome.batch)
    assert first == f"{before[:-19].strip()}\n{after[18:].strip()}"
    assert second == after
    [example] = outcome.examples
    assert example.row == 0 and QUESTION in example.before and "quiz.jsonl:2" in example.after


def test_short_pieces_go_and_documents_cut_too_often_are_dropped(questions: str) -> None:
    filler = " ".join(prose(random.Random(2), 200))
    text = f"Short. {QUESTION} {filler}"
    stage = Decontaminate((questions,), action="cut", margin=0)
    assert texts_of(stage(batch([text])).batch) == [f"? {filler}"]
    often = f"{filler} {QUESTION} " * 11
    assert not texts_of(stage(batch([often])).batch)
    assert len(texts_of(stage(batch([often.replace("harbour", "bay", 1)])).batch)) == 1
    assert not texts_of(stage(batch([f"Short. {QUESTION} Short."])).batch)


@pytest.mark.parametrize(
    "name", ["quiz.jsonl", "quiz.jsonl.gz", "quiz.json", "quiz.parquet", "quiz.md"]
)
def test_files_of_every_kind_are_read(tmp_path: Path, name: str) -> None:
    rows = [{"text": "no"}, {"text": QUESTION}]
    file = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif name.endswith(".json"):
        file.write_text(json.dumps(rows))
    elif name.endswith(".md"):
        file.write_text(f"no\n\n{QUESTION}\n")
    else:
        content = "\n".join(map(json.dumps, rows)).encode()
        file.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    [dropped] = Decontaminate((str(tmp_path / "q*"),))(batch([QUESTION])).dropped
    assert dropped.detail.startswith(f"{name}:{3 if name.endswith('.md') else 2}: which of")


def test_unusable_evaluation_sets_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one file"):
        Decontaminate()
    with pytest.raises(UserError, match="nowhere"):
        Decontaminate((str(tmp_path / "nowhere.jsonl"),))(batch(["a"]))
    for name, content in (("bad.jsonl", "{"), ("bad.parquet", "x"), ("empty.txt", "\n")):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=name):
            Decontaminate((str(tmp_path / name),))(batch(["a"]))
    (tmp_path / "other.jsonl").write_text('{"a": "b"}')
    with pytest.raises(UserError, match="question"):
        Decontaminate((str(tmp_path / "other.jsonl"),), fields=("question",))(batch(["a"]))


@pytest.mark.parametrize("wrong", [{"action": "mark"}, {"fewest_words": 14}])
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Decontaminate(("x",), **wrong)  # type: ignore[arg-type]
