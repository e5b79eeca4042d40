"""Our logits against transformers' own classes, loaded from the folder we write."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from lilliput.errors import UserError
from lilliput.model import Decoder, ModelConfig, load_model, save_model, shape_of_depth

SHAPES = {
    "gpt2": shape_of_depth(2, family="gpt2", vocabulary_size=97, context_length=48),
    "llama": shape_of_depth(2, family="llama", vocabulary_size=97, context_length=48),
    "llama-tied-wide-heads": shape_of_depth(
        2, family="llama", vocabulary_size=97, context_length=48, d_model=48, n_heads=6,
        n_kv_heads=2, head_dim=16, tied=True, rope_theta=5e5,
    ),
    "lilliput": shape_of_depth(2, vocabulary_size=97, context_length=48),
    "lilliput-grouped-tied": shape_of_depth(
        3, vocabulary_size=97, context_length=48, n_kv_heads=1, tied=True
    ),
}  # fmt: skip


def random_model(config: ModelConfig) -> Decoder:
    """Every parameter random, norm gains and biases too, so that nothing is checked at zero."""
    torch.manual_seed(3)
    model = Decoder(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.1)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return model.requires_grad_(False).eval()


class ListCache:
    """The smallest cache there can be, to test the model without the generate room."""

    def __init__(self) -> None:
        self.length = 0
        self.stored: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def extend(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if layer in self.stored:
            old_keys, old_values = self.stored[layer]
            keys, values = torch.cat((old_keys, keys), 2), torch.cat((old_values, values), 2)
        self.stored[layer] = keys, values
        return keys, values

    def advance(self, count: int) -> None:
        self.length += count


@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    save_model(model, tmp_path, end_of_text=0, padding=1)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert sum(p.numel() for p in theirs.parameters()) == SHAPES[name].parameters
    ids = torch.randint(2, 97, (3, 40))
    with torch.no_grad():
        expected = theirs(ids).logits
        assert (model(ids) - expected).abs().max() <= 1e-5
        reloaded = load_model(tmp_path)
        assert reloaded.config == SHAPES[name]
        assert torch.equal(reloaded(ids), model(ids))

        cache = ListCache()
        pieces = [model(ids[:, :17], cache=cache)]
        pieces.append(model(ids[:, 17:20], cache=cache))
        pieces += [model(ids[:, t : t + 1], cache=cache) for t in range(20, 40)]
        assert (torch.cat(pieces, dim=1) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("name", SHAPES)
def test_left_padding_changes_nothing(name: str) -> None:
    model = random_model(SHAPES[name])
    ids = torch.randint(2, 97, (2, 20))
    padded = torch.cat((torch.ones(2, 5, dtype=torch.long), ids), dim=1)
    padding = torch.tensor([5, 5])
    alone = model(ids)
    together = model(padded, document_starts=padding[:, None])[:, 5:]
    assert (together - alone).abs().max() <= 1e-5
    cache = ListCache()
    first = model(padded[:, :12], cache=cache, document_starts=padding[:, None])[:, 5:]
    rest = model(padded[:, 12:], cache=cache, document_starts=padding[:, None])
    assert (torch.cat((first, rest), 1) - alone).abs().max() <= 1e-5


def test_loads_transformers_own_folder(tmp_path: Path) -> None:
    save_model(random_model(SHAPES["gpt2"]), tmp_path / "ours", end_of_text=0, padding=1)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="40KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    ids = torch.randint(0, 97, (2, 16))
    ours = load_model(tmp_path / "theirs")
    assert (ours(ids) - theirs(ids).logits).abs().max() <= 1e-5


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model folder"):
        load_model(tmp_path / "absent")
    save_model(random_model(SHAPES["lilliput"]), tmp_path, end_of_text=0, padding=1)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="pickle"):
        load_model(tmp_path)
    with pytest.raises(UserError, match=r"n_kv_heads"):
        shape_of_depth(4, vocabulary_size=10, n_kv_heads=3)
    with pytest.raises(UserError, match="qk_norm"):
        save_model(
            random_model(SHAPES["llama"].with_(qk_norm=True)), tmp_path, end_of_text=0, padding=1
        )
