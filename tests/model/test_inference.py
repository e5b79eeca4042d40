"""The optimised forms compute what the decoder computes: the decoder is the oracle."""

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import frozen_decoder
from torch import Tensor

from lilliput.errors import UserError
from lilliput.machine.compiler import find_compiler
from lilliput.model import FAMILIES, Decoder, ModelConfig, shape_of_size
from lilliput.model.cache import piece_of
from lilliput.model.inference import native as native_module
from lilliput.model.inference import optimised
from lilliput.model.inference.fused import FusedAttention, FusedDecoder, FusedFeedForward, fused
from lilliput.model.inference.native import NativeDecoder, fastest_threads, uncovered
from lilliput.model.packed import Packing
from lilliput.model.rounding import nearest

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")

# Together they use every switch that decode.c knows: test_every_switch_is_tried holds them to it.
NATIVE = (
    "gpt1", "gpt-j", "bloom", "falcon-40b", "persimmon", "phi2", "starcoder", "command-r-plus",
    "command-r7b", "gemma2", "gemma3", "granite", "llama3.1", "apple", "nemotron4", "openelm",
    "nanochat", "olmo2", "qwen3", "smollm3", "gpt3",
)  # fmt: skip
FUSED = ("gpt-j", "gopher", "deepseek-v3", "gemma2", "mixtral", "llama4", "gpt-oss", "apple")


def config_of(family: str, **overrides: Any) -> ModelConfig:
    chosen: dict[str, Any] = {"context_length": 48}
    if set(FAMILIES[family].switches.get("layer_pattern", "G")) & set("LC"):
        chosen["window"] = 8
    if FAMILIES[family].switches.get("attention_temperature"):
        chosen["attention_temperature_from"] = 8
    return shape_of_size("xs", vocabulary_size=70, family=family, **{**chosen, **overrides})


def assert_same(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) < tolerance * scale


def written(trunk: Any, ids: Tensor, starts: Tensor, prompt: int = 20) -> Tensor:
    """Logits of a prompt and then of one token at a time, through a cache."""
    cache = trunk.make_cache(len(ids), ids.shape[1] + 4)
    pieces = [ids[:, :prompt], *ids[:, prompt:].split(1, dim=1)]
    hidden = [trunk.hidden(one, cache=cache, document_starts=starts) for one in pieces]
    return trunk.logits_of(torch.cat(hidden, dim=1))


def assert_equal_decoders(found: Any, decoder: Decoder, tolerance: float = 1e-5) -> None:
    torch.manual_seed(1)
    ids = torch.randint(0, decoder.config.vocabulary_size, (3, 32))
    with torch.inference_mode():
        assert_same(found.logits_of(found.hidden(ids)), decoder(ids), tolerance)
        # Rows that begin with padding, as texts of different length in a batch do.
        starts = torch.tensor([[0], [3], [10]])
        said = torch.arange(32) >= starts
        assert_same(
            written(found, ids, starts)[said], written(decoder, ids, starts)[said], tolerance
        )
        packed = torch.tensor([0, 9, 20]).repeat_interleave(torch.tensor([9, 11, 12]))
        packed = packed.expand(3, -1)
        expected = decoder(ids, document_starts=packed)
        assert_same(found.logits_of(found.hidden(ids, document_starts=packed)), expected, tolerance)


@needs_compiler
@pytest.mark.parametrize("family", NATIVE)
def test_native_computes_every_covered_switch(family: str) -> None:
    decoder = frozen_decoder(config_of(family))
    assert not uncovered(decoder)
    assert_equal_decoders(NativeDecoder(decoder), decoder)


def test_every_switch_is_tried() -> None:
    configs = [config_of(family) for family in FAMILIES]
    covered = [one for one in configs if not uncovered(frozen_decoder(one))]
    tried = [config_of(family) for family in NATIVE]
    for name in (
        "norm", "norm_gain", "norm_placement", "parallel", "embedding_norm", "final_norm",
        "positions", "qkv_bias", "output_bias", "qk_norm", "gated", "activation", "tied",
        "feed_forward_bias", "head_bias", "shared_kv_layers",
    ):  # fmt: skip
        known = {getattr(one, name) for one in covered if one.linear == "full"}
        assert {getattr(one, name) for one in tried} >= known, name


@needs_compiler
@pytest.mark.parametrize(
    "overrides",
    [
        {"activation": "clamped_swish", "attention_sinks": True, "attention_softcap": 5.0},
        {"layer_pattern": "CGL", "window": 7, "qk_norm": "unit"},
        {"layer_pattern": "GN", "attention_temperature": 0.3, "attention_temperature_from": 4},
        {"positions": "sinusoidal"},
        {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original_context": 12},
        {"linear": "int4", "sub_norm": True},
        {"head_dim": 20, "n_kv_heads": 1, "d_ff": 52},
        {"logit_softcap": 3.0, "logit_scale": 0.5, "residual_scale": 0.7, "embedding_scale": 2.0},
    ],
)
def test_native_computes_switches_by_themselves(overrides: dict[str, Any]) -> None:
    decoder = frozen_decoder(config_of("llama", **overrides))
    assert_equal_decoders(NativeDecoder(decoder), decoder)


@needs_compiler
def test_native_multiplies_ternary_weights_by_rounded_activations() -> None:
    decoder = frozen_decoder(config_of("bitnet"))
    native = NativeDecoder(decoder)
    ids = torch.randint(0, 70, (2, 24))
    with torch.inference_mode():
        difference = (native(ids) - decoder(ids)).abs()
    # An activation between two of the 8-bit numbers falls to one or the other by its last bit.
    assert float(difference.median()) < 1e-3 and float(difference.max()) < 0.1


@needs_compiler
def test_threads_and_long_prompts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = frozen_decoder(config_of("llama"))
    monkeypatch.setattr(native_module, "_TOKENS_AT_ONCE", 10)
    native = NativeDecoder(decoder, threads=3)
    assert native.threads == 3
    assert_equal_decoders(native, decoder)
    native.threads = 1
    assert_equal_decoders(native, decoder)


@needs_compiler
def test_rows_join_move_and_leave() -> None:
    decoder = frozen_decoder(config_of("gemma3"))
    native = NativeDecoder(decoder)
    torch.manual_seed(2)
    ids = torch.randint(0, 70, (2, 20))

    def logits(trunk: Any) -> list[Tensor]:
        cache, other = trunk.make_cache(1, 8), trunk.make_cache(1, 8)
        found = [trunk.hidden(ids[:1, :12], cache=cache), trunk.hidden(ids[1:, :7], cache=other)]
        cache.adopt([piece_of(other, 0, 7)])
        starts = torch.tensor([[0], [5]])
        found.append(trunk.hidden(ids[:, 12:15], cache=cache, document_starts=starts))
        cache.reorder(torch.tensor([1, 0, 1]))
        starts = torch.tensor([[5], [0], [5]])
        found.append(trunk.hidden(ids[:1, 15:16].expand(3, 1), cache=cache, document_starts=starts))
        cache.cut(15)
        cache.drop_row(0)
        found.append(
            trunk.hidden(ids[:, 17:18], cache=cache, document_starts=torch.tensor([[5], [0]]))
        )
        copy = trunk.make_cache(2, 30)
        copy.fill_from(cache, torch.tensor([1, 1]))
        found.append(trunk.hidden(ids[:, 18:19], cache=copy))
        return [trunk.logits_of(one) for one in found]

    with torch.inference_mode():
        for found, expected in zip(logits(native), logits(decoder), strict=True):
            assert_same(found, expected)


@needs_compiler
@pytest.mark.parametrize("kind, tolerance", [("bfloat16", 0.05), ("int8", 0.05), ("int4", 0.6)])
def test_narrow_weights_stay_near(kind: Any, tolerance: float) -> None:
    decoder = frozen_decoder(config_of("llama", head_dim=24, d_ff=88))
    native = NativeDecoder(decoder, kind)
    assert native.weight_bytes < NativeDecoder(decoder).weight_bytes
    assert_equal_decoders(native, decoder, tolerance)
    # The portable form rounds the same weights, and no activations.
    assert_equal_decoders(native, fused(decoder, kind).float(), 0.03)


@needs_compiler
@pytest.mark.parametrize("flags", [["-mavx2", "-mfma"], ["-march=x86-64"]])
def test_other_processors_compute_the_same(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = find_compiler()
    assert compiler is not None
    made = tmp_path / "decode.so"
    command = [compiler, "-std=gnu11", "-O1", *flags, "-shared", "-fPIC", "-pthread"]
    done = subprocess.run(
        [*command, str(native_module.SOURCE), "-o", str(made), "-lm"], capture_output=True
    )
    if done.returncode:
        pytest.skip("not that kind of processor")
    monkeypatch.setattr(native_module, "compiled_library", lambda *_: ctypes.CDLL(str(made)))
    decoder = frozen_decoder(config_of("llama", head_dim=24))
    native = NativeDecoder(decoder)
    assert native._lanes < 16
    assert_equal_decoders(native, decoder)
    for kind in ("bfloat16", "int8", "int4"):
        assert_equal_decoders(NativeDecoder(decoder, kind), fused(decoder, kind).float(), 0.03)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FUSED)
def test_fused_computes_the_same(family: str) -> None:
    decoder = frozen_decoder(config_of(family))
    assert_equal_decoders(fused(decoder), decoder)


def test_fused_joins_what_it_can() -> None:
    plain = fused(frozen_decoder(config_of("llama"))).blocks[0]
    assert isinstance(plain.attention, FusedAttention)
    assert isinstance(plain.feed_forward, FusedFeedForward)
    ternary = fused(frozen_decoder(config_of("bitnet"))).blocks[0]
    assert not isinstance(ternary.attention, FusedAttention)
    assert not isinstance(ternary.feed_forward, FusedFeedForward)


def test_optimised_chooses_what_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = frozen_decoder(config_of("llama"))
    if find_compiler() is not None:
        assert isinstance(optimised(decoder), NativeDecoder)
    assert isinstance(optimised(decoder, backend="torch"), FusedDecoder)
    monkeypatch.setattr(native_module, "compiled_library", lambda *_: None)
    assert isinstance(optimised(decoder), FusedDecoder)
    with pytest.raises(UserError, match="no C compiler"):
        optimised(decoder, backend="native")
    with pytest.raises(UserError, match="mixture of experts"):
        optimised(frozen_decoder(config_of("mixtral")), backend="native")
    mamba = torch.nn.Identity()
    assert optimised(mamba) is mamba  # type: ignore[arg-type, comparison-overlap]


@needs_compiler
def test_too_long_for_learned_positions() -> None:
    native = NativeDecoder(frozen_decoder(config_of("gpt2")))
    with pytest.raises(UserError, match="do not fit"):
        native.hidden(torch.zeros(1, 49, dtype=torch.int64))


@needs_compiler
@pytest.mark.parametrize("wrong", [-1, 70, 1 << 40])
def test_ids_outside_the_vocabulary_are_refused(wrong: int) -> None:
    native = NativeDecoder(frozen_decoder(config_of("llama")))
    with pytest.raises(IndexError, match="vocabulary"):
        native.hidden(torch.tensor([[3, wrong]]))
    with pytest.raises(ValueError, match="rows"):
        native.hidden(torch.tensor([[3], [4]]), cache=native.make_cache(1, 4))


@needs_compiler
def test_longer_than_the_tables() -> None:
    decoder = frozen_decoder(config_of("llama"))
    ids = torch.randint(0, 70, (1, 120))
    with torch.inference_mode():
        assert_same(NativeDecoder(decoder)(ids), decoder(ids))


def test_threads_must_pay() -> None:
    assert fastest_threads(lambda count: 1.0 / count, 6) == 6
    assert fastest_threads(lambda count: 1.0 - count / 100, 8) == 1
    assert fastest_threads(lambda count: {1: 2.0, 2: 1.0, 3: 3.0}[count], 3) == 2


@pytest.mark.parametrize("bits, group", [("int8", 32), ("int4", 16), ("int2", 0), ("ternary", 0)])
def test_packed_codes_come_back(bits: Any, group: int) -> None:
    packing = Packing(bits, group)
    codes = torch.randint(0, packing.largest + 1, (5, 37), dtype=torch.uint8)
    packed = packing.pack(codes)
    assert packed.shape == (5, packing.row_bytes(37))
    assert torch.equal(packing.unpack(packed, 37), codes)


def test_ternary_digits_fill_their_bytes() -> None:
    assert Packing("ternary", 0).row_bytes(1000) == 200


@pytest.mark.parametrize("bits, worst", [("int8", 0.01), ("int4", 0.12)])
def test_nearest_rounds_to_half_a_step(bits: Any, worst: float) -> None:
    torch.manual_seed(4)
    weight = torch.randn(8, 64)
    packing = Packing(bits, 32)
    codes, scales = nearest(weight, packing)
    values = (codes.float() - packing.zero) * scales.float().repeat_interleave(32, dim=1)
    assert float((values - weight).square().mean().sqrt()) < worst
