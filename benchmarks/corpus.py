"""Corpus stages beside datatrove, tiny_corpus_prep, datasketch and rensa: speed and verdicts.

    python benchmarks/corpus.py --datatrove ../peers/datatrove-venv/bin/python --lid lid.176.ftz \
        --tiny ../peers/tinyprep-venv/bin/python --tiny-package ../peers/tiny_corpus_prep \
        --dedup ../peers/dedup-venv/bin/python
    python benchmarks/corpus.py --whole 1000        # raw JSON lines to token shards, 1 GB

Speed is MB of UTF-8 text a CPU-second, so that other work on the machine matters little. Every
measurement is a process of its own, warmed up; contenders take turns, round by round, and medians
are given. A contender without its Python is left out.
"""

import argparse
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus_texts import Planted, plant_copies, read_texts, write_json_lines
from corpus_whole import measure_whole

DATA = "../shared/data"
FOUR = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
WARM_UP = "Hello there, these are the words that warm it up. " * 50
LEVELS = (0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_BATCH_BYTES = 4 << 20

# A measured stage by name: the stages it stands for, with settings.
STAGES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "gopher_repetition": {"gopher_repetition": {}},
    "gopher_quality": {"gopher_quality": {}},
    "c4": {"c4": {"terminal_punctuation": False}},
    "fineweb": {"fineweb": {}},
    "four": {name: {"terminal_punctuation": False} if name == "c4" else {} for name in FOUR},
    "language": {"language": {"keep": ("en",)}},
    "near_duplicates": {"near_duplicates": {}},
    "exact_duplicates": {"exact_duplicates": {}},
    "paragraph_duplicates": {"paragraph_duplicates": {}},
    "substring_duplicates": {"substring_duplicates": {}},
    "personal_data": {"personal_data": {"kinds": ("email", "ip")}},
    "personal_data, all kinds": {"personal_data": {}},
    "readability": {"readability": {}},
    "simplify": {"simplify": {}},
    "boilerplate": {"boilerplate": {}},
    "length": {"length": {"fewest_words": 50}},
    "web": {},
    "tiny_corpus_prep's default": {"readability": {}, "exact_duplicates": {}},
}
PEER_STAGES: Mapping[str, Sequence[str]] = {
    "datatrove": (*FOUR, "four", "language", "near_duplicates", "personal_data", "web"),
    "datatrove-words": (*FOUR, "four", "near_duplicates", "web"),
    "tiny_corpus_prep": ("readability", "exact_duplicates", "tiny_corpus_prep's default"),
}
NEAR = ("lilliput", "datatrove", "datatrove-words", "datasketch", "rensa")
COLUMNS = ("lilliput", *PEER_STAGES)


@dataclass(frozen=True)
class Measured:
    """What a contender's process found, and the bytes it read."""

    megabytes: float
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def speed(self) -> float:
        """MB a CPU-second."""
        return self.megabytes / max(self.seconds, 1e-9)


# Our side, in a process of its own (--stage)


def run_own(stage: str, texts: Path, result: Path) -> None:
    """Be Lilliput: measure one stage on the texts, write what peers write."""
    lines = [json.loads(line)["text"] for line in texts.open(encoding="utf-8")]
    if stage == "web":
        facts = _own_web(texts)
    elif stage == "near":
        facts = _own_near(texts)
    else:
        facts = _own_stages(stage, lines)
    facts["documents"] = len(lines)
    facts["bytes"] = sum(len(text.encode("utf-8")) for text in lines)
    result.write_text(json.dumps(facts), encoding="utf-8")


def _own_stages(name: str, texts: Sequence[str]) -> dict[str, Any]:
    from lilliput.corpus.registry import make_stage
    from lilliput.corpus.stages import CorpusWideStage

    stages = {one: make_stage(one, given, "benchmark") for one, given in STAGES[name].items()}
    warm, batches = list(_batches([WARM_UP] * 2)), list(_batches(texts))
    dropped: dict[int, str] = {}
    for stage in stages.values():
        if isinstance(stage, CorpusWideStage):
            stage.decide([stage.sketch(warm[0])], lambda numbers: (WARM_UP for _ in numbers))
        else:
            stage(warm[0])
    began = time.process_time()
    for one, stage in stages.items():
        if isinstance(stage, CorpusWideStage):
            sketches = [stage.sketch(batch) for batch in batches]
            stage.decide(sketches, lambda numbers: (texts[number] for number in numbers))
            continue
        for number, batch in enumerate(batches):
            outcome = stage(batch)
            for drop in outcome.dropped:
                dropped[int(batch.column("id")[drop.row].as_py())] = one
            batches[number] = outcome.batch
    seconds = time.process_time() - began
    facts: dict[str, Any] = {"seconds": seconds}
    if name == "four":
        left = {
            int(number): hashlib.sha256(text.encode()).hexdigest()[:16]
            for batch in batches
            for number, text in zip(
                batch.column("id").to_pylist(), batch.column("text").to_pylist(), strict=True
            )
        }
        facts["verdicts"] = [[dropped.get(at), left.get(at)] for at in range(len(texts))]
    return facts


def _own_near(texts: Path) -> dict[str, Any]:
    """From the file to the clusters, as peers are measured."""
    from lilliput.corpus.deduplication.near import NearDuplicates

    stage = NearDuplicates()
    stage.sketch(next(_batches([WARM_UP])))
    began = time.process_time()
    lines = [json.loads(line)["text"] for line in texts.open(encoding="utf-8")]
    sketches = [stage.sketch(batch) for batch in _batches(lines)]
    decided = stage.decide(sketches, lambda numbers: (lines[number] for number in numbers))
    seconds = time.process_time() - began
    clusters = decided.columns["cluster"].to_pylist()
    return {"seconds": seconds, "clusters": clusters, "removed": sorted(decided.dropped)}


def _own_web(texts: Path) -> dict[str, Any]:
    """The whole preset, from file to corpus folder, in this process."""
    from lilliput.corpus.build import build
    from lilliput.corpus.building.recipe import make_recipe

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json_lines(folder / "warm.jsonl", [WARM_UP] * 2)
        seconds = 0.0
        for source in (folder / "warm.jsonl", texts):
            recipe = make_recipe({"preset": "web", "sources": [{"location": str(source)}]})
            began = sum(os.times()[:4])
            built = build(recipe, folder / f"corpus-{source.stem}", workers=1, report=False)
            seconds = sum(os.times()[:4]) - began
    return {"seconds": seconds, "kept": built.manifest.documents}


def _batches(texts: Sequence[str]) -> Iterator[Any]:
    import pyarrow as pa

    held: list[tuple[str, str]] = []
    size = 0
    for number, text in enumerate(texts):
        held.append((str(number), text))
        size += len(text)
        if size >= _BATCH_BYTES or number == len(texts) - 1:
            ids, kept = zip(*held, strict=True)
            yield pa.record_batch({"id": list(ids), "text": list(kept), "source": ["x"] * len(ids)})
            held, size = [], 0


# Contenders


def measure(
    contender: str, stage: str, texts: Path, options: argparse.Namespace
) -> Measured | None:
    """One process of a contender; None where it cannot run (its last line is printed)."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        peers = str(Path(__file__).with_name("corpus_peers.py"))
        if contender == "lilliput":
            command = [sys.executable, __file__, "--stage", stage]
            command += ["--texts", str(texts), "--result", str(result)]
        else:
            python = _python_of(contender, options)
            if python is None:
                return None
            command = [python, peers, contender, stage, str(texts), str(result)]
            command += ["--lid", options.lid] if options.lid else []
            if contender == "tiny_corpus_prep":
                command += ["--package", options.tiny_package]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            print(f"{contender}, {stage}: {lines[-1] if lines else 'failed'}", file=sys.stderr)
            return None
        facts = json.loads(result.read_text(encoding="utf-8"))
    return Measured(facts["bytes"] / 1e6, facts["seconds"], facts)


def _python_of(contender: str, options: argparse.Namespace) -> str | None:
    """The Python that has a contender, if one was named and it has what it needs."""
    python: str | None
    if contender.startswith("datatrove"):
        python = options.datatrove
    elif contender == "tiny_corpus_prep":
        python = options.tiny if options.tiny_package else None
    else:
        python = options.dedup
    return python


def speeds(
    texts: Mapping[str, Path], options: argparse.Namespace
) -> dict[tuple[str, str], Measured]:
    """Each (stage, contender)'s measurement of the median speed; rounds in turn."""
    wanted = [("lilliput", stage) for stage in STAGES]
    wanted += [(peer, stage) for peer, stages in PEER_STAGES.items() for stage in stages]
    if options.only:
        wanted = [(one, stage) for one, stage in wanted if stage in options.only]
    found: dict[tuple[str, str], list[Measured]] = {}
    for _, (contender, stage) in itertools.product(range(options.rounds), wanted):
        measured = measure(contender, stage, texts[contender], options)
        if measured:
            found.setdefault((stage, contender), []).append(measured)
    return {
        key: sorted(several, key=lambda one: one.speed)[(len(several) - 1) // 2]
        for key, several in found.items()
    }


def speed_table(found: Mapping[tuple[str, str], Measured]) -> list[str]:
    lines = [
        f"| stage | {' | '.join(COLUMNS)} | times its peer |",
        "| --- |" + " --: |" * (len(COLUMNS) + 1),
    ]
    for stage in STAGES:
        row = [found.get((stage, contender)) for contender in COLUMNS]
        if row[0] is None:
            continue
        default = row[1] or row[3]
        ratio = f"{row[0].speed / default.speed:.2g}" if default else ""
        cells = [f"{one.speed:.3g}" if one else "" for one in row]
        lines.append(f"| {stage} | {' | '.join(cells)} | {ratio} |")
    return lines


# Verdicts


def verdict_table(sources: Mapping[str, Path], options: argparse.Namespace) -> list[str]:
    """The four filters, document by document: same verdict, filter and text left."""
    lines = [
        "| texts | documents | kept | same verdict as datatrove-words | same filter and text |",
        "| --- | --: | --: | --: | --: |",
    ]
    for name, texts in sources.items():
        own = measure("lilliput", "four", texts, options)
        other = measure("datatrove-words", "four", texts, options)
        if own is None or other is None:
            continue
        mine, theirs = own.facts["verdicts"], other.facts["verdicts"]
        kept = sum(dropped is None for dropped, _ in mine)
        pairs = list(zip(mine, theirs, strict=True))
        verdicts = sum((a[0] is None) == (b[0] is None) for a, b in pairs)
        whole = sum(a == b for a, b in pairs)
        lines.append(f"| {name} | {len(mine):,} | {kept:,} | {verdicts:,} | {whole:,} |")
    return lines


# Near-duplicates


def near_table(planted: Sequence[Planted], texts: Path, options: argparse.Namespace) -> list[str]:
    found: dict[str, list[Measured]] = {}
    for _, contender in itertools.product(range(options.rounds), NEAR):
        stage = "near" if contender == "lilliput" else "near_duplicates"
        if measured := measure(contender, stage, texts, options):
            found.setdefault(contender, []).append(measured)
    ranges = [(level - 0.025, level + 0.025) for level in LEVELS]
    lines = [
        "| | MB/CPU-s | removed | as ours from 0.8 | "
        + " | ".join(f"recall at {level}" for level in LEVELS)
        + " |",
        "| --- | --: | --: | --: |" + " --: |" * len(LEVELS),
    ]
    ours = found["lilliput"][0].facts["clusters"]
    copies = [(at, one) for at, one in enumerate(planted) if one.of is not None]
    for contender, several in found.items():
        clusters = several[0].facts["clusters"]

        def together(at: int, clusters: Sequence[int] = clusters) -> bool:
            of = planted[at].of
            return of is not None and clusters[at] == clusters[of]

        alike = [at for at, one in copies if one.similarity >= 0.8]
        same = sum(together(at) == together(at, ours) for at in alike)
        recalls = []
        for low, high in ranges:
            hits = [together(at) for at, one in copies if low <= one.similarity < high]
            recalls.append(f"{sum(hits)}/{len(hits)}")
        speed = statistics.median(one.speed for one in several)
        removed = len(several[0].facts["removed"])
        lines.append(
            f"| {contender} | {speed:.3g} | {removed:,} | {same:,}/{len(alike):,} | "
            f"{' | '.join(recalls)} |"
        )
    return lines


def compare(options: argparse.Namespace, work: Path) -> None:
    """Write the texts, measure everything, print the tables."""
    sources = {
        Path(one).name.partition(".")[0]: read_texts(str(Path(options.data, one)))
        for one in options.sources
    }
    first = next(iter(sources.values()))

    def written(name: str, texts: Sequence[str], megabytes: float) -> Path:
        path = work / f"{name}.jsonl"
        sizes = itertools.accumulate(len(text.encode("utf-8")) for text in texts)
        count = sum(size < megabytes * 1e6 for size in sizes) + 1
        write_json_lines(path, texts[:count])
        return path

    sizes = {"lilliput": options.megabytes, "datatrove": options.spacy_megabytes}
    texts = {one: written(one, first, sizes.get(one, options.peer_megabytes)) for one in COLUMNS}
    sections: dict[str, list[str]] = {}
    if "speed" in options.parts:
        sections[f"MB of text a CPU-second, medians of {options.rounds}"] = speed_table(
            speeds(texts, options)
        )
    if "verdicts" in options.parts:
        limited = {
            name: written(f"verdicts-{name}", some, options.peer_megabytes)
            for name, some in sources.items()
        }
        sections["Verdicts of the four filters"] = verdict_table(limited, options)
    if "near" in options.parts:
        planted = plant_copies(first, LEVELS, options.copies, seed=1)
        path = work / "planted.jsonl"
        size = write_json_lines(path, [one.text for one in planted])
        title = f"Near-duplicates: {len(planted):,} documents, {size / 1e6:.1f} MB"
        sections[title] = near_table(planted, path, options)
    for title, lines in sections.items():
        print(f"\n{title}\n")
        print("\n".join(lines))


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", default=DATA, help="folder of the sources")
    parser.add_argument(
        "--sources",
        nargs="+",
        default=["openwebtext", "medquad", "tinystories/valid.jsonl.xz"],
        help="in it; speed and copies are measured on the first",
    )
    parser.add_argument("--datatrove", help="a Python that has datatrove and spaCy")
    parser.add_argument("--lid", help="fastText's lid.176.ftz, for datatrove's language filter")
    parser.add_argument("--tiny", help="a Python that has polars and textstat")
    parser.add_argument("--tiny-package", help="a checkout of tiny_corpus_prep")
    parser.add_argument("--dedup", help="a Python that has datasketch and rensa")
    parser.add_argument("--megabytes", type=float, default=5.0, help="of text, for Lilliput")
    parser.add_argument("--peer-megabytes", type=float, default=4.0, help="… for the others")
    parser.add_argument("--spacy-megabytes", type=float, default=0.8, help="… for datatrove")
    parser.add_argument("--copies", type=int, default=100, help="planted, of each similarity")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(STAGES), help="stages to measure")
    parser.add_argument(
        "--parts", nargs="+", default=["speed", "verdicts", "near"],
        choices=["speed", "verdicts", "near"],
    )  # fmt: skip
    parser.add_argument("--whole", type=float, metavar="MB", help="raw JSON lines to token shards")
    parser.add_argument("--other-languages", help="folder of HTML pages, for --whole")
    parser.add_argument("--workers", type=int, default=2, help="of --whole")
    parser.add_argument("--memory", default="2GB", help="limit of --whole")
    parser.add_argument("--vocabulary-size", type=int, default=8192, help="of --whole")
    parser.add_argument("--work", type=Path, help="folder for --whole's files; default: temporary")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--texts", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        run_own(options.stage, options.texts, options.result)
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        if options.whole:
            measure_whole(options, Path(folder))
        else:
            compare(options, Path(folder))


if __name__ == "__main__":
    main()
