"""From a budget to a model: what the dial derives."""

import math
from dataclasses import dataclass, fields, replace

import torch

from lilliput.errors import UserError
from lilliput.generate.framing import load_framing
from lilliput.machine import best_precision, matmul_peak
from lilliput.model import TrunkConfig, becomes, shape_of
from lilliput.tokens import Tokens, open_tokens
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.budget import Budget
from lilliput.training.method import Method
from lilliput.training.optimizers import MATRIX_LEARNING_RATE, OptimizerSettings
from lilliput.training.pairs import Pairs
from lilliput.training.recipe import Recipe
from lilliput.training.start import Base, config_from, is_fitted, open_base
from lilliput.training.windows import windows_for

_REFERENCE_WIDTH = 192
_DEEPEST = 24
_USUAL_SHARE_OF_PEAK = 0.45
"""Of the measured matrix-product rate, for a whole training step: 33% to 50% seen on 2 cores."""

_FEWEST_TOKENS_PER_PARAMETER = 0.8
_CHINCHILLA_TOKENS_PER_PARAMETER = 20.0
_MINUTE_ON_A_LAPTOP = 1e13
"""FLOPs. See `tokens_per_parameter`."""

_SHARE_OF_TRAINED = 0.3
"""Of the learning rates of new weights, for those that were trained before: docs/tuning.md."""
_COMPILE_PAYS_AFTER_SECONDS = 300.0
_FAMILY = "lilliput"
_CONTEXT_LENGTH = 512


@dataclass(frozen=True)
class Plan:
    """A resolved run: the complete recipe, the model, and what it is expected to do."""

    recipe: Recipe
    config: TrunkConfig
    base: Base | None
    method: Method
    budget: Budget
    optimizer: OptimizerSettings
    batch_tokens: int
    micro_batch_tokens: int
    precision: torch.dtype
    peak_flops: float
    expected_tokens: float
    expected_seconds: float
    compiled: bool

    @property
    def exports_to(self) -> str:
        """What the trained model's folder will be, or why only Lilliput opens it."""
        return becomes(self.config)


def plan_run(recipe: Recipe, device: torch.device) -> Plan:
    """Fill in whatever the recipe leaves open, for its data and this machine.

    Measures the machine's matrix-product rate (a fraction of a second). Raises UserError if the
    recipe contradicts itself, its data or the model it starts from.
    """
    budget = recipe.train.budget()
    precision = _precision(recipe, device)
    base = open_base(recipe.train.start_from) if recipe.train.start_from else None
    tokens = None if recipe.data.pairs else open_tokens(recipe.data.tokens)
    tokenizer = _tokenizer(recipe, base, tokens)
    peak = matmul_peak(device, precision)
    rate = peak * _USUAL_SHARE_OF_PEAK
    if base is None:
        config = _config(recipe, tokenizer, budget, rate)
    else:
        config = config_from(base, recipe.model)
    method = _method(recipe, config, base, tokens, tokenizer)
    flops = method.flops_per_token
    batch = _batch_tokens(recipe, config, method.row_tokens)
    expected_tokens = {
        "tokens": budget.amount,
        "steps": budget.amount * batch / method.row_tokens * method.scored_tokens,
        "flops": budget.amount / flops,
        "minutes": 60 * budget.amount * rate / flops,
    }[budget.kind]
    micro = _micro_batch_tokens(recipe, method.row_tokens, batch, device)
    trained_before = base is not None and not is_fitted(config, base)
    optimizer = optimizer_for(recipe.optimizer, config, trained_before=trained_before)
    seconds = 60 * budget.amount if budget.by_the_clock else expected_tokens * flops / rate
    compiled = pays_to_compile(recipe.train.compile, device, seconds)
    complete = replace(
        recipe,
        model=replace(
            recipe.model,
            family=config.family,
            depth=config.n_layers,
            size=None,
            **{name: getattr(config, name) for name in _derived_fields(recipe, config)},
        ),
        data=replace(recipe.data, batch_tokens=batch, micro_batch_tokens=micro),
        optimizer=optimizer,
        train=replace(
            recipe.train,
            device=device.type,
            precision="bfloat16" if precision == torch.bfloat16 else "float32",
            compile="yes" if compiled else "no",
            validations=_by_length(recipe.train.validations, seconds / 15, 3, 10),
            samples=_by_length(recipe.train.samples, seconds / 60, 1, 5),
        ),
    )
    return Plan(
        complete,
        config,
        base,
        method,
        budget,
        optimizer,
        batch,
        micro,
        precision,
        peak,
        expected_tokens,
        seconds,
        compiled,
    )


def optimizer_for(
    settings: OptimizerSettings, config: TrunkConfig, *, trained_before: bool = False
) -> OptimizerSettings:
    """The settings with the learning rates that are left open, for this width.

    Muon's rate does not depend on width (its update has a fixed spectral norm); AdamW's falls with
    the square root of it, as in nanochat. The peaks are those of a sweep at width 192
    (benchmarks/RESULTS.md); AdamW alone takes a third, near what nanoGPT uses at its sizes. Weights
    that were trained before are moved more gently.
    """
    gentler = _SHARE_OF_TRAINED if trained_before else 1.0
    narrower = gentler * math.sqrt(_REFERENCE_WIDTH / config.d_model)
    peak = (0.01 if settings.name == "muon" else 0.003) * narrower
    embedding = peak if config.tied or settings.name == "adamw" else 0.1 * narrower
    if config.tied:  # a head whose logits are scaled down must grow by as much
        embedding /= getattr(config, "logit_scale", 1.0)
    return replace(
        settings,
        matrix_learning_rate=settings.matrix_learning_rate or gentler * MATRIX_LEARNING_RATE,
        learning_rate=settings.learning_rate or peak,
        embedding_learning_rate=settings.embedding_learning_rate or embedding,
    )


def pays_to_compile(choice: str, device: torch.device, seconds: float) -> bool:
    """Whether torch.compile earns its minute of compiling back within the run.

    On a CPU the hand-written kernels leave it nothing to gain (benchmarks/RESULTS.md).
    """
    if choice == "auto":
        return device.type == "cuda" and seconds > _COMPILE_PAYS_AFTER_SECONDS
    return choice == "yes"


def choose_depth(flops: float, *, vocabulary_size: int, family: str, context_length: int) -> int:
    """The depth whose model is best trained with `flops` of compute.

    The deepest one that still sees `tokens_per_parameter(flops)` tokens a parameter.
    """
    for depth in range(1, _DEEPEST + 1):
        config = shape_of(
            family,
            depth=depth,
            vocabulary_size=vocabulary_size,
            end_of_text=0,
            context_length=context_length,
        )
        affordable = flops / config.flops_per_token()
        if affordable < tokens_per_parameter(flops) * config.parameters:
            return max(1, depth - 1)
    return _DEEPEST


def tokens_per_parameter(flops: float) -> float:
    """Fewest training tokens a parameter that still make the bigger model the better one.

    Chinchilla's 20 (arXiv 2203.15556) are for runs of 1e18 FLOPs and more. In minutes on a CPU a
    wider model learns more from each token than a narrower one makes up by reading more of them.
    Measured (benchmarks/RESULTS.md): at 2e12 FLOPs depth 1 with 0.8 beat depth 2 with 0.1, at 1e13
    depth 2 with 1.0 beat depth 3 with 0.2, and at 4e13 depth 3 with 1.0 equalled depth 2 with 4.
    So 0.8 up to 1e13, and a power law from there to Chinchilla.
    """
    decades = math.log10(flops / _MINUTE_ON_A_LAPTOP)
    growth = _CHINCHILLA_TOKENS_PER_PARAMETER / _FEWEST_TOKENS_PER_PARAMETER
    ratio = _FEWEST_TOKENS_PER_PARAMETER * math.pow(growth, decades / 5)
    return min(max(ratio, _FEWEST_TOKENS_PER_PARAMETER), _CHINCHILLA_TOKENS_PER_PARAMETER)


def _tokenizer(recipe: Recipe, base: Base | None, tokens: Tokens | None) -> Tokenizer:
    """That of the tokens; of a run on pairs that of the model, or beside the tokens' shards."""
    if tokens is None:
        return base.tokenizer if base else Tokenizer.load(recipe.data.tokens)
    if base is not None:
        base.check_tokenizer(tokens.tokenizer, str(tokens.folder))
    return tokens.tokenizer


def _method(
    recipe: Recipe,
    config: TrunkConfig,
    base: Base | None,
    tokens: Tokens | None,
    tokenizer: Tokenizer,
) -> Method:
    if tokens is None:
        framing = load_framing(base.folder) if base else None
        return Pairs(config, tokenizer, recipe, framing)
    return windows_for(config, tokens, recipe, fitted=is_fitted(config, base))


def _config(recipe: Recipe, tokenizer: Tokenizer, budget: Budget, rate: float) -> TrunkConfig:
    overrides = {"context_length": _CONTEXT_LENGTH, **recipe.model.overrides()}
    depth = recipe.model.depth or overrides.get("n_layers")
    family = recipe.model.family or _FAMILY
    if depth is None and recipe.model.size is None:
        if budget.kind in ("flops", "minutes"):
            flops = budget.amount if budget.kind == "flops" else 60 * budget.amount * rate
        else:
            raise UserError(
                f"a budget in {budget.kind} does not say how big the model should be: "
                "add --model.depth N, or give the budget in minutes, dollars or FLOPs"
            )
        depth = choose_depth(
            flops,
            vocabulary_size=tokenizer.vocabulary_size,
            family=family,
            context_length=overrides["context_length"],
        )
    return shape_of(
        family,
        depth=depth,
        size=recipe.model.size,
        vocabulary_size=tokenizer.vocabulary_size,
        end_of_text=tokenizer.end_of_text,
        **overrides,
    )


def _derived_fields(recipe: Recipe, config: TrunkConfig) -> list[str]:
    """The fields of the recipe's model that this trunk has."""
    own = {item.name for item in fields(config)}
    return [name for name in vars(recipe.model) if name in own and name != "family"]


def _precision(recipe: Recipe, device: torch.device) -> torch.dtype:
    if recipe.train.precision == "auto":
        return best_precision(device)
    return torch.bfloat16 if recipe.train.precision == "bfloat16" else torch.float32


def _by_length(given: int | None, wanted: float, least: int, most: int) -> int:
    return given if given is not None else int(min(max(wanted, least), most))


def _batch_tokens(recipe: Recipe, config: TrunkConfig, row: int) -> int:
    """Tokens a step, rows of `row`: more for bigger models, as nanochat's and SmolLM's runs do."""
    wanted = recipe.data.batch_tokens
    if wanted is None:
        wanted = 4096 * 2 ** max(0, round(2 * math.log2(config.d_model / 256)))
    if wanted < row and recipe.data.batch_tokens is not None:
        one = "the mean pair" if recipe.data.pairs else "one window of model.context_length"
        raise UserError(f"data.batch_tokens ({wanted}) is less than {one} ({row})")
    return max(1, wanted // row) * row


def _micro_batch_tokens(recipe: Recipe, row: int, batch: int, device: torch.device) -> int:
    """Tokens computed at once: on a CPU few, so that activations stay near its caches."""
    wanted = recipe.data.micro_batch_tokens or (8192 if device.type == "cpu" else 65_536)
    rows = max(1, min(wanted, batch) // row)
    while (batch // row) % rows:
        rows -= 1
    return rows * row
