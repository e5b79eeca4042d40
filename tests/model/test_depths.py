"""Mixture of depths: what is worked on, and that generation sees no later token."""

from typing import Any

import torch
from random_models import random_decoder
from torch import Tensor

from lilliput.model import Decoder, ModelConfig, initialise, shape_of_size
from lilliput.model.attention import Memory, Sight
from lilliput.training.objective import next_token
from lilliput.training.optimizers import Optimizer, OptimizerSettings


def lively_decoder(config: ModelConfig) -> Decoder:
    """Weights so large that every part shows."""
    return random_decoder(config, deviation=0.3, gains=0.0)


def configuration(**changes: Any) -> ModelConfig:
    chosen = {"n_layers": 4, "context_length": 48, "depth_capacity": 0.25, **changes}
    return shape_of_size("xs", vocabulary_size=64, family="mixture-of-depths", **chosen)


def ids_of(rows: int, time: int) -> Tensor:
    return torch.randint(0, 64, (rows, time), generator=torch.Generator().manual_seed(1))


def test_generation_does_not_look_ahead() -> None:
    model, ids = lively_decoder(configuration()), ids_of(2, 30)
    changed = ids.clone()
    changed[:, 20:] = (ids[:, 20:] + 7) % 64
    with torch.no_grad():
        one, other = model(ids), model(changed)
    assert torch.equal(one[:, :20], other[:, :20])
    assert not torch.allclose(one[:, 20:], other[:, 20:])


def test_caches_and_padding_change_nothing() -> None:
    model, ids = lively_decoder(configuration()), ids_of(2, 30)
    with torch.no_grad():
        whole = model(ids)
        cache = model.make_cache(2, 30)
        pieces = [model(part, cache=cache) for part in ids.split([7, 1, 12, 1, 1, 8], dim=1)]
        torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-4)
        padded = torch.cat((torch.zeros(2, 5, dtype=torch.long), ids), 1)
        cache = model.make_cache(2, 35)
        starts = torch.tensor([[5], [5]])
        first = model(padded[:, :9], cache=cache, document_starts=starts)[:, 5:]
        rest = model(padded[:, 9:], cache=cache, document_starts=starts)
        torch.testing.assert_close(torch.cat((first, rest), 1), whole, rtol=1e-4, atol=1e-4)


def test_a_routed_layer_works_on_the_best_tokens_alone() -> None:
    """Token by token: the others keep their residual, the best are worked on among themselves."""
    config = configuration(n_layers=2, positions="none")
    model, ids = lively_decoder(config), ids_of(1, 20)
    first, routed = model.blocks
    found = model.hidden(ids)
    sight = Sight(None)
    before = first(model.embedding(ids), sight, Memory())
    scores = before[0] @ routed.depth_router.weight[0]
    best = sorted(scores.topk(5).indices.tolist())
    expected = before.clone()
    worked = routed(before[:, best], sight, Memory())
    for place, token in enumerate(best):
        step = worked[0, place] - before[0, token]
        expected[0, token] = before[0, token] + scores[token].sigmoid() * step
    torch.testing.assert_close(found, model.final_norm(expected), rtol=1e-4, atol=1e-5)


def test_training_and_generation_agree_where_all_are_worked_on() -> None:
    model, ids = lively_decoder(configuration(depth_capacity=1.0)), ids_of(2, 30)
    with torch.no_grad():
        model.embedding.weight[:, 0] = 9.0
        for block in (model.blocks[1], model.blocks[3]):
            block.depth_router.weight.zero_()
            block.depth_router.weight[0, 0] = 50.0  # every score is far above 0
    starts = torch.zeros_like(ids)
    starts[:, 11:] = 11
    starts[1, 20:] = 20
    training = model(ids, document_starts=starts)
    with torch.no_grad():
        other = model(ids, document_starts=starts)
    torch.testing.assert_close(training, other, rtol=1e-3, atol=1e-3)


def test_scores_learn_to_foretell_who_is_worked_on() -> None:
    config = configuration()
    model = Decoder(config)
    initialise(model, 0)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    settings = OptimizerSettings(name="adamw", learning_rate=0.01, embedding_learning_rate=0.01)
    optimizer = Optimizer(weights, settings)
    torch.manual_seed(5)
    ids = torch.randint(0, 64, (8, 49))
    for _ in range(60):
        model.zero_grad()
        loss, count = next_token(model, (ids[:, :-1], ids[:, 1:]))
        loss.backward()
        optimizer.step({name: p.grad / count for name, p in model.named_parameters()}, 1.0)
    seen: list[Tensor] = []
    model.blocks[1].depth_router.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        model(ids[:, :-1])
    best = torch.zeros_like(seen[0]).scatter(1, seen[0].topk(12, dim=1).indices, 1.0).bool()
    assert float(((seen[0] > 0) == best).float().mean()) > 0.8


def test_a_routed_layer_costs_its_share() -> None:
    config = configuration()
    whole = config.with_(depth_capacity=0.0)
    head = 6.0 * 64 * config.d_model
    share = (config.flops_per_token() - head) / (whole.flops_per_token() - head)
    assert 0.55 < share < (1 + 0.25) / 2 + 0.01
