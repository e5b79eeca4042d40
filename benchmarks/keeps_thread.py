"""Whether a model of generated stories keeps to the people a story began with.

Two measures. On held-out stories: wherever a name comes that the story has named before, the loss
in nats, and how often the likeliest next token is that name, among places where it is some name.
In stories the model writes: how many different names there are in one, beside the corpus's own.

    lilliput demo && python benchmarks/keeps_thread.py demo/runs/story
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import lilliput
from lilliput.corpus.stories import World, generate_story
from lilliput.corpus.stories.lexicon import people
from lilliput.generate.language_model import LanguageModel

NAMES = frozenset({*people.GIRLS, *people.BOYS, *people.ANIMAL_NAMES})
HELD_OUT = 10_000_000
"""Index of the first story that no corpus of the demo reaches."""


@dataclass(frozen=True)
class Recall:
    """Names that a story repeats: how many, their mean loss in nats, and the share recalled."""

    names: int
    loss: float
    share_right: float


def recall(model: LanguageModel, stories: Sequence[str]) -> Recall:
    tokenizer = model.tokenizer
    count, nats, named, right = 0, 0.0, 0, 0
    for story in stories:
        ids = [tokenizer.end_of_text, *tokenizer.encode(story)][
            : model.decoder.config.context_length
        ]
        pieces = [tokenizer.decode([token]).strip() for token in ids]
        with torch.no_grad():
            log_probabilities = model.decoder(torch.tensor([ids]))[0].log_softmax(-1)
        seen: set[str] = set()
        for place, piece in enumerate(pieces):
            if piece not in NAMES:
                continue
            if piece in seen:
                before = log_probabilities[place - 1]
                likeliest = tokenizer.decode([int(before.argmax())]).strip()
                count, nats = count + 1, nats - float(before[ids[place]])
                named, right = named + (likeliest in NAMES), right + (likeliest == piece)
            seen.add(piece)
    return Recall(count, nats / max(1, count), right / max(1, named))


def names_in(story: str) -> int:
    return len(set(re.findall(r"[A-Z][a-z]+", story)) & NAMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--names", type=int, default=8, help="as the corpus was made with")
    parser.add_argument("--plots", type=int, default=12, help="as the corpus was made with")
    parser.add_argument("--casts", type=int, default=1, help="as the corpus was made with")
    parser.add_argument("--stories", type=int, default=200)
    parser.add_argument("--written", type=int, default=60)
    options = parser.parse_args()
    world = World(names=options.names, plots=options.plots, casts=options.casts)
    stories = [generate_story(0, HELD_OUT + index, world).text for index in range(options.stories)]
    corpus = sum(map(names_in, stories)) / len(stories)
    print(f"names in a story of the corpus: {corpus:.2f}\n")
    print("| model | loss of a repeated name | recalled | names at T 0.5 | at T 0.8 |")
    print("| --- | --: | --: | --: | --: |")
    for path in options.models:
        model = lilliput.load(path)
        found = recall(model, stories)
        means = []
        for temperature in (0.5, 0.8):
            written = model.generate(
                "", n=options.written, max_tokens=300, temperature=temperature, seed=3
            )
            means.append(sum(map(names_in, written)) / len(written))
        print(
            f"| {path} | {found.loss:.2f} | {found.share_right:.0%} "
            f"| {means[0]:.2f} | {means[1]:.2f} |"
        )


if __name__ == "__main__":
    main()
