"""Batches → weights: the one loop and what surrounds it."""

from lilliput.training.planner import Plan, plan_run
from lilliput.training.recipe import Recipe, merge, read_recipe
from lilliput.training.run import RunResult, resume_run, start_run

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
