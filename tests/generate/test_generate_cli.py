import json
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.generate import LanguageModel, Sampling


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


def test_generate_shows_log_probabilities(
    folder: Path, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--seed", 3, "--max-tokens", 6, "--device", "cpu", "--json")
    out = run(capsys, "generate", folder, "The cat", *settings, "--log-probabilities", 2)
    [completion] = json.loads(out)["completions"]
    tokens = completion["per_token"]
    assert completion["log_probability"] == pytest.approx(
        sum(one["log_probability"] for one in tokens)
    )
    assert [len(one["alternatives"]) for one in tokens] == [2] * len(tokens)
    first = model.next_tokens("The cat", 2)
    assert [one["id"] for one in tokens[0]["alternatives"]] == [one.id for one in first]
    bare = run(capsys, "generate", folder, "The cat", *settings, "--log-probabilities")
    assert json.loads(bare)["completions"][0]["per_token"][0]["alternatives"] == []


def test_generate_searches_and_chooses_the_best(
    folder: Path, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--max-tokens", 8, "--device", "cpu")
    found = model.search(model.prompt_ids("The cat"), 3, n=2, max_tokens=8)
    out = run(capsys, "generate", folder, "The cat", *common, "--beams", 3, "-n", 2)
    assert out == "".join(f"The cat{one.text}\n---\n" for one in found)
    several = model.complete(
        [model.prompt_ids("The cat")], Sampling(max_tokens=8, seed=2), n=5, log_probabilities=True
    )
    best = max(several[0], key=lambda one: one.log_probability / len(one.ids))
    out = run(capsys, "generate", folder, "The cat", *common, "--best-of", 5, "--seed", 2)
    assert out == f"The cat{best.text}\n"


def test_generate_takes_a_vote(
    folder: Path, model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--seed", 4, "--max-tokens", 5, "--device", "cpu", "-n", 9)
    vote = model.vote("The cat", "[a-z ]", n=9, seed=4, max_tokens=5)
    main(["generate", str(folder), "The cat", *map(str, settings), "--vote", "[a-z ]"])
    printed = capsys.readouterr()
    assert printed.out.rstrip("\n") == vote.answer
    assert f"of 9  {vote.answer}" in printed.err
    out = run(capsys, "generate", folder, "The cat", *settings, "--vote", "[a-z ]", "--json")
    assert json.loads(out)["counts"] == vote.counts


def test_generate_with_a_draft_tells_what_was_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--temperature", 0, "--max-tokens", 12, "--device", "cpu")
    plain = run(capsys, "generate", folder, "The cat", *settings)
    for stream in ("--stream", "--no-stream"):
        arguments = ["generate", folder, "The cat", *settings, "--draft", folder, stream]
        main([str(one) for one in arguments])
        printed = capsys.readouterr()
        assert printed.out == plain
        assert "drafted tokens kept (100%)" in printed.err


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
        (("generate", "MODEL", "The", "--typical-p", "0"), "typical_p is 0"),
        (("generate", "MODEL", "The", "--logit-bias", "x=1"), "ID=BIAS"),
        (("generate", "MODEL", "The", "--beams", "0"), "n is 1"),
        (("generate", "MODEL", "The", "--best-of", "1", "-n", "2"), "best_of is 1"),
        (("generate", "MODEL", "The", "--vote", "("), "no regular expression"),
        (("generate", "MODEL", "The", "--draft", "own"), "n_future_tokens"),
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
