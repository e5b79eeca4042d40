"""Builds: their documents against plain Python, their bytes against other workers and kills."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from building_inputs import PIECE_BYTES, make_texts, write_lines
from building_stages import FirstWordOnce, Shorter, Shout, Slow, graded, without_vowels

from lilliput.corpus import Document, open_corpus
from lilliput.corpus.build import build
from lilliput.corpus.building.recipe import BuildRecipe, stages_given
from lilliput.corpus.building.record import Tally, read_record
from lilliput.corpus.mixing import Mixing
from lilliput.corpus.readers import Source
from lilliput.corpus.stages import Dropped, Outcome, keeping
from lilliput.errors import UserError, WorkFailed

pytestmark = pytest.mark.usefixtures("small_pieces")
STAGES = stages_given([Shorter(4), Shout(), FirstWordOnce(), "building_stages:graded"])


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Source, ...]:
    """Two files of several pieces each."""
    write_lines(tmp_path / "a.jsonl", make_texts(300, seed=1))
    write_lines(tmp_path / "b.jsonl", make_texts(200, seed=2))
    return (
        Source(str(tmp_path / "a.jsonl"), name="alpha", license="CC0-1.0"),
        Source(str(tmp_path / "b.jsonl"), name="beta", attribution="by B"),
    )


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "timings.json"
    }


def seen_batches(log: Path) -> int:
    return len(list(log.iterdir()))


def clear(log: Path) -> None:
    for file in log.iterdir():
        file.unlink()


def expected(*texts_of: list[str]) -> list[str]:
    """What STAGES make of the texts, one document after the other."""
    long = [text for texts in texts_of for text in texts if len(text.split()) >= 4]
    loud = [text[0].upper() + text[1:] for text in long]
    seen: set[str] = set()
    kept = []
    for text in loud:
        word = text.split()[0]
        if word not in seen:
            kept.append(text.replace("SECRET", "", 1))
        seen.add(word)
    return kept


def test_the_documents_are_those_of_the_stages_in_order(
    tmp_path: Path, sources: tuple[Source, ...]
) -> None:
    built = build(BuildRecipe(sources, STAGES), tmp_path / "c", workers=1)
    corpus = open_corpus(tmp_path / "c")
    texts = expected(make_texts(300, seed=1), make_texts(200, seed=2))
    assert list(corpus.texts()) == texts
    documents = list(corpus.documents())
    assert {document.metadata["origin"] for document in documents} == {"alpha", "beta"}
    assert all(
        ("license" in document.metadata) == (document.metadata["origin"] == "alpha")
        for document in documents
    )
    assert all(0 <= document.metadata["grade"] < 32 for document in documents)
    assert all(document.metadata["cluster"].startswith("c") for document in documents)
    assert built.manifest.documents == len(texts)
    assert built.manifest.bytes == sum(map(len, texts))


def test_what_happened_is_recorded(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    build(BuildRecipe(sources, STAGES), tmp_path / "c", workers=1)
    record = read_record(tmp_path / "c")
    names = [stage.name for stage in record.stages]
    assert names == ["reading", "shorter", "shout", "first_word_once", "graded"]
    reading, shorter, shout, once, last = record.stages
    texts = make_texts(300, seed=1) + make_texts(200, seed=2)
    assert reading.stayed == Tally(500, sum(map(len, texts)))
    few = [text for text in texts if len(text.split()) < 4]
    assert shorter.dropped == {"few_words": Tally(len(few), sum(map(len, few)))}
    assert shorter.counts == {"words": sum(len(text.split()) for text in texts)}
    assert shorter.settings["fewest"] == 4
    assert {sample.text for sample in shorter.samples} <= set(few)
    assert len(shorter.samples) == 5 and len(shorter.kept) == 5
    assert all(sample.after is None and "words" in sample.detail for sample in shorter.samples)
    assert {sample.rule for sample in shout.samples} == {"shouted"}
    assert all(str(sample.after).lower() == sample.text.lower() for sample in shout.samples)
    assert {sample.rule for sample in once.samples} == {"began_before", "cut"}
    assert all(
        "SECRET" in sample.text and "SECRET" not in str(sample.after)
        for sample in once.samples
        if sample.rule == "cut"
    )
    assert once.counts["words"] == last.stayed.documents
    for before, after in zip(record.stages, record.stages[1:], strict=False):
        assert after.came == before.stayed
        gone = sum((tally.documents for tally in after.dropped.values()), 0)
        assert after.came.documents - gone == after.stayed.documents
    alpha, beta = record.sources
    assert (alpha.name, alpha.license, alpha.files, alpha.read.documents) == (
        "alpha",
        "CC0-1.0",
        1,
        300,
    )
    assert alpha.written.documents + beta.written.documents == last.stayed.documents
    assert "by B" in (tmp_path / "c" / "attribution.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "mixing",
    [
        None,
        Mixing(order="shuffled", seed=3, epochs={"beta": 2.5}),
        Mixing(order="descending", by="grade"),
    ],
)
def test_the_number_of_workers_changes_no_byte(
    tmp_path: Path, sources: tuple[Source, ...], mixing: Mixing | None
) -> None:
    recipe = BuildRecipe(sources, STAGES, mixing)
    for workers in (1, 2, 3):
        build(recipe, tmp_path / str(workers) / "c", workers=workers)
    one, two, three = (hashes(tmp_path / str(workers) / "c") for workers in (1, 2, 3))
    assert one == two == three
    assert {"corpus.json", "build.json", "attribution.md", "part-00000.parquet"} <= set(one)
    assert not any(path.name.startswith(".") for path in (tmp_path / "1").iterdir())


def test_a_mixture_is_written_in_its_order_whatever_the_size_of_buckets(
    tmp_path: Path, sources: tuple[Source, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import lilliput.corpus.building.memory as memory

    stages = stages_given([graded])
    descending = Mixing(order="descending", by="grade", epochs={"alpha": 2})
    build(BuildRecipe(sources, stages, descending), tmp_path / "one" / "c", workers=1)
    monkeypatch.setattr(memory, "_MOST_BUCKET_BYTES", 1_000)
    build(BuildRecipe(sources, stages, descending), tmp_path / "many" / "c", workers=1)
    assert hashes(tmp_path / "one" / "c") == hashes(tmp_path / "many" / "c")
    documents = list(open_corpus(tmp_path / "many" / "c").documents())
    grades = [document.metadata["grade"] for document in documents]
    assert grades == sorted(grades, reverse=True)
    assert len(documents) == 2 * 300 + 200
    ids = [document.id for document in documents]
    assert sorted(set(ids)) == sorted(
        [f"a-{n}" for n in range(300)] + [f"b-{n}" for n in range(200)]
    )


def test_samples_show_no_personal_data_where_a_build_looks_for_it(tmp_path: Path) -> None:
    texts = [f"write to person{n}@mail{n}.org please" for n in range(8)]
    texts += ["a@b.org"] * 3
    source = Source(str(write_lines(tmp_path / "a.jsonl", texts)))
    stages = stages_given([Shorter(3), "personal_data"])
    build(BuildRecipe((source,), stages), tmp_path / "c", workers=1)
    record = (tmp_path / "c" / "build.json").read_text(encoding="utf-8")
    assert "@mail" not in record and "a@b.org" not in record
    assert "[email: p…@m….org]" in record
    assert not any("@" in text for text in open_corpus(tmp_path / "c").texts())


def test_a_stage_may_say_what_a_sample_shows(tmp_path: Path) -> None:
    def secretive(batch: pa.RecordBatch) -> Outcome:
        return keeping(batch, [Dropped(0, "secret", "why", sample="(hidden)")])

    source = Source(str(write_lines(tmp_path / "a.jsonl", ["one", "two"])))
    built = build(BuildRecipe((source,), stages_given([secretive])), tmp_path / "c", workers=1)
    assert [sample.text for sample in built.record.stages[1].samples] == ["(hidden)"]


def test_no_document_may_be_left(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    built = build(BuildRecipe(sources, (Shorter(1000), FirstWordOnce())), tmp_path / "c")
    assert (built.manifest.documents, built.manifest.bytes) == (0, 0)
    assert list(open_corpus(tmp_path / "c").documents()) == []
    assert built.manifest.dropped == {"empty": 0, "shorter.few_words": 500}


def test_an_emptied_text_counts_as_dropped(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", ["baa", "xyz b"])
    recipe = BuildRecipe(
        (Source(str(source)),), stages_given([lambda batch: without_vowels(batch, letters="b")])
    )
    built = build(recipe, tmp_path / "c", workers=1)
    assert list(open_corpus(tmp_path / "c").texts()) == ["xyz "]
    assert built.record.stages[1].dropped == {"<lambda>": Tally(1, 3)}


def test_pieces_may_have_other_columns(tmp_path: Path) -> None:
    rows = [{"text": "one", "age": 5}, {"text": "two", "age": "old"}, {"text": "three", "x": [1]}]
    for number, row in enumerate(rows):
        text = json.dumps(row) + "\n"
        (tmp_path / f"{number}.jsonl").write_text(text * 2000, encoding="utf-8")
    sources = tuple(Source(str(tmp_path / f"{number}.jsonl")) for number in range(3))
    build(BuildRecipe(sources, stages_given([graded])), tmp_path / "c", workers=1)
    documents = list(open_corpus(tmp_path / "c").documents())
    assert len(documents) == 6000
    assert [documents[n].metadata.get("age") for n in (0, 2000, 4000)] == ["5", "old", None]
    assert documents[-1].metadata["x"] == [1]


# Errors


def test_a_failing_stage_is_named_with_the_file(tmp_path: Path) -> None:
    texts = make_texts(200)
    texts[150] = "poison here"
    source = write_lines(tmp_path / "bad.jsonl", texts)
    recipe = BuildRecipe((Source(str(source)),), stages_given(["building_stages:broken"]))
    for workers in (1, 2):
        with pytest.raises(
            WorkFailed, match=r"bad\.jsonl: stage broken: ZeroDivisionError"
        ) as found:
            build(recipe, tmp_path / "c", workers=workers)
        assert "building_stages.py, line" in str(found.value)
    assert not (tmp_path / "c").exists()


def test_a_dead_worker_is_a_failure_of_the_work(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", make_texts(200))
    recipe = BuildRecipe((Source(str(source)),), stages_given(["building_stages:deadly"]))
    with pytest.raises(WorkFailed, match=r"a worker process died \(exit code 9"):
        build(recipe, tmp_path / "c", workers=2)


def test_a_function_that_cannot_be_sent_says_so(
    tmp_path: Path, sources: tuple[Source, ...]
) -> None:
    recipe = BuildRecipe(sources, stages_given([lambda batch: batch]))
    with pytest.raises(UserError, match="cannot be sent to worker processes"):
        build(recipe, tmp_path / "c", workers=2)
    build(recipe, tmp_path / "c", workers=1)


def test_what_a_stage_returns_must_add_up(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    for name, message in (("doubling", "ids that did not come in"), ("forgetful", "returned str")):
        recipe = BuildRecipe(sources, stages_given([f"building_stages:{name}"]))
        with pytest.raises(UserError, match=message):
            build(recipe, tmp_path / "c", workers=1)


def test_a_source_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no source"):
        build(BuildRecipe(()), tmp_path / "c")


# Going on


def test_a_finished_corpus_is_left_alone_and_another_refused(
    tmp_path: Path, sources: tuple[Source, ...]
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    recipe = BuildRecipe(sources, (Slow(str(log), 0),))
    build(recipe, tmp_path / "c", workers=1)
    seen = seen_batches(log)
    build(recipe, tmp_path / "c", workers=2)
    assert seen_batches(log) == seen > 0
    with pytest.raises(UserError, match="other settings"):
        build(BuildRecipe(sources), tmp_path / "c")
    assert build(BuildRecipe(sources), tmp_path / "c", overwrite=True).manifest.documents == 500
    # Changed inputs are read again.
    write_lines(tmp_path / "a.jsonl", make_texts(10, seed=5))
    assert build(BuildRecipe(sources), tmp_path / "c").manifest.documents == 210


def test_what_was_done_is_not_done_again(
    tmp_path: Path, sources: tuple[Source, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    texts = make_texts(300, seed=1)
    texts[-1] = "poison at the end of all"
    write_lines(tmp_path / "a.jsonl", texts)
    failing = stages_given([Slow(str(log), 0), "building_stages:broken"])
    recipe = BuildRecipe(sources[:1], failing)
    for _ in range(2):
        with pytest.raises(WorkFailed, match="deadly"):
            build(recipe, tmp_path / "c", workers=1)
    pieces = -(-(tmp_path / "a.jsonl").stat().st_size // PIECE_BYTES)
    assert pieces > 3
    # The second time only the last piece was tried.
    assert seen_batches(log) == pieces + 1
    assert "goes on where it was" in capsys.readouterr().err


_WORK = """
import functools, signal, sys
import lilliput.corpus.build as build_module
from lilliput.corpus import readers
if __name__ == "__main__":
    from building_stages import FirstWordOnce, Shorter, Slow
    from lilliput.corpus.building.recipe import BuildRecipe
    from lilliput.corpus.mixing import Mixing
    folder, workers, log, *files = sys.argv[1:]
    # A shell's background jobs, the tests perhaps among them, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    build_module.cut = functools.partial(readers.cut, piece_bytes=6_000)
    sources = tuple(readers.Source(file) for file in files)
    stages = (Slow(log), Shorter(4), FirstWordOnce())
    recipe = BuildRecipe(sources, stages, Mixing(order="shuffled"))
    build_module.build(recipe, folder, workers=int(workers))
"""


@pytest.mark.parametrize(("workers", "kills"), [(1, 4), (2, 3)])
def test_killed_at_random_it_ends_with_the_same_bytes(
    tmp_path: Path, workers: int, kills: int
) -> None:
    files = [str(write_lines(tmp_path / f"{n}.jsonl", make_texts(150, seed=n))) for n in range(3)]
    script = tmp_path / "work.py"
    script.write_text(_WORK, encoding="utf-8")
    log = tmp_path / "log"
    log.mkdir()
    here = str(Path(__file__).parent)
    environment = {**os.environ, "LILLIPUT_PROGRESS": "none", "PYTHONPATH": here}

    def command(folder: str, log: Path) -> list[str]:
        corpus = str(tmp_path / folder / "c")
        return [sys.executable, str(script), corpus, str(workers), str(log), *files]

    subprocess.run(command("whole", log), check=True, env=environment)
    batches = seen_batches(log)
    clear(log)
    dice = random.Random(workers)
    for _ in range(kills):
        seen = seen_batches(log)
        with subprocess.Popen(command("killed", log), env=environment) as work:
            deadline = time.monotonic() + 60
            while work.poll() is None and seen_batches(log) <= seen:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(dice.random() * 0.2)
            helpers = []
            with suppress(psutil.NoSuchProcess):  # it may have finished just now
                helpers = psutil.Process(work.pid).children(recursive=True)
            work.kill()
        psutil.wait_procs(helpers, timeout=30)
        assert not any(helper.is_running() for helper in helpers)
    subprocess.run(command("killed", log), check=True, env=environment)
    assert hashes(tmp_path / "killed" / "c") == hashes(tmp_path / "whole" / "c")
    # Each kill costs the pieces under way, and no more.
    assert seen_batches(log) <= batches + kills * workers


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_stops_the_workers_and_says_how_to_go_on(tmp_path: Path) -> None:
    files = [str(write_lines(tmp_path / f"{n}.jsonl", make_texts(400, seed=n))) for n in range(3)]
    script = tmp_path / "work.py"
    script.write_text(_WORK, encoding="utf-8")
    log = tmp_path / "log"
    log.mkdir()
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "c"), "2", str(log), *files],
        env={**os.environ, "PYTHONPATH": here},
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    ) as work:
        deadline = time.monotonic() + 60
        while seen_batches(log) < 3:
            assert time.monotonic() < deadline and work.poll() is None
            time.sleep(0.01)
        helpers = psutil.Process(work.pid).children(recursive=True)
        os.killpg(work.pid, signal.SIGINT)
        errors = work.communicate(timeout=30)[1]
    psutil.wait_procs(helpers, timeout=30)
    assert not any(helper.is_running() for helper in helpers)
    assert "the same command goes on where it was" in errors
    assert errors.count("KeyboardInterrupt") == 1  # this process's own, none of a worker's


def test_documents_are_the_same_as_without_a_build(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", make_texts(100))
    build(BuildRecipe((Source(str(source)),)), tmp_path / "c")
    documents = [
        Document(one.id, one.text, one.source, dict(one.metadata))
        for one in open_corpus(tmp_path / "c").documents()
    ]
    assert [document.text for document in documents] == make_texts(100)
    assert [document.metadata["n"] for document in documents] == list(range(100))
