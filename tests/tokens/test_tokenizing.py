"""Tokenizing a corpus: what is in the shards, the split, resume after kills, any worker count."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tokenizers
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from token_samples import make_corpus, make_texts

from lilliput.corpus import Document, write_corpus
from lilliput.errors import UserError, WorkFailed
from lilliput.files import read_json, read_shard
from lilliput.tokens import (
    Tokenizer,
    encoding_work,
    open_tokens,
    shard,
    tokenize_corpus,
    train_tokenizer,
)
from lilliput.tokens.encoding_work import hash_of_text, tail_start
from lilliput.tokens.manifest import Division


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def documents_of(folder: Path, split: str) -> list[str]:
    """The texts of a split, decoded between its end-of-text tokens."""
    tokens = open_tokens(folder)
    stream = tokens.split(split)
    ids = stream.read(0, stream.tokens).tolist()
    return [
        tokens.tokenizer.decode(ids[start + 1 : start + length])
        for start, length in zip(stream.document_starts, stream.document_lengths, strict=True)
    ]


def test_the_stream_is_end_of_text_and_ids_of_each_document(
    tmp_path: Path, corpus: Path, texts: list[str], tokenizer: Tokenizer
) -> None:
    manifest = tokenize_corpus(corpus, tokenizer, tmp_path / "t", validation_share=0.1)
    reference = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.definition))
    reference.encode_special_tokens = True
    for split in ("train", "val"):
        chosen = [text for text in texts if (hash_of_text(text) < 0.1 * 2**64) == (split == "val")]
        stream = [number for text in chosen for number in (0, *reference.encode(text).ids)] + [0]
        tokens = open_tokens(tmp_path / "t").split(split)
        assert tokens.read(0, tokens.tokens).tolist() == stream
        assert tokens.bytes == sum(len(text.encode()) for text in chosen)
        facts = manifest.splits[split]
        assert (facts.tokens, facts.documents) == (len(stream), len(chosen))
        assert len(tokens.document_starts) == len(chosen)
        assert tokens.document_lengths.sum() == len(stream) - 1
        assert documents_of(tmp_path / "t", split) == chosen
    assert 50 < manifest.splits["val"].documents < 150


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=20, unique=True),
    shard_tokens=st.integers(2, 60),
)
def test_any_documents_come_back_from_shards_of_any_size(
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer: Tokenizer,
    texts: list[str],
    shard_tokens: int,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    corpus = make_corpus(folder / "c", texts, row_group_bytes=50)
    manifest = tokenize_corpus(
        corpus, tokenizer, folder / "t", validation_share=0.3, shard_tokens=shard_tokens
    )
    both = documents_of(folder / "t", "train") + documents_of(folder / "t", "val")
    assert sorted(both) == sorted(texts)
    for facts in manifest.splits.values():
        assert facts.documents > 0
        for one in facts.shards:
            assert one.tokens <= shard_tokens or one.documents == 1
            ids = read_shard(folder / "t" / one.name)
            assert (len(ids), ids[0]) == (one.tokens, 0)
        assert ids[-1] == 0


def test_a_special_token_in_a_document_stays_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = ["one <|endoftext|> two", "three<|endoftext|>", "<|end|>"]
    corpus = make_corpus(tmp_path / "c", texts)
    tokenize_corpus(corpus, tokenizer, tmp_path / "t")
    both = documents_of(tmp_path / "t", "train") + documents_of(tmp_path / "t", "val")
    assert sorted(both) == sorted(texts)


def test_a_document_never_changes_side_and_duplicates_fall_on_the_same(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    texts = make_texts(300, seed=3)
    small = make_corpus(tmp_path / "small", texts[:100])
    grown = make_corpus(tmp_path / "grown", texts[::-1] + texts[:50])
    for corpus in (small, grown):
        tokenize_corpus(corpus, tokenizer, tmp_path / f"t-{corpus.name}", validation_share=0.2)
    before = set(documents_of(tmp_path / "t-small", "val"))
    after = set(documents_of(tmp_path / "t-grown", "val"))
    assert before == after & set(texts[:100])
    assert not after & set(documents_of(tmp_path / "t-grown", "train"))


def test_no_cluster_is_on_both_sides(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = list(dict.fromkeys(make_texts(300, seed=3)))
    cluster_of = {text: number // 3 for number, text in enumerate(texts)}
    # Some documents without one: these go by their text.
    documents = [
        Document(str(n), text, "s", {} if n % 10 == 0 else {"cluster": cluster_of[text]})
        for n, text in enumerate(texts)
    ]
    alone = {document.text for document in documents if not document.metadata}
    write_corpus(documents, tmp_path / "c", settings={}, rows_per_part=70)
    tokenize_corpus(tmp_path / "c", tokenizer, tmp_path / "t", validation_share=0.3)
    sides = [documents_of(tmp_path / "t", split) for split in ("train", "val")]
    assert sorted(sides[0] + sides[1]) == sorted(texts)
    train, validation = ({cluster_of[text] for text in side if text not in alone} for side in sides)
    assert train and validation
    assert not train & validation
    by_text = {text for text in alone if hash_of_text(text) < int(0.3 * 2**64)}
    assert alone & set(sides[1]) == by_text


def test_other_clusters_of_the_same_texts_are_another_corpus(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    texts = make_texts(50, seed=3)
    for clusters in (1, 5):
        documents = [
            Document(str(n), text, "s", {"cluster": n // clusters}) for n, text in enumerate(texts)
        ]
        write_corpus(documents, tmp_path / str(clusters), settings={})
    tokenize_corpus(tmp_path / "1", tokenizer, tmp_path / "t")
    with pytest.raises(UserError, match="another corpus"):
        tokenize_corpus(tmp_path / "5", tokenizer, tmp_path / "t")


def test_both_splits_have_a_document(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = ["one", "two", "three", "three"]
    corpus = make_corpus(tmp_path / "c", texts)
    by_hash = sorted(texts, key=hash_of_text)
    tokenize_corpus(corpus, tokenizer, tmp_path / "few", validation_share=1e-9)
    first = by_hash[0]
    assert documents_of(tmp_path / "few", "val") == [text for text in texts if text == first]
    tokenize_corpus(corpus, tokenizer, tmp_path / "most", validation_share=1 - 1e-9)
    assert set(documents_of(tmp_path / "most", "train")) == {by_hash[-1]}


@pytest.mark.parametrize("copies", [1, 3])
def test_a_single_document_gives_its_tail_to_validation(
    tmp_path: Path, tokenizer: Tokenizer, copies: int
) -> None:
    text = "".join(f"Line {number} of the only text.\n" for number in range(100))
    corpus = make_corpus(tmp_path / "c", [text] * copies)
    tokenize_corpus(corpus, tokenizer, tmp_path / "t", validation_share=0.1)
    train, val = documents_of(tmp_path / "t", "train"), documents_of(tmp_path / "t", "val")
    assert (len(train), len(val)) == (copies, copies)
    assert train[0] + val[0] == text
    assert train[0].endswith("\n")
    assert 0.05 < len(val[0]) / len(text) < 0.2


@given(text=st.text(min_size=2), share=st.floats(0.001, 0.999))
def test_the_tail_is_neither_nothing_nor_all(text: str, share: float) -> None:
    assert 1 <= tail_start(text, share) <= len(text) - 1


def test_the_number_of_workers_does_not_change_the_files(
    tmp_path: Path, corpus: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenize_corpus(corpus, tokenizer, tmp_path / "one", shard_tokens=20_000, workers=1)
    monkeypatch.setattr(shard, "SMALL_CORPUS_BYTES", 0)
    tokenize_corpus(corpus, tokenizer, tmp_path / "two", shard_tokens=20_000, workers=2)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert len(list((tmp_path / "one").glob("train-*.bin"))) > 2


def test_ids_above_65535_are_written_as_uint32(tmp_path: Path) -> None:
    characters = [chr(0x4E00 + number) for number in range(20_000)]
    characters += [chr(0xAC00 + number) for number in range(11_000)]
    characters += [chr(0x20000 + number) for number in range(40_000)]
    texts = ["".join(characters[start::10]) for start in range(10)]
    big = train_tokenizer(texts, kind="character", vocabulary_size=71_017)
    corpus = make_corpus(tmp_path / "c", texts)
    tokenize_corpus(corpus, big, tmp_path / "t")
    assert open_tokens(tmp_path / "t").split("train").shards[0].dtype == np.uint32
    both = documents_of(tmp_path / "t", "train") + documents_of(tmp_path / "t", "val")
    assert sorted(both) == sorted(texts)


def test_a_finished_folder_is_left_alone_and_another_refused(
    tmp_path: Path, corpus: Path, tokenizer: Tokenizer, texts: list[str]
) -> None:
    first = tokenize_corpus(corpus, tokenizer, tmp_path / "t")
    before = hashes(tmp_path / "t")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "t").iterdir()}
    assert tokenize_corpus(corpus, tokenizer, tmp_path / "t") == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "t").iterdir()} == times
    other = train_tokenizer(texts, kind="byte")
    for work in (
        {"tokenizer": other},
        {"validation_share": 0.2},
        {"shard_tokens": 1000},
        {"corpus": make_corpus(tmp_path / "c2", ["a", "b"])},
    ):
        arguments: dict[str, Any] = {"corpus": corpus, "tokenizer": tokenizer, **work}
        with pytest.raises(UserError, match="--overwrite"):
            tokenize_corpus(folder=tmp_path / "t", **arguments)
    assert hashes(tmp_path / "t") == before
    tokenize_corpus(tmp_path / "c2", other, tmp_path / "t", overwrite=True)
    assert sum(len(documents_of(tmp_path / "t", split)) for split in ("train", "val")) == 2


def test_what_is_not_whole_is_refused(tmp_path: Path, corpus: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="not a tokens folder"):
        open_tokens(tmp_path)
    tokenize_corpus(corpus, tokenizer, tmp_path / "t", shard_tokens=20_000)
    manifest = read_json(tmp_path / "t" / "tokens.json")
    (tmp_path / "t" / "tokens.json").write_text(
        json.dumps({**manifest, "finished": False}), encoding="utf-8"
    )
    with pytest.raises(UserError, match="was stopped"):
        open_tokens(tmp_path / "t")
    (tmp_path / "t" / "tokens.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="not a tokens manifest"):
        open_tokens(tmp_path / "t")
    (tmp_path / "t" / "tokens.json").write_text(json.dumps(manifest), encoding="utf-8")
    one, two = (tmp_path / "t" / f"train-0000{number}.bin" for number in (0, 1))
    two.unlink()
    with pytest.raises(UserError, match=r"train-00001\.bin: missing"):
        open_tokens(tmp_path / "t")
    two.write_bytes(one.read_bytes())
    with pytest.raises(UserError, match="tokens where"):
        open_tokens(tmp_path / "t")
    (tmp_path / "t" / "tokenizer.json").write_text(
        json.dumps(train_tokenizer([], kind="byte").definition), encoding="utf-8"
    )
    tokenize_corpus(corpus, tokenizer, tmp_path / "t2")
    (tmp_path / "t2" / "tokenizer.json").write_bytes(
        (tmp_path / "t" / "tokenizer.json").read_bytes()
    )
    with pytest.raises(UserError, match="not the tokenizer"):
        _ = open_tokens(tmp_path / "t2").tokenizer


def test_an_empty_corpus_and_impossible_settings_are_refused(
    tmp_path: Path, corpus: Path, tokenizer: Tokenizer
) -> None:
    empty = make_corpus(tmp_path / "c", [])
    with pytest.raises(UserError, match="no document"):
        tokenize_corpus(empty, tokenizer, tmp_path / "t")
    with pytest.raises(UserError, match="between 0 and 1"):
        tokenize_corpus(corpus, tokenizer, tmp_path / "t", validation_share=1.0)
    with pytest.raises(UserError, match="a shard"):
        tokenize_corpus(corpus, tokenizer, tmp_path / "t", shard_tokens=1 << 31)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_corpus_is_refused(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(shard, "SMALL_CORPUS_BYTES", 0)
    corpus = make_corpus(tmp_path / "c", make_texts(2000), 5000)
    part = corpus / "part-00003.parquet"
    content = part.read_bytes()
    middle = len(content) // 2
    part.write_bytes(content[: middle - 5000] + bytes(10_000) + content[middle + 5000 :])
    with pytest.raises(UserError, match=r"part-00003\.parquet: damaged"):
        tokenize_corpus(corpus, tokenizer, tmp_path / "t", workers=workers)
    part.write_bytes(content[:-20])
    with pytest.raises(UserError, match=r"part-00003\.parquet: damaged"):
        tokenize_corpus(corpus, tokenizer, tmp_path / "t", workers=workers)
    part.write_bytes(content)
    tokenize_corpus(corpus, tokenizer, tmp_path / "t", workers=workers)
    tokenize_corpus(corpus, tokenizer, tmp_path / "fresh")
    assert hashes(tmp_path / "t") == hashes(tmp_path / "fresh")


def test_a_dead_worker_is_a_failure_of_the_work(
    tmp_path: Path, corpus: Path, tokenizer: Tokenizer
) -> None:
    units = encoding_work.units_of(sorted(corpus.glob("*.parquet")))
    encoded = encoding_work.encode_units(units, tokenizer, Division(0.1, 1 << 60), workers=2)
    next(encoded)
    for worker in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(worker.cmdline()):
            worker.kill()
    with pytest.raises(WorkFailed, match="worker process died"):
        list(encoded)


def test_from_the_command_line(tmp_path: Path, corpus: Path, tokenizer: Tokenizer) -> None:
    from lilliput.cli.tokenize import command

    tokenizer.save_definition(tmp_path / "tok.json")
    arguments = [str(corpus), str(tmp_path / "tok.json"), "-o", str(tmp_path / "t"), "--json"]
    first = CliRunner().invoke(command, arguments, catch_exceptions=False)
    facts = json.loads(first.stdout)
    assert facts["train"]["documents"] + facts["val"]["documents"] == 1000
    again = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert again.stdout == first.stdout
    assert "already tokenized" in again.stderr


# Kills

_SLOW_WORK = """
import sys, time
from pathlib import Path
from lilliput.tokens import encoding_work, shard
if __name__ == "__main__":
    corpus, tokenizer, folder, workers = sys.argv[1:]
    encode_unit = encoding_work.encode_unit
    def slowly(*arguments):
        time.sleep(0.02)
        return encode_unit(*arguments)
    encoding_work.encode_unit = slowly
    shard.SMALL_CORPUS_BYTES = 0
    shard.tokenize_corpus(
        corpus, tokenizer, folder, shard_tokens=5_000, workers=int(workers), save_every=0
    )
"""


@pytest.mark.parametrize(("workers", "kills"), [(1, 8), (2, 3)])
def test_killed_at_random_it_ends_with_the_same_bytes(
    tmp_path: Path, corpus: Path, tokenizer: Tokenizer, workers: int, kills: int
) -> None:
    tokenizer.save_definition(tmp_path / "tok.json")
    tokenize_corpus(corpus, tokenizer, tmp_path / "whole", shard_tokens=5_000)
    script = tmp_path / "work.py"
    script.write_text(_SLOW_WORK, encoding="utf-8")
    command = [sys.executable, script, corpus, tmp_path / "tok.json", tmp_path / "t", str(workers)]
    waits = random.Random(workers)
    resumed_from = [0]
    for _ in range(kills):
        _kill_after_progress(command, tmp_path / "t", waits.random() * 0.1)
        resumed_from.append(_done_units(tmp_path / "t"))
    assert resumed_from == sorted(resumed_from)
    assert resumed_from[1] < FINISHED
    subprocess.run(command, check=True, env=_ENVIRONMENT)
    assert hashes(tmp_path / "t") == hashes(tmp_path / "whole")


FINISHED = 1_000_000
_ENVIRONMENT = {**os.environ, "LILLIPUT_PROGRESS": "none"}


def _kill_after_progress(command: list[Any], folder: Path, seconds: float) -> None:
    """Start the work, kill it that long after it has got further; its workers must end too."""
    done = _done_units(folder)
    with subprocess.Popen(command, env=_ENVIRONMENT) as work:
        _wait_until(lambda: work.poll() is not None or _done_units(folder) > done)
        time.sleep(seconds)
        helpers = []
        with suppress(psutil.NoSuchProcess):  # it may have finished just now
            helpers = psutil.Process(work.pid).children(recursive=True)
        work.kill()
    _wait_until(lambda: not any(helper.is_running() for helper in helpers))


def _done_units(folder: Path) -> int:
    if not (folder / "tokens.json").is_file():
        return 0
    manifest = read_json(folder / "tokens.json")
    return FINISHED if manifest["finished"] else int(manifest["done_units"])


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
