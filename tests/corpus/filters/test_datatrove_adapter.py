"""Our stages inside a datatrove pipeline, run by its own executor."""

import json
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter

from lilliput.corpus.filters.c4 import C4
from lilliput.corpus.filters.datatrove_adapter import StageFilter
from lilliput.corpus.filters.language import Language
from lilliput.corpus.filters.urls import Urls

PROSE = " ".join(f"This is sentence number {number} of the page." for number in range(6))


def test_a_datatrove_pipeline(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    block = tmp_path / "domains.txt"
    block.write_text("bad.example\n", encoding="utf-8")
    texts = [f"{PROSE}\nSee our privacy policy.", "Too short.", PROSE, PROSE]
    addresses = ["http://good.example", None, "http://bad.example/", None]
    with (tmp_path / "in" / "a.jsonl").open("w", encoding="utf-8") as handle:
        for number, (text, address) in enumerate(zip(texts, addresses, strict=True)):
            row = {"text": text, "id": f"d{number}"} | ({"url": address} if address else {})
            handle.write(json.dumps(row) + "\n")

    excluded = JsonlWriter(str(tmp_path / "out of"), compression=None)
    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(tmp_path / "in")),
            StageFilter(Urls(domains=str(block))),
            StageFilter(C4(), exclusion_writer=excluded, batch_size=2),
            StageFilter(Language(keep=("en",))),
            JsonlWriter(str(tmp_path / "out"), compression=None),
        ],
        logging_dir=str(tmp_path / "logs"),
    ).run()

    written = [json.loads(line) for line in (tmp_path / "out" / "00000.jsonl").open()]
    assert [(one["id"], one["text"]) for one in written] == [("d0", PROSE), ("d3", PROSE)]
    assert {one["metadata"]["language"] for one in written} == {"en"}
    (gone,) = [json.loads(line) for line in (tmp_path / "out of" / "00000.jsonl").open()]
    assert gone["id"] == "d1" and gone["metadata"]["filter_reason"] == "fewest_sentences"
    steps = json.loads((tmp_path / "logs" / "stats.json").read_text(encoding="utf-8"))
    assert [step["name"].rpartition("Lilliput ")[2] for step in steps[1:4]] == [
        "Urls",
        "C4",
        "Language",
    ]
    assert "dropped_domains" in steps[1]["stats"]
    assert "dropped_fewest_sentences" in steps[2]["stats"]
    assert "dropped" not in steps[3]["stats"]


def test_one_document_at_a_time() -> None:
    judge = StageFilter(C4())
    document = Document(text=f"{PROSE}\nA citation stands here[1].", id="x")
    assert judge.filter(document) is True
    assert document.text == f"{PROSE}\nA citation stands here."
    assert judge.filter(Document(text="Short.", id="y")) == (False, "fewest_sentences")
