"""Options `--section.field` for every field of a recipe, made from its dataclasses."""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])

# The few that are typed every day have a short form.
_SHORT = {
    "train.minutes": "--minutes",
    "train.steps": "--steps",
    "train.flops": "--flops",
    "train.dollars": "--dollars",
    "train.device": "--device",
    "model.depth": "--depth",
    "model.family": "--family",
    "model.size": "--size",
}


class RecipeCommand(click.Command):
    """A command that takes every field of a recipe; the options are made when first needed.

    They come from the recipe's dataclasses, whose module needs PyTorch: `lilliput --help` must not.
    """

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """The command's own parameters and one option a field."""
        if not any(parameter.name in _names() for parameter in self.params):
            self.params += _options()
        return super().get_params(context)


def sections(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The options the user gave, as tables of a recipe."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if value is not None and value != ():
            section, _, field = name.partition("__")
            tables.setdefault(section, {})[field] = (
                list(value) if isinstance(value, tuple) else value
            )
    return tables


def _fields() -> list[tuple[str, dataclasses.Field[Any]]]:
    from lilliput.training.recipe import SECTIONS

    return [
        (section, item) for section, kind in SECTIONS.items() for item in dataclasses.fields(kind)
    ]


def _names() -> set[str]:
    return {f"{section}__{item.name}" for section, item in _fields()}


def _options() -> list[click.Parameter]:
    options: list[click.Parameter] = []
    for section, item in _fields():
        dotted = f"{section}.{item.name}"
        flags = [f"--{section}.{item.name.replace('_', '-')}"]
        if dotted in _SHORT:
            flags.insert(0, _SHORT[dotted])
        options.append(
            click.Option(
                [*flags, f"{section}__{item.name}"],
                type=_type(item.type),
                default=None,
                multiple=get_origin(_inner(item.type)) in (list, tuple),
                help=item.metadata["help"],
            )
        )
    return options


def _inner(annotation: Any) -> Any:
    """The type without its None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


def _type(annotation: Any) -> Any:
    annotation = _inner(annotation)
    if get_origin(annotation) is Literal:
        return click.Choice([str(choice) for choice in get_args(annotation)])
    if get_origin(annotation) in (list, tuple):
        return get_args(annotation)[0]
    return annotation
