"""Families without a class in transformers, by what defines them; and sizes of published models."""

import math

import pytest
import torch
from random_models import frozen_decoder

from lilliput.errors import UserError
from lilliput.model import (
    FAMILIES,
    SIZES,
    Decoder,
    initialise,
    shape_of,
    shape_of_depth,
    shape_of_size,
)

PUBLISHED: dict[str, tuple[dict[str, int], float]] = {
    # family: its published shape, and the parameters that its paper or release names
    "gpt2": (
        {
            "n_layers": 12,
            "d_model": 768,
            "n_heads": 12,
            "vocabulary_size": 50257,
            "context_length": 1024,
        },
        124400000.0,
    ),
    "gpt3": (
        {
            "n_layers": 96,
            "d_model": 12288,
            "n_heads": 96,
            "vocabulary_size": 50257,
            "context_length": 2048,
        },
        175000000000.0,
    ),
    "gopher": (
        {"n_layers": 80, "d_model": 16384, "n_heads": 128, "vocabulary_size": 32000},
        280000000000.0,
    ),
    "chinchilla": (
        {"n_layers": 80, "d_model": 8192, "n_heads": 64, "vocabulary_size": 32000},
        70000000000.0,
    ),
    "grok1": (
        {
            "n_layers": 64,
            "d_model": 6144,
            "n_heads": 48,
            "n_kv_heads": 8,
            "d_ff": 32768,
            "vocabulary_size": 131072,
            "d_ff_expert": 32768,
        },
        314000000000.0,
    ),
    "llama": (
        {
            "n_layers": 32,
            "d_model": 4096,
            "n_heads": 32,
            "n_kv_heads": 32,
            "d_ff": 11008,
            "vocabulary_size": 32000,
        },
        6738000000.0,
    ),
    "mixtral": (
        {
            "n_layers": 32,
            "d_model": 4096,
            "n_heads": 32,
            "n_kv_heads": 8,
            "d_ff": 14336,
            "vocabulary_size": 32000,
        },
        46700000000.0,
    ),
    "deepseek-v3": (
        {
            "n_layers": 61,
            "d_model": 7168,
            "n_heads": 128,
            "n_kv_heads": 128,
            "head_dim": 128,
            "d_ff": 18432,
            "d_ff_expert": 2048,
            "n_experts": 256,
            "experts_per_token": 8,
            "router_groups": 8,
            "router_top_groups": 4,
            "first_dense_layers": 3,
            "latent_rank": 512,
            "latent_query_rank": 1536,
            "latent_rope_dim": 64,
            "latent_value_dim": 128,
            "vocabulary_size": 129280,
            "n_future_tokens": 0,
        },
        671000000000.0,
    ),
    "smollm2": (
        {
            "n_layers": 30,
            "d_model": 576,
            "n_heads": 9,
            "n_kv_heads": 3,
            "d_ff": 1536,
            "vocabulary_size": 49152,
        },
        134500000.0,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shapes_have_the_published_size(name: str) -> None:
    shape, parameters = PUBLISHED[name]
    config = FAMILIES[name].shape(**shape)
    assert config.parameters == pytest.approx(parameters, rel=0.025)


def test_openelm_has_the_heads_and_size_of_its_release() -> None:
    queries = (12,) * 5 + (16,) * 7 + (20,) * 4
    config = FAMILIES["openelm"].shape(
        n_layers=16, d_model=1280, head_dim=64, vocabulary_size=32000, layer_heads=queries,
        layer_kv_heads=tuple(count // 4 for count in queries),
        layer_d_ff=tuple(
            int(round(0.5 + 3.5 * layer / 15, 2) * 1280 / 256 + 0.5) * 256 for layer in range(16)
        ),
    )  # fmt: skip
    assert config.parameters == 271_527_168  # OpenELM-270M
    small = shape_of_size("m", vocabulary_size=512, family="openelm")
    assert list(small.layer_heads) == sorted(small.layer_heads)
    assert small.layer_d_ff[-1] == 8 * small.layer_d_ff[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_every_size_and_keeps_its_ratios(name: str, size: str) -> None:
    family, config = FAMILIES[name], shape_of_size(size, vocabulary_size=512, family=name)
    layers, width = SIZES[size]
    assert (config.n_layers, config.d_model) == (layers, width)
    assert config.d_ff == pytest.approx(family.feed_forward * width, abs=16)
    heads_width = config.n_heads * config.head_dim
    assert heads_width == pytest.approx(family.heads_width * width, abs=config.head_dim)
    for field, value in family.switches.items():
        assert getattr(config, field) == value


def test_gophers_scores_are_transformer_xls() -> None:
    """Arithmetic of arXiv 1901.02860, section 3.3, term by term and pair by pair."""
    config = shape_of_size("xs", vocabulary_size=64, family="gopher", n_layers=1)
    attention = frozen_decoder(config).blocks[0].attention
    torch.manual_seed(0)
    inner, time, heads, head_dim = torch.randn(1, 9, 64), 9, config.n_heads, config.head_dim
    query = attention.query(inner).view(time, heads, head_dim)
    key = attention.key(inner).view(time, heads, head_dim)
    value = attention.value(inner).view(time, heads, head_dim)
    rates = [10_000 ** (-2 * pair / 64) for pair in range(32)]
    mixed = torch.zeros(time, heads, head_dim)
    for head in range(heads):
        for at in range(time):
            scores = []
            for other in range(at + 1):
                far = at - other
                waves = [math.sin(far * rate) for rate in rates]
                waves += [math.cos(far * rate) for rate in rates]
                told = attention.relative(torch.tensor(waves)).view(heads, head_dim)[head]
                content = (query[at, head] + attention.content_bias[head]) @ key[other, head]
                place = (query[at, head] + attention.distance_bias[head]) @ told
                scores.append((content + place) / math.sqrt(head_dim))
            weights = torch.stack(scores).softmax(0)
            mixed[at, head] = weights @ value[: at + 1, head]
    expected = attention.output(mixed.view(1, time, -1))
    from lilliput.model.attention import Memory

    decoder = frozen_decoder(config)
    sight = decoder._sight("G", torch.arange(time), None, 0, inner)
    torch.testing.assert_close(
        decoder.blocks[0].attention(inner, sight, Memory()), expected, rtol=1e-4, atol=1e-5
    )


def test_the_last_layers_of_apples_model_reuse_keys_and_values() -> None:
    config = shape_of_size("m", vocabulary_size=64, family="apple", linear="full")
    model = frozen_decoder(config)
    own = [hasattr(block.attention, "key") for block in model.blocks]
    assert own == [True] * 5 + [False] * 3
    alone = config.with_(shared_kv_layers=0)
    assert config.cached_per_token == pytest.approx(alone.cached_per_token * 5 / 8)
    cache = model.make_cache(1, 8)
    model(torch.randint(0, 64, (1, 8)), cache=cache)
    assert cache.memory_bytes == 8 * config.cached_per_token * 4
    # What the fifth layer's keys say reaches the last three.
    ids = torch.randint(0, 64, (1, 8))
    before = model(ids)
    model.blocks[4].attention.value.weight.zero_()
    late = model.blocks[4].attention.output.weight
    late.zero_()
    assert not torch.allclose(model(ids), before)


def test_gpt3s_second_layers_are_local() -> None:
    config = shape_of_size("xs", vocabulary_size=64, family="gpt3", n_layers=2, window=4)
    model, ids = frozen_decoder(config), torch.randint(0, 64, (1, 20))
    changed = ids.clone()
    changed[0, 0] = (ids[0, 0] + 1) % 64
    far = (model(ids) - model(changed))[0, -1].abs().max()
    assert far > 0  # through the global layer
    local = frozen_decoder(config.with_(layer_pattern="L"))
    apart = (local(ids) - local(changed))[0].abs().amax(-1)
    assert apart[7:].max() == 0 and apart[:4].max() > 0  # two layers of four tokens see seven back


def test_a_windowed_cache_holds_what_a_token_needs() -> None:
    for kind, window in (("L", 5), ("C", 6)):
        config = shape_of_size("xs", vocabulary_size=64, layer_pattern=kind, window=window)
        model, ids = frozen_decoder(config), torch.randint(0, 64, (2, 25))
        changed = ids.clone()
        changed[:, 3] = (ids[:, 3] + 1) % 64
        apart = (frozen_decoder(config.with_(n_layers=1))(ids) - frozen_decoder(
            config.with_(n_layers=1))(changed)).abs().amax((0, 2))  # fmt: skip
        last = 3 + window if kind == "L" else (3 // window + 1) * window
        assert apart[3:last].min() > 0 and apart[last:].max() == 0
        cache = model.make_cache(2, 25)
        pieces = torch.cat([model(part, cache=cache) for part in ids.split(4, dim=1)], 1)
        torch.testing.assert_close(pieces, model(ids), rtol=1e-4, atol=1e-5)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.family 'nope'"):
        shape_of_depth(2, vocabulary_size=64, family="nope")
    with pytest.raises(UserError, match="size 'xxl'"):
        shape_of_size("xxl", vocabulary_size=64)
    with pytest.raises(UserError, match=r"model\.family 'nope'"):
        shape_of("nope", vocabulary_size=64, end_of_text=0, depth=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_starts_with_even_guesses(name: str) -> None:
    config = shape_of_size("xs", vocabulary_size=64, family=name)
    model = Decoder(config)
    initialise(model, 0)
    again = Decoder(config)
    initialise(again, 0)
    ids = torch.randint(0, 64, (2, 24))
    loss = torch.nn.functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert float(loss) == pytest.approx(math.log(64), rel=0.15)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
