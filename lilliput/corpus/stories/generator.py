"""From (seed, index) to a story: plan it, tell it, and write down what was told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any

from lilliput.corpus.stories import beats, plots
from lilliput.corpus.stories.characters import Character
from lilliput.corpus.stories.dice import Dice
from lilliput.corpus.stories.discourse import Telling
from lilliput.corpus.stories.lexicon.words import ADJECTIVES, NOUNS, VERBS
from lilliput.corpus.stories.plan import BOOK, Cast, Plan
from lilliput.corpus.stories.script import phrase, tell
from lilliput.corpus.stories.things import Place, Thing
from lilliput.errors import UserError

_ = (beats, plots)  # importing them registers every beat and plot
_LETTERS = str.maketrans(dict.fromkeys('.,!?:;"', " "))
SHORTEST, LONGEST = 80, 300  # words in a story
FEWEST_NAMES = 8


@dataclass(frozen=True, slots=True)
class World:
    """How rich the world of the stories is: a model learns a small one from fewer of them.

    `names`: how many names of girls, of boys and of animals are in use, 8 or more, half of them
    for heroes and half for the others; all 46 to 48 for anybody if None. `plots`: how many plots
    there are, of all themes in turn; all 53 if None. `casts`: in how many ways each plot is cast,
    chosen by plot and seed; any if None. A casting binds who plays beside the hero and as he or
    she, what kind of animal, which things in which colours, which place and spot, and what the
    plot turns on: what is lost in one sentence is what is found in another. Speech then comes
    before who says it. The hero's name, a child's sex, looks and trait, and all wording stay free.
    Raises UserError if there are fewer names than a story may need, no or too many plots, or no
    casts.
    """

    names: int | None = None
    plots: int | None = None
    casts: int | None = None

    def __post_init__(self) -> None:
        if self.names is not None and self.names < FEWEST_NAMES:
            raise UserError(f"--names {self.names}: a story may need {FEWEST_NAMES} of a kind")
        if self.plots is not None and not 1 <= self.plots <= len(BOOK.plots):
            raise UserError(f"--plots {self.plots}: there are 1 to {len(BOOK.plots)}")
        if self.casts is not None and self.casts < 1:
            raise UserError(f"--casts {self.casts}: somebody must play; give 1 or more")


@lru_cache
def _plot_names(world: World) -> tuple[str, ...]:
    in_turn = chain.from_iterable(zip_longest(*BOOK.by_theme()))
    return tuple(sorted([name for name in in_turn if name][: world.plots]))


@dataclass(frozen=True, slots=True)
class Story:
    """A story and its plan, as far as the text tells it."""

    seed: int
    index: int
    text: str
    plot: str
    characters: tuple[str, ...]
    place: str
    objects: tuple[str, ...]
    features: tuple[str, ...]
    words: tuple[str, str, str]  # a noun, a verb and an adjective that appear in the text
    summary: str
    facts: str  # JSON

    @property
    def id(self) -> str:
        return f"story-{self.seed}-{self.index:06d}"


def generate_story(seed: int, index: int, world: World | None = None) -> Story:
    """The story at `index` of the endless series `seed`: always the same for the same numbers.

    Stories are 80 to 300 words long, in the spirit of TinyStories (arXiv 2305.07759).
    """
    world = world or World()
    attempt = 0
    while True:
        story = _attempt(seed, index, attempt, world)
        if SHORTEST <= story.text.count(" ") + story.text.count("\n\n") + 1 <= LONGEST:
            return story
        attempt += 1


def _attempt(seed: int, index: int, attempt: int, world: World) -> Story:
    dice = Dice(seed, index, attempt)
    plots = _plot_names(world)
    plot = plots[int(dice.random() * len(plots))]
    casting = Dice(seed, plot, int(dice.random() * world.casts)) if world.casts else None
    plan = BOOK.plots[plot](Cast(dice, names=world.names, casting=casting))
    telling = Telling(dice, plan.roles, plain_speech=world.casts is not None)
    text = tell(plan.script, telling)
    told = telling.entities
    people = [entity for entity in told if isinstance(entity, Character)]
    things = [entity for entity in told if isinstance(entity, Thing)]
    places = [entity for entity in told if isinstance(entity, Place)]
    place = "the " + places[0].noun if places else ""
    features = telling.features | ({"bad ending"} if plan.ending == "bad" else set())
    summary = phrase(plan.summary, telling)
    return Story(
        seed=seed,
        index=index,
        text=text,
        plot=plot,
        characters=tuple(person.label for person in people),
        place=place,
        objects=tuple(thing.noun for thing in things),
        features=tuple(sorted(features)),
        words=_words(text, dice),
        summary=summary[0].upper() + summary[1:],
        facts=_facts(plot, plan, telling, people, things, place),
    )


def _words(text: str, dice: Dice) -> tuple[str, str, str]:
    present = set(text.lower().translate(_LETTERS).split())
    noun, verb, adjective = (
        dice.pick(sorted(present & kind) or ("",)) for kind in (NOUNS, VERBS, ADJECTIVES)
    )
    return noun, verb, adjective


def _facts(
    name: str,
    plan: Plan,
    telling: Telling,
    people: list[Character],
    things: list[Thing],
    place: str,
) -> str:
    facts: dict[str, Any] = {
        "plot": name,
        "characters": [_character_facts(person) for person in people],
        "objects": [{"name": thing.noun, **thing.told} for thing in things],
        "wish": phrase(plan.wish, telling),
        "obstacle": phrase(plan.obstacle, telling),
        "turn": phrase(plan.turn, telling),
        "resolution": phrase(plan.resolution, telling),
        "ending": plan.ending,
    }
    if place:
        facts["place"] = place
    if "moral" in telling.features:
        facts["moral"] = phrase("{moral}", telling)
    return json.dumps(facts, ensure_ascii=False)


def _character_facts(person: Character) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": person.label, **person.told}
    if "relation" in person.told and person.of:
        facts["relation"] = {"is": person.relation, "of": person.of.label}
    return facts
