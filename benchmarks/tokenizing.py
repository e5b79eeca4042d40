"""Tokenizer training and tokenizing beside the libraries' own, on one corpus, on this machine.

    python benchmarks/tokenizing.py                      # 20 MB of generated stories
    python benchmarks/tokenizing.py --source novels.jsonl.xz --megabytes 500 --rounds 5

Every task runs in a fresh process, the tasks interleaved round by round; the table gives medians.
Seconds are from the first read to the last write, without the start of Python and imports. Peak
memory is the resident memory of the process and its workers together, sampled. The encoding tasks
all read the same Parquet and write the same ids; the last column says whether the bytes are equal.
(This file is not called tokenize.py: run as a script, it would hide Python's own `tokenize`.)
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lilliput.corpus import Document, open_corpus, read_documents, write_corpus

Task = Callable[[Path, int], None]


def texts_of(work: Path) -> Iterator[str]:
    return open_corpus(work / "corpus").texts()


def batches_of(work: Path) -> Iterator[list[str]]:
    """The corpus in batches of some 4 MB, as a careful user of a library would read it."""
    import pyarrow.parquet as pq

    for part in open_corpus(work / "corpus").parts:
        file = pq.ParquetFile(part)
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, ["text"]).column(0).to_pylist()


# Training


def train_lilliput(work: Path, vocabulary_size: int) -> None:
    from lilliput.tokens import train_tokenizer

    trained = train_tokenizer(texts_of(work), vocabulary_size=vocabulary_size, sample_bytes=1 << 40)
    trained.save(work / "trained")


def train_rustbpe(work: Path, vocabulary_size: int) -> None:
    import rustbpe

    from lilliput.tokens.pattern import SPLIT_PATTERNS

    trained = rustbpe.Tokenizer()
    pattern = SPLIT_PATTERNS["qwen2"]
    trained.train_from_iterator(texts_of(work), vocabulary_size - 16, pattern=pattern)


def train_gigatoken(work: Path, vocabulary_size: int) -> None:
    """GPT-2's split pattern, the only one its trainer knows; the text is held in memory."""
    from gigatoken.gigatoken_rs import train_bpe

    text = "\0".join(texts_of(work)).encode("utf-8")
    train_bpe(text, vocabulary_size - 16, [], separator=b"\0")


def train_tokenizers(work: Path, vocabulary_size: int) -> None:
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers

    from lilliput.tokens.pattern import SPLIT_PATTERNS

    tokenizer = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(SPLIT_PATTERNS["qwen2"]), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - 16,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts_of(work), trainer)


# Encoding


def encode_lilliput(work: Path, vocabulary_size: int) -> None:
    from lilliput.tokens import tokenize_corpus

    tokenize_corpus(
        work / "corpus",
        work / "tok.json",
        work / "tokens",
        validation_share=1e-18,
        shard_tokens=(1 << 31) - 1,
        overwrite=True,
    )


def encode_with(work: Path, encode: Callable[[list[str]], Sequence[Any]], name: str) -> None:
    import numpy as np

    with (work / f"{name}.bin").open("wb") as file:
        for texts in batches_of(work):
            for ids in encode(texts):
                file.write(b"\0\0")
                file.write(np.asarray(ids).astype("<u2").tobytes())
        file.write(b"\0\0")


def encode_gigatoken(work: Path, vocabulary_size: int) -> None:
    from gigatoken.gigatoken_rs import load_hf_json

    definition = json.loads((work / "tok.json").read_text(encoding="utf-8"))
    tokenizer = load_hf_json(json.dumps({**definition, "added_tokens": []}).encode("utf-8"))
    encode_with(work, tokenizer.encode_batch, "gigatoken")


def encode_tiktoken(work: Path, vocabulary_size: int) -> None:
    import tiktoken

    from lilliput.tokens import Tokenizer
    from lilliput.tokens.pattern import SPLIT_PATTERNS

    known = Tokenizer.load(work / "tok.json").bytes_of
    tokenizer = tiktoken.Encoding(
        "benchmark",
        pat_str=SPLIT_PATTERNS["qwen2"],
        mergeable_ranks={token: number for number, token in enumerate(known) if token},
        special_tokens={},
    )
    threads = os.cpu_count() or 1
    encode_with(
        work,
        lambda texts: tokenizer.encode_ordinary_batch(texts, num_threads=threads),
        "tiktoken",
    )


def encode_tokenizers(work: Path, vocabulary_size: int) -> None:
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(work / "tok.json"))
    tokenizer.encode_special_tokens = True
    encode_with(
        work,
        lambda texts: [text.ids for text in tokenizer.encode_batch_fast(texts)],
        "tokenizers",
    )


TASKS: dict[str, Task] = {
    task.__name__: task
    for task in (
        train_lilliput,
        train_rustbpe,
        train_gigatoken,
        train_tokenizers,
        encode_lilliput,
        encode_gigatoken,
        encode_tiktoken,
        encode_tokenizers,
    )
}
_HEAVY = ("numpy", "pyarrow.parquet", "tokenizers", "tiktoken", "rustbpe", "lilliput.tokens.shard")


def measure(name: str, work: Path, vocabulary_size: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one task in a process of its own."""
    import psutil

    command = [sys.executable, __file__, "--task", name, "--work", str(work)]
    command += ["--vocabulary-size", str(vocabulary_size)]
    environment = {**os.environ, "LILLIPUT_PROGRESS": "none"}
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
            except psutil.NoSuchProcess:
                continue
            time.sleep(0.01)
        assert child.stdout is not None
        output = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"{name} failed")
    return float(output.splitlines()[-1]), peak / 1e6


def run_task(name: str, work: Path, vocabulary_size: int) -> None:
    import importlib

    for module in _HEAVY:
        importlib.import_module(module)
    started = time.perf_counter()
    TASKS[name](work, vocabulary_size)
    print(time.perf_counter() - started)


def prepare(work: Path, source: str | None, megabytes: float, vocabulary_size: int) -> int:
    """Write the corpus and its tokenizer; returns the bytes of text."""
    limit = int(megabytes * 1e6)

    def limited() -> Iterator[Document]:
        documents: Iterator[Document]
        if source is None:
            from lilliput.corpus.stories import generate_story

            stories = (generate_story(0, number) for number in itertools.count())
            documents = (Document(str(n), story.text, "") for n, story in enumerate(stories))
        else:
            # A source smaller than asked is repeated.
            documents = itertools.chain.from_iterable(
                read_documents([source]) for _ in itertools.count()
            )
        held = 0
        for document in documents:
            yield Document(document.id, document.text, "")
            held += len(document.text.encode("utf-8"))
            if held >= limit:
                return

    manifest = write_corpus(limited(), work / "corpus", settings={})
    from lilliput.tokens import train_tokenizer

    sample = 20_000_000
    trained = train_tokenizer(texts_of(work), vocabulary_size=vocabulary_size, sample_bytes=sample)
    trained.save_definition(work / "tok.json")
    return manifest.bytes


def equal_bytes(work: Path, name: str) -> bool:
    """Whether a library's ids are those of our training shard (but for the validation document)."""
    from lilliput.files import SHARD_HEADER_BYTES
    from lilliput.tokens import open_tokens

    own = open_tokens(work / "tokens")
    if name == "lilliput":
        return True
    theirs = (work / f"{name}.bin").read_bytes()
    held_out = own.split("val")
    piece = held_out.read(0, held_out.tokens - 1).tobytes()
    at = theirs.find(piece)
    ours = (work / "tokens" / "train-00000.bin").read_bytes()[SHARD_HEADER_BYTES:]
    rest = theirs[:at] + theirs[at + len(piece) :]
    return hashlib.sha256(ours).digest() == hashlib.sha256(rest).digest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--source", help="text to use, as `corpus build` reads it")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--vocabulary-size", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["train", "encode"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--task", choices=list(TASKS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run_task(options.task, options.work, options.vocabulary_size)
        return
    names = [name for name in TASKS if options.only is None or name.startswith(options.only)]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        size = prepare(work, options.source, options.megabytes, options.vocabulary_size)
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                measured[name].append(measure(name, work, options.vocabulary_size))
        rows = []
        for name in names:
            seconds = statistics.median(one for one, _ in measured[name])
            rows.append(
                {
                    "task": name.replace("_", " "),
                    "seconds": round(seconds, 3),
                    "mb_per_second": round(size / 1e6 / seconds, 1),
                    "seconds_per_gb": round(seconds * 1e9 / size, 1),
                    "peak_mb": round(max(peak for _, peak in measured[name])),
                    "equal": equal_bytes(work, name.split("_")[1])
                    if name.startswith("encode")
                    else None,
                }
            )
    if options.json:
        print(json.dumps({"bytes": size, "cores": os.cpu_count(), "tasks": rows}, indent=1))
        return
    print(f"{size / 1e6:.1f} MB of text, {os.cpu_count()} cores, medians of {options.rounds}\n")
    print("| task | seconds | MB/s | seconds per GB | peak MB | same ids |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for row in rows:
        equal = {True: "yes", False: "NO", None: ""}[row["equal"]]  # type: ignore[index]
        print(
            f"| {row['task']} | {row['seconds']} | {row['mb_per_second']} "
            f"| {row['seconds_per_gb']} | {row['peak_mb']} | {equal} |"
        )


if __name__ == "__main__":
    main()
