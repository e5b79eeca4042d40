"""Low-rank adapters: logits equal those of PEFT, which made the folders."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lilliput.errors import UserError
from lilliput.model import FAMILIES, Decoder, load_model, save_model

VOCABULARY = 97
IDS = torch.arange(1, 25).reshape(2, 12)


def base_folder(family: str, folder: Path, **switches: Any) -> Path:
    shape = FAMILIES[family].shape(
        n_layers=2, d_model=48, vocabulary_size=VOCABULARY, context_length=32
    )
    torch.manual_seed(3)
    decoder = Decoder(shape.with_(**switches)).eval()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_model(decoder, folder, end_of_text=0, padding=0)
    return folder


def tuned(base: Path, folder: Path, **settings: Any) -> torch.Tensor:
    """Write a random adapter of the model with PEFT; the logits it gives with it."""
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=7, **settings)
    model = peft.get_peft_model(theirs, config).eval()
    torch.manual_seed(11)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            offset = parameter.abs().mean() if "magnitude" in name else 0.0
            torch.nn.init.normal_(parameter, mean=float(offset), std=0.2)
    model.save_pretrained(folder)
    with torch.no_grad():
        return model(IDS).logits


def assert_equal_logits(base: Path, adapter: Path, expected: torch.Tensor) -> None:
    logits = load_model(base, adapter=adapter)(IDS)
    plain = load_model(base)(IDS)
    assert (logits - expected).abs().max() <= 2e-5 * max(1.0, float(expected.abs().max()))
    assert (logits - plain).abs().max() > 0.01, "the adapter changes nothing"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["lilliput", "llama", "gpt2", "phi2", "gemma2"])
def test_logits_equal_peft(family: str, tmp_path: Path) -> None:
    base = base_folder(family, tmp_path / "base")
    expected = tuned(base, tmp_path / "adapter", target_modules="all-linear")
    assert_equal_logits(base, tmp_path / "adapter", expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"layers.1.self_attn.o_proj": 30}},
        {"modules_to_save": ["lm_head"]},
        {"target_modules": ["embed_tokens", "q_proj", "lm_head"]},
        {"layers_to_transform": [1]},
        {"target_modules": ["q_proj", "up_proj"], "exclude_modules": ["up_proj"]},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_settings_of_peft(settings: dict[str, Any], tmp_path: Path) -> None:
    base = base_folder("lilliput", tmp_path / "base", tied=False)
    modules = ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"]
    expected = tuned(base, tmp_path / "adapter", **{"target_modules": modules, **settings})
    assert_equal_logits(base, tmp_path / "adapter", expected)


@pytest.mark.filterwarnings("ignore")
def test_attention_of_a_mixture(tmp_path: Path) -> None:
    base = base_folder("olmoe", tmp_path / "base")
    expected = tuned(base, tmp_path / "adapter", target_modules=["q_proj", "v_proj"])
    assert_equal_logits(base, tmp_path / "adapter", expected)


@pytest.mark.filterwarnings("ignore")
def test_dora_of_transposed_matrices(tmp_path: Path) -> None:
    base = base_folder("gpt2", tmp_path / "base")
    adapter = tmp_path / "adapter"
    expected = tuned(base, adapter, target_modules=["c_attn", "c_fc"], use_dora=True)
    assert_equal_logits(base, adapter, expected)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("adapters")
    base = base_folder("lilliput", place / "base", tied=False)
    tuned(base, place / "adapter", target_modules=["q_proj"])
    return base, place / "adapter"


def _rewritten(adapter: Path, folder: Path, **changes: Any) -> Path:
    """A copy of an adapter with another value in its settings."""
    folder.mkdir()
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    save_file(
        load_file(adapter / "adapter_model.safetensors"), folder / "adapter_model.safetensors"
    )
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "field 'peft_type' is 'IA3': only LORA"),
        ({"lora_alpha": "7"}, "field 'lora_alpha' must be a number"),
        ({"target_parameters": ["experts.up"]}, "field 'target_parameters' is set"),
    ],
)
def test_other_kinds_are_refused(
    pair: tuple[Path, Path], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    base, adapter = pair
    with pytest.raises(UserError, match=message):
        load_model(base, adapter=_rewritten(adapter, tmp_path / "other", **changes))


def test_what_does_not_belong_together_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = pair
    with pytest.raises(UserError, match=r"not an adapter \(no adapter_config.json\)"):
        load_model(base, adapter=base)
    with pytest.raises(UserError, match="which the model does not have"):
        load_model(base_folder("gpt2", tmp_path / "gpt2"), adapter=adapter)
    wider = base_folder("lilliput", tmp_path / "wider", tied=False, d_model=96)
    with pytest.raises(UserError, match="they do not belong together"):
        load_model(wider, adapter=adapter)

    path = _rewritten(adapter, tmp_path / "half") / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({key: one for key, one in tensors.items() if "lora_B" not in key}, path)
    with pytest.raises(UserError, match="only one of its two matrices"):
        load_model(base, adapter=path.parent)
    save_file({key.replace("lora_A", "lora_X"): one for key, one in tensors.items()}, path)
    with pytest.raises(UserError, match="of a kind that is not read"):
        load_model(base, adapter=path.parent)
    path.write_bytes(b"\x08")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_model(base, adapter=path.parent)
    path.rename(path.with_suffix(".bin"))
    with pytest.raises(UserError, match="is a pickle, which can run code"):
        load_model(base, adapter=path.parent)


@pytest.mark.filterwarnings("ignore")
def test_half_of_a_tied_matrix_is_refused(tmp_path: Path) -> None:
    base = base_folder("lilliput", tmp_path / "base", tied=True)
    tuned(base, tmp_path / "adapter", target_modules=["embed_tokens"])
    with pytest.raises(UserError, match="embedding and head at once"):
        load_model(base, adapter=tmp_path / "adapter")
