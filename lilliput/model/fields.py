"""What the configurations of all trunks share: fields with a sentence, plain values, copies."""

from collections.abc import Mapping
from dataclasses import asdict, field, fields, replace
from typing import Any, Self

from lilliput.errors import UserError


def option(text: str, default: Any = ...) -> Any:
    """A dataclass field with the sentence that documents it on the command line."""
    if default is ...:
        return field(metadata={"help": text})
    return field(default=default, metadata={"help": text})


class PlainFields:
    """Methods of a frozen dataclass of plain values."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises UserError on a field that does not exist or lacks."""
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise UserError(f"model.{name}: no such field (fields: {', '.join(sorted(known))})")
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"model: {error}") from None

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[type-var]
