"""What only training shows: experts and their balance, further tokens, rounded matrices."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from random_models import random_decoder
from torch import Tensor

from lilliput.model import (
    Decoder,
    ModelConfig,
    build,
    initialise,
    load_model,
    save_model,
    shape_of_size,
)
from lilliput.model.feed_forward import Mixture, activate
from lilliput.model.linear import rounded_activations, rounded_weight
from lilliput.training.objective import next_token
from lilliput.training.optimizers import Optimizer, OptimizerSettings


def lively_decoder(config: ModelConfig) -> Decoder:
    """Weights so large that every part shows."""
    return random_decoder(config, deviation=0.3, gains=0.0)


@pytest.mark.parametrize(
    "family", ["mixtral", "olmoe", "gpt-oss", "llama4", "deepseek-v2", "deepseek-v3", "grok1"]
)
def test_a_mixture_is_its_experts_one_token_at_a_time(family: str) -> None:
    config = shape_of_size("xs", vocabulary_size=64, family=family, n_layers=2)
    mixture = lively_decoder(config).blocks[-1].feed_forward
    assert isinstance(mixture, Mixture)
    rows = torch.randn(2, 9, config.d_model)
    chosen, weights = mixture.router(rows.flatten(0, 1))
    assert chosen.shape == (18, config.experts_per_token)
    assert all(len(set(row)) == config.experts_per_token for row in chosen.tolist())
    expected = []
    for row, experts, shares in zip(rows.flatten(0, 1), chosen, weights, strict=True):
        total = mixture.shared(row) if config.n_shared_experts else torch.zeros_like(row)
        for expert, share in zip(experts.tolist(), shares, strict=True):
            inner = row * share if config.router_scales_input else row
            biases = config.feed_forward_bias
            gate = mixture.gate[expert] @ inner + (mixture.gate_bias[expert] if biases else 0)
            up = mixture.up[expert] @ inner + (mixture.up_bias[expert] if biases else 0)
            out = mixture.down[expert] @ activate(config, gate, up)
            out = out + (mixture.down_bias[expert] if biases else 0)
            total = total + (out if config.router_scales_input else out * share)
        expected.append(total)
    torch.testing.assert_close(
        mixture(rows).flatten(0, 1), torch.stack(expected), rtol=1e-4, atol=1e-4
    )


def uneven_batch(config: ModelConfig) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    ids = torch.randint(0, 64, (4, 65))
    return ids[:, :-1], ids[:, 1:]


def load_of(model: Decoder, inputs: Tensor) -> Tensor:
    """The share of tokens every expert of the last layer gets."""
    seen: list[Tensor] = []
    router = model.blocks[-1].feed_forward.router
    hook = router.register_forward_hook(lambda _, __, output: seen.append(output[0]))
    with torch.no_grad():
        model(inputs)
    hook.remove()
    return torch.bincount(seen[0].flatten(), minlength=model.config.n_experts) / seen[0].numel()


@pytest.mark.parametrize("way", ["loss", "bias"])
def test_both_ways_of_balancing_even_out_the_load(way: str) -> None:
    config = shape_of_size(
        "xs", vocabulary_size=64, family="mixtral", n_layers=1,
        router_balance_loss=0.5 if way == "loss" else 0.0, router_selection_bias=way == "bias",
    )  # fmt: skip
    model = build(config)
    assert isinstance(model, Decoder)
    initialise(model, 0)
    with torch.no_grad():
        model.blocks[0].feed_forward.router.weight[0] += 0.5  # the first expert is everybody's
        model.embedding.weight += 0.3
    weights = {name: p.detach() for name, p in model.named_parameters()}
    settings = OptimizerSettings(
        name="adamw", learning_rate=0.01, embedding_learning_rate=1e-6, selection_bias_rate=0.02
    )
    optimizer = Optimizer(weights, settings)
    inputs, targets = uneven_batch(config)
    before = load_of(model, inputs)
    for _ in range(40):
        model.zero_grad()
        loss, count = next_token(model, (inputs, targets))
        loss.backward()
        gradients = {
            name: torch.zeros_like(p) if p.grad is None else p.grad / count
            for name, p in model.named_parameters()
        }
        optimizer.step(gradients, 1.0)
    after = load_of(model, inputs)
    assert before.max() > 0.4
    assert after.max() < 0.7 * before.max()
    if way == "bias":
        bias = model.blocks[0].feed_forward.router.selection_bias
        assert bias[0] == bias.min() < 0


def test_the_balance_loss_is_one_where_all_is_even() -> None:
    config = shape_of_size("xs", vocabulary_size=64, family="mixtral", router_balance_loss=1.0)
    router = lively_decoder(config).blocks[0].feed_forward.router
    logits = torch.randn(16, 8)
    scores = torch.full((16, 8), 1 / 8)
    chosen = torch.arange(32).view(16, 2) % 8
    assert float(router._losses(logits, scores, chosen)) == pytest.approx(16.0)


def test_the_reported_loss_is_the_next_tokens_alone() -> None:
    plain = shape_of_size("xs", vocabulary_size=64, n_layers=2)
    ahead = lively_decoder(plain.with_(n_future_tokens=2))
    alone = Decoder(plain)
    alone.load_state_dict(ahead.state_dict(), strict=False)
    batch = uneven_batch(plain)
    one, count = next_token(ahead, batch)
    two, same = next_token(alone, batch)
    assert count == same
    torch.testing.assert_close(one, two)
    one.backward()
    two.backward()
    assert ahead.future[1].merge.weight.grad.abs().sum() > 0
    assert not torch.allclose(ahead.embedding.weight.grad, alone.embedding.weight.grad)


def test_predictors_are_scored_on_the_tokens_after_the_next() -> None:
    """The weighted mean of their losses, from logits made by hand (arXiv 2412.19437, eq. 21-25)."""
    config = shape_of_size("xs", vocabulary_size=64, n_layers=1, n_future_tokens=2, future_loss=0.5)
    model = lively_decoder(config)
    inputs, targets = uneven_batch(config)
    starts = torch.zeros_like(inputs)
    starts[:, 20:] = 20  # two documents
    total, _ = next_token(model, (inputs, targets, starts))
    hidden = model.hidden(inputs, document_starts=starts)
    states = list(model.ahead(hidden, targets, starts))
    expected = 0.0
    for distance, state in enumerate(states, start=1):
        logits = model.logits_of(state)
        for row in range(4):
            for at in range(64 - distance):
                if starts[row, at] == starts[row, at + distance]:
                    wanted = targets[row, at + distance]
                    expected += float(F.cross_entropy(logits[row, at], wanted))
    expected *= 0.5 / 2
    gradient = torch.autograd.grad(total, model.future[0].merge.weight)[0]
    from lilliput.training.objective import _future_loss

    assert float(_future_loss(model, hidden, targets, starts)) == pytest.approx(expected, rel=1e-4)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(("kind", "values"), [("int8", 256), ("int4", 16), ("int2", 4)])
def test_rounded_weights_have_few_values_a_row(kind: str, values: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 500)
    rounded = rounded_weight(weight, kind)
    assert max(len(row.unique()) for row in rounded) <= values
    step = weight.abs().amax(1, keepdim=True) / (values / 2 - 1)
    assert ((rounded - weight).abs() <= step / 2 + 1e-6).all()
    torch.testing.assert_close(rounded_weight(rounded, kind), rounded)


def test_ternary_weights_are_those_of_bitnet() -> None:
    torch.manual_seed(0)
    weight, rows = torch.randn(8, 16), torch.randn(4, 16)
    from transformers.integrations.bitnet import AutoBitLinear

    theirs = AutoBitLinear(16, 8, bias=False, online_quant=True)
    theirs.weight.data.copy_(weight)
    ours = F.linear(rounded_activations(rows), rounded_weight(weight, "ternary"))
    torch.testing.assert_close(ours, theirs(rows), rtol=1e-5, atol=1e-5)
    assert len(rounded_weight(weight, "ternary").unique()) <= 3


@pytest.mark.parametrize("kind", ["int8", "int4", "int2"])
def test_a_folder_holds_the_weights_that_training_computed_with(kind: str, tmp_path: Path) -> None:
    config = shape_of_size("xs", vocabulary_size=64, linear=kind)
    model = lively_decoder(config).requires_grad_(False).eval()
    save_model(model, tmp_path, end_of_text=0, padding=1)
    again = load_model(tmp_path)
    ids = torch.randint(0, 64, (2, 20))
    torch.testing.assert_close(again(ids), model(ids), rtol=1e-5, atol=1e-5)
    assert again.config.linear == "full"


@pytest.mark.parametrize("kind", ["ternary", "int8", "int4", "int2"])
def test_rounded_matrices_learn(kind: str) -> None:
    config = shape_of_size("xs", vocabulary_size=16, n_layers=1, linear=kind)
    model = build(config)
    initialise(model, 0)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    settings = OptimizerSettings(learning_rate=0.01, embedding_learning_rate=0.01)
    optimizer = Optimizer(weights, settings)
    ids = torch.arange(65).repeat(4, 1) * torch.tensor([[1], [3], [5], [7]]) % 16
    losses = []
    for _ in range(30):
        model.zero_grad()
        loss, count = next_token(model, (ids[:, :-1], ids[:, 1:]))
        loss.backward()
        losses.append(float(loss) / count)
        optimizer.step({name: p.grad / count for name, p in model.named_parameters()}, 1.0)
    assert losses[0] == pytest.approx(math.log(16), rel=0.05)
    assert losses[-1] < 0.5 * losses[0]
