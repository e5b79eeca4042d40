import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from lilliput.errors import UserError
from lilliput.generate.sampling import (
    RowSettings,
    Sampling,
    choose,
    draw,
    filtered_logits,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    penalise_repetition,
    uniform_draws,
)

seeds = st.integers(0, 10_000)


def random_logits(seed: int, rows: int = 3, vocabulary: int = 40) -> torch.Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * 3


@given(seeds, st.integers(1, 50))
def test_top_k_as_transformers(seed: int, k: int) -> None:
    logits = random_logits(seed)
    assert torch.equal(keep_top_k(logits, k), TopKLogitsWarper(k)(None, logits))


@given(seeds, st.floats(0.01, 0.999))
def test_top_p_as_transformers(seed: int, p: float) -> None:
    logits = random_logits(seed)
    assert torch.equal(keep_top_p(logits, p), TopPLogitsWarper(p)(None, logits))


@given(seeds, st.floats(0.001, 1))
def test_min_p_as_transformers(seed: int, share: float) -> None:
    logits = random_logits(seed)
    assert torch.equal(keep_min_p(logits, share), MinPLogitsWarper(share)(None, logits))


@given(seeds, st.floats(0.01, 0.999), st.integers(2, 600))
def test_typical_as_transformers(seed: int, mass: float, size: int) -> None:
    logits = random_logits(seed, vocabulary=size)
    assert torch.equal(keep_typical(logits, mass), TypicalLogitsWarper(mass)(None, logits))


@given(seeds, st.floats(0.3, 0.9999))
@settings(max_examples=30)
def test_top_p_of_flat_distributions_as_transformers(seed: int, p: float) -> None:
    """More tokens are kept than are looked at first."""
    logits = random_logits(seed, vocabulary=3000) / 6
    assert torch.equal(keep_top_p(logits, p), TopPLogitsWarper(p)(None, logits))


@given(seeds, st.data())
@settings(max_examples=50)
def test_rows_with_settings_of_their_own_choose_as_alone(seed: int, data: st.DataObject) -> None:
    logits = random_logits(seed, rows=6)
    uniforms = torch.from_numpy(uniform_draws(seed, 1, 6))
    own = [
        Sampling(
            temperature=data.draw(st.sampled_from([0.0, 0.7, 1.0, 2.0])),
            top_k=data.draw(st.sampled_from([0, 1, 5, 50])),
            top_p=data.draw(st.sampled_from([1.0, 0.5, 0.9])),
            min_p=data.draw(st.sampled_from([0.0, 0.1])),
            typical_p=data.draw(st.sampled_from([1.0, 0.6])),
        )
        for _ in range(6)
    ]
    together = RowSettings(own)
    chosen = together.choose(logits, uniforms[together.sampled_rows])
    for row, sampling in enumerate(own):
        alone = choose(logits[row : row + 1], sampling, uniforms[row : row + 1])
        assert int(alone) == int(chosen[row])


@given(seeds, st.integers(1, 700), st.floats(0, 1, exclude_max=True))
def test_a_draw_inverts_the_cumulative_distribution(seed: int, size: int, uniform: float) -> None:
    logits = random_logits(seed, rows=1, vocabulary=size)
    cumulative = logits.double().softmax(-1).cumsum(-1)[0].numpy()
    token = int(draw(logits, torch.tensor([uniform], dtype=torch.float64)))
    assert cumulative[token] >= uniform - 1e-6
    assert token == 0 or cumulative[token - 1] <= uniform + 1e-6


@given(seeds, st.floats(0.2, 5), st.lists(st.integers(0, 39), min_size=1))
def test_repetition_penalty_as_transformers(seed: int, penalty: float, ids: list[int]) -> None:
    logits, rows = random_logits(seed), torch.tensor([ids] * 3)
    seen = torch.zeros(3, 40, dtype=torch.bool).scatter(1, rows, True)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(rows, logits)
    torch.testing.assert_close(penalise_repetition(logits, seen, penalty), expected)


@given(seeds, st.floats(0.1, 3), st.integers(2, 45), st.floats(0.05, 0.99), st.floats(0, 0.5))
@settings(max_examples=50)
def test_filters_chain_as_in_transformers(
    seed: int, temperature: float, k: int, p: float, share: float
) -> None:
    logits = random_logits(seed)
    expected = TopPLogitsWarper(p)(None, TopKLogitsWarper(k)(None, logits / temperature))
    expected = MinPLogitsWarper(share)(None, expected)
    sampling = Sampling(temperature=temperature, top_k=k, top_p=p, min_p=share)
    assert torch.equal(filtered_logits(logits, sampling), expected)


@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=1.3), Sampling(top_k=8), Sampling(top_p=0.8, min_p=0.02)]
)
def test_frequencies_follow_the_distribution(sampling: Sampling) -> None:
    logits, draws = random_logits(3, rows=1), 40_000
    uniforms = torch.from_numpy(uniform_draws(11, 0, draws))
    chosen = choose(logits.expand(draws, -1), sampling, uniforms)
    counts = np.bincount(chosen.numpy(), minlength=40)
    expected = filtered_logits(logits, sampling).softmax(-1)[0].double().numpy() * draws
    assert (counts[expected == 0] == 0).all()
    kept = expected >= 5
    observed = np.append(counts[kept], counts[~kept].sum())
    wanted = np.append(expected[kept], expected[~kept].sum())
    if wanted[-1] == 0:
        observed, wanted = observed[:-1], wanted[:-1]
    assert chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 0.001


def test_the_extreme_draws_stay_inside_the_filter() -> None:
    logits = random_logits(5, rows=2)
    sampling = Sampling(top_k=3)
    kept = set(logits[0].topk(3).indices.tolist()), set(logits[1].topk(3).indices.tolist())
    for extreme in (0.0, 1 - 2**-53):
        chosen = choose(logits, sampling, torch.full((2,), extreme, dtype=torch.float64)).tolist()
        assert chosen[0] in kept[0]
        assert chosen[1] in kept[1]


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-6])
def test_temperature_towards_zero_is_greedy(temperature: float) -> None:
    logits = random_logits(1)
    chosen = choose(logits, Sampling(temperature=temperature), torch.full((3,), 0.99).double())
    assert torch.equal(chosen, logits.argmax(-1))


@given(st.integers(0, 2**64 - 1), st.integers(0, 100), st.integers(0, 60), st.integers(0, 60))
def test_longer_streams_of_draws_begin_with_the_shorter(
    seed: int, sample: int, few: int, more: int
) -> None:
    draws = uniform_draws(seed, sample, few + more)
    assert np.array_equal(draws[:few], uniform_draws(seed, sample, few))
    assert ((draws >= 0) & (draws < 1)).all()


def test_samples_and_seeds_have_streams_of_their_own() -> None:
    streams = {tuple(uniform_draws(seed, sample, 3)) for seed in range(20) for sample in range(20)}
    assert len(streams) == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("typical_p", 0.0),
        ("presence_penalty", float("nan")),
        ("frequency_penalty", float("inf")),
        ("logit_bias", {3: float("nan")}),
        ("logit_bias", {-1: 1.0}),
        ("max_tokens", 0),
        ("seed", -1),
        ("seed", 2**64),
        ("stop", ("",)),
    ],
)
def test_numbers_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(UserError, match=name):
        Sampling(**{name: value})  # type: ignore[arg-type]


def test_one_stop_string_needs_no_list() -> None:
    assert Sampling(stop="end").stop == ("end",)  # type: ignore[arg-type]
