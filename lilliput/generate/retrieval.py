"""Where a model that retrieves finds its neighbours while it writes and scores."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lilliput.errors import UserError
from lilliput.files import read_json, write_json
from lilliput.model import Trunk
from lilliput.model.retro.config import RetroConfig
from lilliput.model.retro.trunk import Retro
from lilliput.tokens import Tokens, open_tokens
from lilliput.tokens.neighbours import (
    MANIFEST_NAME,
    NeighbourIndex,
    build_neighbours,
    open_neighbours,
)

_NOTE = "neighbours.json"


@dataclass(frozen=True)
class IndexRetriever:
    """What a model asks in generation: the nearest chunks of an index, with continuations.

    Set as `Retro.retriever`.
    """

    index: NeighbourIndex
    count: int = 2

    def __call__(self, chunks: Tensor) -> Tensor:
        """Chunks [P, M] → neighbours [P, count, 2·chunk_length], int64, on the CPU."""
        near = self.index.nearest(chunks.cpu().numpy(), self.count)
        return torch.from_numpy(self.index.values(near.numbers))


def retriever_for(config: RetroConfig, index: NeighbourIndex) -> IndexRetriever:
    """The retriever of a model. Raises UserError if the index has chunks of another length."""
    check_index(config, index)
    return IndexRetriever(index, config.n_neighbours)


def check_index(config: RetroConfig, index: NeighbourIndex) -> None:
    """Raise UserError if the model cannot use the index."""
    if index.chunk_length != config.chunk_length:
        raise UserError(
            f"the neighbour index has chunks of {index.chunk_length} tokens and the model of "
            f"{config.chunk_length}: build the index again with --chunk-length "
            f"{config.chunk_length}, or set model.chunk_length"
        )


def index_of(tokens: Tokens, chunk_length: int) -> NeighbourIndex:
    """The index of a tokens folder's training split, kept in `neighbours/`; built if it is not."""
    folder = tokens.folder / "neighbours"
    split = tokens.split("train")
    if (folder / MANIFEST_NAME).is_file():
        index = open_neighbours(split, folder)
        if index.chunk_length == chunk_length:
            return index
    return build_neighbours(split, folder, chunk_length=chunk_length)


def note_tokens(folder: Path, tokens: Path) -> None:
    """Note in a model folder whose neighbours its model was trained with."""
    write_json(folder / _NOTE, {"tokens": str(tokens.resolve())})


def attach_neighbours(model: Trunk, folder: Path) -> None:
    """Let a model that retrieves look things up in the tokens its folder names.

    Without them it writes as the plain decoder that it also is.
    """
    if not isinstance(model, Retro) or not (folder / _NOTE).is_file():
        return
    tokens = Path(str(read_json(folder / _NOTE).get("tokens")))
    if tokens.is_dir():
        index = index_of(open_tokens(tokens), model.config.chunk_length)
        model.retriever = retriever_for(model.config, index)
