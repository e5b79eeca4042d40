"""What a class of model is made of in GGUF and in transformers, and the walk over its tensors."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lilliput.errors import UserError
from lilliput.export.gguf.layouts import SAME, Layout, Sizes

Values = Mapping[str, Any]


def _always(_: Values) -> bool:
    return True


def _nothing(_: Values) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Row:
    """A tensor's name, without `.weight` or `.bias`, in the file and in transformers' class.

    `bias`: one may stand beside the weight; `bias_layout`: how it lies, where not as the weight.
    `layers`: which layers have it, of a model with both dense layers and mixtures. Names that end
    in a full stop are whole but for it: nothing is appended. Names joined by a space are several
    tensors that the other side keeps as one; no name means that the layout makes the tensor.
    """

    file: str
    folder: str
    layout: Layout = SAME
    bias: bool = False
    bias_layout: Layout | None = None
    layers: Literal["all", "dense", "mixture"] = "all"


@dataclass(frozen=True)
class Architecture:
    """A class of model; `name` is llama.cpp's, `model_type` and `hf_class` are transformers'.

    `numbers` pairs llama.cpp's metadata keys with fields of a completed `config.json`.
    """

    name: str
    model_type: str
    hf_class: str
    numbers: dict[str, str]
    top: tuple[Row, ...]
    layer: tuple[Row, ...]
    layer_prefix: str = "model.layers.{layer}."
    base_prefix: str = "model."
    """What a checkpoint of the bare trunk leaves out of its tensors' names."""
    separate_head: bool = False
    """llama.cpp wants an output matrix of its own even where it is the embedding's."""
    always_tied: bool = False
    """llama.cpp has no output matrix but the embedding."""
    square: bool = False
    """llama.cpp wants the heads to be as wide together as the model."""
    gelu: bool = False
    """llama.cpp looks its GELU up in a table of float16."""
    another_class: bool = False
    """`name` is a class of its own in transformers; this one is written as it: the file reads back
    as that class, which computes the same in another order."""
    defaults: dict[str, Any] = field(default_factory=dict)
    """What transformers' config class assumes where a field is absent."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """Fields of config.json that llama.cpp's class leaves no choice in."""
    file_defaults: dict[str, Any] = field(default_factory=dict)
    """Metadata, without prefix, that llama.cpp assumes where a file lacks them."""
    complete: Callable[[Values], dict[str, Any]] = _nothing
    """Fields that `numbers` name and config.json says in other words."""
    restore: Callable[[Values], dict[str, Any]] = _nothing
    """Fields of config.json that follow from those of `numbers`."""
    when: Callable[[Values], bool] = _always
    """Whether a config.json of this type means this row; there may be several."""
    markers: tuple[str, ...] = ()
    """Ends of tensors' names that, of the rows of this `name`, only this one's files have."""


@dataclass(frozen=True)
class Placement:
    """Some tensors of the file and the tensors of the folder they hold."""

    file_names: tuple[str, ...]
    folder_names: tuple[str, ...]
    layout: Layout


def placements(
    architecture: Architecture,
    sizes: Sizes,
    present: Callable[[Placement], bool],
    *,
    tied: bool,
    where: str,
) -> Iterator[Placement]:
    """Every tensor of a model, in the file's order, of which `present` says that it is there.

    Raises UserError if one is missing without which the class is not whole.
    """
    for row, layer in _rows(architecture, sizes):
        for kind in ("weight", "bias") if row.bias else ("weight",):
            placement = _placement(architecture, row, layer, kind, sizes)
            if row.file == "output" and kind == "weight" and tied:
                if architecture.separate_head:
                    embedding = f"{architecture.top[0].folder}.weight"
                    yield Placement(("output.weight",), (embedding,), SAME)
            elif present(placement):
                yield placement
            elif kind == "weight":
                lacking = (placement.folder_names or ("a tensor",))[0]
                raise UserError(
                    f"{where}: it lacks {lacking} ({placement.file_names[0]} in "
                    f"GGUF), which a {architecture.hf_class} needs"
                )


def _rows(architecture: Architecture, sizes: Sizes) -> Iterator[tuple[Row, int | None]]:
    for row in architecture.top:
        yield row, None
    for layer in range(sizes.layers):
        kind = "mixture" if sizes.is_mixture(layer) else "dense"
        for row in architecture.layer:
            if row.layers in ("all", kind):
                yield row, layer


def _placement(
    architecture: Architecture, row: Row, layer: int | None, kind: str, sizes: Sizes
) -> Placement:
    file_prefix, folder_prefix = "", ""
    if layer is not None:
        file_prefix = f"blk.{layer}."
        folder_prefix = architecture.layer_prefix.format(layer=layer)
    folder_names = _whole_names(row.folder, folder_prefix, kind)
    if "{expert}" in row.folder:
        folder_names = [
            folder_names[0].replace("{expert}", str(number)) for number in range(sizes.experts)
        ]
    layout = row.bias_layout if kind == "bias" and row.bias_layout else row.layout
    return Placement(tuple(_whole_names(row.file, file_prefix, kind)), tuple(folder_names), layout)


def _whole_names(names: str, prefix: str, kind: str) -> list[str]:
    return [
        prefix + (name.removesuffix(".") if name.endswith(".") else f"{name}.{kind}")
        for name in names.split()
    ]
