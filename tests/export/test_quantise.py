"""Quantised folders: what was written is what is read, and says how good it is."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from lilliput.cli.quantise import command
from lilliput.errors import UserError
from lilliput.export.gguf import write_gguf
from lilliput.export.onnx import write_onnx
from lilliput.export.quantise import Choice, write_quantised
from lilliput.export.quantise.calibration import calibration_batches
from lilliput.export.quantise.gptq import gptq
from lilliput.export.quantise.pack import pack, trained_packing
from lilliput.export.single_file import write_single_file
from lilliput.files import read_json, write_json
from lilliput.generate import load
from lilliput.model import build, initialise, shape_of
from lilliput.model.folder import load_model, packed_weights, save_model
from lilliput.model.inference import optimised
from lilliput.model.linear import rounded_weight
from lilliput.model.packed import PackedWeights, Packing
from lilliput.model.rounding import best_scales, nearest
from lilliput.tokens import TokenSplit, train_tokenizer
from lilliput.verbs.quantising import _note, compare_quantisations, quantise

TEXT = "The cat sat on the mat. It was 12 o'clock! A dog, a hat and a bird came by.\n" * 8


def make_folder(folder: Path, **overrides: Any) -> Path:
    """A model folder with random weights and a tokenizer."""
    tokenizer = train_tokenizer([TEXT * 20], vocabulary_size=300)
    tokenizer.save(folder)
    chosen = {"n_layers": 2, "d_model": 48, "context_length": 32, **overrides}
    family = chosen.pop("family", "lilliput")
    size = tokenizer.vocabulary_size
    config = shape_of(
        family, vocabulary_size=size, end_of_text=tokenizer.end_of_text, depth=2, **chosen
    )
    model = build(config)
    initialise(model, 3)
    torch.manual_seed(3)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    save_model(model, folder, end_of_text=tokenizer.end_of_text, padding=1, card="# Mine\n")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("quantise") / "model")


@pytest.fixture(scope="module")
def split(folder: Path) -> TokenSplit:
    ids = load(folder, "cpu").tokenizer.encode(TEXT * 3)
    end = load(folder, "cpu").tokenizer.end_of_text
    stream = torch.tensor([end, *ids, end]).numpy().astype("uint16")
    return TokenSplit("train", [stream], end, len(TEXT) * 3)


def logits(folder: Path) -> Tensor:
    model = load_model(folder)
    with torch.inference_mode():
        return model(torch.arange(30)[None])  # type: ignore[no-any-return, operator]


@pytest.mark.parametrize(
    "bits, embedding, method", [(8, 8, "nearest"), (4, 4, "gptq"), (4, 0, "nearest")]
)
def test_what_is_written_is_read(
    bits: int, embedding: int, method: Any, folder: Path, split: TokenSplit, tmp_path: Path
) -> None:
    choice = Choice(bits, method, embedding)
    made = write_quantised(
        folder, tmp_path / "small", choice, calibration=split, texts=["The cat sat."]
    )
    assert made.path == tmp_path / "small"
    weights = packed_weights(made.path)
    assert weights == made.weights and weights.method == method
    assert weights.blocks.format == f"int{bits}"
    decoder = load_model(folder)
    expected = pack(decoder, weights, method, calibration_batches(split, 32, 32_768))  # type: ignore[arg-type]
    ids = torch.arange(30)[None]
    with torch.inference_mode():
        assert torch.equal(logits(made.path), expected(ids))
    apart = (logits(made.path) - logits(folder)).norm() / logits(folder).norm()
    assert 0 < apart < (0.05 if bits == 8 else 0.7)
    # Its true size: codes, scales, and the few numbers that stay float32.
    per_weight = bits + 16 / weights.blocks.group
    assert made.size == (made.path / "model.safetensors").stat().st_size
    if embedding == bits:
        with (made.path / "model.safetensors").open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        tensors = 8 * (made.size - 8 - header) / made.parameters
        assert per_weight < tensors < 1.4 * per_weight  # groups filled up: 48 is no multiple of 32
    assert made.bits_per_byte is not None
    before, after = made.bits_per_byte
    assert abs(after - before) < 0.3 * before
    # The tokenizer came along: the folder writes and scores.
    model = load(made.path, "cpu")
    assert isinstance(model.generate("The cat", max_tokens=3, temperature=0)[0], str)
    assert model.score("The cat", [" sat"])[0] < 0


def test_optimised_form_of_a_packed_model(folder: Path, tmp_path: Path) -> None:
    write_quantised(folder, tmp_path / "small", Choice(4, "nearest", 8, 16))
    packed = load_model(tmp_path / "small")
    ids = torch.arange(30)[None]
    with torch.inference_mode():
        expected = packed(ids)  # type: ignore[operator]
        portable = optimised(packed, backend="torch")
        assert torch.allclose(portable(ids), expected, atol=1e-4)  # type: ignore[operator]
        found = optimised(packed, threads=1)
        # Our C rounds activations to 8 bits too.
        assert float((found(ids) - expected).abs().max()) < 0.05 * float(expected.abs().max())  # type: ignore[operator]


@pytest.mark.parametrize("bits", ["int8", "int4", "int2"])
def test_weights_that_training_rounded_lose_nothing(bits: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", linear=bits)
    made = write_quantised(folder, tmp_path / "small", Choice(method="trained", embedding_bits=0))
    assert made.weights.blocks == Packing(bits, 0)  # type: ignore[arg-type]
    assert torch.allclose(logits(made.path), logits(folder), atol=1e-5)


def test_ternary_weights_take_a_fifth_of_a_byte(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", family="bitnet", d_model=80)
    made = write_quantised(folder, tmp_path / "small", Choice(method="trained", embedding_bits=0))
    before, after = load_model(folder), load_model(made.path)
    for name in ("attention.query", "attention.output", "feed_forward.down"):
        exact = before.get_submodule(f"blocks.1.{name}").weight
        stored = after.get_submodule(f"blocks.1.{name}").weight
        assert torch.allclose(stored, rounded_weight(exact, "ternary"), atol=1e-7)  # type: ignore[arg-type]
    # An activation between two of the 8-bit numbers falls to one or the other by its last bit.
    assert float((logits(made.path) - logits(folder)).abs().median()) < 1e-2
    with safe_open(made.path / "model.safetensors", framework="pt") as file:
        codes = file.get_tensor("blocks.0.attention.query.codes")
    assert codes.shape == (80, 80 // 5)


def test_plain_models_were_not_rounded_by_training(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did not round"):
        write_quantised(folder, tmp_path / "small", Choice(method="trained"))
    assert trained_packing(load_model(make_folder(tmp_path / "m", linear="int4"))).bits == 4  # type: ignore[arg-type]


def correlated(columns: int, rows: int = 500) -> Tensor:
    torch.manual_seed(8)
    return torch.randn(rows, columns) @ torch.randn(columns, columns) / columns**0.5


def loss(weight: Tensor, made: tuple[Tensor, Tensor], packing: Packing, inputs: Tensor) -> float:
    codes, scales = made
    wide = scales.float().repeat_interleave(packing.group_width(weight.shape[1]), dim=1)
    values = (codes.float() - packing.zero) * wide[:, : weight.shape[1]]
    return float((inputs @ (values - weight).t()).square().sum())


@pytest.mark.parametrize("columns", [64, 200])
def test_gptq_changes_the_products_less(columns: int) -> None:
    inputs, packing = correlated(columns), Packing("int4", 32)
    weight = torch.randn(24, columns)
    by_text = loss(weight, gptq(weight, inputs.t() @ inputs, packing), packing, inputs)
    assert by_text < 0.6 * loss(weight, nearest(weight, packing), packing, inputs)


def test_gptq_is_the_paper_s_recursion() -> None:
    """Against the update formula of the paper, one column at a time with a fresh inverse."""
    inputs, packing = correlated(32), Packing("int4", 16)
    weight = torch.randn(5, 32)
    moments = inputs.t() @ inputs
    codes, scales = gptq(weight, moments, packing)
    order = moments.diagonal().argsort(descending=True)
    damped = moments.double() + 0.01 * moments.diagonal().mean() * torch.eye(32)
    left, wide = list(order.tolist()), scales.float().repeat_interleave(16, dim=1).double()
    now = weight.double().clone()
    while left:
        column = left[0]
        inverse = torch.linalg.inv(damped[left][:, left])
        code = (now[:, column] / wide[:, column]).round().clamp(-8, 7)
        assert torch.equal(code + 8, codes[:, column].double())
        error = (now[:, column] - code * wide[:, column]) / inverse[0, 0]
        now[:, left] -= error[:, None] * inverse[0]
        left = left[1:]


def test_gptq_without_correlation_is_nearest() -> None:
    weight, packing = torch.randn(6, 64), Packing("int4", 32)
    codes, scales = gptq(weight, torch.eye(64), packing)
    expected, expected_scales = nearest(weight, packing)
    assert torch.equal(scales, expected_scales) and torch.equal(codes, expected)


@given(st.integers(1, 70), st.sampled_from([16, 32, 64]), st.sampled_from(["int8", "int4", "int2"]))
@settings(max_examples=40, deadline=None)
def test_scales_are_never_worse_than_the_plain_one(columns: int, group: int, bits: Any) -> None:
    packing = Packing(bits, group)
    weight = torch.randn(3, columns, generator=torch.Generator().manual_seed(columns))
    codes, scales = nearest(weight, packing)
    assert scales.shape == (3, packing.groups(columns))
    assert int(codes.max()) <= packing.largest
    half = 1 << (packing.bits - 1)
    wide = scales.float().repeat_interleave(group, dim=1)[:, :columns]
    error = ((codes.float() - half) * wide - weight).square().sum()
    for place in range(packing.groups(columns)):
        part = weight[:, place * group : (place + 1) * group]
        plain = (part.abs().amax(dim=1, keepdim=True) / (half - 1)).bfloat16().float()
        rounded = (part / plain).round().clamp(-half, half - 1) * plain
        error -= (rounded - part).square().sum()
    assert float(error) < 1e-4


def test_importance_moves_the_scales() -> None:
    torch.manual_seed(9)
    weight, packing = torch.randn(16, 32), Packing("int4", 32)
    importance = torch.ones(32)
    importance[:4] = 100
    plain, weighted = best_scales(weight, packing), best_scales(weight, packing, importance)
    assert not torch.equal(plain, weighted)


@pytest.mark.parametrize(
    "choice, words",
    [
        (Choice(3), "3 bits"),
        (Choice(8, "best"), "method 'best'"),  # type: ignore[arg-type]
        (Choice(4, "gptq"), "calibrate"),
        (Choice(8, group=20), "multiple of 16"),
    ],
)
def test_refusals_say_what_to_do(choice: Choice, words: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        write_quantised(folder, tmp_path / "small", choice)
    assert not (tmp_path / "small").exists()


def test_models_that_cannot_be_quantised(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        write_quantised(folder, tmp_path, Choice())
    for family, words in (("mixtral", "mixture of experts"), ("mamba", "mamba")):
        other = make_folder(tmp_path / family, family=family)
        with pytest.raises(UserError, match=words):
            write_quantised(other, tmp_path / "small", Choice())
    write_quantised(folder, tmp_path / "once", Choice())
    with pytest.raises(UserError, match="quantised already"):
        write_quantised(tmp_path / "once", tmp_path / "twice", Choice())


def test_other_exports_refuse_a_packed_folder(folder: Path, tmp_path: Path) -> None:
    write_quantised(folder, tmp_path / "small", Choice())
    for write in (write_single_file, write_gguf, write_onnx):
        with pytest.raises(UserError, match="lilliput"):
            write(tmp_path / "small", tmp_path / "out")  # type: ignore[operator]


@pytest.mark.parametrize(
    "stored", [{"blocks": {"format": "int7"}}, {"blocks": 3, "embedding": None, "method": "x"}, []]
)
def test_damaged_descriptions(stored: Any, folder: Path, tmp_path: Path) -> None:
    write_quantised(folder, tmp_path / "small", Choice())
    values = read_json(tmp_path / "small" / "config.json")
    write_json(tmp_path / "small" / "config.json", values | {"lilliput_weights": stored})
    with pytest.raises(UserError, match="lilliput_weights"):
        load_model(tmp_path / "small")


def test_another_shape_than_the_description_is_refused(folder: Path, tmp_path: Path) -> None:
    write_quantised(folder, tmp_path / "small", Choice(4))
    values = read_json(tmp_path / "small" / "config.json")
    stored = copy.deepcopy(values["lilliput_weights"])
    stored["blocks"]["format"] = "int8"
    write_json(tmp_path / "small" / "config.json", values | {"lilliput_weights": stored})
    with pytest.raises(UserError, match="shape"):
        load_model(tmp_path / "small")


def test_the_command_writes_both_cards(folder: Path, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "model")
    texts = tmp_path / "texts.txt"
    texts.write_text(TEXT, encoding="utf-8")
    small = tmp_path / "small"
    done = CliRunner().invoke(
        command, [str(source), "--bits", "4", "-o", str(small), "--texts", str(texts)]
    )
    assert done.exit_code == 0, done.output
    assert "bits per byte" in done.output
    for card in (source, small):
        text = (card / "README.md").read_text(encoding="utf-8")
        assert text.startswith("# Mine\n") and "| int4 | int8 | nearest |" in text
    quantise(source, tmp_path / "again", bits=4, texts=[TEXT])
    text = (source / "README.md").read_text(encoding="utf-8")
    assert text.count("| int4 | int8 | nearest |") == 1
    rows = compare_quantisations(source, texts=[TEXT])
    assert [(row["weights"], row["embedding"]) for row in rows] == [
        ("int8", "int8"), ("int4", "int8"), ("int4", "int4"),
    ]  # fmt: skip
    text = (source / "README.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    sizes = [int(line.split("|")[4].replace(",", "")) for line in table[2:]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_card_keeps_what_stands_after_the_table(folder: Path, tmp_path: Path) -> None:
    made = write_quantised(folder, tmp_path / "small", Choice())
    card = tmp_path / "small" / "README.md"
    card.write_text("# Mine\n\n## Quantised\n\nold\n\n## Exports\n\n| gguf |\n", encoding="utf-8")
    _note(tmp_path / "small", folder, [made])
    text = card.read_text(encoding="utf-8")
    assert "old" not in text and "\n## Exports\n\n| gguf |\n" in text


def test_packed_weights_describe_themselves() -> None:
    weights = PackedWeights(Packing("int4", 32), None, "gptq")
    assert PackedWeights.from_dict(weights.to_dict(), "here") == weights
