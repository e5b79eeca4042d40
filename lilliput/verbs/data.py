"""From files to shards as plain functions that take and return paths."""

from pathlib import Path

from lilliput.corpus import open_corpus
from lilliput.corpus.stories import World
from lilliput.corpus.stories import write_stories as _write_stories
from lilliput.tokens import tokenize_corpus
from lilliput.tokens import train_tokenizer as _train_tokenizer


def write_stories(
    count: int,
    folder: Path | str = "corpus",
    *,
    seed: int = 0,
    names: int | None = None,
    plots: int | None = None,
    casts: int | None = None,
) -> Path:
    """Write `count` stories of the embedded generator as a corpus folder.

    `names` of each kind and `plots` are how many are in use, `casts` how many castings each plot
    has: all if None.
    """
    world = World(names=names, plots=plots, casts=casts)
    _write_stories(count, Path(folder), seed=seed, world=world)
    return Path(folder)


def train_tokenizer(
    corpus: Path | str,
    path: Path | str = "tok.json",
    *,
    vocabulary_size: int | None = None,
    kind: str = "bpe",
    pattern: str = "qwen2",
) -> Path:
    """Train a tokenizer on a corpus folder: into a .json file, or a folder."""
    tokenizer = _train_tokenizer(
        open_corpus(corpus).texts(),
        vocabulary_size=vocabulary_size,
        kind=kind,  # type: ignore[arg-type]
        pattern=pattern,
    )
    path = Path(path)
    if path.suffix == ".json":
        tokenizer.save_definition(path)
    else:
        tokenizer.save(path)
    return path


def tokenize(
    corpus: Path | str,
    tokenizer: Path | str,
    folder: Path | str = "tokens",
    *,
    validation_share: float = 0.01,
) -> Path:
    """Encode a corpus folder into a folder of token shards."""
    tokenize_corpus(corpus, tokenizer, folder, validation_share=validation_share)
    return Path(folder)
