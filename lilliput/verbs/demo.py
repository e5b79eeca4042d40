"""The whole pipeline on the embedded corpus."""

from collections.abc import Callable
from pathlib import Path

from lilliput.verbs.data import tokenize, train_tokenizer, write_stories
from lilliput.verbs.training import Run, resume, train

_STORIES_A_MINUTE = 12_000
"""More than a minute of training on 2 cores reads, so that no story is seen twice."""
_VOCABULARY = 2048
_NAMES = 8
"""Few enough that two million tokens teach the model to keep to the name a story began with."""
_PLOTS = 12
"""Few enough that a story ends in the plot it began with, and no sentence of it is forgotten."""
_CASTS = 1
"""A plot's people beside the hero, things and places are always the same: what is lost is found."""


def demo(folder: Path, *, minutes: float, say: Callable[[str], None]) -> Run:
    """Stories → tokenizer → shards → model in `folder`; steps that are done are not done again.

    `minutes` is the training's budget; `say` is told each step. A stopped demo goes on where it
    was when it is run again.
    """
    corpus, tokenizer, tokens = folder / "stories", folder / "tok.json", folder / "tokens"
    if not (corpus / "corpus.json").exists():
        count = max(2_000, round(_STORIES_A_MINUTE * minutes))
        say(f"1/4  writing {count:,} stories")
        write_stories(count, corpus, names=_NAMES, plots=_PLOTS, casts=_CASTS)
    if not tokenizer.exists():
        say(f"2/4  learning a tokenizer of {_VOCABULARY:,} tokens")
        train_tokenizer(corpus, tokenizer, vocabulary_size=_VOCABULARY)
    say("3/4  turning stories into token shards")
    tokenize(corpus, tokenizer, tokens)
    name = folder / "runs" / "story"
    if (name / "recipe.toml").exists():
        say("4/4  going on with the training")
        return resume(name)
    say(f"4/4  training a model for {minutes:g} minutes")
    return train("story", name=str(name), data={"tokens": str(tokens)}, train={"minutes": minutes})
