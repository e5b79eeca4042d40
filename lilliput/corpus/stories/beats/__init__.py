"""Beats that many plots share; importing this package registers them."""

from lilliput.corpus.stories.beats import endings, episodes, feelings, openings

__all__ = ["endings", "episodes", "feelings", "openings"]
