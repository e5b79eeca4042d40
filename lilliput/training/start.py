"""Where a run's weights come from: drawn, or those of a model that there is already."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lilliput.errors import UserError
from lilliput.files import hash_bytes, hash_file
from lilliput.generate.language_model import model_folder
from lilliput.model import Decoder, Trunk, TrunkConfig, build, initialise, load_config, load_model
from lilliput.model.config import ModelConfig
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.trunk import is_retrieval, retrofit
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.recipe import ModelDial


@dataclass(frozen=True)
class Base:
    """A model folder that a run begins with."""

    folder: Path
    config: TrunkConfig

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""
        return Tokenizer.load(self.folder)

    @cached_property
    def identity(self) -> str:
        """A hash of its weights."""
        files = sorted(self.folder.glob("*.safetensors"))
        return hash_bytes("".join(map(hash_file, files)).encode("ascii"))

    def check_tokenizer(self, other: Tokenizer, where: str) -> None:
        """Raise UserError if `other`, of `where`, is not the tokenizer of this model."""
        if other.hash != self.tokenizer.hash:
            raise UserError(
                f"{where} was made with another tokenizer than {self.folder}: make it again with "
                f"{self.folder / 'tokenizer.json'}"
            )


def open_base(path: Path | str) -> Base:
    """The model folder, or that of a run, to start from. Raises UserError if there is none."""
    folder = model_folder(path)
    return Base(folder, load_config(folder))


def is_fitted(config: TrunkConfig, base: Base | None) -> bool:
    """Whether a run of `config` gives `base` retrieval (RETRO-fit, arXiv 2112.04426)."""
    plain = base is not None and not isinstance(base.config, RetroConfig)
    return plain and isinstance(config, RetroConfig)


def config_from(base: Base, dial: ModelDial) -> TrunkConfig:
    """The configuration of `base` with what the recipe's [model] sets.

    That may be anything that leaves the weights' names and shapes as they are, such as the context
    length, or `family = "retro"`. Raises UserError for the rest.
    """
    own, changes = base.config, dial.overrides()
    if dial.size is not None or dial.depth not in (None, own.n_layers):
        raise UserError(
            f"train.start_from: {base.folder} has {own.n_layers} layers of width {own.d_model}; "
            "leave out model.depth and model.size"
        )
    config: TrunkConfig
    if dial.family == "retro" and not isinstance(own, RetroConfig):
        if not isinstance(own, ModelConfig):
            raise UserError(
                f"train.start_from: {base.folder} is of family {own.family}: only a decoder can "
                "be given retrieval"
            )
        config = RetroConfig.over(own, **changes)
    else:
        if dial.family not in (None, own.family):
            raise UserError(
                f"train.start_from: {base.folder} is of family {own.family}, not {dial.family}; "
                "leave out model.family"
            )
        config = type(own).from_dict({**_values(own), **changes})
    _check_shapes(base, config)
    return config


def first_model(config: TrunkConfig, base: Base | None, seed: int) -> Trunk:
    """The model a run begins with, in float32: `base`'s weights, the rest drawn by `seed`.

    Given retrieval, `base`'s own weights are frozen.
    """
    if base is None:
        model = build(config)
        initialise(model, seed)
        return model
    given = load_model(base.folder)
    if is_fitted(config, base):
        assert isinstance(given, Decoder)
        return retrofit(given, seed=seed, **_values(config))
    model = build(config)
    model.load_state_dict(given.state_dict())
    return model


def _values(config: TrunkConfig) -> dict[str, Any]:
    return {item.name: getattr(config, item.name) for item in fields(config)}


def _check_shapes(base: Base, config: TrunkConfig) -> None:
    wanted, there = _shapes(config), _shapes(base.config)
    if is_fitted(config, base):
        wanted = {name: shape for name, shape in wanted.items() if not is_retrieval(name)}
    for name in [*wanted, *there]:
        if wanted.get(name) != there.get(name):
            raise UserError(
                f"train.start_from: the weights of {base.folder} do not fit what [model] says: "
                f"{name} is {_shown(there.get(name))} there and should be "
                f"{_shown(wanted.get(name))}"
            )


def _shapes(config: TrunkConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build(config).state_dict().items()}


def _shown(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "one number"
