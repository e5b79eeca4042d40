import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lilliput.cli import chat, main
from lilliput.generate import LanguageModel


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main([str(one) for one in arguments])
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def folder(folders: dict[str, Path]) -> Path:
    return folders["lilliput"]


def test_generate_prints_prompt_and_completion(
    folder: Path, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--seed", 3, "--max-tokens", 12, "--device", "cpu")
    [text] = model.generate("The cat", seed=3, max_tokens=12)
    assert run(capsys, "generate", folder, "The cat", *settings) == f"The cat{text}\n"
    assert run(capsys, "generate", folder, "The cat", *settings, "--stream") == f"The cat{text}\n"
    printed = json.loads(run(capsys, "generate", folder, "The cat", *settings, "--json", "-n", 2))
    assert printed["prompt"] == "The cat"
    assert [one["text"] for one in printed["completions"]] == model.generate(
        "The cat", seed=3, max_tokens=12, n=2
    )
    assert printed["completions"][0]["finish"] in ("length", "end")


def test_generate_reads_prompts_from_a_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("The cat\n\nA dog — café\n", encoding="utf-8")
    out = run(capsys, "generate", folder, "--prompts", prompts, "--json", "--max-tokens", 5)
    assert [json.loads(line)["prompt"] for line in out.splitlines()] == ["The cat", "A dog — café"]


def test_generate_shows_the_next_tokens(
    folder: Path, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(capsys, "generate", folder, "The cat", "--top", 4).splitlines()
    assert lines[0].split() == ["token", "id", "probability", "log-probability"]
    assert [int(line.split()[-3]) for line in lines[1:]] == [
        one.id for one in model.next_tokens("The cat", 4)
    ]
    printed = json.loads(run(capsys, "generate", folder, "The cat", "--top", 4, "--json"))
    assert len(printed["next_tokens"]) == 4


def test_score_prints_the_sum(
    folder: Path, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys, "score", folder, " sat", "--prompt", "The cat", "--per-token", "--json")
    printed = json.loads(out)
    assert printed["log_probability"] == pytest.approx(model.score("The cat", [" sat"])[0])
    assert sum(one["log_probability"] for one in printed["per_token"]) == pytest.approx(
        printed["log_probability"]
    )
    table = run(capsys, "score", folder, "The cat", "--per-token")
    assert '"The"' in table or '"T"' in table
    assert "bits per byte" in table


def test_chat_reads_lines_from_a_pipe(folder: Path) -> None:
    lines = "The cat\n/temperature 0\n/nonsense\n/top-k x\n/again\n/undo\n/quit\nnever\n"
    program = "import sys; from lilliput.cli import main; main(['chat', *sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), "--seed", "1", "--max-tokens", "5"],
        input=lines.encode(),
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        timeout=120,
        check=False,
    )
    error = done.stderr.decode()
    assert done.returncode == 0, error
    assert "temperature 0.0" in done.stdout.decode()
    assert "/nonsense: no such command" in error
    assert "/top-k x: give a number" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("generate", "nowhere", "The"), "no such folder"),
        (("generate", "MODEL"), "give a prompt"),
        (("generate", "MODEL", "The", "--prompts", "x.txt"), "give a prompt"),
        (("generate", "MODEL", "--prompts", "absent.txt"), "absent.txt"),
        (("generate", "MODEL", "--prompts", "empty.txt"), "holds no prompt"),
        (("generate", "MODEL", "The", "--temperature", "-1"), "temperature is -1"),
        (("generate", "MODEL", "The", "--top-p", "2"), "top_p is 2"),
        (("generate", "MODEL", "The", "-n", "0"), "n is 0"),
        (("generate", "MODEL", "The", "--top", "0"), "--top 0"),
        (("generate", "MODEL", "The", "--device", "quantum"), "quantum"),
        (("generate", "MODEL", "the " * 100), "tokens long"),
        (("score", "MODEL", ""), "the text is empty"),
        (("chat", "nowhere"), "no such folder"),
    ],
)
def test_mistakes_end_with_a_message_and_exit_2(
    arguments: tuple[str, ...],
    reason: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main([str(folder) if one == "MODEL" else one for one in arguments])
    assert end.value.code == 2
    assert reason in capsys.readouterr().err


def test_an_interrupt_stops_the_reply_and_not_the_chat(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> Iterator[str]:
        yield " sat"
        raise KeyboardInterrupt

    monkeypatch.setattr(LanguageModel, "stream", interrupted)
    result = CliRunner().invoke(chat.command, [str(folder)], input="The cat\n/text\n")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [" sat (stopped)", "The cat sat"]
