"""Folders of transformers' classes → GGUF, against the gguf package's reader and transformers."""

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf_folders import CLASSES, make_folder, tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from lilliput.errors import UserError, WorkFailed
from lilliput.export.gguf import check as gguf_check
from lilliput.export.gguf import llama_cpp as gguf_llama_cpp
from lilliput.export.gguf import write as gguf_write
from lilliput.export.gguf.file import gguf_package
from lilliput.export.gguf.read import read_gguf
from lilliput.export.gguf.write import write_gguf
from lilliput.tokens import Tokenizer
from lilliput.tokens.encoders import DIFFICULT_TEXTS

torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def without_llama_cpp() -> Iterator[None]:
    """These tests are the same whether xllamacpp is installed or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf_check, "llama_cpp_parity", lambda *_: None)
        yield


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return tiny_tokenizer()


def contents(path: Path) -> dict[str, object]:
    return {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items()}


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", CLASSES)
def test_float32_gives_the_same_logits(name: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder(name, tmp_path / name, tokenizer)
    result = write_gguf(folder, tmp_path / "model.gguf")
    assert result.check.error_share == 0
    assert result.check.logits is not None
    assert result.check.logits.max_difference == 0
    # transformers computes the same from the folder the file gives back
    read_gguf(result.path, tmp_path / "again")
    ids = torch.randint(16, tokenizer.vocabulary_size, (2, 40))
    one, two = (
        AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
        for where in (folder, tmp_path / "again")
    )
    with torch.no_grad():
        first, second = one(ids).logits, two(ids).logits
    # Read back as the class they are written as, these two add up in another order.
    apart = 1e-5 if name in ("helium", "gpt-j") else 0.0
    assert float((first - second).abs().max()) <= apart
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(result.path).tensors}
    assert {tensor.tensor_type.name for tensor in stored.values()} == {"F32"}
    assert result.parameters == sum(int(tensor.n_elements) for tensor in stored.values())


def test_query_rows_turn_as_pairs_of_neighbours(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """llama.cpp turns rows 2i and 2i+1; transformers rows i and i + width/2: scores agree."""
    folder = make_folder("llama", tmp_path / "llama", tokenizer)
    write_gguf(folder, tmp_path / "model.gguf")
    stored = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    theirs = load_file(folder / "model.safetensors")
    hidden = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    head_dim, places = 16, (5, 2)
    angles = 10_000.0 ** -(np.arange(0, head_dim, 2) / head_dim)

    def turned(row: np.ndarray, place: int, *, neighbours: bool) -> np.ndarray:
        pairs = row.reshape(-1, 2) if neighbours else row.reshape(2, -1).T
        value = (pairs[:, 0] + 1j * pairs[:, 1]) * np.exp(1j * angles * place)
        return np.concatenate([value.real, value.imag])

    scores = []
    for neighbours in (True, False):
        prefix = "model.layers.0.self_attn"
        query, key = (
            (stored["blk.0.attn_q.weight"], stored["blk.0.attn_k.weight"])
            if neighbours
            else (
                theirs[f"{prefix}.q_proj.weight"].numpy(),
                theirs[f"{prefix}.k_proj.weight"].numpy(),
            )
        )
        rows = (query @ hidden[0])[:head_dim], (key @ hidden[1])[:head_dim]
        both = [
            turned(row, place, neighbours=neighbours)
            for row, place in zip(rows, places, strict=True)
        ]
        scores.append(float(both[0] @ both[1]))
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_metadata_are_what_llama_cpp_reads(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("qwen3", tmp_path / "qwen3", tokenizer)
    write_gguf(folder, tmp_path / "model.gguf")
    found = contents(tmp_path / "model.gguf")
    assert found["general.architecture"] == "qwen3"
    assert found["qwen3.attention.key_length"] == 32
    assert found["qwen3.attention.head_count_kv"] == 2
    assert found["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    assert found["tokenizer.ggml.model"] == "gpt2"
    assert found["tokenizer.ggml.pre"] == "qwen2"
    assert found["tokenizer.ggml.add_bos_token"] is True
    assert found["tokenizer.ggml.bos_token_id"] == tokenizer.end_of_text
    assert found["tokenizer.ggml.tokens"] == tokenizer.token_of
    assert found["tokenizer.ggml.token_type"][:17] == [3] * 16 + [1]


def test_types_and_what_stays_wider(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("llama", tmp_path / "llama", tokenizer, hidden_size=256, head_dim=16)
    sizes = {}
    for kind in ("f32", "f16", "bf16", "q8_0", "q4_0", "tq1_0", "tq2_0"):
        result = write_gguf(folder, tmp_path / f"{kind}.gguf", kind=kind)
        sizes[kind] = result.bits_per_weight
        assert result.check.error_share <= 1
        types = {
            tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(result.path).tensors
        }
        assert types["blk.0.attn_norm.weight"] == "F32"
        assert types["blk.0.ffn_up.weight"] == kind.upper()
        assert result.wider == {
            name: found for name, found in types.items() if found not in ("F32", kind.upper())
        }
        if kind in ("q4_0", "tq1_0"):
            assert types["token_embd.weight"] == types["output.weight"] == "Q8_0"
        if kind.startswith("tq"):  # rows of 64 and 96 are no multiples of 256
            assert types["blk.0.attn_output.weight"] == types["blk.0.ffn_down.weight"] == "Q8_0"
    assert sizes["f32"] > sizes["f16"] > sizes["q8_0"] > sizes["q4_0"] > sizes["tq1_0"]


def test_a_ternary_model_keeps_its_weights(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder(
        "llama", tmp_path / "llama", tokenizer, hidden_size=256, intermediate_size=256,
        num_attention_heads=8, num_key_value_heads=8,
    )  # fmt: skip
    assert "three values" in write_gguf(folder, tmp_path / "m.gguf", kind="tq2_0").notes[0]
    tensors = {
        name: tensor.sign() * 0.125 if "_proj" in name else tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(tensors, folder / "model.safetensors")
    for kind in ("tq1_0", "tq2_0"):
        assert write_gguf(folder, tmp_path / "m.gguf", kind=kind).notes == ()
        stored = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "m.gguf").tensors}
        matrix = stored["blk.1.ffn_down.weight"]
        assert matrix.tensor_type.name == kind.upper()
        np.testing.assert_array_equal(
            gguf.quants.dequantize(matrix.data, matrix.tensor_type),
            tensors["model.layers.1.mlp.down_proj.weight"].numpy(),
        )


def test_facts_are_plain(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("gpt2", tmp_path / "gpt2", tokenizer)
    facts = write_gguf(folder, tmp_path / "m.gguf", kind="q8_0", texts=["A cat."]).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["architecture"] == "gpt2"
    assert facts["bits_per_byte"] > 0
    assert "GELU" in facts["notes"][0]


def test_rounding_is_measured(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("gpt2", tmp_path / "gpt2", tokenizer)
    results = {
        kind: write_gguf(folder, tmp_path / "m.gguf", kind=kind, texts=["The cat saw 12 dogs."])
        for kind in ("f32", "f16", "q8_0", "q4_0")
    }
    divergences = [result.check.logits.kl for result in results.values() if result.check.logits]
    assert divergences == sorted(divergences)
    assert divergences[0] == 0 < divergences[1]
    before, after = results["f32"].check.bits_per_byte or (0, 1)
    assert before == after
    before, after = results["q4_0"].check.bits_per_byte or (0, 0)
    assert before != after


def test_a_value_beyond_float16_keeps_its_tensor_wide(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("llama", tmp_path / "llama", tokenizer)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = 1e6
    tensors["model.layers.1.mlp.gate_proj.weight"][3] = 0  # so that llama.cpp does not overflow
    save_file(tensors, folder / "model.safetensors")
    result = write_gguf(folder, tmp_path / "model.gguf", kind="f16")
    assert result.wider == {"blk.1.ffn_up.weight": "F32"}
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"blk\.1\.ffn_up\.weight holds a value that is not finite"):
        write_gguf(folder, tmp_path / "model.gguf")


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "qwen2"])
def test_tokenizer_comes_back(pattern: str, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(pattern)
    folder = make_folder(
        "llama", tmp_path / "llama", tokenizer, vocab_size=tokenizer.vocabulary_size + 3
    )
    write_gguf(folder, tmp_path / "model.gguf")
    assert contents(tmp_path / "model.gguf")["tokenizer.ggml.tokens"][-1] == "[PAD322]"
    read_gguf(tmp_path / "model.gguf", tmp_path / "again")
    again = Tokenizer.load(tmp_path / "again")
    for text in DIFFICULT_TEXTS:
        for special in (False, True):
            assert again.encode(text, special=special) == tokenizer.encode(text, special=special)
    assert again.definition["model"]["merges"] == tokenizer.definition["model"]["merges"]
    assert again.definition["pre_tokenizer"] == tokenizer.definition["pre_tokenizer"]
    assert again.special_tokens == tokenizer.special_tokens
    assert (again.end_of_text, again.padding) == (tokenizer.end_of_text, tokenizer.padding)


def test_chat_template_is_kept(tmp_path: Path, tokenizer: Tokenizer) -> None:
    template = "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
    chatty = Tokenizer(tokenizer.definition, {**tokenizer.config, "chat_template": template})
    folder = make_folder("qwen2", tmp_path / "qwen2", chatty, eos_token_id=[0, 5])
    write_gguf(folder, tmp_path / "model.gguf")
    read_gguf(tmp_path / "model.gguf", tmp_path / "again")
    assert (
        json.loads((tmp_path / "again/tokenizer_config.json").read_text())["chat_template"]
        == template
    )
    assert json.loads((tmp_path / "again/generation_config.json").read_text())["eos_token_id"] == [
        0,
        5,
    ]


REFUSED = {
    "sliding window": ("mistral", {"sliding_window": 16}, "sliding window of 16"),
    "another activation": ("llama", {"hidden_act": "gelu"}, "computes SiLU"),
    "exact gelu": ("gpt2", {"activation_function": "gelu"}, "tanh formula"),
    "dynamic rope": (
        "llama",
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
        "stretched by 'dynamic'",
    ),
    "llama3 rope elsewhere": (
        "smollm3",
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 2.0}},
        "stretched by 'llama3'",
    ),
    "other layers without rope": ("smollm3", {"no_rope_layers": [1, 0, 1, 0, 1]}, "every fourth"),
    "weights of experts": ("olmoe", {"norm_topk_prob": True}, "norm_topk_prob"),
    "half of a head": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "partial_rotary_factor": 0.5,
            }
        },
        "a part of each head",
    ),
    "dense layers": ("qwen3-moe", {"mlp_only_layers": [0]}, "dense ones"),
    "layer scales": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "one scale"),
    "query scale": ("gemma3", {"query_pre_attn_scalar": 99}, "query_pre_attn_scalar"),
    "window in Phi-3": ("phi3", {"sliding_window": 16}, "sliding window of 16"),
    "uncapped": ("gemma2", {"final_logit_softcapping": None}, "does not cap both"),
    "untied": ("gemma", {"tie_word_embeddings": False}, "no output matrix"),
    "QK-norm": ("command-r", {"use_qk_norm": True}, "from 64 layers on"),
    "layers of Command-R7B": ("command-r7b", {"layer_types": ["full_attention"] * 5}, "fourth"),
    "narrow heads": ("nemotron", {"head_dim": 8}, "as wide together as the model"),
    "squared ReLU": ("bitnet", {"hidden_act": "relu2"}, "computes SiLU"),
    "rounding as it computes": ("bitnet", {"quantization_config": {"a": 1}}, "rounds neither"),
    "longrope": ("phi3", {"rope_parameters": {"rope_type": "longrope"}}, "by 'longrope'"),
    "bounds of YaRN": (
        "gpt-oss",
        {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "truncate": False}},
        "whole dimensions",
    ),
    "chunks": ("llama4", {"attention_chunk_size": 16}, "in chunks of 8192"),
    "Llama 4 without QK-norm": ("llama4", {"use_qk_norm": False}, "leaves QK-norm out with 128"),
    "groups by their best": (
        "deepseek-v2",
        {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2},
        "by its best two",
    ),
    "query of one matrix": ("deepseek-v3", {"q_lora_rank": None}, "26 or 27 layers"),
    "halves": ("deepseek-v3", {"rope_interleave": False}, "turns neighbouring"),
    "no class": ("gpt2", {"model_type": "gpt_neo"}, "'gpt_neo' cannot be written"),
    "layer pattern": ("gemma3", {"layer_types": ["full_attention"] * 7}, "every sixth layer"),
    "residual": ("bloom", {"apply_residual_connection_post_layernorm": True}, "before the norm"),
    "alibi": ("falcon", {"alibi": True}, "not ALiBi"),
    "class": ("llama", {"model_type": "rwkv"}, "'rwkv' cannot be written"),
    "missing field": ("llama", {"intermediate_size": None}, "'intermediate_size' is missing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_would_compute_wrongly(
    case: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    name, changes, reason = REFUSED[case]
    folder = make_folder(name, tmp_path / name, tokenizer)
    change_config(folder, **changes)
    with pytest.raises(UserError, match=reason):
        write_gguf(folder, tmp_path / "model.gguf")
    assert not list(tmp_path.glob("*.gguf*"))


def test_weights_that_are_not_the_class(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("qwen3", tmp_path / "qwen3", tokenizer)
    tensors = load_file(folder / "model.safetensors")
    extra = {**tensors, "model.layers.0.self_attn.q_proj.bias": torch.zeros(128)}
    save_file(extra, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"q_proj\.bias has no place"):
        write_gguf(folder, tmp_path / "model.gguf")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"lacks model\.layers\.1\.mlp\.up_proj\.weight"):
        write_gguf(folder, tmp_path / "model.gguf")


@pytest.mark.parametrize(
    ("kind", "reason"), [("byte", "no merges"), ("character", "byte-level BPE")]
)
def test_tokenizers_llama_cpp_has_none_of(kind: str, reason: str, tmp_path: Path) -> None:
    from lilliput.tokens import train_tokenizer

    folder = make_folder("llama", tmp_path / "llama", train_tokenizer(["a cat sat"], kind=kind))
    with pytest.raises(UserError, match=reason):
        write_gguf(folder, tmp_path / "model.gguf")


def test_a_split_pattern_without_a_name(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = make_folder("llama", tmp_path / "llama", tokenizer)
    path = folder / "tokenizer.json"
    definition = json.loads(path.read_text())
    stage = definition["pre_tokenizer"]["pretokenizers"][0]
    stage["pattern"]["Regex"] = stage["pattern"]["Regex"].replace(r"\p{N}|", r"\p{N}{1,2}|")
    path.write_text(json.dumps(definition))
    with pytest.raises(UserError, match="no name for its split pattern"):
        write_gguf(folder, tmp_path / "model.gguf")


def test_a_failed_proof_leaves_no_file(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder("llama", tmp_path / "llama", tokenizer)
    real = gguf_write.error_share
    monkeypatch.setattr(gguf_write, "error_share", lambda *given: real(*given) + 1.5)
    with pytest.raises(WorkFailed, match="further off than q8_0 rounds"):
        write_gguf(folder, tmp_path / "model.gguf", kind="q8_0")
    assert not list(tmp_path.glob("*gguf*"))


def test_llama_cpp_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert gguf_llama_cpp.llama_cpp_parity(tmp_path, torch.ones_like, [0], 1, {}) is None


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(UserError, match=r"pip install 'lilliput\[gguf\]'"):
        gguf_package()


def test_kind_unknown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'q3' is no kind of GGUF"):
        write_gguf(tmp_path, tmp_path / "model.gguf", kind="q3")  # type: ignore[arg-type]
