"""What readers yield besides documents: records that could not be read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lilliput.corpus.documents import Document
from lilliput.errors import UserError

Counts = Counter[str]


class Damaged(UserError):
    """A file that cannot be read any further."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot be read: where it stands, the rule it breaks, and how."""

    rule: str
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


Record = Document | Malformed
Records = Iterator[Record]
