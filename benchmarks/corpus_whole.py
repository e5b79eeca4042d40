"""From raw JSON lines to token shards, as a user types it: seconds, CPU and memory for each GB.

Run by `corpus.py --whole MB`. The raw text: half web pages, 30 % pieces of novels, 20 % questions
and answers; where the sources end, documents are put together from their paragraphs. Of the
documents, 5 % are exact and 5 % near copies of one before; of the rest, 20 % stand among menus and
notices, 6 % hold e-mail and IP addresses, 3 % repeat lines, 3 % are lists that a machine made and,
if given, 3 % are in other languages. Same size and seed, same bytes.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import corpus_texts as texts_of

CLI = str(Path(sys.executable).with_name("lilliput"))
_SHARES = {"openwebtext": 0.5, "novels": 0.3, "medquad": 0.2}
_NOVEL_PIECE = 8000
_COPIED_FROM = 2000  # a copy is of one of so many documents before


@dataclass(frozen=True)
class Step:
    """A command: seconds of the clock and of the processor, and peaks of the tree's memory.

    `peak_mb` sums resident memory, shared pages counted once for each process; `peak_private_mb`
    shares them out (Linux; 0 elsewhere).
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: float
    peak_private_mb: float


def raw_documents(
    data: Path, megabytes: float, seed: int, languages: Sequence[str]
) -> Iterator[str]:
    """Documents until about so many MB of text were given."""
    dice = random.Random(seed)
    found = {name: _documents(data / name, name) for name in _SHARES}
    words = texts_of.vocabulary(found["openwebtext"], dice)
    kinds = {name: _endless(documents, dice) for name, documents in found.items()}
    before: list[str] = []
    given = dict.fromkeys(_SHARES, 0)
    size = 0
    while size < megabytes * 1e6:
        total = sum(given.values()) + 1
        kind = max(_SHARES, key=lambda name: _SHARES[name] - given[name] / total)
        chance = dice.random()
        if before and chance < 0.10:
            text = dice.choice(before)
            text = text if chance < 0.05 else texts_of.near_copy(text, dice)
        else:
            text = next(kinds[kind])
            text = _dirtied(text, words, languages, dice)
            if len(before) < _COPIED_FROM:
                before.append(text)
            else:
                before[dice.randrange(_COPIED_FROM)] = text
        length = len(text.encode("utf-8"))
        given[kind] += length
        size += length
        yield text


def _dirtied(text: str, words: Sequence[str], languages: Sequence[str], dice: random.Random) -> str:
    chance = dice.random()
    if chance < 0.20:
        return texts_of.with_boilerplate(text, dice)
    if chance < 0.26:
        return texts_of.with_addresses(text, dice)
    if chance < 0.29:
        return texts_of.repeated_lines(text, dice)
    if chance < 0.32:
        return texts_of.machine_list(words, dice)
    if chance < 0.35 and languages:
        return "\n".join(dice.sample(languages, min(len(languages), 12)))
    return text


def _documents(folder: Path, name: str) -> list[str]:
    found = texts_of.read_texts(str(folder))
    if name == "novels":
        found = [piece for text in found for piece in texts_of.pieces_of(text, _NOVEL_PIECE)]
    return [text for text in found if text.strip()]


def _endless(documents: list[str], dice: random.Random) -> Iterator[str]:
    """The documents once; then new ones of the same lengths, from paragraphs of all of them."""
    dice.shuffle(documents)
    yield from documents
    paragraphs = [part for text in documents for part in text.split("\n") if part.strip()]
    while True:
        length = len(dice.choice(documents))
        parts: list[str] = []
        size = 0
        while size < length:
            begin = dice.randrange(len(paragraphs))
            run = paragraphs[begin : begin + dice.randint(1, 3)]
            parts += run
            size += sum(map(len, run))
        yield "\n\n".join(parts)


def run_step(name: str, command: Sequence[str]) -> Step:
    """Run a command to its end; raises SystemExit with its last words if it fails."""
    import psutil

    peak = private = 0
    used = os.times()
    began = time.monotonic()
    environment = {**os.environ, "LILLIPUT_PROGRESS": "none"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        process = psutil.Process(child.pid)
        looked = 0
        while child.poll() is None:
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
                if looked % 10 == 0:
                    shares = [getattr(one.memory_full_info(), "pss", 0) for one in family]
                    private = max(private, sum(shares))
            except psutil.Error:
                pass
            looked += 1
            time.sleep(0.05)
        seconds = time.monotonic() - began
        assert child.stderr is not None
        message = child.stderr.read()
    if child.returncode:
        raise SystemExit(f"{name} failed:\n{message[-2000:]}")
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return Step(name, seconds, cpu, peak / 1e6, private / 1e6)


def measure_whole(options: argparse.Namespace, work: Path) -> None:
    """Write the raw file, run the three commands, print a table."""
    raw = work / "raw.jsonl"
    languages: list[str] = []
    if options.other_languages:
        languages = texts_of.read_other_languages(options.other_languages)
    documents = raw_documents(Path(options.data), options.whole, 0, languages)
    text_bytes = texts_of.write_json_lines(raw, documents)
    raw_bytes = raw.stat().st_size
    corpus, tokenizer, tokens = work / "corpus", work / "tok.json", work / "tokens"
    build = ["corpus", "build", str(raw), "-o", str(corpus), "--preset", "web"]
    build += ["--workers", str(options.workers), "--memory", options.memory]
    train = ["tokenizer", "train", str(corpus), "-o", str(tokenizer)]
    train += ["--vocabulary-size", str(options.vocabulary_size)]
    encode = ["tokenize", str(corpus), str(tokenizer), "-o", str(tokens)]
    encode += ["--workers", str(options.workers)]
    steps = [
        run_step("corpus build --preset web", [CLI, *build]),
        run_step("tokenizer train", [CLI, *train]),
        run_step("tokenize", [CLI, *encode]),
    ]
    manifest = json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))
    timings = json.loads((corpus / "timings.json").read_text(encoding="utf-8"))
    gigabytes = text_bytes / 1e9
    steps.append(
        Step(
            "all",
            sum(step.seconds for step in steps),
            sum(step.cpu_seconds for step in steps),
            max(step.peak_mb for step in steps),
            max(step.peak_private_mb for step in steps),
        )
    )
    print(
        f"{raw_bytes / 1e6:.0f} MB of JSON lines, {text_bytes / 1e6:.0f} MB of text; kept "
        f"{manifest['documents']:,} documents, {manifest['bytes'] / 1e6:.0f} MB; "
        f"{options.workers} workers, limit {options.memory}\n"
    )
    print("| | seconds | CPU seconds | seconds per GB | CPU seconds per GB | peak MB | … shared |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for step in steps:
        print(
            f"| {step.name} | {step.seconds:.1f} | {step.cpu_seconds:.1f} | "
            f"{step.seconds / gigabytes:.0f} | {step.cpu_seconds / gigabytes:.0f} | "
            f"{step.peak_mb:.0f} | {step.peak_private_mb:.0f} |"
        )
    print("\n" + json.dumps({"timings": timings, "steps": [asdict(step) for step in steps]}))
    shutil.rmtree(corpus)
