"""The single file and its C program beside transformers, tokenizers and our own decoder."""

import itertools
import json
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_onnx import OWN_CLASSES, SIZES, TEXT, random_folder, transformers_logits

from lilliput.errors import UserError, WorkFailed
from lilliput.export.single_file import write as single_file
from lilliput.export.single_file.format import group_of, round_to_int8
from lilliput.export.single_file.reader import read_single_file
from lilliput.export.single_file.runner import (
    Runner,
    compile_runner,
    compiled_runner,
    find_compiler,
)
from lilliput.export.single_file.tokenizer import TokenizerTables, character_classes
from lilliput.export.single_file.write import write_single_file
from lilliput.export.source import Shape, read_shape
from lilliput.generate import load
from lilliput.generate.sampling import Sampling
from lilliput.tokens import Tokenizer, train_tokenizer
from lilliput.tokens.encoders import DIFFICULT_TEXTS

COMPILER = find_compiler()
pytestmark = pytest.mark.skipif(
    COMPILER is None and os.name == "nt", reason="Windows without a C compiler"
)
KINDS = ("f32", "int8")


@pytest.fixture(scope="module")
def runner() -> Runner:
    compiled = compiled_runner()
    assert compiled
    return compiled


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_folder(tmp_path_factory.mktemp("single") / "model", SIZES["qwen3"])


@pytest.mark.parametrize("name", OWN_CLASSES)
def test_logits_equal_transformers(name: str, tmp_path: Path, runner: Runner) -> None:
    folder = random_folder(tmp_path / "model", SIZES[name])
    ids = np.random.default_rng(0).integers(0, 300, 40).tolist()
    expected = transformers_logits(folder, ids)
    for kind in KINDS:
        report = write_single_file(folder, tmp_path / f"{kind}.bin", kind=kind)
        assert report.proved_by == "run_model.c"
        assert report.computation.relative <= (1e-5 if kind == "f32" else 5e-4)
        assert report.model.kl <= (1e-9 if kind == "f32" else 0.05)
        assert report.size == report.path.stat().st_size
        found = runner.logits(report.path, ids)
        in_numpy = read_single_file(report.path).logits(ids)
        assert (
            np.abs(found - in_numpy).max()
            <= (1e-5 if kind == "f32" else 5e-4) * np.abs(expected).max()
        )
        if kind == "f32":
            assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_greedy_text_is_the_model_s(folder: Path, tmp_path: Path, runner: Runner) -> None:
    path = write_single_file(folder, tmp_path / "story.bin").path
    model = load(folder, device="cpu")
    greedy = Sampling(temperature=0, max_tokens=40)
    for prompt in ("One day, a cat", "", "12 mats", TEXT[:50]):
        expected = model.complete([model.prompt_ids(prompt)], greedy)[0][0]
        options = ("--temperature", "0", "--tokens", "40")
        ids = runner.generate(path, prompt, "--ids", *options).split()
        assert tuple(map(int, ids)) == expected.ids
        printed = runner.generate(path, prompt, *options)
        spelled = [model.tokenizer.bytes_of[int(number)] for number in ids]
        assert printed == prompt.encode("utf-8") + b"".join(spelled) + b"\n"


def test_draws_follow_the_distribution(folder: Path, tmp_path: Path, runner: Runner) -> None:
    path = write_single_file(folder, tmp_path / "story.bin").path
    model = load(folder, device="cpu")
    prompt = "One"
    nexts = model.next_tokens(prompt, top=300)
    probabilities = {token.id: token.probability for token in nexts}

    def draw(seed: int, *options: str) -> int:
        options = ("--ids", "--tokens", "1", "--seed", str(seed), *options)
        return int(runner.generate(path, prompt, *options).split()[0])

    drawn = [draw(seed, "--temperature", "1") for seed in range(300)]
    assert [draw(seed, "--temperature", "1") for seed in range(5)] == drawn[:5]
    likeliest, share = nexts[0].id, nexts[0].probability
    spread = (share * (1 - share) / len(drawn)) ** 0.5
    assert abs(drawn.count(likeliest) / len(drawn) - share) <= 4 * spread
    kept, total = set(), 0.0
    for token in nexts:
        if total < 0.5:
            kept.add(token.id)
        total += probabilities[token.id]
    few = {draw(seed, "--temperature", "1", "--top-p", "0.5") for seed in range(100)}
    assert few <= kept and len(few) > 1


@pytest.fixture(scope="module", params=["qwen2", "gpt4", "gpt2"])
def encoders(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Tokenizer]:
    folder = tmp_path_factory.mktemp(request.param)
    random_folder(folder / "model", SIZES["llama"], pattern=request.param)
    texts = [*DIFFICULT_TEXTS, "We'll see: 'tis 1234 o'clock!  \n\n  I'd've said so. " * 30]
    tokenizer = train_tokenizer(texts, vocabulary_size=303, pattern=request.param)
    tokenizer.save(folder / "model")
    path = write_single_file(folder / "model", folder / "model.bin").path
    return path, Tokenizer.load(folder / "model")


def test_difficult_texts_encode_alike(encoders: tuple[Path, Tokenizer], runner: Runner) -> None:
    path, tokenizer = encoders
    for text in (*DIFFICULT_TEXTS, "".join(DIFFICULT_TEXTS) * 20):
        ids = tokenizer.encode(text)
        assert runner.encode(path, text) == ids
        assert runner.decode(path, ids) == text.encode("utf-8")


_HARD = st.sampled_from(
    "'sStTrReEvVmMlLdD \t\r\n\u00a0\u0085\u3000\u017f\u212a12½Ⅳ١a小é\u0301!…\0🙂"
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(_HARD, max_size=40), st.text(max_size=20)), max_size=4))
@example([""])
def test_made_up_texts_encode_alike(
    encoders: tuple[Path, Tokenizer], runner: Runner, pieces: list[str]
) -> None:
    path, tokenizer = encoders
    text = "".join(pieces)
    ids = tokenizer.encode(text)
    assert runner.encode(path, text) == ids
    assert runner.decode(path, ids) == text.encode("utf-8")


def test_classes_are_python_s_unicode_but_for_what_is_newer() -> None:
    """Oniguruma's tables beside `unicodedata`'s, whose version may be another."""
    runs = character_classes()
    starts, classes = runs & 0xFFFFFF, runs >> 24
    differing = 0
    for first, last, found in zip(starts, [*starts[1:], 0x110000], classes, strict=True):
        for code in range(int(first), int(last)):
            if 0xD800 <= code < 0xE000:
                continue
            category = unicodedata.category(chr(code))
            expected = {"L": 1, "N": 2, "Z": 3}.get(category[0], 0)
            if category == "Cc" and chr(code).isspace() and code not in range(0x1C, 0x20):
                expected = 3
            differing += category != "Cn" and int(found) != expected
    assert len(runs) > 1000 and differing == 0


def test_without_a_compiler_numpy_proves_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_file, "compiled_runner", lambda: None)
    report = write_single_file(folder, tmp_path / "story.bin", kind="int8")
    assert report.proved_by == "numpy" and report.computation.relative <= 1e-5
    assert (tmp_path / "run_model.c").read_text(encoding="utf-8").startswith("/* Runs a model")


def test_a_wrong_file_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "story.bin"
    right = write_single_file(folder, path).path.read_bytes()
    frequencies = Shape.inverse_frequencies
    with monkeypatch.context() as patch:
        patch.setattr(Shape, "inverse_frequencies", lambda self: frequencies(self) * 2)
        with pytest.raises(WorkFailed, match="logits differ"):
            write_single_file(folder, path)
    with monkeypatch.context() as patch:
        tables = single_file.tokenizer_tables

        def shifted(*where: Any) -> TokenizerTables:
            right = tables(*where)
            return replace(right, byte_ids=np.roll(right.byte_ids, 1))

        patch.setattr(single_file, "tokenizer_tables", shifted)
        with pytest.raises(WorkFailed, match="does not encode"):
            write_single_file(folder, path)
    assert path.read_bytes() == right
    assert sorted(found.name for found in tmp_path.iterdir()) == ["run_model.c", "story.bin"]


def test_refusals(folder: Path, tmp_path: Path, runner: Runner) -> None:
    with pytest.raises(UserError, match="a folder; name the file"):
        write_single_file(folder, tmp_path)
    definition = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    copy = random_folder(tmp_path / "model", SIZES["llama"])
    for change, message in (
        ({"normalizer": {"type": "NFC"}}, "split pattern"),
        ({"model": definition["model"] | {"ignore_merges": True}}, "ignore_merges"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "split pattern"),
    ):
        (copy / "tokenizer.json").write_text(json.dumps(definition | change), encoding="utf-8")
        with pytest.raises(UserError, match=message):
            write_single_file(copy, tmp_path / "story.bin")

    with pytest.raises(UserError, match="llama and qwen3"):
        write_single_file(random_folder(tmp_path / "q", SIZES["qwen2"]), tmp_path / "story.bin")

    whole = write_single_file(folder, tmp_path / "whole.bin").path.read_bytes()
    for name, content, message in (
        ("cut.bin", whole[:-100], "cut off"),
        ("other.bin", b"x" * 1000, "not a model"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_single_file(tmp_path / name)
        with pytest.raises(WorkFailed, match=message):
            runner.logits(tmp_path / name, [1])
    with pytest.raises(WorkFailed, match="no such id"):
        runner.logits(tmp_path / "whole.bin", [9999])
    with pytest.raises(WorkFailed, match="does not fit"):
        runner.generate(tmp_path / "whole.bin", "a?b!" * 100)


def test_compiles_without_warnings_and_runs_with_sanitizers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COMPILER
    path = write_single_file(folder, tmp_path / "story.bin", kind="int8").path
    checked = Runner(tmp_path / "checked")
    flags = (
        "-O1",
        "-g",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-fsanitize=address,undefined",
    )
    try:
        compile_runner(COMPILER, checked.program, *flags)
    except WorkFailed as error:
        assert "asan" in str(error) or "sanitize" in str(error), error
        compile_runner(COMPILER, checked.program, *flags[:-1])
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # memory lives as long as the process
    for text in DIFFICULT_TEXTS:
        checked.encode(path, text)
    assert np.isfinite(checked.logits(path, list(range(64)))).all()
    checked.generate(path, "One", "--tokens", "100", "--seed", "1", "--top-p", "0.9")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 100), st.sampled_from([32, 96]), st.integers(0, 2**32 - 1))
def test_int8_rounds_to_the_nearest(rows: int, columns: int, group: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).standard_t(3, (rows, columns)).astype(np.float32)
    error = np.abs(round_to_int8(matrix, group).values(columns) - matrix)
    for row, start in itertools.product(range(rows), range(0, columns, group)):
        block = slice(start, start + group)
        assert error[row, block].max() <= 0.51 * np.abs(matrix[row, block]).max() / 127


def test_groups_divide_the_widths_or_are_the_smallest(folder: Path) -> None:
    shape = read_shape(folder)
    assert group_of(shape, "int8") == 32 and group_of(shape, "f32") == 32
    wide = replace(shape, d_model=288, n_heads=6, head_dim=48, d_ff=768)
    assert group_of(wide, "int8") == 96
