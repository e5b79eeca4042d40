"""Batches → weights: the one loop and what surrounds it."""

from lilliput.train.planner import Plan, plan_run
from lilliput.train.recipe import Recipe, merge, read_recipe
from lilliput.train.run import RunResult, resume_run, start_run

__all__ = [
    "Plan",
    "Recipe",
    "RunResult",
    "merge",
    "plan_run",
    "read_recipe",
    "resume_run",
    "start_run",
]
