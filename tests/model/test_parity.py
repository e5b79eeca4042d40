"""Our logits against transformers' own classes, weights exchanged in both directions."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import frozen_decoder
from transformers import AutoModelForCausalLM

from lilliput.model import FAMILIES, ModelConfig, load_model, save_model, shape_of_size

VOCABULARY, CONTEXT = 97, 48
WINDOWED = {"context_length": CONTEXT, "window": 8}
EXTRA: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-tied-wide-heads": ("llama", {"tied": True, "d_model": 48, "n_heads": 6,
                                        "n_kv_heads": 2, "head_dim": 16}),
    "llama-linear-scaling": ("llama", {"rope_scaling": "linear", "rope_factor": 3.0}),
    "llama-yarn": ("llama", {"rope_scaling": "yarn", "rope_factor": 4.0,
                             "rope_original_context": 12, "rope_magnitude": 1.3}),
    "llama-biases": ("llama", {"qkv_bias": True, "output_bias": True, "feed_forward_bias": True}),
    "phi4-longrope": ("phi4", {"rope_scaling": "longrope", "rope_factor": 4.0,
                               "rope_original_context": 12, "rope_fraction": 0.75,
                               "rope_magnitude": 1.2, "head_dim": 16,
                               "rope_short_factors": (1.0, 1.5, 2.0, 1.2, 1.1, 1.9),
                               "rope_long_factors": (4.0, 3.5, 2.0, 1.0, 2.5, 8.0)}),
    "gpt-oss-yarn": ("gpt-oss", {"rope_scaling": "yarn", "rope_factor": 4.0,
                                 "rope_original_context": 12, "rope_truncate": False,
                                 "rope_magnitude": 1.1386}),
    "deepseek-v3-yarn": ("deepseek-v3", {"rope_scaling": "yarn", "rope_factor": 4.0,
                                         "rope_original_context": 12, "attention_scale": 0.31}),
    "deepseek-v2-query-rank": ("deepseek-v2", {"latent_query_rank": 24}),
    "gemma3-linear-scaling": ("gemma3", {"rope_scaling": "linear", "rope_factor": 8.0}),
    "qwen3-windows": ("qwen3", {"layer_pattern": "GL", "window": 8}),
    "qwen3-moe-dense-layers": ("qwen3-moe", {"first_dense_layers": 1}),
    "bitnet-trunk": ("bitnet", {"linear": "full"}),
    "starcoder-all-heads": ("starcoder", {"n_kv_heads": 4}),
    "lilliput-one-key-head": ("lilliput", {"n_heads": 4, "head_dim": 16, "n_kv_heads": 1}),
}  # fmt: skip
EXCHANGED = [name for name, family in FAMILIES.items() if family.model_type]
CASES = [*EXCHANGED, *EXTRA]
POSITIONS_FROM_CACHE = {"llama4", "llama4-maverick"}


STRICT = {"gpt2", "llama", "llama-tied-wide-heads", "lilliput", "lilliput-one-key-head"}
"""Cases held to the bound there was before the other families came."""


def config_of(case: str) -> ModelConfig:
    family, overrides = EXTRA.get(case, (case, {}))
    windowed = set(FAMILIES[family].switches.get("layer_pattern", "G")) & set("LC")
    chosen: dict[str, Any] = WINDOWED if windowed else {"context_length": CONTEXT}
    return shape_of_size("xs", vocabulary_size=VOCABULARY, family=family, **{**chosen, **overrides})


def their_model(folder: Path, config: ModelConfig) -> Any:
    # Falcon's "eager" adds ALiBi twice; soft caps, sinks and GPT-1 need it.
    falcon = FAMILIES[config.family].model_type == "falcon"
    attention = "sdpa" if falcon else "eager"
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    ).eval()


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() <= 2e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("case", CASES)
def test_logits_equal_transformers(case: str, tmp_path: Path) -> None:
    config = config_of(case)
    model = frozen_decoder(config)
    save_model(model, tmp_path / "ours", end_of_text=0, padding=1)
    theirs = their_model(tmp_path / "ours", config)
    # The bias that balances experts is a buffer in theirs.
    buffers = sum(b.numel() for name, b in theirs.named_buffers() if "correction_bias" in name)
    kept = sum(p.numel() for p in theirs.parameters()) + buffers
    assert kept == config.parameters
    torch.manual_seed(5)
    ids = torch.randint(2, VOCABULARY, (2, 30))
    with torch.no_grad():
        expected = theirs(ids).logits
        assert_close(model(ids), expected)

        reloaded = load_model(tmp_path / "ours")
        assert_close(reloaded(ids), expected)
        if case in STRICT:
            assert reloaded.config == config
            assert torch.equal(reloaded(ids), model(ids))
            assert (model(ids) - expected).abs().max() <= 1e-5
        theirs.save_pretrained(tmp_path / "theirs")
        assert_close(load_model(tmp_path / "theirs")(ids), expected)
        if config.linear == "ternary":  # a last bit may turn an activation's rounding
            return

        cache = model.make_cache(2, 40)  # prefill in pieces, then token by token past the window
        first = 14 if config.rope_scaling == "longrope" else 7  # beyond where LongRoPE switches
        pieces = [model(ids[:, :first], cache=cache), model(ids[:, first:18], cache=cache)]
        pieces += [model(ids[:, t : t + 1], cache=cache) for t in range(18, 30)]
        assert_close(torch.cat(pieces, dim=1), expected)

        padded, present = ids.clone(), torch.ones_like(ids)
        padded[1, :5], present[1, :5] = 1, 0
        starts = torch.tensor([[0], [5]])
        left = model(padded, document_starts=starts)
        assert_close(left[1, 5:], model(padded[1:, 5:])[0])
        cache = model.make_cache(2, 40)  # the same in pieces, the padding split between two
        # LongRoPE turns by a text's own length: the padded one must pass the switch in one piece.
        marks = (0, 18, 22) if first == 14 else (0, 3, 12)
        pieces = [
            model(padded[:, start:stop], cache=cache, document_starts=starts)
            for start, stop in pairwise((*marks, *range(marks[-1] + 1, 31)))
        ]
        together = torch.cat(pieces, dim=1)
        assert_close(together[0], left[0])
        assert_close(together[1, 5:], left[1, 5:])
        if case not in POSITIONS_FROM_CACHE:
            positions = (present.cumsum(1) - 1).clamp_min(0)
            masked = theirs(padded, attention_mask=present, **_positions(theirs, positions)).logits
            assert_close(left[0], masked[0])
            assert_close(left[1, 5:], masked[1, 5:])


def _positions(theirs: Any, positions: torch.Tensor) -> dict[str, torch.Tensor]:
    """Position ids, where the class takes them: ALiBi classes count from the mask themselves."""
    import inspect

    takes = "position_ids" in inspect.signature(theirs.forward).parameters
    return {"position_ids": positions} if takes else {}


def test_every_family_without_a_class_keeps_its_own_folder(tmp_path: Path) -> None:
    for name in set(FAMILIES) - set(EXCHANGED):
        config = config_of(name)
        model = frozen_decoder(config)
        save_model(model, tmp_path / name, end_of_text=0, padding=1)
        ids = torch.randint(2, VOCABULARY, (2, 30))
        assert_close(load_model(tmp_path / name)(ids), model(ids))
