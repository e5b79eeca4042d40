"""Rotary positions that follow the length of the text, against transformers' classes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import frozen_decoder
from transformers import AutoModelForCausalLM, DynamicCache

from lilliput.errors import UserError
from lilliput.model import ModelConfig, load_model, save_model, shape_of_size
from lilliput.model.positions import text_lengths

VOCABULARY, ORIGINAL = 97, 12
DYNAMIC = {
    "rope_scaling": "dynamic", "rope_factor": 4.0, "rope_original_context": ORIGINAL,
    "context_length": 4 * ORIGINAL,
}  # fmt: skip
LONGROPE = {
    "rope_scaling": "longrope", "rope_factor": 4.0, "rope_original_context": ORIGINAL,
    "context_length": 4 * ORIGINAL, "rope_fraction": 0.75, "rope_magnitude": 1.2, "head_dim": 16,
    "rope_short_factors": (1.0, 1.5, 2.0, 1.2, 1.1, 1.9),
    "rope_long_factors": (4.0, 3.5, 2.0, 1.0, 2.5, 8.0),
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-dynamic": ("llama", DYNAMIC),
    "qwen3-dynamic": ("qwen3", DYNAMIC),
    "phi2-dynamic": ("phi2", DYNAMIC),
    "falcon-dynamic": ("falcon-7b", DYNAMIC),
    "phi4-longrope": ("phi4", LONGROPE),
}


def config_of(case: str) -> ModelConfig:
    family, switches = CASES[case]
    return shape_of_size("xs", vocabulary_size=VOCABULARY, family=family, **switches)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() <= 2e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("case", CASES)
def test_short_and_long_texts_and_those_that_grow_equal_transformers(
    case: str, tmp_path: Path
) -> None:
    config = config_of(case)
    model = frozen_decoder(config)
    save_model(model, tmp_path / "ours", end_of_text=0, padding=1)
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    torch.manual_seed(5)
    ids = torch.randint(2, VOCABULARY, (2, 40))
    with torch.no_grad():
        whole = {length: theirs(ids[:, :length]).logits for length in (7, 11, 12, 13, 25, 40)}
        for length, expected in whole.items():
            assert_close(model(ids[:, :length]), expected)
        theirs(ids[:, :7])  # shorter than before the stretch: their dynamic classes start afresh
        theirs.save_pretrained(tmp_path / "theirs")
        assert_close(load_model(tmp_path / "theirs")(ids), whole[40])
        assert load_model(tmp_path / "ours").config.rope_original_context == ORIGINAL

        theirs_cache, cache = DynamicCache(config=theirs.config), model.make_cache(2, 48)
        marks = (0, 7, 18, *range(19, 41))  # begun below the stretch, which comes in the middle
        for start, stop in pairwise(marks):
            piece = ids[:, start:stop]
            expected = theirs(piece, past_key_values=theirs_cache).logits
            assert_close(model(piece, cache=cache), expected)
        assert (expected[:, -1] - whole[40][:, -1]).abs().max() > 1e-3  # keys stay as they turned


@pytest.mark.parametrize("case", ["llama-dynamic", "phi4-longrope"])
def test_a_row_turns_by_its_own_texts_alone(case: str) -> None:
    """Not by other texts of the row, nor by other rows, nor by padding."""
    model = frozen_decoder(config_of(case))
    ids = torch.randint(2, VOCABULARY, (2, 40))
    starts = torch.tensor([[0] * 8 + [8] * 32, [0] * 30 + [30] * 10])
    packed = model(ids, document_starts=starts)
    for row, start, stop in ((0, 0, 8), (0, 8, 40), (1, 0, 30), (1, 30, 40)):
        assert_close(packed[row, start:stop], model(ids[row : row + 1, start:stop])[0])
    padded = model(ids, document_starts=torch.tensor([[0], [31]]))
    assert_close(padded[0], model(ids[:1])[0])
    assert_close(padded[1, 31:], model(ids[1:, 31:])[0])


def test_lengths_of_texts_that_lie_side_by_side() -> None:
    positions = torch.tensor([[0, 1, 2, 0, 0, 1], [0, 0, 0, 1, 2, 3], [5, 6, 0, 1, 2, 0]])
    expected = torch.tensor([[3, 3, 3, 1, 2, 2], [1, 1, 4, 4, 4, 4], [7, 7, 3, 3, 3, 1]])
    assert torch.equal(text_lengths(positions), expected)
    assert torch.equal(text_lengths(torch.arange(4, 7)), torch.tensor([7, 7, 7]))


def test_published_configurations_of_dynamic_scaling_are_read(tmp_path: Path) -> None:
    """As older folders write it; a context that the classes cannot say is kept in our own way."""
    config = config_of("llama-dynamic")
    model = frozen_decoder(config)
    save_model(model, tmp_path / "ours", end_of_text=0, padding=1)
    path = tmp_path / "ours" / "config.json"
    text = path.read_text(encoding="utf-8").replace('"rope_parameters"', '"rope_scaling"')
    path.write_text(text.replace('"rope_type"', '"type"'), encoding="utf-8")
    assert '"max_position_embeddings": 12' in text
    assert load_model(tmp_path / "ours").config == config

    other = config.with_(context_length=40)
    save_model(frozen_decoder(other), tmp_path / "own", end_of_text=0, padding=1)
    assert '"model_type": "lilliput"' in (tmp_path / "own" / "config.json").read_text("utf-8")
    assert load_model(tmp_path / "own").config == other


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rope_original_context": 0}, ("rope_scaling", "rope_original_context")),
        ({"rope_factor": 0.5}, ("rope_scaling", "rope_factor")),
        ({"rope_fraction": 2 / 16}, ("rope_scaling", "head_dim")),
        ({"positions": "learned"}, ("positions", "rope_scaling")),
    ],
)
def test_conflicts_of_dynamic_scaling(values: dict[str, Any], named: tuple[str, str]) -> None:
    config = shape_of_size("xs", vocabulary_size=64, family="llama", head_dim=16, **DYNAMIC)
    with pytest.raises(UserError) as error:
        config.with_(**values)
    assert all(f"model.{name}" in str(error.value) for name in named)
