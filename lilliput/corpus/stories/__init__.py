"""The embedded corpus: children's stories, planned and then told, in any number, from a seed."""

from lilliput.corpus.stories.generator import Story, World, generate_story
from lilliput.corpus.stories.writer import write_stories

__all__ = ["Story", "World", "generate_story", "write_stories"]
