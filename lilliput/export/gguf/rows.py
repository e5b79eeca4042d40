"""What a class of model is made of in GGUF and in transformers, and the walk over its tensors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lilliput.errors import UserError
from lilliput.export.gguf.layouts import SAME, Layout, Sizes


@dataclass(frozen=True)
class Row:
    """A tensor's name, without `.weight` or `.bias`, in the file and in transformers' class.

    `bias`: one may stand beside the weight.
    """

    file: str
    folder: str
    layout: Layout = SAME
    bias: bool = False


@dataclass(frozen=True)
class Architecture:
    """A class of model; `name` is llama.cpp's, `model_type` and `hf_class` are transformers'."""

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


@dataclass(frozen=True)
class Placement:
    """One tensor of the file and the tensors of the folder it holds."""

    file_name: str
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
        if row.file == "output" and tied:
            if architecture.separate_head:
                yield Placement("output.weight", (f"{architecture.top[0].folder}.weight",), SAME)
            continue
        for kind in ("weight", "bias") if row.bias else ("weight",):
            placement = _placement(architecture, row, layer, kind, sizes)
            if present(placement):
                yield placement
            elif kind == "weight":
                raise UserError(
                    f"{where}: it lacks {placement.folder_names[0]} ({placement.file_name} in "
                    f"GGUF), which a {architecture.hf_class} needs"
                )


def _rows(architecture: Architecture, sizes: Sizes) -> Iterator[tuple[Row, int | None]]:
    for row in architecture.top:
        yield row, None
    for layer in range(sizes.layers):
        for row in architecture.layer:
            yield row, layer


def _placement(
    architecture: Architecture, row: Row, layer: int | None, kind: str, sizes: Sizes
) -> Placement:
    file_name, folder_name = f"{row.file}.{kind}", f"{row.folder}.{kind}"
    if layer is not None:
        file_name = f"blk.{layer}.{file_name}"
        folder_name = architecture.layer_prefix.format(layer=layer) + folder_name
    names = [folder_name]
    if "{expert}" in folder_name:
        names = [folder_name.replace("{expert}", str(number)) for number in range(sizes.experts)]
    return Placement(file_name, tuple(names), row.layout)
