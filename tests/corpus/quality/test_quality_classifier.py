"""The classifier: words and hashes, training, measures, its folder, and the stages that use it."""

import json
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lilliput.cli.corpus_classifier import command
from lilliput.corpus.quality.best_share import BestShare
from lilliput.corpus.quality.classifier import Label, Quality, load_classifier
from lilliput.corpus.quality.measures import area_under_curve, measure
from lilliput.corpus.quality.ngrams import Words, grams_of, words_of
from lilliput.corpus.quality.training import TrainingSettings, train_classifier
from lilliput.errors import UserError

_VOCABULARY = {
    "good": ["river", "mountain", "because", "therefore", "forest", "story", "gentle", "morning"],
    "bad": ["click", "win", "prize", "subscribe", "casino", "free", "offer", "now"],
    "law": ["court", "statute", "appeal", "judge", "clause", "party", "tenant", "verdict"],
}
_SHARED = ["the", "a", "of", "and", "to", "in", "it", "was", "with", "for", "on", "that"]


def made_texts(name: str, count: int, seed: int = 0) -> list[str]:
    """Texts of mostly common words, one in five the class's own."""
    dice = random.Random(f"{name} {seed}")
    own = _VOCABULARY[name]
    return [
        " ".join(dice.choice(own if dice.random() < 0.2 else _SHARED) for _ in range(40))
        for _ in range(count)
    ]


def batch_of(texts: list[str]) -> pa.RecordBatch:
    names = [str(number) for number in range(len(texts))]
    return pa.record_batch({"id": names, "text": texts, "source": ["test"] * len(texts)})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("classifier") / "model"
    train_classifier({name: made_texts(name, 200) for name in ("good", "bad")}).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("classifier") / "topics"
    train_classifier({name: made_texts(name, 200) for name in _VOCABULARY}).save(folder)
    return str(folder)


def spelled(words: Words) -> list[str]:
    return [
        words.text[start:stop].tobytes().decode("utf-8")
        for start, stop in zip(words.starts, words.stops, strict=True)
    ]


def plainly_split(text: str) -> list[str]:
    """The rule of the module's first lines, a character at a time."""
    words, before = [], "space"
    for character in text:
        code = ord(character)
        if 0x3000 <= code <= 0x9FFF:
            kind = "alone"
        elif code == 0xA0 or (code < 128 and (character.isspace() or code < 32)):
            kind = "space"
        elif 0x2000 <= code <= 0x203F or (code < 128 and not character.isalnum()):
            kind = "mark"
        else:
            kind = "letter"
        if kind in ("letter", "mark") and kind == before:
            words[-1] += character
        elif kind != "space":
            words.append(character)
        before = kind
    return words


texts = st.text(
    st.one_of(
        st.sampled_from(" \n\tab.,!é“”—…漢字日本1２\xa0😀\x85\x7fß"), st.characters(codec="utf-8")
    ),
    max_size=30,
)


@given(st.lists(texts, max_size=5))
def test_words_are_runs_of_one_kind_in_lower_case(some: list[str]) -> None:
    words = words_of(some)
    lowered = words.text.tobytes().decode("utf-8")
    assert len(lowered) == sum(map(len, some)) or any(not text.isascii() for text in some)
    expected = []
    for number, text in enumerate(some):
        alone = words_of([text])
        expected += [(number, word) for word in plainly_split(alone.text.tobytes().decode())]
    assert list(zip(words.documents.tolist(), spelled(words), strict=True)) == expected


@given(st.lists(texts, max_size=4))
def test_equal_words_have_equal_hashes_and_different_ones_do_not(some: list[str]) -> None:
    words = words_of(some)
    digits = str.maketrans("123456789", "000000000")
    by_word: dict[str, int] = {}
    for word, number in zip(spelled(words), words.hashes.tolist(), strict=True):
        assert by_word.setdefault(word.translate(digits), number) == number
    assert len(set(by_word.values())) == len(by_word)


@given(st.lists(texts, max_size=4))
def test_ngrams_stay_within_their_text(some: list[str]) -> None:
    together = grams_of(words_of(some), 3, 40)
    for length, grams in enumerate(together, start=1):
        assert grams.length == length
        for number, text in enumerate(some):
            alone = grams_of(words_of([text]), 3, 40)[length - 1]
            assert grams.buckets[grams.documents == number].tolist() == alone.buckets.tolist()


def test_it_tells_unseen_texts_apart_and_says_by_what(model: str) -> None:
    classifier = load_classifier(model)
    unseen = made_texts("good", 50, seed=1) + made_texts("bad", 50, seed=1)
    chances = classifier.probabilities(unseen)
    is_good = np.arange(100) < 50
    assert area_under_curve(chances[:, classifier.classes.index("good")], is_good) > 0.99
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    told = classifier.facts["telling"]
    assert set(told["good"][:8]) & set(_VOCABULARY["good"])
    assert set(told["bad"][:8]) & set(_VOCABULARY["bad"])
    assert not set(told["good"]) & set(_VOCABULARY["bad"])
    assert classifier.facts["held_out"]["accuracy"] > 0.9
    kept = [row["good_kept"] for row in classifier.facts["thresholds"]]
    assert kept == sorted(kept, reverse=True)


def test_a_text_scores_the_same_in_any_company(model: str, topics: str) -> None:
    some = ["", *made_texts("good", 30, seed=2), "\n\n", *made_texts("bad", 30, seed=2), ""]
    for folder in (model, topics):
        classifier = load_classifier(folder)
        alone = np.concatenate([classifier.probabilities([text]) for text in some])
        np.testing.assert_array_equal(classifier.probabilities(some), alone)


def test_training_again_gives_the_same_files(model: str, tmp_path: Path) -> None:
    train_classifier({name: made_texts(name, 200) for name in ("bad", "good")}).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "classifier.json",
        "classifier.safetensors",
    }
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (Path(model) / path.name).read_bytes()


def test_the_order_and_repetition_of_examples_do_not_matter(tmp_path: Path) -> None:
    texts = {name: made_texts(name, 60) for name in ("good", "bad")}
    turned = {name: [*reversed(some), *some] for name, some in texts.items()}
    first, second = train_classifier(texts), train_classifier(turned)
    np.testing.assert_array_equal(first.weights, second.weights)


def test_most_bytes_bounds_what_is_used() -> None:
    texts = {name: made_texts(name, 300) for name in ("good", "bad")}
    bounded = train_classifier(texts, TrainingSettings(most_bytes=5000))
    turned = {name: some[::-1] for name, some in texts.items()}
    again = train_classifier(turned, TrainingSettings(most_bytes=5000))
    np.testing.assert_array_equal(bounded.weights, again.weights)
    for one in bounded.facts["examples"].values():
        assert 3000 < one["bytes"] <= 5000


def test_quality_adds_its_column_and_drops_below(model: str) -> None:
    batch = batch_of(made_texts("good", 20, seed=3) + made_texts("bad", 20, seed=3))
    scored = Quality(model)(batch)
    assert scored.batch.num_rows == 40
    assert not scored.dropped
    scores = scored.batch.column("quality").to_pylist()
    kept = Quality(model, keep_above=0.5)(batch)
    assert [one.row for one in kept.dropped] == [n for n in range(40) if scores[n] < 0.5]
    assert len(kept.dropped) == pytest.approx(20, abs=3)
    assert min(kept.batch.column("quality").to_pylist()) >= 0.5
    assert Quality(model)(batch.slice(0, 0)).batch.num_rows == 0
    stage = pickle.loads(pickle.dumps(Quality(model, keep_above=0.5)))
    assert stage(batch.slice(7, 9)).batch.equals(
        Quality(model, keep_above=0.5)(batch.slice(7, 9)).batch
    )


def test_label_names_the_most_probable_class(topics: str) -> None:
    texts = [text for name in _VOCABULARY for text in made_texts(name, 10, seed=4)]
    labelled = Label(topics)(batch_of(texts)).batch
    expected = [name for name in _VOCABULARY for _ in range(10)]
    found = labelled.column("label").to_pylist()
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 27
    assert min(labelled.column("label_probability").to_pylist()) > 1 / 3
    kept = Label(topics, keep=("law",))(batch_of(texts))
    assert set(kept.batch.column("label").to_pylist()) == {"law"}
    assert len(kept.dropped) == sum(name != "law" for name in found)


def test_mistakes_are_named(model: str, tmp_path: Path) -> None:
    batch = batch_of(["text"])
    with pytest.raises(UserError, match="no classifier"):
        Quality(str(tmp_path))(batch)
    with pytest.raises(UserError, match="knows no class 'fine'"):
        Quality(model, good="fine")(batch)
    with pytest.raises(UserError, match="knows no class"):
        Label(model, keep=("law",))(batch)
    with pytest.raises(UserError, match="keep_above"):
        Quality(model, keep_above=2.0)
    with pytest.raises(UserError, match="at least two classes"):
        train_classifier({"good": ["a", "b"]})
    with pytest.raises(UserError, match="'bad': 1 examples"):
        train_classifier({"good": made_texts("good", 30), "bad": ["one"]})
    with pytest.raises(UserError, match="held_out"):
        TrainingSettings(held_out=0.0)


@pytest.mark.parametrize("name", ["classifier.json", "classifier.safetensors"])
def test_a_damaged_folder_is_named(model: str, tmp_path: Path, name: str) -> None:
    for path in Path(model).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = tmp_path / name
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(UserError, match=str(tmp_path)):
        load_classifier(tmp_path)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_area_under_curve_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    good = [score for score, is_good in rows if is_good]
    bad = [score for score, is_good in rows if not is_good]
    found = area_under_curve(
        np.array([score for score, _ in rows], float), np.array([one for _, one in rows])
    )
    if not good or not bad:
        assert np.isnan(found)
        return
    wins = sum((a > b) + (a == b) / 2 for a in good for b in bad)
    assert found == pytest.approx(wins / len(good) / len(bad))


def test_measures_weigh_classes_alike() -> None:
    chances = np.array([[0.9, 0.1]] * 8 + [[0.9, 0.1], [0.1, 0.9]])
    classes = np.array([0] * 8 + [1, 1])
    found = measure(chances, classes)
    assert found.accuracy == pytest.approx(0.75)
    assert found.confusion == ((8, 0), (1, 1))
    assert found.log_loss == pytest.approx(-(1.5 * np.log(0.9) + 0.5 * np.log(0.1)) / 2)
    low, high = found.calibration
    assert (low.predicted, low.observed) == (pytest.approx(0.1), pytest.approx(1 / 3))
    assert (high.predicted, high.observed) == (pytest.approx(0.9), pytest.approx(1.0))
    assert found.calibration_error == pytest.approx(0.75 * (1 / 3 - 0.1) + 0.25 * 0.1)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=40),
    st.floats(0.01, 1),
    st.booleans(),
    st.integers(1, 7),
)
def test_best_share_keeps_the_best(
    numbers: list[int], share: float, lowest: bool, size: int
) -> None:
    stage = BestShare(share, "score", lowest=lowest)
    batch = pa.record_batch({"score": pa.array(numbers, pa.int32())})
    parts = [stage.sketch(batch.slice(first, size)) for first in range(0, len(numbers), size)]
    decided = stage.decide(parts, lambda rows: [])
    kept = [number for row, number in enumerate(numbers) if row not in decided.dropped]
    wanted = max(1, round(share * len(numbers)))
    ordered = sorted(numbers, reverse=not lowest)
    assert sorted(kept, reverse=not lowest)[:wanted] == ordered[:wanted]
    assert set(kept) == set(ordered[:wanted])


def test_best_share_drops_what_has_no_number() -> None:
    stage = BestShare(0.5)
    batch = pa.record_batch({"quality": pa.array([0.1, None, 0.9, 0.5])})
    dropped = stage.decide([stage.sketch(batch)], lambda rows: []).dropped
    assert {row: rule for row, (rule, _) in dropped.items()} == {0: "best_share", 1: "no_number"}
    with pytest.raises(UserError, match="no column 'quality'"):
        stage.sketch(batch_of(["a"]))


def test_the_command_trains_and_shows(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        lines = [json.dumps({"text": text}) for text in made_texts(name, 60)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run = CliRunner().invoke
    made = run(
        command,
        ["train", "--good", str(tmp_path / "good.jsonl"), "--bad", str(tmp_path / "bad.jsonl"),
         "-o", str(tmp_path / "model")],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "Tells good:" in made.output
    shown = run(command, ["show", str(tmp_path / "model"), "--json"])
    facts = json.loads(shown.stdout)
    assert facts["classes"] == ["bad", "good"]
    assert facts["held_out"]["auc"] > 0.9
    told = run(command, ["show", str(tmp_path / "model"), "--text", "win a free prize", "--json"])
    assert json.loads(told.stdout)["bad"] > 0.5


def test_the_command_learns_from_a_column(tmp_path: Path) -> None:
    rows = [{"text": text, "education": 4} for text in made_texts("good", 60)]
    rows += [{"text": text, "education": 1} for text in made_texts("bad", 60)]
    rows += [{"text": "never answered", "education": None}]
    path = tmp_path / "sample.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    made = CliRunner().invoke(
        command,
        ["train", "--labelled", str(path), "--column", "education", "--good-from", "3",
         "-o", str(tmp_path / "model"), "--json"],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    facts = json.loads(made.stdout)
    assert {name: one["documents"] for name, one in facts["examples"].items()} == {
        "bad": 60,
        "good": 60,
    }
    wrong = CliRunner().invoke(command, ["train", "--good", str(path), "-o", str(tmp_path / "x"),
                                         "--column", "education"])  # fmt: skip
    assert isinstance(wrong.exception, UserError)
