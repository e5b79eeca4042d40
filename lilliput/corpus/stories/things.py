"""The things and places of a story, and every way a sentence can refer to them."""

from __future__ import annotations

from lilliput.corpus.stories.characters import OBJECT_FORMS, Character
from lilliput.corpus.stories.discourse import Entity, Telling
from lilliput.corpus.stories.grammar import participle, past, plural


class Thing(Entity):
    """An object: singular, plural (`boots`) or a mass (`bread`)."""

    def __init__(
        self, noun: str, *, adjective: str = "", colour: str = "", number: str = "one",
        use: str = "", material: str = "", owner: Character | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.noun = noun
        self.adjective = adjective
        self.colour = colour
        self.number = number
        self.use = use
        self.material = material  # decides how it is mended
        self.owner = owner
        self.pronoun = "they" if number == "many" else "it"

    def _described(self, telling: Telling, probability: float) -> str:
        """The noun, with its adjective in some of the cases; what is said becomes known."""
        if telling.random() >= probability:
            return self.noun
        words = self.adjective
        if self.colour:
            self.told["colour"] = self.colour
            words = self.colour if not words or telling.random() < 0.6 else f"{words} {self.colour}"
        if self.adjective and self.adjective in words:
            self.told["property"] = self.adjective
        return f"{words} {self.noun}" if words else self.noun

    def say(self, telling: Telling) -> str:
        noun = self._described(telling, 0.12)
        telling.mention(self)
        return "the " + noun

    def say_the(self, telling: Telling) -> str:
        telling.mention(self)
        return "the " + self.noun

    def say_a(self, telling: Telling) -> str:
        noun = self._described(telling, 0.9)
        telling.mention(self)
        return f"a {noun}" if self.number == "one" else f"some {noun}"

    def say_his(self, telling: Telling) -> str:
        """The owner's: `his red ball`, `Tom's ball`."""
        assert self.owner is not None
        owner = self.owner.say_his(telling)
        self.told["owner"] = self.owner.label
        noun = self._described(telling, 0.15 if self.seen else 0.6)
        telling.mention(self)
        return f"{owner} {noun}"

    def say_my(self, telling: Telling) -> str:
        telling.mention(self)
        return "my " + self.noun

    def say_your(self, telling: Telling) -> str:
        telling.mention(self)
        return "your " + self.noun

    def say_bare(self, telling: Telling) -> str:
        telling.mention(self)
        return self.noun

    def say_many(self, telling: Telling) -> str:
        """The noun in general: `apples`, `bread`."""
        telling.mention(self)
        return plural(self.noun) if self.number == "one" else self.noun

    def say_full(self, telling: Telling) -> str:
        """The noun with its adjective, without an article."""
        noun = self._described(telling, 1.0)
        telling.mention(self)
        return noun

    def say_known(self, telling: Telling) -> str:
        """The noun with what was already told of it."""
        words = [str(self.told[key]) for key in ("property", "colour") if key in self.told]
        return " ".join([*words, self.noun])

    def say_it(self, telling: Telling) -> str:
        """As a subject or object: `it`, `they`/`them` only where clear, else the noun."""
        if self.number == "many":
            return self.say(telling)
        if telling.quoting or telling.clear(self):
            telling.mention(self)
            return "it"
        return self.say(telling)

    def say_them(self, telling: Telling) -> str:
        """As an object."""
        return OBJECT_FORMS[self.pronoun] if telling.clear(self) else self.say(telling)

    def say_was(self, telling: Telling) -> str:
        return "were" if self.number == "many" else "was"

    def say_is(self, telling: Telling) -> str:
        return "are" if self.number == "many" else "is"

    def say_one(self, telling: Telling) -> str:
        """`it` or `them`, said where the text has just named the thing."""
        return OBJECT_FORMS[self.pronoun]

    def _use(self, verb: str, rest: str, telling: Telling) -> str:
        """`kick it`, or `kick the ball` where "it" would not be clear."""
        if telling.clear(self):
            return verb + rest
        pronoun = OBJECT_FORMS[self.pronoun]
        before, _, after = rest.partition(" " + pronoun)
        return f"{verb}{before} the {self.noun}{after}"

    def say_use(self, telling: Telling) -> str:
        verb, _, rest = self.use.partition(" ")
        return self._use(verb, " " + rest, telling)

    def say_using(self, telling: Telling) -> str:
        verb, _, rest = self.use.partition(" ")
        return self._use(participle(verb), " " + rest, telling)

    def say_used(self, telling: Telling) -> str:
        verb, _, rest = self.use.partition(" ")
        return self._use(past(verb), " " + rest, telling)


class Place(Entity):
    """A place, with the preposition it takes and what may be found there."""

    pronoun = "it"

    def __init__(self, noun: str, preposition: str, spots: tuple[str, ...]) -> None:
        super().__init__()
        self.noun = noun
        self.preposition = preposition
        self.spots = spots

    def _see(self, telling: Telling) -> None:
        if not self.seen:
            self.seen = True
            telling.entities.append(self)

    def say(self, telling: Telling) -> str:
        self._see(telling)
        return "the " + self.noun

    def say_at(self, telling: Telling) -> str:
        self._see(telling)
        return f"{self.preposition} the {self.noun}"

    def say_spot(self, telling: Telling) -> str:
        return telling.dice.pick(self.spots)


class Phrase:
    """A verb phrase in its base form, such as `climb trees`, that can be inflected."""

    def __init__(self, base: str) -> None:
        self.verb, _, rest = base.partition(" ")
        self.rest = " " + rest if rest else ""

    def say(self, telling: Telling) -> str:
        return self.verb + self.rest

    def say_past(self, telling: Telling) -> str:
        return past(self.verb) + self.rest

    def say_ing(self, telling: Telling) -> str:
        return participle(self.verb) + self.rest
