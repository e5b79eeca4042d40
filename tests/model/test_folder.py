"""Model folders: ours, transformers' own, sharded, damaged, of pickles."""

from pathlib import Path

import pytest
import torch
from random_models import frozen_decoder
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lilliput.errors import UserError
from lilliput.files import read_json, write_json
from lilliput.model import (
    ModelConfig,
    becomes,
    export_class,
    load_config,
    load_model,
    save_model,
    shape_of,
    shape_of_size,
)


def small(family: str = "lilliput", **changes: object) -> ModelConfig:
    return shape_of_size("xs", vocabulary_size=97, family=family, context_length=48, **changes)


@pytest.mark.parametrize(("family", "tied"), [("gpt2", True), ("llama", False), ("mixtral", False)])
def test_a_sharded_folder_of_transformers_loads(family: str, tied: bool, tmp_path: Path) -> None:
    config = small(family, tied=tied)
    save_model(frozen_decoder(config), tmp_path / "ours", end_of_text=0, padding=1)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    ids = torch.randint(0, 97, (2, 16))
    with torch.no_grad():
        assert (load_model(tmp_path / "theirs")(ids) - theirs(ids).logits).abs().max() <= 1e-5


def test_a_folder_keeps_its_family_and_a_tied_head_is_stored_once(tmp_path: Path) -> None:
    config = small("smollm2")
    save_model(frozen_decoder(config), tmp_path, end_of_text=0, padding=1)
    assert load_config(tmp_path) == config
    assert read_json(tmp_path / "config.json")["model_type"] == "llama"
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")


def test_a_folder_that_no_class_computes_says_why_and_still_loads(tmp_path: Path) -> None:
    config = small("llama", qk_norm="head", positions="alibi")
    one, reason = export_class(config)
    assert one is None and "model." in reason and "LlamaForCausalLM" in reason
    assert becomes(config).startswith("Lilliput alone")
    model, ids = frozen_decoder(config), torch.randint(0, 97, (2, 16))
    save_model(model, tmp_path, end_of_text=0, padding=1)
    assert torch.equal(load_model(tmp_path)(ids), model(ids))


def test_an_override_finds_another_class_that_computes_it() -> None:
    biased = small("llama", qkv_bias=True)
    one, _ = export_class(biased)
    assert one is not None and one.model_type == "qwen2"


@pytest.mark.parametrize("family", ["mamba", "t5", "t5-v1.0", "retro"])
def test_other_trunks_come_back_from_their_folders(family: str, tmp_path: Path) -> None:
    from lilliput.model import build, initialise

    config = shape_of(family, depth=2, vocabulary_size=97, end_of_text=0, context_length=96)
    model = build(config)
    initialise(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape))
    save_model(model, tmp_path, end_of_text=0, padding=1)
    again = load_model(tmp_path)
    assert again.config == config
    ids = torch.randint(0, 97, (2, 16))
    with torch.no_grad():
        assert torch.equal(again(ids), model(ids))


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model folder"):
        load_model(tmp_path / "absent")
    save_model(frozen_decoder(small()), tmp_path, end_of_text=0, padding=1)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="pickle"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(whole)
    values = read_json(tmp_path / "config.json")
    for change, message in (
        ({"model_type": "bert"}, "'bert' is not one Lilliput knows"),
        ({"hidden_act": "mish"}, "activation 'mish'"),
        ({"rope_parameters": {"rope_type": "elastic", "factor": 2.0}}, "rope_type 'elastic'"),
        ({"num_hidden_layers": 5}, "lack blocks.4"),
        ({"intermediate_size": 16}, "has shape"),
    ):
        write_json(tmp_path / "config.json", values | change)
        with pytest.raises(UserError, match=message):
            load_model(tmp_path)
    del values["hidden_size"]
    write_json(tmp_path / "config.json", values)
    with pytest.raises(UserError, match="'hidden_size' is missing"):
        load_model(tmp_path)
