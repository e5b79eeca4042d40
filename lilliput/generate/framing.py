"""How an input is put to a model that was tuned to answer inputs."""

from dataclasses import dataclass
from pathlib import Path

from lilliput.errors import UserError
from lilliput.files import read_json, write_json

_NAME = "framing.json"
_PLACE = "{input}"


@dataclass(frozen=True)
class Framing:
    """The text around an input: `frame` is that text, with {input} where the input stands.

    Raises UserError unless {input} stands in it exactly once.
    """

    frame: str

    def __post_init__(self) -> None:
        if self.frame.count(_PLACE) != 1:
            raise UserError(
                f"data.frame is {self.frame!r}: {_PLACE} must stand in it once, for the input"
            )

    def of(self, text: str) -> str:
        """The prompt that an input becomes."""
        before, after = self.frame.split(_PLACE)
        return before + text + after

    def save(self, folder: Path) -> None:
        """Note it in a model folder."""
        write_json(folder / _NAME, {"frame": self.frame})


def load_framing(folder: Path) -> Framing | None:
    """The framing noted in a model folder; None for a model that continues texts as they are.

    Raises UserError if the note is not one.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("frame"), str):
        raise UserError(f"{path}: expected an object with a text `frame`")
    return Framing(values["frame"])
