"""The command line as its users meet it: exit codes, messages, and how little it loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.cli import VERBS


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = "import sys; from lilliput.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        check=False,
    )


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom lilliput.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'tokenizers', 'pyarrow', 'rich', 'transformers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0, done.stderr
    if verb in ("corpus", "tokenizer"):
        commands = {"corpus": ("build", "stories"), "tokenizer": ("train", "compare", "show")}
        for name in commands[verb]:
            assert "Example:" in run(verb, name, "--help").stdout
    else:
        assert "Example:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "absent", "--steps", "3"], "absent: no such recipe"),
        (["resume", "absent"], "absent: not a run"),
        (["generate", "absent", "hello"], "absent: no such folder"),
        (["eval", "absent", "also-absent.txt"], "absent"),
        (["corpus", "build", "absent.txt"], "absent.txt"),
        (["tokenize", "absent", "tok.json", "-o", "out"], "absent"),
        (["train", "broken.toml"], "broken.toml: train.steps is 'x'"),
        (["train", "empty", "--steps", "3"], "tokens.json"),
        (["train"], "nothing to train on"),
        (["dance"], "No such command"),
        (["generate", "x", "y", "--temperature", "warm"], "temperature"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.toml").write_text('[train]\nsteps = "x"\n', encoding="utf-8")
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_pipeline_by_commands(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The cat sat.\n" * 300, encoding="utf-8")
    steps = [
        ["corpus", "build", "notes.txt", "-o", "corpus", "--json"],
        ["tokenizer", "train", "corpus", "-o", "tok.json", "--vocabulary-size", "280"],
        ["tokenize", "corpus", "tok.json", "-o", "tokens"],
        ["plan", "tokens", "--flops", "1e9", "--model.context-length", "16", "--json"],
        [
            "train", "tokens", "--name", "cat", "--steps", "4", "--depth", "1", "--json",
            "--model.context-length", "16", "--data.batch-tokens", "64",
            "--train.prompts", "The", "--train.prompts", "A",
        ],
        ["score", "runs/cat", "The cat sat.", "--json"],
        ["generate", "runs/cat", "The", "--max-tokens", "4", "--json"],
        ["eval", "runs/cat", "notes.txt", "--json"],
    ]  # fmt: skip
    for step in steps:
        done = run(*step, folder=tmp_path)
        assert done.returncode == 0, (step, done.stderr)
        if "--json" in step:
            assert isinstance(json.loads(done.stdout), dict | list)
    records = (tmp_path / "runs" / "cat" / "metrics.jsonl").read_text(encoding="utf-8")
    prompts = {json.loads(r)["prompt"] for r in records.splitlines() if '"sample"' in r}
    assert prompts == {"The", "A"}
