"""The characters of a story and every way a sentence can refer to them."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.corpus.stories.discourse import Entity, Telling
from lilliput.corpus.stories.grammar import join, participle, past, possessive, superlative

OBJECT_FORMS = {"he": "him", "she": "her", "it": "it", "they": "them"}
_POSSESSIVE = {"he": "his", "she": "her", "it": "its", "they": "their"}
_REFLEXIVE = {"he": "himself", "she": "herself", "it": "itself", "they": "themselves"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a character is: a girl, a rabbit, a baker."""

    noun: str
    home: str = "house"  # where it lives
    food: str = "cookies"  # what it likes to eat
    move: str = "walk"  # how it gets about
    sound: str = "laugh"  # what it does aloud
    young: str = "little"  # the adjectives it is introduced with, separated by commas
    tags: frozenset[str] = frozenset()


class Character(Entity):
    """A person or animal, known by a name, a family word (`Mom`) or only a kind (`the owl`)."""

    animate = True

    def __init__(
        self,
        kind: Kind,
        pronoun: str,
        *,
        name: str = "",
        trait: str = "",
        looks: str = "little",
        relation: str = "",
        of: Character | None = None,
        definite: bool = False,
        age: int = 0,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.pronoun = pronoun
        self.name = name
        self.trait = trait
        self.looks = looks
        self.relation = relation
        self.of = of
        self.definite = definite
        self.age = age
        self.kind_is_unique = True

    @property
    def called(self) -> str:
        """The name, or what stands for it (`Mom`, `the owl`)."""
        if self.name:
            return self.name
        return self.relation.capitalize() if self.relation else "the " + self.kind.noun

    @property
    def label(self) -> str:
        """What metadata calls it: `Lily`, `Mom`, `owl`."""
        return self.called.removeprefix("the ")

    def _introduce(self, telling: Telling) -> str:
        """The first mention, telling the relation or the kind."""
        if self.relation:
            owner = self.of.say_his(telling) if self.of else "the"
            if self.of:
                self.told["relation"] = self.relation
            telling.mention(self)
            named_by_relation = self.name.lower().startswith(self.relation)  # Aunt May
            words = [owner, "" if named_by_relation else self.relation, self.name]
            if self.name and "hero" in self.kind.tags and self.relation != self.kind.noun:
                self.told["kind"] = self.kind.noun
                words += ["the", self.kind.noun]
            return " ".join(filter(None, words))
        telling.mention(self)
        if self.name and self.kind.noun in {"girl", "boy"}:
            return self.name
        self.told["kind"] = self.kind.noun
        if self.name:
            return f"a {self.looks} {self.kind.noun} named {self.name}"
        if self.definite:
            return "the " + self.kind.noun
        return f"a {self.looks} {self.kind.noun}"

    def _noun(self, telling: Telling) -> str:
        """A later mention that is not a pronoun."""
        if self.name:
            if "kind" in self.told and self.kind_is_unique and telling.random() < 0.08:
                looks = self.looks + " " if telling.random() < 0.5 else ""
                return f"the {looks}{self.kind.noun}"
            return self.name
        if self.relation and self.of and telling.clear(self.of) and telling.random() < 0.6:
            return f"{_POSSESSIVE[self.of.pronoun]} {self.relation}"
        if not self.relation and not self.definite and telling.random() < 0.2:
            return f"the {self.looks} {self.kind.noun}"
        return self.called

    def say(self, telling: Telling) -> str:
        """As a subject: name or pronoun."""
        if telling.quoting:
            telling.mention(self)
            return self.called
        if not self.seen:
            return self._introduce(telling)
        if (
            telling.pronouns_in_a_row < 3
            and telling.clear(self)
            and (self in telling.current or telling.random() < 0.72)
        ):
            telling.pronouns_in_a_row += 1
            return self._by_pronoun(telling)
        telling.pronouns_in_a_row = 0
        noun = self._noun(telling)
        telling.mention(self)
        return noun

    def say_he(self, telling: Telling) -> str:
        """As a subject, by pronoun wherever that is clear."""
        if telling.quoting:
            return self.pronoun
        if self.seen and telling.clear(self):
            return self._by_pronoun(telling)
        return self.say_name(telling)

    def _by_pronoun(self, telling: Telling) -> str:
        self.told["pronoun"] = self.pronoun
        telling.mention(self)
        return self.pronoun

    def say_him(self, telling: Telling) -> str:
        """As an object."""
        if telling.quoting:
            telling.mention(self)
            return self.called
        if not self.seen:
            return self._introduce(telling)
        if telling.clear(self) and (self in telling.current or telling.random() < 0.8):
            telling.mention(self)
            return OBJECT_FORMS[self.pronoun]
        noun = self._noun(telling)
        telling.mention(self)
        return noun

    def say_his(self, telling: Telling) -> str:
        if telling.quoting:
            return _POSSESSIVE[self.pronoun]
        if not self.seen:
            return possessive(self._introduce(telling))
        if telling.clear(self):
            telling.mention(self)
            return _POSSESSIVE[self.pronoun]
        noun = self._noun(telling)
        telling.mention(self)
        return possessive(noun)

    def say_himself(self, telling: Telling) -> str:
        return _REFLEXIVE[self.pronoun]

    def say_name(self, telling: Telling) -> str:
        if not self.seen and not telling.quoting:
            return self._introduce(telling)
        noun = self.called if telling.quoting else self._noun(telling)
        telling.mention(self)
        return noun

    def say_call(self, telling: Telling) -> str:
        """The bare name, as one calls somebody."""
        telling.mention(self)
        return self.called

    def say_new(self, telling: Telling) -> str:
        """A full introduction: `a little girl named Lily`."""
        self.told["kind"] = self.kind.noun
        telling.mention(self)
        named = telling.dice.pick(("named", "named", "called"))
        return f"a {self.looks} {self.kind.noun} {named} {self.name}"

    def say_a(self, telling: Telling) -> str:
        """`a little girl`, for one whose name is told elsewhere."""
        self.told["kind"] = self.kind.noun
        telling.mention(self)
        return f"a {self.looks} {self.kind.noun}"

    def say_kind(self, telling: Telling) -> str:
        self.told["kind"] = self.kind.noun
        return self.kind.noun

    def say_trait(self, telling: Telling) -> str:
        self.told["trait"] = self.trait
        return self.trait

    def say_most(self, telling: Telling) -> str:
        self.told["trait"] = self.trait
        return superlative(self.trait)

    def say_age(self, telling: Telling) -> str:
        self.told["age"] = self.age
        return _NUMBERS[self.age]

    def say_home(self, telling: Telling) -> str:
        return self.kind.home

    def say_food(self, telling: Telling) -> str:
        return self.kind.food

    def say_went(self, telling: Telling) -> str:
        """How it moves, in the past: `hopped`."""
        return past(self.kind.move)

    def say_go(self, telling: Telling) -> str:
        return self.kind.move

    def say_going(self, telling: Telling) -> str:
        return participle(self.kind.move)


_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Group(Entity):
    """Two or more characters who do something together."""

    pronoun = "they"
    animate = True

    def __init__(self, members: tuple[Character, ...], noun: str = "") -> None:
        super().__init__()
        self.members = members
        self.noun = noun  # "the two friends"

    def _mention(self, telling: Telling) -> None:
        if not telling.quoting:
            telling.current.extend(self.members)
            telling.current.append(self)

    def _clear(self, telling: Telling) -> bool:
        recent = telling.previous + telling.current
        return all(member in recent for member in self.members) and not any(
            other.animate and other is not self and other not in self.members for other in recent
        )

    def _names(self, telling: Telling) -> str:
        unknown = [member for member in self.members if not member.seen]
        if self.noun and not unknown and telling.random() < 0.3:
            self._mention(telling)
            return self.noun
        names = [member.say_name(telling) for member in self.members]
        self._mention(telling)
        return join(names)

    def _pronoun(self, telling: Telling, pronoun: str, probability: float) -> str:
        if self._clear(telling) and telling.random() < probability:
            self._mention(telling)
            return pronoun
        return self._names(telling)

    def say(self, telling: Telling) -> str:
        return self._pronoun(telling, "they", 0.75)

    def say_they(self, telling: Telling) -> str:
        return self._pronoun(telling, "they", 1.0)

    def say_them(self, telling: Telling) -> str:
        return self._pronoun(telling, "them", 0.9)

    def say_names(self, telling: Telling) -> str:
        return self._names(telling)
