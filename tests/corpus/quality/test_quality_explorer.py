"""The threshold explorer: its metrics, distances, rules, page and command."""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lilliput.cli.corpus_explore import command
from lilliput.corpus.documents import Document
from lilliput.corpus.quality.explorer import explore, wasserstein_distance
from lilliput.corpus.quality.explorer_page import explorer_page
from lilliput.corpus.quality.metrics import GRAM_METRICS, METRICS, metrics_of
from lilliput.corpus.registry import make_stage
from lilliput.errors import UserError

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(numbers, numbers)
def test_wasserstein_distance_is_scipys(first: list[float], second: list[float]) -> None:
    found = wasserstein_distance(np.array(first), np.array(second))
    assert found == pytest.approx(stats.wasserstein_distance(first, second), rel=1e-9, abs=1e-6)


def test_metrics_of_a_document_worked_by_hand() -> None:
    text = "The cat sat. It SAT!\n\n- a list\n- a list\nSee https://x.org {now} … #1"
    found = {name: values[0] for name, values in metrics_of([text]).items()}
    assert found["characters"] == len(text)
    assert found["words"] == 16
    assert found["lines"] == 4
    assert found["sentences"] == 3
    assert found["number signs"] == 1 / 16
    assert found["ellipses"] == 1 / 16
    assert found["bullet lines"] == 2 / 4
    assert found["words with letters"] == 12 / 16
    assert found["repeated lines"] == 1 / 4
    assert found["repeated line characters"] == len("- a list") / len(text)
    assert found["repeated paragraphs"] == 0
    assert found["ended lines"] == 1 / 4
    assert found["short lines"] == 1
    assert found["line breaks"] == 4 / 16
    assert found["longest word"] == len("https://x.org")
    assert found["one-letter words"] == 5 / 16
    assert found["words in capitals"] == 1 / 16
    assert found["addresses"] == 1000 / 16
    assert found["curly brackets"] == 1000 / len(text)
    assert found["exclamation marks"] == 1 / 3


@given(st.lists(st.text("ab \n", max_size=40), max_size=5))
def test_repeated_ngrams_are_counted_per_document(texts: list[str]) -> None:
    found = metrics_of(texts)
    for row, text in enumerate(texts):
        words = text.split()
        for size in (2, 5):
            grams = Counter(zip(*(words[start:] for start in range(size)), strict=False))
            total = sum(grams.values())
            repeated = 1 - len(grams) / total if total else 0
            assert found[f"repeated {size}-grams"][row] == pytest.approx(repeated)
            if size == 2:
                top = max(grams.values()) / total if total else 0
                assert found["most frequent 2-gram"][row] == pytest.approx(top)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_every_metric_is_a_number_for_any_text(text: str) -> None:
    found = metrics_of(["", text, "x"])
    assert len(found) == len(METRICS) + len(GRAM_METRICS)
    for values in found.values():
        assert np.isfinite(values).all()
        assert len(values) == 3
    for name, values in metrics_of([text]).items():
        assert values[0] == found[name][1]


def test_every_setting_named_exists() -> None:
    settings = {m.setting for m in METRICS} | {setting for _, _, setting in GRAM_METRICS}
    assert len(METRICS) > 30
    for setting in sorted(settings - {""}):
        stage, _, field = setting.partition(".")
        assert hasattr(make_stage(stage, {}, "here"), field), setting


def two_sets() -> tuple[list[Document], list[Document]]:
    dice = random.Random(4)
    good, bad = [], []
    for number in range(120):
        words = [
            dice.choice(("the", "river", "and", "forest")) for _ in range(dice.randint(30, 90))
        ]
        good.append(Document(f"g{number}", " ".join(words) + ".", "good", {"score": number / 120}))
        shout = [dice.choice(("WIN", "the", "now!", "$$$")) for _ in range(dice.randint(5, 60))]
        bad.append(Document(f"b{number}", "\n".join(shout), "bad", {"score": number / 60 - 1}))
    return good, bad


def test_rules_drop_most_bad_documents_within_the_bound() -> None:
    good, bad = two_sets()
    found = explore(good, bad, most_good_lost=0.1)
    assert [m.distance for m in found.metrics] == sorted(
        (m.distance for m in found.metrics), reverse=True
    )
    values = {
        "good": metrics_of([one.text for one in good]),
        "bad": metrics_of([one.text for one in bad]),
    }
    for metric in found.metrics:
        assert 0 <= metric.distance <= 1
        assert sum(metric.good_histogram) == pytest.approx(1, abs=1e-3)
        if metric.name == "score":
            continue
        ours, theirs = values["good"][metric.name], values["bad"][metric.name]
        assert metric.wasserstein == pytest.approx(stats.wasserstein_distance(ours, theirs))
        best = max(
            (
                np.mean(away(theirs)) - np.mean(away(ours))
                for edge in metric.grid.thresholds
                for away in (lambda x, e=edge: x < e, lambda x, e=edge: x > e)
                if np.mean(away(ours)) <= 0.1
            ),
            default=0,
        )
        rule = metric.suggestion
        if rule is None:
            assert best < 0.02
            continue
        goes = np.less if rule.drop == "below" else np.greater
        assert rule.good_lost == pytest.approx(np.mean(goes(ours, rule.threshold)))
        assert rule.good_lost <= 0.1
        assert rule.bad_dropped == pytest.approx(np.mean(goes(theirs, rule.threshold)))
        assert rule.bad_dropped - rule.good_lost == pytest.approx(best)
        weights = np.array([len(one.text.encode()) for one in bad])
        assert rule.bad_bytes_dropped == pytest.approx(
            weights[goes(theirs, rule.threshold)].sum() / weights.sum()
        )
    by_name = {metric.name: metric for metric in found.metrics}
    assert by_name["score"].suggestion is not None  # a column both corpora have
    assert by_name["capitals"].suggestion is not None
    assert by_name["capitals"].suggestion.drop == "above"


def test_sets_that_are_alike_suggest_nothing() -> None:
    good, _ = two_sets()
    found = explore(good, good)
    assert all(metric.suggestion is None for metric in found.metrics)
    assert all(metric.distance == pytest.approx(0) for metric in found.metrics)


def test_an_empty_set_is_the_users_mistake() -> None:
    good, _ = two_sets()
    with pytest.raises(UserError, match="bad set"):
        explore(good, [])
    with pytest.raises(UserError, match="most_good_lost"):
        explore(good, good, most_good_lost=1.0)


def test_the_command_writes_page_and_numbers(tmp_path: Path) -> None:
    good, bad = two_sets()
    for name, some in (("good", good), ("bad", bad)):
        lines = [json.dumps({"text": one.text, **one.metadata}) for one in some]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    page = tmp_path / "thresholds.html"
    made = CliRunner().invoke(
        command, [str(tmp_path / "good.jsonl"), str(tmp_path / "bad.jsonl"), "-o", str(page)]
    )
    assert made.exit_code == 0, made.output
    facts = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["good_documents"] == facts["bad_documents"] == 120
    assert facts["metrics"][0]["name"] in made.output
    html = page.read_text(encoding="utf-8")
    assert html.count('type="range"') == len(facts["metrics"])
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert isinstance(CliRunner().invoke(command, ["a", "b", "-o", "x.json"]).exception, UserError)


def test_hostile_names_are_escaped() -> None:
    good, bad = two_sets()
    evil = '"><script>alert(1)</script>'
    for some in (good, bad):
        some[:] = [Document(d.id, d.text, d.source, {evil: d.metadata["score"]}) for d in some]
    html = explorer_page(explore(good, bad), good=evil, bad="bad")
    assert "<script>alert" not in html


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_slider_says_what_is_dropped(tmp_path: Path, scheme: str) -> None:
    import shutil

    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    browser_path = next((found for name in names if (found := shutil.which(name))), None)
    if browser_path is None:
        pytest.skip("no browser here")
    good, bad = two_sets()
    found = explore(good, bad)
    path = tmp_path / "page.html"
    path.write_text(explorer_page(found, good="good", bad="bad"), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        view = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        problems: list[str] = []
        view.on("console", lambda message: problems.append(message.text))
        view.on("pageerror", lambda error: problems.append(str(error)))
        view.goto(path.as_uri())
        card = view.locator(".explore[data-metric]").first
        rule = found.metrics[0].suggestion
        assert rule is not None
        said = card.locator("output").inner_text()
        assert f"{100 * rule.bad_dropped:.1f}% of bad dropped" in said
        assert f"{100 * rule.good_lost:.1f}% of good lost" in said
        card.locator("input[type=range]").fill("0")
        card.locator("input[value=below]").check()
        assert "0.0% of bad dropped (100.0% kept)" in card.locator("output").inner_text()
        browser.close()
    assert problems == []
