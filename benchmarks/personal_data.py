# ruff: noqa: E501 (wide tables)
"""Personal data: speed, recall and precision, beside other packages in one run.

    python benchmarks/personal_data.py                                   # generated labelled texts
    python benchmarks/personal_data.py --labelled mail.jsonl             # your own: text, spans
    python benchmarks/personal_data.py --text docs.jsonl.xz --peer-python venv/bin/python

A finding is right if it overlaps a labelled span of its kind; a span is found if such a finding
does, and covered if findings of any kind hide every character of it. A peer is judged only on the
kinds that it looks for at all. Speed is MB of UTF-8 a CPU-second (time.process_time).
"""

import argparse
import json
import lzma
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from personal_data_labelled import Labelled, labelled

from lilliput.corpus.personal import Search

Spans = Sequence[Sequence[Any]]


def ours(texts: Sequence[str]) -> tuple[float, list[Spans]]:
    search = Search()
    search("warm up")
    began = time.process_time()
    found = [search(text) for text in texts]
    seconds = time.process_time() - began
    return seconds, [[(one.start, one.end, one.kind) for one in findings] for findings in found]


def peer(python: str, name: str, texts: Sequence[str]) -> tuple[float, list[Spans]] | None:
    with tempfile.TemporaryDirectory() as folder:
        given, written = Path(folder) / "texts.json", Path(folder) / "spans.json"
        given.write_text(json.dumps(list(texts)), encoding="utf-8")
        script = Path(__file__).with_name("personal_data_peers.py")
        done = subprocess.run(
            [python, str(script), name, str(given), str(written)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
            return None
        result = json.loads(written.read_text(encoding="utf-8"))
    return result["seconds"], result["spans"]


def judge(
    documents: Sequence[Labelled], found: Sequence[Spans]
) -> dict[str, tuple[int, int, int, int, int]]:
    """Per kind: spans, found, covered, findings, right findings."""
    spans, hit, covered, findings, right = (Counter[str]() for _ in range(5))
    for document, own in zip(documents, found, strict=True):
        for start, end, kind, _ in document.spans:
            spans[kind] += 1
            hit[kind] += any(k == kind and s < end and start < e for s, e, k in own)
            hidden = set().union(*(range(s, e) for s, e, _ in own)) if own else set()
            covered[kind] += hidden.issuperset(range(start, end))
        for s, e, k in own:
            findings[k] += 1
            right[k] += any(
                kind == k and s < end and start < e for start, end, kind, _ in document.spans
            )
    return {
        k: (spans[k], hit[k], covered[k], findings[k], right[k])
        for k in sorted(set(spans) | set(findings))
    }


def variants(
    documents: Sequence[Labelled], found: Sequence[Spans]
) -> dict[tuple[str, str], tuple[int, int]]:
    spans, hit = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for document, own in zip(documents, found, strict=True):
        for start, end, kind, variant in document.spans:
            spans[kind, variant] += 1
            hit[kind, variant] += any(k == kind and s < end and start < e for s, e, k in own)
    return {key: (spans[key], hit[key]) for key in sorted(spans)}


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "–"


def table(name: str, documents: Sequence[Labelled], found: Sequence[Spans]) -> None:
    print(
        f"\n{name}\n| kind | spans | recall | covered | precision |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for kind, (spans, hit, covered, findings, right) in judge(documents, found).items():
        print(
            f"| {kind} | {spans} | {share(hit, spans)} | {share(covered, spans)} | {share(right, findings)} |"
        )


def read_labelled(path: str) -> list[Labelled]:
    rows = map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
    return [Labelled(row["text"], tuple(map(tuple, row["spans"]))) for row in rows]


def read_texts(path: str, megabytes: float) -> list[str]:
    texts, size = [], 0
    with (lzma.open if path.endswith("xz") else open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            # A novel is no document of a web corpus: pieces of 20,000 characters.
            for start in range(0, len(text), 20_000):
                texts.append(text[start : start + 20_000])
                size += len(texts[-1].encode())
            if size > megabytes * 1e6:
                break
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=3000, help="generated labelled texts")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument(
        "--labelled", help="JSON lines with text and spans [[start, end, kind, variant]]"
    )
    parser.add_argument("--text", action="append", default=[], help="JSON lines, for speed")
    parser.add_argument("--megabytes", type=float, default=10.5)
    parser.add_argument("--peer-megabytes", type=float, default=1.0, help="peers are slow")
    parser.add_argument("--peer-python", help="a Python that has the peers")
    parser.add_argument("--peers", default="datatrove,scrubadub,presidio,datafog,phonenumbers")
    parser.add_argument("--variants", action="store_true")
    chosen = parser.parse_args()
    documents = (
        read_labelled(chosen.labelled)
        if chosen.labelled
        else labelled(chosen.documents, chosen.seed)
    )
    texts = [document.text for document in documents]
    peers = chosen.peers.split(",") if chosen.peer_python else []
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(documents)} labelled texts, {megabytes:.2f} MB")
    seconds, found = ours(texts)
    table(f"lilliput ({megabytes / seconds:.1f} MB/CPU-second on these texts)", documents, found)
    if chosen.variants:
        for (kind, variant), (spans, hit) in variants(documents, found).items():
            print(f"{kind} {variant}: {hit} of {spans}")
    for name in peers:
        if result := peer(chosen.peer_python, name, texts):
            table(
                f"{name} ({megabytes / result[0]:.2f} MB/CPU-second on these texts)",
                documents,
                result[1],
            )
    for path in chosen.text:
        long = read_texts(path, chosen.megabytes)
        size = sum(len(text.encode()) for text in long) / 1e6
        print(
            f"\n{path}: {size:.1f} MB; MB/CPU-second: lilliput {size / ours(long)[0]:.1f}", end=""
        )
        short = read_texts(path, chosen.peer_megabytes)
        size = sum(len(text.encode()) for text in short) / 1e6
        for name in peers:
            if result := peer(chosen.peer_python, name, short):
                print(f", {name} {size / result[0]:.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
