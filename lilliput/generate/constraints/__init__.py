"""Rules that a written text satisfies by construction: schemas, regexes, grammars, choices."""

from lilliput.generate.constraints.protocol import Constraint, ConstraintMaker, Mask

__all__ = ["Constraint", "ConstraintMaker", "Mask"]
