"""`lilliput chat` as a process: through a pipe, and at a pseudo-terminal."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilliput.cli.chat_commands import Entry
from lilliput.cli.chat_display import Screen
from lilliput.cli.chat_session import Session
from lilliput.generate import Engine, LanguageModel, Sampling
from lilliput.generate.conversation import Conversation

PROGRAM = "import sys; from lilliput.cli import main; main(['chat', *sys.argv[1:]])"
SETTINGS = ("--seed", "1", "--max-tokens", "6", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(folders: dict[str, Path]) -> Path:
    return folders["lilliput"]


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(folder), *SETTINGS, *options]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", **more}


def piped(folder: Path, entered: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(folder),
        input=entered,
        capture_output=True,
        env=environment(),
        timeout=120,
        check=False,
    )


def test_a_pipe_is_answered_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    entered = (
        "The cat\n/temperature 0\n/nonsense\n/top-k x\n/again\n/undo\none \\\ntwo\n"
        '"""\n/tokens\nline\n"""\n//slash\n/tokens\n/alternatives 2 3\n/branch 2 2\n'
        "/tokens all\n/branches\n/settings\n/stats on\n\n"
        f"/save {kept}\n/load {kept}\n/quit\nnever\n"
    ).encode() + b"\xff\n"
    first, second = piped(folder, entered), piped(folder, entered)
    error = first.stderr.decode()
    assert first.returncode == 0, error
    assert first.stdout == second.stdout
    out = first.stdout.decode()
    assert "\x1b" not in re.sub("(?m)^.*[^\x20-\x7e].*$", "", out + error)
    for expected in ("temperature 0.0\n", "typical-p           1.0\n", f"{kept}: 7 turns\n"):
        assert expected in out
    for expected in (
        "error: /nonsense: no such command",
        "error: /top-k x: give a whole number",
        "first after",
    ):
        assert expected in error
    assert "Traceback" not in error
    turns = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()[1:]]
    assert [one["said"] for one in turns] == [
        "The cat", "The cat", "one \ntwo", "/tokens\nline", "/slash", "/slash", "",
    ]  # fmt: skip


def session(model: LanguageModel, screen: Screen) -> Session:
    return Session(Conversation(model, Sampling(seed=1, max_tokens=20)), screen)


def test_an_interrupt_stops_the_reply_and_not_the_chat(
    endless: LanguageModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []
    step = Engine.step

    def interrupted(engine: Engine) -> object:
        steps.append(step(engine))
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return steps[-1]

    monkeypatch.setattr(Engine, "step", interrupted)
    before = signal.getsignal(signal.SIGINT)
    chat = session(endless, Screen(80))
    assert chat.carry_out(Entry("The cat", False))
    assert "3 tokens" in capsys.readouterr().err
    assert chat.conversation.last().finish == "cancelled"
    assert len(chat.conversation.last().ids) == 3
    assert signal.getsignal(signal.SIGINT) is before
    chat.carry_out(Entry("", False))
    assert len(chat.conversation.last().ids) == 20


def test_an_interrupt_ends_what_reads_a_pipe(
    endless: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_engine: Engine) -> object:
        raise KeyboardInterrupt

    chat = session(endless, Screen())
    monkeypatch.setattr(Engine, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chat.carry_out(Entry("The cat", False))
    monkeypatch.undo()
    chat.carry_out(Entry("", False))  # with a fresh engine
    assert len(chat.conversation.last().ids) == 20


class Terminal:
    """A process at a pseudo-terminal of 80 columns."""

    def __init__(self, arguments: list[str], **more: str) -> None:
        import fcntl
        import struct
        import termios

        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        variables = environment(TERM="xterm-256color", PROMPT_TOOLKIT_NO_CPR="1", **more)
        variables = {name: value for name, value in variables.items() if value}
        self.process = subprocess.Popen(
            arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=variables
        )
        os.close(theirs)
        self._seen = ""

    def keys(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, text: str) -> str:
        """What is shown up to and with a text."""
        end = time.monotonic() + 30
        while text not in self._seen:
            assert time.monotonic() < end, f"no {text!r} in {self._seen[-2000:]!r}"
            if select.select([self._ours], [], [], 0.2)[0]:
                try:
                    self._seen += os.read(self._ours, 4096).decode(errors="replace")
                except OSError:  # Linux: the other end is closed
                    assert text in self._seen, f"ended without {text!r}: {self._seen[-2000:]!r}"
        shown, _, self._seen = self._seen.partition(text)
        return shown + text

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        one.close()


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_at_a_terminal(folder: Path, tmp_path: Path, terminals: list[Terminal]) -> None:
    kept = tmp_path / "kept.jsonl"
    cache = {"XDG_CACHE_HOME": str(tmp_path), "NO_COLOR": ""}
    one = Terminal(command(folder), **cache)
    terminals.append(one)
    ready = "\x1b[?2004h"  # the prompt waits: pasted text comes marked from here on
    one.until("/help lists the commands")
    one.until(ready)
    one.keys("The cat\r")
    one.until("6 tokens")
    one.until(ready)
    one.keys("/tok")
    one.until("the last answer's tokens")
    one.keys("\t\r")
    assert "\x1b[3" in one.until("below 5%")
    one.until(ready)
    one.keys("\x1b[200~pasted\n/lines\x1b[201~\x1b\rmore\r")
    one.until("6 tokens")
    one.until(ready)
    one.keys("not this\x03")
    one.until("Ctrl-D or /quit")
    one.until(ready)
    one.keys("\x12")  # reverse search
    one.until("I-search")
    one.keys("cat")
    one.until("The ")
    one.keys("\r\r")
    one.until("6 tokens")
    one.until(ready)
    one.keys(f"/save {kept}\r")
    one.until("3 turns")
    one.until(ready)
    one.keys("\x04")
    assert one.process.wait(60) == 0
    turns = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()[1:]]
    assert [turn["said"] for turn in turns] == ["The cat", "pasted\n/lines\nmore", "The cat"]
    history = tmp_path / "lilliput" / "chat_history"
    if sys.platform.startswith("linux"):
        assert history.stat().st_mode & 0o777 == 0o600
        assert "+The cat" in history.read_text(encoding="utf-8")

    before = history.read_bytes() if history.exists() else b""
    plain = Terminal(command(folder, "--no-history"), **{**cache, "NO_COLOR": "1"})
    terminals.append(plain)
    plain.until(ready)
    plain.keys("A dog\r")
    plain.until("6 tokens")
    plain.until(ready)
    plain.keys("/tokens\r")
    assert not re.search(r"\x1b\[3[1-6]m", plain.until(ready))
    plain.keys("\x04")
    assert plain.process.wait(60) == 0
    assert (history.read_bytes() if history.exists() else b"") == before
