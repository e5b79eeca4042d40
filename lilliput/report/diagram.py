"""What a drawing of a model consists of: boxes on a stream that flows from top to bottom."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lilliput.quantities import number

Kind = Literal["ends", "norm", "attention", "feed_forward", "router", "training"]


@dataclass(frozen=True)
class Weights:
    """Parameters under one name: one count for each repetition of what surrounds their box.

    `label` is what a drawing calls them; the end of their name if it is empty.
    """

    name: str
    counts: tuple[int, ...]
    label: str = ""

    @property
    def total(self) -> int:
        """Parameters of all repetitions."""
        return sum(self.counts)


@dataclass(frozen=True)
class Box:
    """One part of the model. `facts` are short sentences; `itemised` shows what is in `weights`."""

    title: str
    kind: Kind
    facts: tuple[str, ...] = ()
    weights: tuple[Weights, ...] = ()
    itemised: bool = True

    @property
    def total(self) -> int:
        """Parameters of all repetitions."""
        return sum(weights.total for weights in self.weights)

    @property
    def size(self) -> str:
        """Parameters of one repetition in words, empty where there are none."""
        each = [sum(counts) for counts in zip(*(w.counts for w in self.weights), strict=True)]
        return span(each) if self.weights else ""

    @property
    def items(self) -> tuple[str, ...]:
        """Name and size of the weights, where there are several."""
        if not self.itemised or len(self.weights) < 2:
            return ()
        return tuple(f"{one.label or _last(one.name)} {span(one.counts)}" for one in self.weights)


@dataclass(frozen=True)
class Residual:
    """The stream goes past `inside`, whose output is added to it, times `factor`."""

    inside: "Column"
    factor: float = 1.0


@dataclass(frozen=True)
class Beside:
    """Columns side by side that get the same input; their outputs are added."""

    branches: tuple["Column", ...]


@dataclass(frozen=True)
class Repeat:
    """`inside`, so many times in a row; `label` says which layers these are."""

    times: int
    label: str
    inside: "Column"


Node = Box | Residual | Beside | Repeat
Column = tuple[Node, ...]


@dataclass(frozen=True)
class Diagram:
    """A whole model: what goes in and comes out, the column between, and parts of training only."""

    title: str
    facts: tuple[str, ...]
    start: str
    column: Column
    end: str
    training_only: Column = ()


def boxes(column: Column) -> Iterator[Box]:
    """All boxes of a column, from top to bottom."""
    for node in column:
        match node:
            case Box():
                yield node
            case Beside():
                for branch in node.branches:
                    yield from boxes(branch)
            case _:
                yield from boxes(node.inside)


def total(column: Column) -> int:
    """Parameters of a column."""
    return sum(box.total for box in boxes(column))


def span(counts: list[int] | tuple[int, ...]) -> str:
    """Equal counts as one, others as "least to largest"."""
    least, largest = min(counts), max(counts)
    return f"{least:,}" if least == largest else f"{least:,} to {largest:,}"


def factor_text(residual: Residual) -> str:
    """What stands at the sum: "× 0.22", or nothing for a factor of 1."""
    return "" if residual.factor == 1 else f"× {number(residual.factor)}"


def unbroken(text: str) -> str:
    """The text with hard spaces where a line must not end: around arrows and factors."""
    return text.replace(" → ", "\u00a0→\u00a0").replace(" × ", "\u00a0×\u00a0")


def values(node: Node) -> dict[str, Any]:
    """A node as plain values, for JSON."""
    match node:
        case Box():
            return {
                "node": "box",
                "title": node.title,
                "kind": node.kind,
                "facts": list(node.facts),
                "parameters": node.total,
                "parts": {one.name: one.total for one in node.weights},
            }
        case Residual():
            return {"node": "residual", "factor": node.factor, "inside": column_values(node.inside)}
        case Beside():
            return {"node": "beside", "branches": [column_values(one) for one in node.branches]}
        case Repeat():
            inside = column_values(node.inside)
            return {
                "node": "repeat",
                "times": node.times,
                "label": node.label,
                "parameters": total(node.inside),
                "inside": inside,
            }


def column_values(column: Column) -> list[dict[str, Any]]:
    """A column as plain values, for JSON."""
    return [values(node) for node in column]


def _last(name: str) -> str:
    """The telling end of a dotted name: "query" of "attention.query", "query_norm" of its norm."""
    pieces = [piece for piece in name.split(".") if piece != "norm"]
    return pieces[-1].replace("_", " ")
