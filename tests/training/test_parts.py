"""Schedule, budget, recipe and optimiser, each against something outside them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.model import build, shape_of
from lilliput.training.budget import KINDS
from lilliput.training.optimizers import Optimizer, OptimizerSettings, orthogonalise
from lilliput.training.recipe import Recipe, merge, read_recipe, write_recipe
from lilliput.training.schedule import Schedule


def test_cosine_equals_pytorch() -> None:
    schedule = Schedule(shape="cosine", warmup_steps=0, final_share=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.1)
    for step in range(50):
        assert schedule.share(step, step / 50) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_wsd_is_flat_then_linear() -> None:
    schedule = Schedule(warmup_steps=10, decay_share=0.5, final_share=0.0)
    assert schedule.share(0, 0.0) == pytest.approx(1 / 11)
    assert schedule.share(10, 0.2) == schedule.share(400, 0.5) == 1.0
    assert schedule.share(900, 0.75) == pytest.approx(0.5)
    assert schedule.share(999, 1.0) == 0.0


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["wsd", "cosine"]))
def test_share_stays_within_its_bounds(
    step: int, progress: float, decay: float, shape: Any
) -> None:
    schedule = Schedule(shape=shape, decay_share=decay, warmup_steps=7)
    assert 0 < schedule.share(step, progress) <= 1


def test_a_run_has_exactly_one_budget() -> None:
    with pytest.raises(UserError, match="none is given"):
        Recipe.from_dict({}).train.budget()
    with pytest.raises(UserError, match=r"--train.steps and --train.minutes"):
        Recipe.from_dict({"train": {"minutes": 1, "steps": 2}}).train.budget()
    with pytest.raises(UserError, match="dollars_per_hour"):
        Recipe.from_dict({"train": {"dollars": 1}}).train.budget()
    with pytest.raises(UserError, match="above 0"):
        Recipe.from_dict({"train": {"minutes": -1}})
    budget = Recipe.from_dict({"train": {"dollars": 3, "dollars_per_hour": 6}}).train.budget()
    assert (budget.kind, budget.amount) == ("minutes", 30)
    for kind in KINDS[:4]:
        assert Recipe.from_dict({"train": {kind: 8}}).train.budget().kind == kind


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"trian": {}}, r"\[trian\] is unknown"),
        ({"train": {"minuts": 3}}, r"train.minuts is unknown"),
        ({"train": {"steps": "many"}}, r"train.steps is 'many'"),
        ({"train": {"steps": True}}, r"train.steps is True"),
        ({"train": {"precision": "int3"}}, r"train.precision is 'int3': choose one of 'auto'"),
        ({"schedule": {"shape": "square"}}, r"schedule.shape is 'square'"),
        ({"train": {"prompts": "one"}}, r"train.prompts is 'one'"),
        ({"model": 3}, r"model must be a section"),
    ],
)
def test_mistakes_in_a_recipe_are_named(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recipe.from_dict(tables, "recipe.toml")


tables = st.fixed_dictionaries(
    {},
    optional={
        "train": st.fixed_dictionaries(
            {},
            optional={
                "steps": st.integers(1, 10**9),
                "minutes": st.floats(0.1, 1e6),
                "prompts": st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
                "tensorboard": st.booleans(),
            },
        ),
        "model": st.fixed_dictionaries(
            {}, optional={"depth": st.integers(1, 99), "rope_theta": st.floats(1, 1e9)}
        ),
        "optimizer": st.fixed_dictionaries({"name": st.sampled_from(["muon", "adamw"])}),
    },
)


@settings(max_examples=50, deadline=None)
@given(tables)
def test_a_written_recipe_reads_back(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Any]
) -> None:
    recipe = Recipe.from_dict(tables)
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    write_recipe(recipe, path)
    assert Recipe.from_dict(read_recipe(path)) == recipe


def test_a_broken_recipe_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("[train]\nsteps = = 3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"recipe.toml.*line 2"):
        read_recipe(tmp_path / "recipe.toml")


def test_flags_win_over_the_file() -> None:
    merged = merge({"train": {"steps": 1, "seed": 5}}, {"train": {"steps": 9}})
    assert merged == {"train": {"steps": 9, "seed": 5}}


@pytest.mark.parametrize("shape", [(4, 64, 64), (2, 48, 128), (3, 128, 48)])
def test_orthogonalise_makes_singular_values_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
    # A random square matrix is nearly singular: its last value takes more than five steps.
    assert values.quantile(0.05) > 0.6
    assert values.max() < 1.3
    exact, _, right = torch.linalg.svd(matrix := torch.randn(shape), full_matrices=False)
    nearest = exact @ right
    cosine = torch.nn.functional.cosine_similarity(
        orthogonalise(matrix).float().flatten(1), nearest.flatten(1)
    )
    assert cosine.min() > 0.97


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "embedding.weight": torch.randn(11, 8, generator=generator),
        "blocks.0.attention.query.weight": torch.randn(8, 8, generator=generator),
        "blocks.1.attention.query.weight": torch.randn(8, 8, generator=generator),
        "blocks.0.feed_forward.up.weight": torch.randn(24, 8, generator=generator),
        "blocks.0.attention_norm.weight": torch.ones(8),
    }


def gradients(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return {name: torch.randn(w.shape, generator=generator) for name, w in weights().items()}


def test_adamw_equals_pytorch() -> None:
    ours, theirs = weights(), weights()
    constants = OptimizerSettings(
        name="adamw", learning_rate=0.01, embedding_learning_rate=0.01, weight_decay=0.1
    )
    optimizer = Optimizer(ours, constants)
    decayed = [w for w in theirs.values() if w.ndim > 1]
    plain = [w for w in theirs.values() if w.ndim == 1]
    reference = torch.optim.AdamW(
        [{"params": decayed}, {"params": plain, "weight_decay": 0.0}],
        lr=0.01, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.1,
    )  # fmt: skip
    for step in range(5):
        grads = gradients(step)
        optimizer.step(grads, 1.0)
        for name, weight in theirs.items():
            weight.grad = grads[name]
        reference.step()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name])


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_saved_optimizer_goes_on_with_the_same_bits(name: Any) -> None:
    constants = OptimizerSettings(name=name, learning_rate=0.01, embedding_learning_rate=0.1)
    straight = weights()
    optimizer = Optimizer(straight, constants)
    for step in range(6):
        optimizer.step(gradients(step), 0.5)
    resumed = weights()
    first = Optimizer(resumed, constants)
    for step in range(3):
        first.step(gradients(step), 0.5)
    state = {key: tensor.clone() for key, tensor in first.state().items()}
    second = Optimizer(resumed, constants)
    second.load_state(state)
    for step in range(3, 6):
        second.step(gradients(step), 0.5)
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)


def test_muon_ignores_a_matrix_without_gradient() -> None:
    ours = weights()
    optimizer = Optimizer(
        ours,
        OptimizerSettings(weight_decay=0.0, learning_rate=0.01, embedding_learning_rate=0.01),
    )
    grads = gradients(0)
    silent = "blocks.0.attention.query.weight"
    grads[silent] = torch.zeros(8, 8)
    before = ours[silent].clone()
    optimizer.step(grads, 1.0)
    assert torch.equal(ours[silent], before)
    moved = ours["blocks.1.attention.query.weight"]
    assert math.isfinite(float(moved.sum()))


@pytest.mark.parametrize("family", ["command-r-plus", "gopher", "gpt-oss", "mixture-of-depths"])
def test_muon_moves_matrices_and_no_tables(family: str) -> None:
    """Gains of heads and biases of experts have two dimensions too."""
    config = shape_of(family, depth=2, vocabulary_size=64, end_of_text=0)
    weights = {name: p.detach() for name, p in build(config).named_parameters()}
    settings = OptimizerSettings(learning_rate=0.01, embedding_learning_rate=0.01)
    optimizer = Optimizer(weights, settings)
    moved = {name for names in optimizer.stacks for name in names}
    linear = {
        name
        for name, weight in weights.items()
        if name.startswith("blocks.") and weight.ndim >= 2 and "depth_router" not in name
        and "norm" not in name and not name.endswith("bias")
    }  # fmt: skip
    assert moved == linear
    tables = {name for name, weight in weights.items() if weight.ndim >= 2} - moved
    assert tables - {"embedding.weight", "head.weight"}
    for group in optimizer.adamw.param_groups:
        (weight,) = group["params"]
        name = next(name for name, other in weights.items() if other is weight)
        decays = name in ("embedding.weight", "head.weight") or "depth_router" in name
        assert (group["weight_decay"] > 0) == decays
