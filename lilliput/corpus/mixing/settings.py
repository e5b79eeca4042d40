"""What a mixture is: how much of each source, and in which order."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from lilliput.errors import UserError

Unit = Literal["bytes", "documents"]
WhenShort = Literal["smaller", "others"]
Order = Literal["as_read", "shuffled", "interleaved", "ascending", "descending"]


@dataclass(frozen=True)
class Mixing:
    """How the documents of several sources become one corpus. Sources go by their names.

    How much of each:

    - By default every document is there `epochs` times, so sources keep their natural shares.
    - `weights` are the shares of the output: {"wiki": 3, "web": 1} is three bytes of wiki for each
      byte of web. Every source must be named; 0 leaves one out.
    - `temperature` T makes shares ∝ size^(1/T) (mT5, arXiv 2010.11934, has T = 1/0.3): 1 is
      natural, a large T nearly equal. Size is what a source has once, after its caps. Not
      together with `weights`.
    - `unit` says what shares, sizes and `total` count: UTF-8 bytes of text, or documents.
    - `total` is the wished size of the output, in `unit`.
    - `epochs` is how many times a document may be used at most: one number for all sources, or by
      name (1 where not named); 2.5 uses half of them a third time. Repeats are even: the numbers
      of times of any two documents of a source differ by at most 1. Up to about 4 repeats are
      worth nearly as much as new text (arXiv 2305.16264).
    - `most_documents` and `most_bytes` cap what a source gives to the output, repeats included.
    - `when_short` says what happens where `weights` or `temperature` want more of a source than
      epochs and caps allow: "smaller" keeps the shares and makes the whole smaller; "others" takes
      the rest of `total` from the other sources, in their shares (UniMax, arXiv 2304.09151).

    Which documents are taken, where not all are, is decided by `seed` and the document's number
    alone: a sample without regard to length or place.

    In which order:

    - "as_read": as they came; repeats after them, epoch by epoch.
    - "shuffled": any order, by `seed`.
    - "interleaved": every stretch of the corpus has the shares of the whole, to within a document
      of each source; within a source as read.
    - "ascending", "descending": a curriculum by the numeric column `by` ("length": bytes of text);
      equal values as read; documents without a value last. `blocks` cuts that order into so many
      runs of documents of equal number (±1) and shuffles within each.

    Raises UserError, naming the setting, for values that make no sense.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    unit: Unit = "bytes"
    total: int | None = None
    epochs: float | Mapping[str, float] = 1.0
    most_documents: Mapping[str, int] = field(default_factory=dict)
    most_bytes: Mapping[str, int] = field(default_factory=dict)
    when_short: WhenShort = "smaller"
    order: Order = "as_read"
    by: str = "length"
    blocks: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("unit", Unit), ("when_short", WhenShort), ("order", Order)):
            value = getattr(self, name)
            if value not in get_args(choices):
                raise UserError(
                    f"mixing.{name} = {value!r}: choose one of {', '.join(get_args(choices))}"
                )
        for source, weight in self.weights.items():
            _check(f"weights.{source}", weight, at_least=0)
        if self.weights and not any(self.weights.values()):
            raise UserError("mixing.weights: all are 0, so nothing would be left")
        if self.temperature != math.inf:
            _check("temperature", self.temperature, above=0)
        if self.weights and self.temperature != 1:
            raise UserError("mixing: weights and temperature both set shares; give only one")
        if self.total is not None:
            _check("total", self.total, at_least=1)
        if isinstance(self.epochs, Mapping):
            for source, epochs in self.epochs.items():
                _check(f"epochs.{source}", epochs, above=0)
        else:
            _check("epochs", self.epochs, above=0)
        for setting in ("most_documents", "most_bytes"):
            for source, most in getattr(self, setting).items():
                _check(f"{setting}.{source}", most, at_least=0)
        if self.when_short == "others" and self.total is None:
            raise UserError('mixing.when_short = "others" fills a total: say mixing.total as well')
        if self.blocks is not None:
            _check("blocks", self.blocks, at_least=1)
            if self.order not in ("ascending", "descending"):
                raise UserError("mixing.blocks needs mixing.order = ascending or descending")
        _check("seed", self.seed)

    @property
    def column(self) -> str | None:
        """The column whose values the order needs; None if it needs none."""
        ordered = self.order in ("ascending", "descending")
        return self.by if ordered and self.by != "length" else None

    def check_sources(self, names: Iterable[str]) -> None:
        """Raise UserError if a setting names a source that is none of `names`, or forgets one."""
        known = list(dict.fromkeys(names))
        tables = {
            "weights": self.weights,
            "epochs": self.epochs if isinstance(self.epochs, Mapping) else {},
            "most_documents": self.most_documents,
            "most_bytes": self.most_bytes,
        }
        for setting, table in tables.items():
            for source in table:
                if source not in known:
                    raise UserError(
                        f"mixing.{setting}: no source is called {source!r}; "
                        f"there are {', '.join(map(repr, known)) or 'none'}"
                    )
        forgotten = [name for name in known if name not in self.weights]
        if self.weights and forgotten:
            raise UserError(
                f"mixing.weights: say a weight for {', '.join(map(repr, forgotten))} too "
                "(0 leaves a source out)"
            )

    def epochs_of(self, source: str) -> float:
        """How many times the documents of `source` may be used at most."""
        return self.epochs.get(source, 1.0) if isinstance(self.epochs, Mapping) else self.epochs


def _check(
    name: str, value: object, *, at_least: float | None = None, above: float | None = None
) -> None:
    whole = name.partition(".")[0] in ("total", "most_documents", "most_bytes", "blocks", "seed")
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        raise UserError(f"mixing.{name} = {value!r}: must be a {'whole ' if whole else ''}number")
    if at_least is not None and value < at_least:
        raise UserError(f"mixing.{name} = {value!r}: must be at least {at_least:g}")
    if above is not None and value <= above:
        raise UserError(f"mixing.{name} = {value!r}: must be above {above:g}")
