"""What an inspection records against the model itself, and against transformers."""

from pathlib import Path

import pytest
import torch
from tiny_models import random_decoder

from lilliput.errors import UserError
from lilliput.generate import LanguageModel
from lilliput.generate.inspection import inspect, not_shown
from lilliput.model import FAMILIES, Decoder, Trunk, build, initialise
from lilliput.model.trunks import shape_of

FAMILIES_TRIED = (
    "lilliput", "llama", "gpt1", "gpt2", "bloom", "gopher", "gemma2", "gpt-oss", "llama4",
    "deepseek-v3", "apple", "mistral", "gpt-j", "mixture-of-depths",
)  # fmt: skip
TRIED = [family for family in FAMILIES_TRIED if family in FAMILIES]
IDS = [5, 17, 3, 88, 41, 9, 9, 60, 2, 33, 71, 12]


def close(ours: torch.Tensor, theirs: torch.Tensor, bound: float = 1e-4) -> None:
    assert (ours - theirs).abs().max() <= bound * max(1.0, float(theirs.abs().max()))


@torch.inference_mode()
def told_by(trunk: Trunk) -> torch.Tensor:
    """The model's own log-probabilities [T, V]."""
    return trunk(torch.tensor([IDS]))[0].log_softmax(-1)


@pytest.mark.parametrize("family", TRIED)
def test_record_agrees_with_the_model(family: str) -> None:
    decoder = random_decoder(family, 97)
    seen = inspect(decoder, IDS, most_probable=97)
    expected = told_by(decoder)

    close(seen.next_log_probabilities, expected[-1])
    last_row = torch.empty(len(IDS), 97).scatter(
        1, seen.lens.ids[-1], seen.lens.log_probabilities[-1]
    )
    close(last_row, expected)
    close(seen.lens.following[-1], expected[:-1].gather(1, torch.tensor(IDS[1:])[:, None])[:, 0])
    close(seen.lens.entropy[-1], torch.distributions.Categorical(logits=expected).entropy())
    assert not any(module._forward_hooks for module in decoder.modules())


@pytest.mark.parametrize("family", TRIED)
def test_attention_is_causal_and_sums_to_one(family: str) -> None:
    decoder = random_decoder(family, 97)
    for layer, record in enumerate(inspect(decoder, IDS).layers):
        weights = record.attention
        assert weights is not None
        heads = decoder.config.heads(layer)[0]
        assert weights.shape == (heads, len(IDS), len(IDS))
        assert not weights.triu(1).any()
        sums = weights.sum(-1)
        if decoder.config.attention_sinks:
            assert (sums < 1).all() and (sums > 0).all()
        else:
            close(sums, torch.ones_like(sums), 1e-5)


@pytest.mark.parametrize("family", [one for one in TRIED if one != "gpt1"])
def test_parts_add_up_to_the_stream(family: str) -> None:
    decoder = random_decoder(family, 97)
    seen = inspect(decoder, IDS)
    for layer, record in enumerate(seen.layers):
        assert record.attention_added is not None and record.feed_forward_added is not None
        added = record.attention_added + record.feed_forward_added
        close(seen.residual[layer] + added, seen.residual[layer + 1])


def test_local_layers_look_no_farther_than_their_window() -> None:
    config = FAMILIES["mistral"].shape(
        n_layers=2, d_model=48, vocabulary_size=97, context_length=64, window=4
    )
    torch.manual_seed(1)
    decoder = Decoder(config).eval().requires_grad_(False)
    for record in inspect(decoder, IDS).layers:
        assert record.attention is not None
        assert not record.attention.tril(-4).any()


def test_experts_are_those_of_the_router() -> None:
    decoder = random_decoder("deepseek-v3", 97)
    records = inspect(decoder, IDS).layers
    config = decoder.config
    for layer, record in enumerate(records):
        assert (record.experts is not None) == config.is_mixture(layer)
        if record.experts is not None:
            assert record.experts.shape == (len(IDS), config.experts_per_token)
            assert int(record.experts.max()) < config.n_experts


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_attention_equals_transformers(family: str, folders: dict[str, Path]) -> None:
    from transformers import AutoModelForCausalLM

    from lilliput.generate import load

    model = load(folders[family], "cpu")
    theirs = AutoModelForCausalLM.from_pretrained(
        folders[family], dtype=torch.float32, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        told = theirs(torch.tensor([IDS]), output_attentions=True, output_hidden_states=True)
    seen = inspect(model.decoder, IDS)
    for record, attention in zip(seen.layers, told.attentions, strict=True):
        assert record.attention is not None
        close(record.attention, attention[0], 1e-5)
    for residual, state in zip(seen.residual[:-1], told.hidden_states[:-1], strict=True):
        close(residual, state[0], 1e-5)


def test_state_space_models_show_their_stream() -> None:
    config = shape_of("mamba", vocabulary_size=97, end_of_text=0, depth=2, d_model=32)
    mamba = build(config).eval()
    initialise(mamba, 1)
    seen = inspect(mamba, IDS, most_probable=97)
    close(seen.next_log_probabilities, told_by(mamba)[-1])
    assert seen.layers[0].attention is None
    assert "no attention" in seen.not_shown[0]


def test_retrieval_is_named_as_not_shown() -> None:
    retro = build(shape_of("retro", vocabulary_size=97, end_of_text=0, depth=1)).eval()
    initialise(retro, 1)
    seen = inspect(retro, IDS)
    close(seen.next_log_probabilities, told_by(retro)[-1])
    assert "database" in seen.not_shown[0]


def test_refusals(model: LanguageModel) -> None:
    t5 = build(shape_of("t5", vocabulary_size=97, end_of_text=0, depth=1))
    assert "encoder-decoder" in not_shown(t5)[0]
    for trunk, ids, words in (
        (t5, IDS, "encoder-decoder"),
        (model.decoder, [], "no token"),
        (model.decoder, [1] * 65, "shorten"),
    ):
        with pytest.raises(UserError, match=words):
            inspect(trunk, ids)
