"""What the studio may show, and how its data routes find it."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import Request


@dataclass(frozen=True, kw_only=True)
class StudioSettings:
    """`runs` is a folder with training runs somewhere below, `corpus` a corpus folder."""

    runs: Path | None = None
    corpus: Path | None = None


def settings_of(request: Request) -> StudioSettings:
    """The app's settings: `app.state.studio`."""
    settings: StudioSettings = request.app.state.studio
    return settings
