"""The ONNX export beside transformers, onnx's checker and its reference evaluator."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GraniteConfig,
    LlamaConfig,
    MinistralConfig,
    MistralConfig,
    Olmo2Config,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from lilliput.errors import UserError, WorkFailed
from lilliput.export.onnx import write as onnx_export
from lilliput.export.onnx.quantise import BLOCK, quantise
from lilliput.export.onnx.write import onnx_session, session_logits, write_onnx
from lilliput.export.source import Shape, read_shape
from lilliput.tokens import train_tokenizer

TEXT = 'One day, a cat sat on 12 mats. It didn\'t like the 3rd mat: too wet!\n\n"Why?" said Tom. '


@dataclass(frozen=True)
class Sizes:
    """A small model of a class of transformers."""

    kind: type
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    inner: int = 96
    tied: bool = False
    theta: float = 10_000.0
    layers: int = 2
    more: dict[str, Any] = field(default_factory=dict)


SIZES = {
    "llama": Sizes(LlamaConfig),
    "llama-tied-uneven": Sizes(
        LlamaConfig, width=40, heads=5, kv_heads=1, head_dim=24, inner=56, tied=True, theta=5e5
    ),
    "qwen3": Sizes(Qwen3Config, head_dim=32, kv_heads=4),
    "qwen3-tied": Sizes(Qwen3Config, kv_heads=1, tied=True),
    "llama3": Sizes(LlamaConfig, more={"rope_parameters": {
        "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
    }}),
    "qwen2": Sizes(Qwen2Config),
    "mistral": Sizes(MistralConfig, more={"sliding_window": 5}),
    "ministral": Sizes(
        MinistralConfig,
        more={"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "smollm3": Sizes(SmolLM3Config, layers=3, more={"no_rope_layers": [1, 0, 1]}),
    "granite": Sizes(
        GraniteConfig,
        more={"embedding_multiplier": 3.0, "residual_multiplier": 0.7,
              "attention_multiplier": 0.2, "logits_scaling": 2.0},
    ),
    "olmo2": Sizes(Olmo2Config),
    "gemma": Sizes(GemmaConfig, head_dim=32, tied=True),
    "gemma2": Sizes(
        Gemma2Config, head_dim=32, tied=True, layers=3,
        more={"sliding_window": 5, "query_pre_attn_scalar": 24, "final_logit_softcapping": 5.0,
              "attn_logit_softcapping": 2.0},
    ),
    "gemma3": Sizes(
        Gemma3TextConfig, tied=True, layers=7,
        more={"sliding_window": 5, "query_pre_attn_scalar": 24, "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }},
    ),
}  # fmt: skip
OWN_CLASSES = ("llama", "llama-tied-uneven", "llama3", "qwen3", "qwen3-tied")


def random_folder(folder: Path, sizes: Sizes, *, pattern: str = "qwen2") -> Path:
    """A model folder that transformers itself wrote, all weights random, with our tokenizer."""
    tokenizer = train_tokenizer([TEXT * 20], vocabulary_size=300, pattern=pattern)
    tokenizer.save(folder)
    arguments = {
        "vocab_size": tokenizer.vocabulary_size + 3,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "max_position_embeddings": 64,
        "tie_word_embeddings": sizes.tied,
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.theta},
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 1,
    }
    config = sizes.kind(**{**arguments, **sizes.more})
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.15)
            if "norm" in name:
                parameter.add_(1.0)
    model.save_pretrained(folder)
    return folder


def transformers_logits(folder: Path, ids: list[int]) -> np.ndarray:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits: np.ndarray = model(torch.tensor([ids])).logits[0].numpy()
    return logits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_folder(tmp_path / "model", SIZES["qwen3"])


@pytest.mark.parametrize("name", SIZES)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    folder = random_folder(tmp_path / "model", SIZES[name])
    report = write_onnx(folder, tmp_path / "out", kind="f32")
    assert report.path == tmp_path / "out" / "onnx" / "model.onnx"
    assert max(report.model.relative, report.computation.relative) <= 1e-5
    assert report.size == report.path.stat().st_size
    assert 32 < report.bits_per_weight < 40

    ids = np.random.default_rng(0).integers(0, 300, 40).tolist()
    session = onnx_session(report.path)
    found = session_logits(session, read_shape(folder), ids, [7, 1, 12, *[1] * 20])
    assert np.abs(found - transformers_logits(folder, ids)).max() <= 1e-5 * np.abs(found).max()


def test_four_bits(tmp_path: Path) -> None:
    for name in (*OWN_CLASSES, "qwen2"):
        sizes = SIZES[name]
        folder = random_folder(tmp_path / name, sizes)
        report = write_onnx(folder, tmp_path / f"{name}-out", kind="int4")
        assert report.path.name == "model_q4.onnx"
        assert report.computation.relative <= 1e-5, "onnxruntime's kernels on the rounded weights"
        assert 0 < report.model.kl < 1
        model = onnx.load(report.path)
        stored = {tensor.name for tensor in model.graph.initializer}
        assert not {name for name in stored if name.endswith("proj.weight")}
        heads = [node for node in model.graph.node if "logits" in node.output]
        assert [node.op_type for node in heads] == ["MatMulNBits"]
        assert ("lm_head.weight.codes" in stored) != sizes.tied


def test_standard_operators_that_the_reference_evaluator_runs(folder: Path, tmp_path: Path) -> None:
    report = write_onnx(folder, tmp_path / "out", kind="f32")
    onnx.checker.check_model(str(report.path), full_check=True)
    model = onnx.load(report.path)
    assert {node.domain for node in model.graph.node} == {""}
    shape, ids = read_shape(folder), [5, 17, 200, 3]
    empty = np.zeros((1, shape.n_kv_heads, 0, shape.head_dim), np.float32)
    inputs = {value.name: empty for value in model.graph.input if "past" in value.name}
    inputs |= {
        "input_ids": np.array([ids]),
        "attention_mask": np.ones((1, 4), np.int64),
        "position_ids": np.arange(4)[None],
    }
    logits = ReferenceEvaluator(model).run(["logits"], inputs)[0][0]
    assert np.abs(logits - transformers_logits(folder, ids)).max() <= 1e-4


def test_left_padding_changes_nothing(folder: Path, tmp_path: Path) -> None:
    session = onnx_session(write_onnx(folder, tmp_path / "out").path)
    shape = read_shape(folder)
    short, long = [9, 8, 7], [30, 31, 32, 33, 34]
    mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    empty = np.zeros((2, shape.n_kv_heads, 0, shape.head_dim), np.float32)
    inputs = {value.name: empty for value in session.get_inputs() if "past" in value.name}
    inputs |= {
        "input_ids": np.array([[1, 1, *short], long]),
        "attention_mask": mask,
        "position_ids": np.maximum(mask.cumsum(1) - 1, 0),
    }
    logits = session.run(["logits"], inputs)[0]
    alone = [session_logits(session, shape, ids, [len(ids)]) for ids in (short, long)]
    assert np.abs(logits[0, 2:] - alone[0]).max() <= 1e-5
    assert np.abs(logits[1] - alone[1]).max() <= 1e-5


def test_folder_has_what_a_browser_runtime_reads(folder: Path, tmp_path: Path) -> None:
    for kind, name in (("f32", "fp32"), ("int4", "q4")):
        write_onnx(folder, tmp_path / "out", kind=kind)
        config = json.loads((tmp_path / "out" / "config.json").read_text())
        assert config["model_type"] == "qwen3"
        assert config["transformers.js_config"] == {"dtype": name}
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        str(Path("onnx", "model.onnx")),
        str(Path("onnx", "model_q4.onnx")),
    } <= files


def test_large_weights_lie_beside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_onnx(folder, tmp_path / "whole")
    monkeypatch.setattr(onnx_export, "_LARGEST_MESSAGE", 10_000)
    parts = write_onnx(folder, tmp_path / "parts")
    assert parts.path.with_name("model.onnx_data").stat().st_size > 0.9 * whole.size
    assert parts.path.stat().st_size < 0.2 * whole.size
    assert parts.model == whole.model
    ids = [3, 4, 5]
    one, two = (
        session_logits(onnx_session(report.path), read_shape(folder), ids, [3])
        for report in (whole, parts)
    )
    assert np.array_equal(one, two)
    config = json.loads((tmp_path / "parts" / "config.json").read_text())
    assert config["transformers.js_config"]["use_external_data_format"] is True


def test_a_wrong_graph_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = write_onnx(folder, tmp_path / "out").path.read_bytes()
    frequencies = Shape.inverse_frequencies
    monkeypatch.setattr(Shape, "inverse_frequencies", lambda self: frequencies(self)[::-1])
    for kind in ("f32", "int4"):
        with pytest.raises(WorkFailed, match="onnxruntime's logits differ"):
            write_onnx(folder, tmp_path / "out", kind=kind)
    left = list((tmp_path / "out" / "onnx").iterdir())
    assert [path.name for path in left] == ["model.onnx"] and left[0].read_bytes() == right


def test_refusals(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(UserError, match="no such file"):
        write_onnx(tmp_path / "absent", tmp_path / "out")
    for change, message in (
        ({"model_type": "gpt2"}, "'gpt2' has no export"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type"),
        ({"hidden_size": 32}, "has shape"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match=message):
            write_onnx(folder, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(onnxruntime, "__version__", "1.22.0")
        with pytest.raises(UserError, match=r"onnxruntime 1\.22\.0 is too old.*1\.23"):
            write_onnx(folder, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'lilliput\[onnx\]'"):
        write_onnx(folder, tmp_path / "out")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 80), st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_rounding_is_never_worse_than_to_the_nearest(
    rows: int, columns: int, seed: int, spread: float
) -> None:
    matrix = np.random.default_rng(seed).standard_t(3, (rows, columns)).astype(np.float32)
    matrix *= np.float32(spread)
    rounded = quantise(matrix)
    assert rounded.values.shape == matrix.shape
    for row in range(rows):
        for start in range(0, columns, BLOCK):
            block = matrix[row, start : start + BLOCK].astype(np.float64)
            scale = np.abs(block).max() / 7
            plain = np.round(block / scale) * scale
            error = rounded.values[row, start : start + BLOCK] - block
            assert (error**2).sum() <= 1.3 * ((plain - block) ** 2).sum() + 1e-9 * (block**2).sum()


def test_a_matrix_of_zeros_stays_zero() -> None:
    assert not quantise(np.zeros((3, 40), np.float32)).values.any()
