"""Builds on other engines, started for real on this machine: the bytes of the local pool."""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from building_inputs import PIECE_BYTES, make_texts, write_lines
from click.testing import CliRunner

from lilliput.cli.corpus import command
from lilliput.corpus.building.executors import executor_of
from lilliput.corpus.building.executors.remote_call import pack, perform
from lilliput.corpus.building.executors.shared_folder import SharedFolder, names_in
from lilliput.corpus.readers import Source, cut
from lilliput.errors import UserError

PROGRAM = Path(__file__).with_name("engine_builds.py")
LIMIT_SECONDS = 120
PAUSE = "0.1"  # seconds a batch


def needs(module: str, *programs: str) -> pytest.MarkDecorator:
    there = importlib.util.find_spec(module) and all(map(shutil.which, programs))
    return pytest.mark.skipif(not there, reason=f"{module} is not installed")


ENGINES = [
    pytest.param("dask", marks=needs("distributed")),
    pytest.param("ray", marks=[needs("ray"), pytest.mark.slow]),
    pytest.param("spark", marks=[needs("pyspark", "java"), pytest.mark.slow]),
]


def folder_of(parent: Path, name: str) -> Path:
    """A folder with a source of several pieces, one that is poisoned, and the log."""
    folder = parent / name
    (folder / "log").mkdir(parents=True)
    write_lines(folder / "lines.jsonl", make_texts(600, seed=1))
    write_lines(folder / "bad.jsonl", ["one two three four"] * 300 + ["five six seven poison"])
    for file in folder.glob("*.jsonl"):
        os.utime(file, (1e9, 1e9))
    return folder


def start(
    folder: Path, engine: str, *words: str, task: int | None = None, patience: str = "120"
) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    if task is not None:
        own = {"TASK_ID": task + 5, "TASK_MIN": 5, "TASK_COUNT": 3}
        environment |= {f"SLURM_ARRAY_{name}": str(value) for name, value in own.items()}
        environment["PATIENCE"] = patience
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), engine, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == code, err
    return out, err


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "corpus").iterdir())
        if path.name != "timings.json"
    }


def seen(folder: Path) -> set[str]:
    return names_in(folder / "log")


def pieces_of(folder: Path) -> int:
    return len(cut([Source(str(folder / "lines.jsonl"))], piece_bytes=PIECE_BYTES))


def wait_for_batches(folder: Path, many: int) -> None:
    ends = time.monotonic() + LIMIT_SECONDS
    while len(seen(folder)) < many:
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture(scope="module")
def by_the_pool(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """The files of builds by local processes, and how they fail."""
    folder = folder_of(tmp_path_factory.mktemp("pool"), "work")
    out, _ = finish(start(folder, "local", "lines.jsonl", PAUSE, "bad.jsonl"))
    assert pieces_of(folder) > 8
    return hashes(folder), out


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_makes_the_same_bytes_and_fails_with_the_same_words(
    tmp_path: Path, engine: str, by_the_pool: tuple[dict[str, str], str]
) -> None:
    folder = folder_of(tmp_path, "work")
    out, _ = finish(start(folder, engine, "lines.jsonl", PAUSE, "bad.jsonl"))
    assert "bad.jsonl: stage broken: ZeroDivisionError: a deadly text" in out
    assert (hashes(folder), out) == by_the_pool


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for another process")
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_ends_an_engines_work_and_the_same_command_goes_on(
    tmp_path: Path, engine: str, by_the_pool: tuple[dict[str, str], str]
) -> None:
    folder = folder_of(tmp_path, "work")
    process = start(folder, engine, "lines.jsonl", PAUSE)
    wait_for_batches(folder, 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    finish(process, -signal.SIGINT)
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    finish(start(folder, engine, "lines.jsonl", PAUSE))
    assert hashes(folder) == by_the_pool[0]
    assert len(seen(folder)) <= pieces_of(folder) + 2  # what was finished was not done again


def test_tasks_of_a_slurm_array_share_the_work(
    tmp_path: Path, by_the_pool: tuple[dict[str, str], str]
) -> None:
    folder = folder_of(tmp_path, "work")
    tasks = [start(folder, "slurm", "lines.jsonl", PAUSE, task=number) for number in range(3)]
    for task in tasks:
        finish(task)
    assert hashes(folder) == by_the_pool[0]
    assert {name.split("-")[0] for name in seen(folder)} == {str(task.pid) for task in tasks}
    assert names_in(folder) == {"corpus", "log", "lines.jsonl", "bad.jsonl"}


def leader_of(folder: Path) -> int:
    owner = (folder / ".corpus.array" / "lead.0").read_text(encoding="utf-8")
    return int(owner.split("-")[-2])


@pytest.mark.parametrize(
    "killed",
    [
        "leader",
        pytest.param("follower", marks=pytest.mark.slow),
        pytest.param("all", marks=pytest.mark.slow),
    ],
)
def test_an_array_survives_tasks_that_are_killed(
    tmp_path: Path, killed: str, by_the_pool: tuple[dict[str, str], str]
) -> None:
    folder = folder_of(tmp_path, "work")

    def array() -> list[subprocess.Popen[str]]:
        return [
            start(folder, "slurm", "lines.jsonl", PAUSE, task=number, patience="4")
            for number in range(2)
        ]

    tasks = array()
    wait_for_batches(folder, 4)
    leader = leader_of(folder)
    for task in tasks:
        if killed == "all" or (task.pid == leader) == (killed == "leader"):
            task.kill()
            task.communicate()
    for task in array() if killed == "all" else tasks:
        if task.returncode is None:
            finish(task)
    assert hashes(folder) == by_the_pool[0]


def test_all_tasks_of_an_array_say_what_failed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "work")
    tasks = [start(folder, "slurm", "bad.jsonl", PAUSE, task=number) for number in range(2)]
    told = [finish(task, 1)[1].splitlines()[-1] for task in tasks]
    assert told[0] == told[1]
    assert told[0].startswith("error: bad.jsonl: stage broken: ZeroDivisionError")
    assert ".corpus.array" not in names_in(folder)


def test_a_claim_is_granted_once_and_again_after_its_owner_is_gone_or_silent(
    tmp_path: Path,
) -> None:
    one = SharedFolder(tmp_path / "shared", patience=0.2)
    other = SharedFolder(tmp_path / "shared", patience=0.2)
    place = tmp_path / "shared"
    first = one.claim(place, "lead", names_in(place))
    assert first is not None
    time.sleep(0.5)
    assert other.claim(place, "lead", names_in(place)) is None
    one.leave()
    second = other.claim(place, "lead", names_in(place))
    assert second == first.following
    assert one.claim(place, "piece", set()) is not None  # which nobody sees alive
    (place / "alive" / one.me).unlink()
    assert other.claim(place, "piece", names_in(place)) is None
    time.sleep(0.5)
    assert other.claim(place, "piece", names_in(place)) is not None
    other.leave()
    assert not place.exists()


def test_engines_are_named_and_missing_packages_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="no 'kafka'; choose local, ray"):
        executor_of("kafka", tmp_path)
    with pytest.raises(UserError, match="slurm takes no address"):
        executor_of("slurm:node1", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for engine in ("ray", "dask", "spark"):
        with pytest.raises(UserError, match=rf"pip install 'lilliput\[{engine}\]'"):
            executor_of(engine, tmp_path)


@needs("ray")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_ray_that_does_not_answer_is_named(tmp_path: Path, address: str) -> None:
    with (
        executor_of(f"ray:{address}", tmp_path) as executor,
        pytest.raises(UserError, match=f"Ray at {address}: "),
    ):
        assert executor is not None
        next(executor.run(len, ["abc"]))


def test_slurm_outside_of_an_array_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    source = write_lines(tmp_path / "a.jsonl", ["a b"])
    words = ["build", str(source), "-o", str(tmp_path / "c"), "--executor", "slurm"]
    with pytest.raises(UserError, match="sbatch --array"):
        CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_machine_without_the_folder_or_the_module_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    call = pack(len)
    monkeypatch.chdir(tmp_path)
    assert perform(call, "abc") == (3, None)
    monkeypatch.chdir(tmp_path)
    gone.rmdir()
    value, error = perform(call, "abc")
    assert value is None
    assert isinstance(error, UserError)
    assert "all machines need the same folders" in str(error)
    with pytest.raises(UserError, match="define its function in a module"):
        pack(lambda item: item)


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_a_folder_that_others_could_write_to_is_refused(tmp_path: Path) -> None:
    """What lies in it is unpickled, so it must be nobody else's."""
    place = tmp_path / ".corpus.array"
    SharedFolder(place, patience=5).leave()
    place.mkdir(mode=0o700, exist_ok=True)
    place.chmod(0o770)
    with pytest.raises(UserError, match="others than you can write to it"):
        SharedFolder(place, patience=5)
