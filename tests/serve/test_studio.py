"""The studio's data routes: what the pages are told, against the parts it comes from."""

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import open_corpus, write_corpus
from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.generate.inspection import inspect
from lilliput.model import FAMILIES, Decoder
from lilliput.serve.app import create_app
from lilliput.serve.studio import StudioSettings
from lilliput.serve.studio.corpora import histogram
from lilliput.serve.studio.corpus_search import CorpusView
from lilliput.serve.studio.merge_tree import Merged, Merger
from lilliput.serve.studio.pages import PAGES
from lilliput.serve.studio.run_curves import Curve, RunReading
from lilliput.tokens import Tokenizer, train_tokenizer

STORIES = [
    "Once upon a time there was a cat. The Cat sat.",
    "A dog saw concatenation, and barked — naïve café 😀.",
    "Nothing at all happened.",
    "cat",
]


@pytest.fixture(scope="module")
def cutter() -> Tokenizer:
    return train_tokenizer(STORIES * 20, vocabulary_size=330)


def random_model(
    tokenizer: Tokenizer, family: str = "llama", *, context_length: int = 64
) -> LanguageModel:
    config = FAMILIES[family].shape(
        n_layers=2,
        d_model=48,
        vocabulary_size=tokenizer.vocabulary_size,
        context_length=context_length,
    )
    torch.manual_seed(5)
    decoder = Decoder(config).eval().requires_grad_(False)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return LanguageModel(decoder, tokenizer)


def step_record(step: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "step", "step": step, "tokens": 100 * step, "seconds": 0.5 * step,
        "loss": 4.0 / step, "bits_per_byte": 2.0 / step, "tokens_per_second": 200.0,
        "flops_per_second": 1e6, "progress": step / 10, "seconds_left": 10.0 - step,
        "joules": None, **more,
    }  # fmt: skip


def write_run(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records = [
        {"kind": "event", "step": 0, "message": "training on a test", "device": "a test"},
        *(step_record(step) for step in range(1, steps + 1)),
        {"kind": "validation", "step": steps, "tokens": 1, "seconds": 1.0, "loss": 1.0,
         "bits_per_byte": 0.5},
        {"kind": "sample", "step": steps, "prompt": "Once", "text": " upon"},
    ]  # fmt: skip
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> StudioSettings:
    root = tmp_path_factory.mktemp("studio")
    write_run(root / "runs" / "story", 10)
    write_run(root / "runs" / "group" / "other", 4)
    (root / "runs" / "story" / "report.html").write_text("<h1>report</h1>", encoding="utf-8")
    documents = (
        Document(f"d{number}", STORIES[number % 4], "books", {"page": number})
        for number in range(200)
    )
    write_corpus(documents, root / "corpus", settings={"made": "here"}, rows_per_part=70)
    return StudioSettings(runs=root / "runs", corpus=root / "corpus")


@pytest.fixture(scope="module")
def pages(cutter: Tokenizer, folders: StudioSettings) -> Iterator[TestClient]:
    models = {
        "plain": random_model(cutter),
        "mixed": random_model(cutter, "deepseek-v3"),
    }
    with TestClient(create_app(models, studio=folders), base_url="http://127.0.0.1") as client:
        yield client


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


# Pages


@pytest.mark.parametrize("path", ["/", *(f"/studio/{page}" for page in PAGES)])
def test_pages_are_whole_and_allow_nothing_from_elsewhere(pages: TestClient, path: str) -> None:
    answer = pages.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "https://" not in answer.text and "http://" not in answer.text
    assert "<title>" in answer.text and 'lang="en"' in answer.text
    assert " style=" not in answer.text and "onclick=" not in answer.text
    for name in answer.text.split("/studio/static/")[1:]:
        assert pages.get("/studio/static/" + name.split('"')[0]).status_code == 200


def test_modules_import_only_modules_that_are_there(pages: TestClient) -> None:
    waiting, seen = [f"{page}.js" for page in (*PAGES, "start")], set[str]()
    while waiting:
        name = waiting.pop()
        answer = pages.get(f"/studio/static/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-type"].startswith("text/javascript")
        seen.add(name)
        found = {line.split("from './")[1].split("'")[0]
                 for line in answer.text.splitlines() if "from './" in line}  # fmt: skip
        waiting += found - seen
    assert "page.js" in seen


@pytest.mark.parametrize("name", ["nothing.js", "..%2F__init__.py", "%2e%2e/pages.py", "pages.py"])
def test_no_other_file_is_served(pages: TestClient, name: str) -> None:
    assert pages.get(f"/studio/static/{name}").status_code == 404
    assert pages.get("/studio/nothing").status_code == 404


def test_start_page_is_told_what_is_served(pages: TestClient, folders: StudioSettings) -> None:
    told = pages.get("/studio/data/about").json()
    assert [model["name"] for model in told["models"]] == ["plain", "mixed"]
    assert told["models"][0]["context_length"] == 64
    assert told["runs"] == str(folders.runs) and told["corpus"] == str(folders.corpus)


def test_without_folders_the_pages_are_told_what_to_do(cutter: Tokenizer) -> None:
    app = create_app({"plain": random_model(cutter)})
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for path, option in (("runs", "--runs"), ("corpus", "--corpus")):
            answer = client.get(f"/studio/data/{path}")
            assert answer.status_code == 400
            assert option in answer.json()["error"]["message"]


# Writing


def test_tokens_and_alternatives_are_the_models_own(pages: TestClient, cutter: Tokenizer) -> None:
    order = {"model": "plain", "prompt": "Once upon", "seed": 4, "max_tokens": 6, "alternatives": 5}
    events = events_of(pages.post("/studio/data/write", json=order))
    tokens = [token for event in events for token in event["tokens"]]
    assert events[0]["seed"] == 4 and events[-1]["finish"] in ("length", "end")
    model = random_model(cutter)
    ids = list(model.prompt_ids("Once upon"))
    assert events[0]["prompt_tokens"] == len(ids)
    for token in tokens:
        expected = model.logits(torch.tensor([ids]))[0, -1].log_softmax(-1)
        best = expected.topk(5)
        assert token["log_probability"] == pytest.approx(float(expected[token["id"]]), abs=1e-3)
        assert [one["id"] for one in token["alternatives"]] == best.indices.tolist()
        assert bytes.fromhex(token["bytes"]) == cutter.bytes_of[token["id"]]
        ids.append(token["id"])


def test_a_branch_goes_on_from_the_tokens_given(pages: TestClient) -> None:
    order = {"model": "plain", "prompt": "Once", "temperature": 0, "max_tokens": 8}
    whole = [t["id"] for e in events_of(pages.post("/studio/data/write", json=order))
             for t in e["tokens"]]  # fmt: skip
    rest = events_of(
        pages.post("/studio/data/write", json={**order, "continued": whole[:3], "max_tokens": 5})
    )
    assert [token["id"] for event in rest for token in event["tokens"]] == whole[3:]


def test_a_seed_gives_the_same_text_and_others_for_other_samples(pages: TestClient) -> None:
    order = {"model": "plain", "prompt": "Once", "temperature": 2, "seed": 7, "max_tokens": 12}

    def written(sample: int) -> list[int]:
        answer = pages.post("/studio/data/write", json={**order, "sample": sample})
        return [token["id"] for event in events_of(answer) for token in event["tokens"]]

    assert written(0) == written(0)
    assert written(0) != written(1)


def test_a_conversation_is_put_as_the_models_template_says(pages: TestClient) -> None:
    turns = [{"role": "user", "content": "Hello"}]
    order = {"model": "plain", "messages": turns, "max_tokens": 2}
    first = events_of(pages.post("/studio/data/write", json=order))[0]
    plain = {"model": "plain", "prompt": "Hello", "max_tokens": 2}
    assert (
        first["prompt_tokens"]
        > events_of(pages.post("/studio/data/write", json=plain))[0]["prompt_tokens"]
    )


def test_next_tokens_before_and_after_the_settings(pages: TestClient) -> None:
    order = {"model": "plain", "prompt": "Once upon", "temperature": 1.0, "alternatives": 8}
    same = pages.post("/studio/data/next", json=order).json()["tokens"]
    for one in same:
        assert one["sampled"] == pytest.approx(math.exp(one["log_probability"]), rel=1e-3)
    two = pages.post("/studio/data/next", json={**order, "top_k": 2}).json()["tokens"]
    assert sum(one["sampled"] for one in two) == pytest.approx(1)
    assert [one["sampled"] > 0 for one in two] == [True] * 2 + [False] * 6
    best = pages.post("/studio/data/next", json={**order, "temperature": 0}).json()["tokens"]
    assert [one["sampled"] for one in best] == [1] + [0] * 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": -1}, "temperature"),
        ({"continued": [99999]}, "no token"),
        ({"continued": [-1]}, "no token"),
        ({"model": "other"}, "other"),
        ({"unknown": 1}, "unknown"),
        ({"prompt": "word " * 200}, "context"),
        ({"max_tokens": 10**6}, "max"),
    ],
)
def test_mistakes_are_told_in_words(pages: TestClient, change: dict[str, Any], words: str) -> None:
    answer = pages.post("/studio/data/write", json={"model": "plain", "prompt": "Once", **change})
    assert answer.status_code in (400, 404)
    assert words in answer.json()["error"]["message"]


# Tokenizers


def test_tokens_put_together_are_the_text(pages: TestClient, cutter: Tokenizer) -> None:
    told = pages.post("/studio/data/tokens", json={"text": STORIES[1]}).json()
    assert told["bytes"] == len(STORIES[1].encode())
    assert told["tokenizers"][0]["name"] == "plain"  # both models share one: it is told once
    assert "mixed" not in [one["name"] for one in told["tokenizers"]]
    for one in told["tokenizers"]:
        joined = b"".join(bytes.fromhex(token["bytes"]) for token in one["tokens"])
        assert joined.decode() == STORIES[1]
    assert [token["id"] for token in told["tokenizers"][0]["tokens"]] == cutter.encode(STORIES[1])


def test_special_tokens_only_where_asked_for(pages: TestClient) -> None:
    text = "a<|endoftext|>"
    plain = pages.post("/studio/data/tokens", json={"text": text}).json()["tokenizers"][0]
    special = pages.post("/studio/data/tokens", json={"text": text, "special": True}).json()
    assert len(plain["tokens"]) > 2
    assert special["tokenizers"][0]["tokens"][-1]["special"] == "<|endoftext|>"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_merges_end_in_the_tokenizers_tokens(text: str) -> None:
    tokenizer = _cutter()
    merger = Merger(tokenizer)
    assert "".join(merger.pieces(text)) == text
    trees = [tree for piece in merger.pieces(text) for tree in merger.trees(piece)]
    assert [tree.content for tree in trees] == [
        tokenizer.bytes_of[i] for i in tokenizer.encode(text)
    ]
    for tree in trees:
        check_tree(tree)


def check_tree(tree: Merged) -> None:
    assert bool(tree.parts) == (tree.rank is not None) == (len(tree.content) > 1)
    if tree.parts:
        assert tree.content == b"".join(part.content for part in tree.parts)
    for part in tree.parts:
        check_tree(part)


_MADE: list[Tokenizer] = []


def _cutter() -> Tokenizer:
    if not _MADE:
        _MADE.append(train_tokenizer(STORIES * 20, vocabulary_size=330))
    return _MADE[0]


def test_merges_over_the_wire(pages: TestClient, cutter: Tokenizer) -> None:
    told = pages.post("/studio/data/merges", json={"tokenizer": "plain", "word": " cat"}).json()
    (piece,) = told["pieces"]
    assert [tree["id"] for tree in piece["trees"]] == cutter.encode(" cat")
    answer = pages.post("/studio/data/merges", json={"tokenizer": "nobody", "word": "a"})
    assert answer.status_code == 400 and "nobody" in answer.json()["error"]["message"]


# Runs


def test_runs_are_found_and_told(pages: TestClient) -> None:
    told = pages.get("/studio/data/runs").json()
    by_name = {run["name"]: run for run in told["runs"]}
    assert set(by_name) == {"story", "group/other"}
    assert by_name["story"]["state"] == "finished" and by_name["group/other"]["state"] == "live"
    assert by_name["story"]["last"]["step"] == 10 and by_name["story"]["device"] == "a test"
    assert by_name["story"]["flops"] == pytest.approx(10 * 100 / 200 * 1e6)


def test_curves_are_sent_once(pages: TestClient) -> None:
    query = {"name": "story"}
    told = pages.get("/studio/data/runs/curves", params=query).json()
    assert told["training"]["step"] == list(range(1, 11))
    assert told["training"]["loss"][0] == 4.0 and "joules" not in told["training"]
    assert told["validation"]["bits_per_byte"] == [0.5]
    assert told["samples"] == [{"step": 10, "prompt": "Once", "text": " upon"}]
    assert told["events"][0]["message"] == "training on a test"
    again = pages.get("/studio/data/runs/curves", params={**query, "read": told["read"]}).json()
    assert "training" not in again and again["headline"]["name"] == "story"
    missing = pages.get("/studio/data/runs/curves", params={"name": "../story"})
    assert missing.status_code == 400


def test_reports_are_shut_in(pages: TestClient) -> None:
    answer = pages.get("/studio/data/runs/report", params={"name": "story"})
    assert answer.text == "<h1>report</h1>"
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts;")
    assert pages.get("/studio/data/corpus/report").status_code == 404


def test_a_growing_run_is_read_on_and_a_cut_one_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps(step_record(step)) + "\n" for step in range(1, 8)]
    path.write_text("".join(lines[:3]) + lines[3][:20], encoding="utf-8")
    reading = RunReading(path).refresh()
    assert reading.training.columns()["step"] == [1, 2, 3]
    path.write_text("".join(lines[:5]) + "not json\n[1]\n", encoding="utf-8")
    assert reading.refresh() is reading
    assert reading.training.columns()["step"] == [1, 2, 3, 4, 5]
    path.write_text("".join(lines[:2]), encoding="utf-8")
    assert reading.refresh().training.columns()["step"] == [1, 2]


@given(st.integers(1, 9000))
def test_long_curves_stay_short_and_keep_their_mean(count: int) -> None:
    curve = Curve()
    for step in range(count):
        curve.add({"step": step, "seconds": step, "tokens": step, "flops": step, "loss": step % 2})
    columns = curve.columns()
    assert len(columns["step"]) <= 1202
    assert columns["step"][-1] == count - 1
    assert columns["step"] == sorted(columns["step"])  # type: ignore[type-var]


def test_losses_that_are_no_numbers_do_not_break_the_answer(
    pages: TestClient, folders: StudioSettings
) -> None:
    assert folders.runs is not None
    broken = folders.runs / "broken"
    broken.mkdir()
    record = json.dumps(step_record(1, loss=math.nan, bits_per_byte=math.inf))
    (broken / "metrics.jsonl").write_text(record + "\n", encoding="utf-8")
    told = pages.get("/studio/data/runs/curves", params={"name": "broken"}).json()
    assert told["headline"]["last"]["loss"] is None and "loss" not in told["training"]
    (broken / "metrics.jsonl").unlink()


# Corpus


def test_search_finds_what_a_scan_finds(folders: StudioSettings) -> None:
    assert folders.corpus is not None
    view = CorpusView(open_corpus(folders.corpus))
    texts = list(view.corpus.texts())
    for wanted, case in (("cat", False), ("Cat", True), ("concat", False), ("café 😀", True)):
        expected = [
            number for number, text in enumerate(texts)
            if (wanted if case else wanted.lower()) in (text if case else text.lower())
        ]  # fmt: skip
        found = view.search(wanted, case=case, most=1000)
        assert [hit.number for hit in found.hits] == expected and found.matching == len(expected)
        assert found.next is None and found.searched_to == len(texts)
        for hit in found.hits:
            assert hit.before + hit.found + hit.after in texts[hit.number]
            assert hit.found.lower() == wanted.lower()
    words = view.search("cat", way="word", most=1000).hits
    assert {hit.number % 4 for hit in words} == {0, 3}  # not inside "concatenation"
    assert all(hit.count == (2 if hit.number % 4 == 0 else 1) for hit in words)


def test_search_goes_on_where_it_ended(folders: StudioSettings) -> None:
    assert folders.corpus is not None
    view = CorpusView(open_corpus(folders.corpus))
    found, first = [], 0
    while first is not None:
        hits = view.search("cat", first=first, most=7)
        found += [hit.number for hit in hits.hits]
        first = hits.next
    assert found == [hit.number for hit in view.search("cat", most=1000).hits]
    with pytest.raises(UserError, match="empty"):
        view.search("  ")


def test_corpus_over_the_wire(pages: TestClient) -> None:
    facts = pages.get("/studio/data/corpus").json()
    assert facts["documents"] == 200 and sum(facts["lengths"]["counts"]) == 200
    assert facts["sources"] == [{"name": "books", "documents": 200}]
    drawn = pages.get("/studio/data/corpus/sample", params={"seed": 3, "count": 4}).json()
    assert drawn == pages.get("/studio/data/corpus/sample", params={"seed": 3, "count": 4}).json()
    assert len({one["number"] for one in drawn["documents"]}) == 4
    one = pages.get("/studio/data/corpus/document", params={"number": 71}).json()
    assert one["id"] == "d71" and one["text"] == STORIES[3] and one["metadata"] == {"page": "71"}
    assert pages.get("/studio/data/corpus/document", params={"number": 200}).status_code == 400
    hits = pages.get("/studio/data/corpus/search", params={"wanted": "(cat", "way": "word"}).json()
    assert hits["hits"] == [] and hits["matching"] == 0


@given(st.lists(st.integers(0, 10**7), max_size=60))
def test_histograms_count_everything(lengths: list[int]) -> None:
    drawn = histogram(lengths)
    assert sum(drawn["counts"]) == len(lengths)
    assert len(drawn["edges"]) == (len(drawn["counts"]) + 1 if lengths else 0)


# X-ray


def test_xray_sends_what_the_inspection_saw(pages: TestClient, cutter: Tokenizer) -> None:
    told = pages.post("/studio/data/xray", json={"model": "plain", "text": "Once upon a"}).json()
    model = random_model(cutter)
    seen = inspect(model.decoder, told["ids"], most_probable=8)
    size = len(told["ids"])
    for record, layer in zip(seen.layers, told["layers"], strict=True):
        assert record.attention is not None
        sent = np.frombuffer(base64.b64decode(layer["attention"]), "<u2") / 65535
        shape = (layer["heads"], size, size)
        assert np.abs(sent.reshape(shape) - record.attention.numpy()).max() < 1e-4
    assert told["lens"]["ids"] == seen.lens.ids.tolist()
    best = told["next"][0]
    assert best["id"] == int(seen.next_log_probabilities.argmax())
    assert all(str(token) in told["token_bytes"] for token in [*told["ids"], best["id"]])


def test_xray_shows_experts_and_cuts_long_texts(pages: TestClient) -> None:
    told = pages.post("/studio/data/xray", json={"model": "mixed", "text": "cat " * 200}).json()
    assert told["left_out"] > 0 and len(told["ids"]) == 64
    chosen = [layer for layer in told["layers"] if "experts" in layer]
    assert chosen and len(chosen[0]["experts"]) == 64


@pytest.mark.parametrize("name", ["plain", "mixed"])
def test_drawing_accounts_for_every_parameter(pages: TestClient, name: str) -> None:
    told = pages.get("/studio/data/drawing", params={"model": name}).json()
    assert sum(one["parameters"] for one in told["places"]) == told["parameters"]
    assert total(told["column"]) == told["parameters"]


def total(column: list[dict[str, Any]]) -> int:
    found = 0
    for node in column:
        if node["node"] == "box":
            found += node["parameters"]
        for inside in [node.get("inside", []), *node.get("branches", [])]:
            found += total(inside)
    return found
