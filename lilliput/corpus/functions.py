"""Stages that are plain functions: `def stage(batch: pyarrow.RecordBatch)`."""

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa

from lilliput.corpus.stages import Dropped, Outcome
from lilliput.errors import UserError


@dataclass(frozen=True)
class FunctionStage:
    """A function as a stage: batch in, batch (or `Outcome`) out.

    `function` is "module:function", imported where it runs, or the function itself. `settings` are
    passed as keyword arguments. Documents that are missing, by `id`, from the batch it returns
    count as dropped by the rule `name`.
    """

    name: str
    function: str | Callable[..., Any]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        """Raises UserError if the function returns no batch, or one with documents of its own."""
        function = imported(self.function) if isinstance(self.function, str) else self.function
        made = function(batch, **self.settings)
        if isinstance(made, Outcome):
            return made
        if isinstance(made, pa.Table):
            made = made.combine_chunks().to_batches()
            made = made[0] if made else batch.slice(0, 0)
        if not isinstance(made, pa.RecordBatch):
            raise UserError(
                f"stage {self.name}: returned {type(made).__name__}; "
                "return a pyarrow.RecordBatch or a lilliput.corpus.stages.Outcome"
            )
        return Outcome(made, self._missing(batch, made))

    def _missing(self, batch: pa.RecordBatch, made: pa.RecordBatch) -> tuple[Dropped, ...]:
        before, after = batch.column("id"), made.column("id")
        if before.equals(after):
            return ()
        left = Counter(after.to_pylist())
        dropped = []
        for row, name in enumerate(before.to_pylist()):
            if left[name]:
                left[name] -= 1
            else:
                dropped.append(Dropped(row, self.name))
        if made.num_rows != batch.num_rows - len(dropped):
            raise UserError(f"stage {self.name}: returned documents with ids that did not come in")
        return tuple(dropped)


@cache
def imported(target: str) -> Any:
    """What "module:name" names. Raises UserError if there is no such module or name in it."""
    module_name, _, name = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"{target}: the module cannot be imported: {error}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"{target}: {module_name} has no {name!r}")
        found = getattr(found, part)
    return found
