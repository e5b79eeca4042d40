"""How long a run lasts: steps, tokens, FLOPs, minutes or dollars."""

from dataclasses import dataclass, field

from lilliput.errors import UserError

KINDS = ("steps", "tokens", "flops", "minutes", "dollars")


@dataclass(frozen=True, kw_only=True)
class BudgetSettings:
    """Exactly one of the amounts is given."""

    minutes: float | None = field(default=None, metadata={"help": "wall-clock minutes, all told"})
    steps: int | None = field(default=None, metadata={"help": "optimiser steps"})
    tokens: int | None = field(default=None, metadata={"help": "training tokens"})
    flops: float | None = field(default=None, metadata={"help": "training FLOPs of the model"})
    dollars: float | None = field(
        default=None, metadata={"help": "money, at --train.dollars-per-hour"}
    )
    dollars_per_hour: float | None = field(
        default=None, metadata={"help": "what an hour of this machine costs"}
    )

    def check_amounts(self) -> None:
        """Raise UserError for an amount that is not above 0."""
        for kind in (*KINDS, "dollars_per_hour"):
            amount = getattr(self, kind)
            if amount is not None and not amount > 0:
                raise UserError(f"train.{kind} is {amount}: it must be above 0")

    def budget(self) -> "Budget":
        """The budget as one kind and amount; dollars become minutes.

        Raises UserError unless exactly one kind is given, or for dollars without a price.
        """
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            named = " and ".join(f"--train.{kind}" for kind in given) or "none is"
            raise UserError(
                f"a run has one budget, but {named} given: choose one of "
                + ", ".join(f"--train.{kind}" for kind in KINDS)
            )
        kind, amount = given[0], float(getattr(self, given[0]))
        if kind == "dollars":
            if self.dollars_per_hour is None:
                raise UserError("train.dollars needs train.dollars_per_hour, the machine's price")
            return Budget("minutes", amount / self.dollars_per_hour * 60)
        return Budget(kind, amount)


@dataclass(frozen=True)
class Budget:
    """An amount of one kind. `progress` is a share of it, from 0 to 1."""

    kind: str
    amount: float

    @property
    def by_the_clock(self) -> bool:
        """Whether the machine's speed decides how many steps there are."""
        return self.kind == "minutes"

    def progress(self, *, step: int, tokens: int, flops: float, seconds: float) -> float:
        """How much of the budget is used up, from 0 to 1."""
        used = {"steps": step, "tokens": tokens, "flops": flops, "minutes": seconds / 60}[self.kind]
        return min(1.0, used / self.amount)

    def describe(self) -> str:
        """In words."""
        if self.kind == "flops":
            return f"{self.amount:.3g} FLOPs"
        return f"{self.amount:,.4g} {self.kind}"
